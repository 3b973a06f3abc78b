"""Pauses: numbers that get no marketing until a person decides, since what they wrote may have been a refusal."""

from itertools import islice
from typing import Final

import msgspec

from engine.crm.people import agreement, customers
from engine.crm.people.customer import numbers_of
from engine.errors import Conflict
from engine.store.table import Table, Txn
from engine.traffic import events, messages
from engine.traffic.messages import Asked, State, Verdict

REASON: Final = "possible_optout"
_LOOK_AGAIN_MS: Final = 86_400_000  # of a message that has no deadline


class Paused(msgspec.Struct, frozen=True, array_like=True):
    """Since when, and the text that it is about."""

    at_ms: int
    message: int


PAUSED: Final = Table("marketing_paused", Paused)  # number

TABLES: Final = (PAUSED,)


def pause(txn: Txn, number: int, message: int, now_ms: int) -> None:
    """Let nothing of marketing go to a number; a second doubt changes nothing."""
    if PAUSED.find(txn, number) is None:
        PAUSED.put(txn, number, Paused(now_ms, message))
        events.append(txn, "customer.marketing_paused", now_ms, _name(txn, number), reason=REASON)


def held(txn: Txn, message: Asked, now_ms: int) -> Verdict | None:
    """HELD to the message's deadline where its receiver is paused, else None."""
    if PAUSED.find(txn, message.number) is None:
        return None
    return Verdict(State.HELD, REASON, message.expires_ms or now_ms + _LOOK_AGAIN_MS)


def resume(txn: Txn, identifier: int, now_ms: int) -> int:
    """It was no refusal: what was held waits its turn again; how many messages.  Raises NotFound, Conflict."""
    released = 0
    for found in [one for number, _ in _lifted(txn, identifier) for one in messages.of_number(txn, number)]:
        message = messages.find(txn, found)
        if message is None or message.state is not State.HELD or message.reason != REASON:
            continue
        messages.leave_line(txn, message)
        waiting = msgspec.structs.replace(message, state=State.QUEUED, reason="", due_ms=now_ms)
        messages.line_up(txn, messages.store(txn, message, waiting, now_ms))
        released += 1
    events.append(txn, "customer.marketing_resumed", now_ms, customers.name_of(identifier))
    return released


def withdraw(txn: Txn, identifier: int, by: str, now_ms: int) -> int:
    """It was a refusal: consent is withdrawn, what waits is suppressed; how many messages.

    Raises NotFound, Conflict where nothing was paused.
    """
    suppressed = 0
    for number, known in _lifted(txn, identifier):
        agreement.withdraw(txn, number, "marketing", "staff", messages.name(known.message), now_ms, by)
        suppressed += messages.withdraw(txn, number, lambda one: one.purpose == "marketing", "no_consent", now_ms)
    return suppressed


def listed(txn: Txn, limit: int) -> list[tuple[int, Paused]]:
    """(customer, pause) of up to `limit` that wait for a decision, those who wait longest first."""
    waiting = sorted(((row.at_ms, number, row) for (number,), row in PAUSED.scan(txn)), key=lambda one: one[:2])
    found = ((customers.find_by_number(txn, number), row) for _, number, row in waiting)
    return [(customer.id, row) for customer, row in islice(found, limit) if customer is not None]


def end(txn: Txn, number: int) -> None:
    """The person has decided himself."""
    PAUSED.remove(txn, number)


def _lifted(txn: Txn, identifier: int) -> list[tuple[int, Paused]]:
    """The numbers of the customer that were paused, and are no more.  Raises NotFound, Conflict where none was."""
    numbers = numbers_of(customers.require(txn, identifier))
    found = [(number, known) for number in numbers if (known := PAUSED.find(txn, number)) is not None]
    if not found:
        raise Conflict("the customer's marketing is not paused", code="not_paused")
    for number, _ in found:
        PAUSED.remove(txn, number)
    return found


def _name(txn: Txn, number: int) -> str:
    customer = customers.find_by_number(txn, number)
    return "" if customer is None else customers.name_of(customer.id)
