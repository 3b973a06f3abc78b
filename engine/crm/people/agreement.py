"""Agreement: what people agree to and refuse.  Adds the row, and stamps it on the person's record."""

from engine.crm.people import consent, customers
from engine.crm.people.consent import CONSENTS, NEEDED, PURPOSES, Consent, Status
from engine.store import ids
from engine.store.table import Txn
from engine.traffic import events


def add(txn: Txn, number: int, purpose: str, row: Consent) -> int:
    """Append a row; its id.  `purpose` is one of PURPOSES."""
    identifier = ids.take(txn, row.at_ms)
    CONSENTS.put(txn, (number, PURPOSES.index(purpose), identifier), row)
    customers.stamp(txn, number, consent.bit(purpose), is_granted=row.status is Status.GRANTED)
    events.append(
        txn, "consent.changed", row.at_ms, ids.render("con", identifier),
        purpose=purpose, status=row.status.value, method=row.method,
    )  # fmt: skip
    return identifier


def withdraw_all(txn: Txn, number: int, method: str, evidence: str, now_ms: int) -> None:
    """Withdraw every purpose, whether it was granted or never asked for: the refusal itself is worth keeping."""
    for purpose in NEEDED:
        withdraw(txn, number, purpose, method, evidence, now_ms)
    if consent.newest(txn, number, "service") is not None:
        withdraw(txn, number, "service", method, evidence, now_ms)


def withdraw(txn: Txn, number: int, purpose: str, method: str, evidence: str, now_ms: int, by: str = "") -> None:
    """Withdraw one purpose, unless its newest row says so already."""
    row = consent.newest(txn, number, purpose)
    if row is None or row.status is not Status.WITHDRAWN:
        add(txn, number, purpose, Consent(Status.WITHDRAWN, method, evidence, now_ms, by=by))
