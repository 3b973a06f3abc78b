"""Permission: what a person's refusals and consents say to a message."""

from typing import Final

from engine.crm.people import consent, suppressions
from engine.errors import Invalid, InvalidParam
from engine.store.table import Txn
from engine.traffic import inbox
from engine.traffic.inbox import RECEIVED
from engine.traffic.messages import SEND, Asked, State, Verdict

ANSWERED_MS: Final = 86_400_000  # how long somebody who wrote to us may be answered, whatever he refused before
_NATIONAL_SHORTEST: Final = 8  # digits
REFUSALS: Final = ("command:stop",)  # what is answered by a confirmation alone


def may_text(txn: Txn, message: Asked, pepper: bytes, now_ms: int = 0) -> Verdict:
    """SEND, or SUPPRESSED with the reason.  `legal` passes every suppression: it is our answer to the refusal.

    So does an answer to the person's own text within a day, unless that was a STOP.
    """
    if message.purpose == "legal" or (message.in_reply_to and is_answer(txn, message, now_ms)):
        return SEND
    if (found := suppressions.find(txn, pepper, message.number)) is not None:
        return Verdict(State.SUPPRESSED, found.reason)
    if not consent.is_granted(txn, message.number, message.purpose):
        return Verdict(State.SUPPRESSED, "no_consent")
    return SEND


def is_answer(txn: Txn, message: Asked, now_ms: int) -> bool:
    """Whether it answers a text that came from its own receiver within the last day and was no STOP."""
    received = RECEIVED.find(txn, message.in_reply_to)
    if received is None or received.routed_to in REFUSALS:
        return False
    return _is_from(received.originator, message.number) and 0 <= now_ms - received.at_ms <= ANSWERED_MS


def require_answer(txn: Txn, message: Asked, now_ms: int) -> None:
    """Raises Invalid where a message says that it is an answer and is none."""
    if message.in_reply_to and not is_answer(txn, message, now_ms):
        reason = "is no text from this number within the last 24 hours, or was a STOP"
        raise Invalid(InvalidParam("in_reply_to", reason))


def _is_from(originator: str, number: int) -> bool:
    """Whether a text came from that number; networks write it in national form too."""
    if inbox.key_of(originator) == number:
        return True
    digits = originator.lstrip("0")
    is_national = digits.isascii() and digits.isdigit() and len(digits) >= _NATIONAL_SHORTEST
    return is_national and str(number).endswith(digits)
