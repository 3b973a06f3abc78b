"""Asking: double opt-in.  A question goes out, and only the person's own Y makes of it a consent.

The row is pending from the question on, and names it and the words that it was asked in.  The Y is heard in
engine/apps/commands/wishes.py.
"""

from typing import Final

import msgspec

from engine.config import House
from engine.crm.people import agreement, consent, customers, suppressions, wordings
from engine.crm.people.consent import Consent, Status
from engine.crm.people.wordings import Wording
from engine.errors import Conflict, Invalid, InvalidParam
from engine.store.table import Txn
from engine.traffic import messages
from engine.traffic.messages import Message

OPEN_MS: Final = 86_400_000  # how long a Y answers a question


def ask(
    txn: Txn, identifier: int, purpose: str, row: Consent, wording: Wording | None, house: House, pepper: bytes
) -> Consent:
    """Send the question at `row.at_ms`, and keep `row` as pending; what was kept.

    Raises NotFound, Invalid for a purpose that needs no consent, Conflict where the person may not be asked, has
    agreed already, or was asked within a day.
    """
    customer = customers.require(txn, identifier)
    number, now_ms = customer.number, row.at_ms
    if purpose not in consent.NEEDED:
        raise Invalid(InvalidParam("purpose", f"is none of {', '.join(consent.NEEDED)}"))
    if suppressions.find(txn, pepper, number) is not None:
        raise Conflict("the customer wants no texts", code="suppressed")
    known = consent.newest(txn, number, purpose)
    if known is not None and known.status is Status.GRANTED:
        raise Conflict("the customer has agreed already", code="already_granted")
    if known is not None and is_open(known, now_ms):
        raise Conflict("the customer was asked within the last 24 hours", code="already_asked")
    wording = wording or wordings.usual(txn, now_ms)
    language = customer.language or house.language
    name = house.name_zh if language.partition("-")[0] == "zh" else house.name_en
    text = wordings.said(wording, language, house.language).replace("{house}", name)
    question = Message(0, number, text, "service", source="consent", expires_ms=now_ms + OPEN_MS)
    asked = messages.enqueue(txn, question, now_ms)
    evidence = f"{row.evidence} {messages.name(asked.id)}".strip()
    pending = msgspec.structs.replace(row, status=Status.PENDING, evidence=evidence, wording=wordings.called(wording))
    agreement.add(txn, number, purpose, pending)
    return pending


def is_open(row: Consent, now_ms: int) -> bool:
    """Whether a Y would still answer it."""
    return row.status is Status.PENDING and now_ms <= row.at_ms + OPEN_MS


def newest_open(txn: Txn, number: int, now_ms: int) -> tuple[str, Consent] | None:
    """The purpose and the row of the question that a Y answers: the last one asked."""
    rows = [(purpose, consent.newest(txn, number, purpose)) for purpose in consent.NEEDED]
    found = [(purpose, row) for purpose, row in rows if row is not None and is_open(row, now_ms)]
    return max(found, key=lambda entry: entry[1].at_ms, default=None)
