"""The router: who acts on a text that somebody sent us, in a fixed order of asking.

Today: stop, start and consent words; else a person.
"""

import re
import unicodedata
from typing import Final

from engine.apps.commands import wishes
from engine.config import House
from engine.store.table import Txn
from engine.traffic import inbox
from engine.traffic.inbox import Received, Route, Routed

_PERSON: Final = Routed("person")
_EDGES: Final = " \t\r\n.,;:!?…。，、；：！？\"'“”‘’「」()（）*_-~"


def normal_form(text: str) -> str:
    """The text as commands are compared: NFKC, casefolded, single spaces, no punctuation around it."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"\s+", " ", folded).strip(_EDGES)


def router_of(house: House, pepper: bytes) -> Route:
    """The route that `inbound` is given."""

    def route(txn: Txn, received: Received, now_ms: int) -> Routed:
        if not inbox.key_of(received.originator):
            return Routed("ignored")  # a short code or a name: nobody who could be answered
        word = normal_form(received.text)
        return wishes.answer(txn, word, received, house, pepper, now_ms) or _PERSON

    return route
