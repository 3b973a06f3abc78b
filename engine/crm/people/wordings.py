"""Wordings: the words by which people are asked for consent.

Every version is kept for as long as the house is: what somebody agreed to must be shown years later.
"""

from typing import Final

import msgspec

from engine.errors import Invalid, InvalidParam, NotFound
from engine.store import ids
from engine.store.table import Table, Txn
from engine.traffic import events

NAME_LONGEST: Final = 100  # characters
TEXT_LONGEST: Final = 1_000


class Wording(msgspec.Struct, frozen=True, array_like=True):
    """One version of a question, by language."""

    id: int
    version: int
    name: str
    texts: dict[str, str]
    created_ms: int
    by: str = ""


WORDINGS: Final = Table("wordings", Wording, "QI")  # id, version

TABLES: Final = (WORDINGS,)

# What is asked where the house has no words of its own; kept like any other once it is used.
USUAL: Final = {
    "en": "{house}: may we text you our offers? Reply Y within 24 hours for yes, STOP to end all messages.",
    "zh": "【{house}】可以给您发送优惠信息吗?24小时内回复Y同意,回TD退订。",
}
_USUAL_ID: Final = 0


def name_of(identifier: int) -> str:
    """The id on the wire."""
    return ids.render("wrd", identifier)


def called(wording: Wording) -> str:
    """How a consent names the words: the id and the version."""
    return f"{name_of(wording.id)}/{wording.version}" if wording.id else f"usual/{wording.version}"


def add(txn: Txn, name: str, texts: dict[str, str], now_ms: int, by: str = "") -> Wording:
    """Keep a new question.  Raises Invalid naming the field."""
    _check(name, texts)
    wording = Wording(ids.take(txn, now_ms), 1, name, texts, now_ms, by)
    return _put(txn, wording)


def change(txn: Txn, identifier: int, texts: dict[str, str], now_ms: int, by: str = "") -> Wording:
    """Another version of the same question; those before stay.  Raises NotFound, Invalid."""
    old = get(txn, identifier)
    _check(old.name, texts)
    return _put(txn, msgspec.structs.replace(old, version=old.version + 1, texts=texts, created_ms=now_ms, by=by))


def usual(txn: Txn, now_ms: int) -> Wording:
    """The question of a house that has no words of its own."""
    for _, known in WORDINGS.scan(txn, _USUAL_ID, reverse=True):
        if known.texts == USUAL:
            return known
        return _put(txn, Wording(_USUAL_ID, known.version + 1, "usual", USUAL, now_ms))
    return _put(txn, Wording(_USUAL_ID, 1, "usual", USUAL, now_ms))


def get(txn: Txn, identifier: int, version: int = 0) -> Wording:
    """That version, or the newest for 0.  Raises NotFound."""
    if version:
        return WORDINGS.get(txn, (identifier, version))
    for _, wording in WORDINGS.scan(txn, identifier, reverse=True):
        return wording
    raise NotFound("there is no such wording")


def listed(txn: Txn) -> list[Wording]:
    """The newest version of each, the oldest question first."""
    newest = {wording.id: wording for _, wording in WORDINGS.scan(txn)}
    return list(newest.values())


def said(wording: Wording, language: str, usual_language: str) -> str:
    """The words in a language, else in the nearest wider one, else the house's, else the first."""
    for spoken in (language, usual_language):
        wanted = spoken
        while wanted:
            if wanted in wording.texts:
                return wording.texts[wanted]
            wanted = wanted.rpartition("-")[0]
    return next(iter(wording.texts.values()))


def _put(txn: Txn, wording: Wording) -> Wording:
    WORDINGS.put(txn, (wording.id, wording.version), wording)
    subject = name_of(wording.id) if wording.id else ""
    events.append(txn, "wording.created", wording.created_ms, subject, version=wording.version)
    return wording


def _check(name: str, texts: dict[str, str]) -> None:
    if not 0 < len(name.strip()) <= NAME_LONGEST:
        raise Invalid(InvalidParam("name", f"is not 1 to {NAME_LONGEST} characters"))
    if not texts:
        raise Invalid(InvalidParam("text", "is empty"))
    for language, text in texts.items():
        if not 0 < len(text.strip()) <= TEXT_LONGEST:
            raise Invalid(InvalidParam(f"text.{language}", f"is not 1 to {TEXT_LONGEST} characters"))
