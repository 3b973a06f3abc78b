"""The router: who acts on a text that somebody sent us, in a fixed order of asking.

Today: stop, start and consent words, and sentences that may be a refusal; else a person.
"""

import re
import unicodedata
from typing import Final

import msgspec

from engine import numbers
from engine.apps.commands import refusals, wishes
from engine.config import House
from engine.crm.marketing import responses
from engine.crm.people import customers, reach
from engine.errors import Invalid
from engine.store.table import Txn
from engine.traffic import inbox
from engine.traffic.inbox import Received, Route, Routed

# Digits of a number in national form; what is shorter is a short code.
NATIONAL_SHORTEST: Final = 10
_PERSON: Final = Routed("person")
_REFUSALS: Final = frozenset({"command:stop", "command:td"})
_EDGES: Final = " \t\r\n.,;:!?…。，、；：！？\"'“”‘’「」()（）【】[]{}<>《》*_-~"


def normal_form(text: str) -> str:
    """The text as commands are compared: NFKC, casefolded, single spaces, no punctuation around it."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    # Zero-width joiners, marks and the like (category Cf) come from keyboards and pasting.
    visible = "".join(character for character in folded if unicodedata.category(character) != "Cf")
    return re.sub(r"\s+", " ", visible).strip(_EDGES)


def _number_of(originator: str, house: House) -> str | None:
    """The originator as E.164: networks write it in national form too; None for short codes and names."""
    if inbox.key_of(originator):
        return originator
    if not house.country or not originator.isdigit() or len(originator) < NATIONAL_SHORTEST:
        return None
    try:
        return numbers.parse(originator, house.country)
    except Invalid:
        return None


def router_of(house: House, pepper: bytes) -> Route:
    """The route that `inbound` is given."""

    def route(txn: Txn, received: Received, now_ms: int) -> Routed:
        number = _number_of(received.originator, house)
        if number is None:
            return Routed("ignored")  # a short code or a name: nobody who could be answered
        received = msgspec.structs.replace(received, originator=number)
        known = customers.find_by_number(txn, numbers.to_key(number))
        if known is not None:
            customers.note(txn, known.id, last_seen_ms=max(known.last_seen_ms, received.at_ms))
        word = normal_form(received.text)
        reach.reached(txn, pepper, numbers.to_key(number), now_ms)
        routed = wishes.answer(txn, word, received, house, pepper, now_ms)
        routed = routed or refusals.doubt(txn, word, received, house, now_ms) or _PERSON
        responses.hear(txn, pepper, numbers.to_key(number), now_ms, refuses=routed.to in _REFUSALS)
        return msgspec.structs.replace(routed, number=numbers.to_key(number))

    return route
