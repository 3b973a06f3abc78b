"""Permission: what a person's refusals and consents say to a message."""

from engine.crm.people import consent, suppressions
from engine.store.table import Txn
from engine.traffic.messages import SEND, Asked, State, Verdict


def may_text(txn: Txn, message: Asked, pepper: bytes) -> Verdict:
    """SEND, or SUPPRESSED with the reason.  `legal` passes every suppression: it is our answer to the refusal."""
    if message.purpose == "legal":
        return SEND
    if (found := suppressions.find(txn, pepper, message.number)) is not None:
        return Verdict(State.SUPPRESSED, found.reason)
    if not consent.is_granted(txn, message.number, message.purpose):
        return Verdict(State.SUPPRESSED, "no_consent")
    return SEND
