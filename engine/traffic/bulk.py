"""Bulk: what all messages of a group have in common, and which wording of it each of them says."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec

from engine import sms
from engine.traffic.message import Lane, OnUnknown


class Variant(msgspec.Struct, frozen=True, array_like=True):
    """Another wording, by language, for so many rows in a hundred."""

    texts: dict[str, str]
    percent: int


class Bulk(msgspec.Struct, frozen=True, array_like=True):
    """What all rows of a group have in common.  `texts` by language, the first of them for all others.

    `variants` are said to some rows in place of `texts`, always to the same ones.
    """

    texts: dict[str, str]
    language: str
    purpose: str
    lane: Lane = Lane.BULK
    report_percent: int = 0
    on_unknown: OnUnknown = OnUnknown.HOLD
    weight: int = 1
    source: str = "campaign"
    variants: tuple[Variant, ...] = ()


_parsed = lru_cache(maxsize=256)(sms.Template)


def template_of(bulk: Bulk, language: str, variant: int = 0) -> sms.Template:
    """The text of a variant in `language`, else in a wider or another form of it, else the house's, else its first."""
    texts = bulk.variants[variant - 1].texts if variant else bulk.texts
    for spoken in (language, bulk.language):
        found = _nearest(texts, spoken)
        if found is not None:
            return _parsed(found)
    return _parsed(next(iter(texts.values())))


# One that has no factor in common with a hundred: neighbours fall far apart, and any hundred of them are all different.
_STRIDE: Final = 37


def variant_of(variants: Sequence[Variant], identifier: int) -> int:
    """Which wording the message has: 0 for the first, else which of `variants`, from 1 on."""
    if not variants:
        return 0
    place = identifier * _STRIDE % 100
    for number, variant in enumerate(variants, 1):
        place -= variant.percent
        if place < 0:
            return number
    return 0


def _nearest(texts: dict[str, str], language: str) -> str | None:
    """The text in a language: of zh-Hans-CN that, zh-Hans or zh; of zh alone any that is Chinese (RFC 4647 §3.4)."""
    wider = language
    while wider:
        if wider in texts:
            return texts[wider]
        wider = wider.rpartition("-")[0]
    primary = f"{language.partition('-')[0]}-"
    return next((text for tag, text in texts.items() if language and tag.startswith(primary)), None)


def wants_report(bulk: Bulk, identifier: int) -> bool:
    """Whether the message is one of those of its group that ask for a status report."""
    return identifier % 100 < bulk.report_percent
