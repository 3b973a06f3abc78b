"""Reach: which numbers texts do not reach.

    failures in a row    1 or 2: suspect     3: bad, and suppressed as `bad_number`
    a delivered text, or one that comes from the number, makes it good again

What is a failure is told by traffic: a refusal or a report that is permanent and the number's own fault, one a message.
"""

from typing import Final

import msgspec

from engine.crm.people import customers, suppressions
from engine.crm.people.customer import PhoneState
from engine.store.table import Table, Txn
from engine.traffic import events
from engine.traffic.message import Told

BAD_FROM: Final = 3  # failures in a row


class Failures(msgspec.Struct, frozen=True, array_like=True):
    """How many in a row, and when the last one was."""

    count: int
    at_ms: int


UNREACHED: Final = Table("unreached", Failures)  # number

TABLES: Final = (UNREACHED,)


def telling(pepper: bytes) -> Told:
    """Who is told in the same change what became of a number's texts."""

    def told(txn: Txn, number: int, is_reached: bool, now_ms: int) -> None:
        (reached if is_reached else failed)(txn, pepper, number, now_ms)

    return told


def failed(txn: Txn, pepper: bytes, number: int, now_ms: int) -> None:
    """A text will never reach the number."""
    known = UNREACHED.find(txn, number)
    count = 1 if known is None else known.count + 1
    UNREACHED.put(txn, number, Failures(count, now_ms))
    if count >= BAD_FROM:
        suppressions.add(txn, pepper, number, "bad_number", now_ms)
    _stamp(txn, number, PhoneState.BAD if count >= BAD_FROM else PhoneState.SUSPECT, now_ms)


def reached(txn: Txn, pepper: bytes, number: int, now_ms: int) -> None:
    """A text reached the number, or came from it."""
    if UNREACHED.find(txn, number) is None:
        return
    UNREACHED.remove(txn, number)
    suppressions.lift(txn, pepper, number, "bad_number")
    _stamp(txn, number, PhoneState.OK, now_ms)


def _stamp(txn: Txn, number: int, state: PhoneState, now_ms: int) -> None:
    """Note it on the record of whose first number this is, if there is one."""
    customer = customers.find_by_number(txn, number)
    if customer is not None and customer.number == number and customer.phone_state is not state:
        customers.note(txn, customer.id, phone_state=state)
        name = customers.name_of(customer.id)
        events.append(txn, "customer.phone_state", now_ms, name, phone_state=state.name.lower())
