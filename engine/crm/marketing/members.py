"""Members: customers with a card, which is their number.

A member stands under his customer's id, so that a walk of one table merges with a walk of the other.  Holds what is
counted of his points, and does not know where they come from (engine/crm/marketing/ledger.py).

    pending -> active <-> suspended
       `---------+----------+--> closed -> active
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from engine.crm.marketing import days, loyalty
from engine.crm.people import customers
from engine.crm.people.customer import CUSTOMERS
from engine.crm.people.member import MEMBERS, Member, State
from engine.errors import Conflict, Invalid, InvalidParam, NotFound, Stale
from engine.store import ids
from engine.store.table import Index, Table, Txn, Unique
from engine.traffic import events

LAST_DIGITS: Final = 4  # of a telephone number, by which a till may ask
CODE_LONGEST: Final = 40  # characters of what somebody joined by
FOUND_MOST: Final = 50


_MOVES: Final = {
    State.PENDING: {State.ACTIVE, State.CLOSED},
    State.ACTIVE: {State.SUSPENDED, State.CLOSED},
    State.SUSPENDED: {State.ACTIVE, State.CLOSED},
    State.CLOSED: {State.ACTIVE},
}
_NEWS: Final = {State.ACTIVE: "member.activated", State.SUSPENDED: "member.suspended", State.CLOSED: "member.closed"}


class Counter(msgspec.Struct, frozen=True, array_like=True):
    """The last number that was given."""

    last: int


BY_NUMBER: Final = Unique("members_by_number", "Q")
BY_LAST_DIGITS: Final = Index("members_by_last_digits", "HQ")  # of the telephone number, customer
PERIODS: Final = Index("member_periods", "IQ")  # the last day of a period, customer
NUMBERS: Final = Table("member_numbers", Counter, "B")

TABLES: Final = (MEMBERS, BY_NUMBER, BY_LAST_DIGITS, PERIODS, NUMBERS)


def name_of(identifier: int) -> str:
    """The id on the wire."""
    return ids.render("mem", identifier)


def get(txn: Txn, identifier: int) -> Member:
    """The member.  Raises NotFound."""
    member = MEMBERS.find(txn, identifier)
    if member is None:
        raise NotFound("there is no such member", code="member_unknown")
    return member


def save(txn: Txn, identifier: int, old: Member | None, new: Member) -> None:
    """Write the record and its index rows, from the old record and the new one."""
    MEMBERS.put(txn, identifier, new)
    if old is None or old.tier_until != new.tier_until:
        if old is not None:
            PERIODS.remove(txn, old.tier_until, identifier)
        PERIODS.add(txn, new.tier_until, identifier)
    if old is None or old.last_digits != new.last_digits:
        if old is not None:
            BY_LAST_DIGITS.remove(txn, old.last_digits, identifier)
        BY_LAST_DIGITS.add(txn, new.last_digits, identifier)


def _digits_of(number: int) -> int:
    return number % 10**LAST_DIGITS


# -- becoming one, and ceasing to be


def join(txn: Txn, customer: int, now_ms: int, zone: str, *, code: str = "", is_pending: bool = False) -> Member:
    """Make a customer a member, with the next number.

    Raises NotFound where there is no such customer, Conflict `already_member` also where he once closed his account:
    that one is opened again by `move`.
    """
    if len(code) > CODE_LONGEST:
        raise Invalid(InvalidParam("join_code", f"is longer than {CODE_LONGEST} characters"))
    known = MEMBERS.find(txn, customer)
    if known is not None:
        raise Conflict(f"he is member {known.number} and {known.state.slug}", code="already_member")
    person, programme, today = CUSTOMERS.get(txn, customer), loyalty.current(txn), days.of(now_ms, zone)
    member = Member(
        State.PENDING if is_pending else State.ACTIVE,
        number=str(_next_number(txn, customer, programme.first_number)),
        tier_until=loyalty.period_end(programme, today),
        joined_ms=now_ms,
        join_code=code,
        last_digits=_digits_of(person.number),
        updated_ms=now_ms,
    )
    save(txn, customer, None, member)
    events.append(txn, "member.joined", now_ms, name_of(customer), number=member.number, state=member.state.slug)
    return member


def _next_number(txn: Txn, customer: int, first: int) -> int:
    counter = NUMBERS.find(txn, 0)
    number = max(first, counter.last + 1 if counter else 0)
    while not BY_NUMBER.add(txn, number, customer):
        number += 1
    NUMBERS.put(txn, 0, Counter(number))
    return number


def move(txn: Txn, identifier: int, state: State, version: int | None, now_ms: int, *, reason: str = "") -> Member:
    """Let him be active, suspended or closed; his points stay and lapse when they would.

    Raises NotFound, Stale where `version` is given and is not the stored one, Conflict `member_state` where that does
    not follow upon what he is.
    """
    old = get(txn, identifier)
    if version is not None and version != old.version:
        raise Stale(f"the member has version {old.version}, not {version}")
    if state not in _MOVES[old.state]:
        raise Conflict(f"the member is {old.state.slug} and cannot become {state.slug}", code="member_state")
    new: Member = msgspec.structs.replace(old, state=state, updated_ms=now_ms, version=old.version + 1, reason=reason)
    save(txn, identifier, old, new)
    kind = "member.reopened" if old.state is State.CLOSED else _NEWS[state]
    events.append(txn, kind, now_ms, name_of(identifier))
    return new


def renumber(txn: Txn, customer: int, number: int) -> bool:
    """A customer has another telephone number: let his card be found by it.  False where he is no member."""
    old = MEMBERS.find(txn, customer)
    if old is None:
        return False
    save(txn, customer, old, msgspec.structs.replace(old, last_digits=_digits_of(number)))
    return True


def hand_over(txn: Txn, customer: int, to: int, number: int, now_ms: int) -> None:
    """The card of one customer is another's, who has none and whose telephone number is `number`.  Raises NotFound."""
    old = get(txn, customer)
    _leave(txn, customer, old)
    BY_NUMBER.remove(txn, int(old.number))
    BY_NUMBER.add(txn, int(old.number), to)
    new = msgspec.structs.replace(
        old, last_digits=_digits_of(number), updated_ms=now_ms, version=old.version + 1
    )  # fmt: skip
    save(txn, to, None, new)


def _leave(txn: Txn, customer: int, old: Member) -> None:
    MEMBERS.remove(txn, customer)
    PERIODS.remove(txn, old.tier_until, customer)
    BY_LAST_DIGITS.remove(txn, old.last_digits, customer)


def anonymise(txn: Txn, customer: int, now_ms: int) -> None:
    """Close the card of a person who is erased: what stays is a number of ours and its points."""
    old = MEMBERS.find(txn, customer)
    if old is None:
        return
    if old.state is not State.CLOSED:
        old = move(txn, customer, State.CLOSED, None, now_ms)
    save(txn, customer, old, msgspec.structs.replace(old, last_digits=0, join_code="", reason=""))


def require(member: Member, *states: State) -> None:
    """Raises Conflict `member_pending`, `member_suspended` or `member_closed` where he is in none of `states`."""
    if member.state not in states:
        raise Conflict(f"member {member.number} is {member.state.slug}", code=f"member_{member.state.slug}")


# -- finding one


def find_by_number(txn: Txn, text: str) -> int | None:
    """The id of the member with the number 10231, also written M10231, or None."""
    digits = text.strip().upper().removeprefix("M")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        return None
    return BY_NUMBER.find(txn, int(digits))


def find_by_phone(txn: Txn, number: int) -> int | None:
    """The id of the member with that telephone number, or None."""
    customer = customers.find_by_number(txn, number)
    return customer.id if customer is not None and MEMBERS.find(txn, customer.id) is not None else None


def list_by_last_digits(txn: Txn, digits: str) -> list[int]:
    """The ids of those whose telephone number ends so, 50 at most.  Raises Invalid where it is not 4 digits."""
    if not (digits.isascii() and digits.isdigit() and len(digits) == LAST_DIGITS):
        raise Invalid(InvalidParam("last4", f"is not {LAST_DIGITS} digits"))
    found: list[int] = []
    for _, identifier in BY_LAST_DIGITS.scan(txn, int(digits)):
        customer = CUSTOMERS.find(txn, identifier)
        if customer is not None and _digits_of(customer.number) == int(digits):
            found.append(identifier)
        if len(found) == FOUND_MOST:
            break
    return found


def listed(txn: Txn, before: int, limit: int) -> Iterator[tuple[int, Member]]:
    """Members and their ids, the newest customer first, older than id `before` (0: from the newest)."""
    for (identifier,), member in MEMBERS.scan(txn, after=before or None, reverse=True):
        if limit <= 0:
            return
        limit -= 1
        yield identifier, member


def differences(txn: Txn) -> Iterator[str]:
    """What of the indexes is not as a rebuild from the records would make it."""
    numbers, digits, periods = set(), set(), set()
    for (identifier,), member in MEMBERS.scan(txn):
        numbers.add((int(member.number), identifier))
        digits.add((member.last_digits, identifier))
        periods.add((member.tier_until, identifier))
    found: tuple[tuple[str, set[tuple[int, ...]], set[tuple[int, int]]], ...] = (
        (BY_NUMBER.name, {(number, owner) for (number,), owner in BY_NUMBER.scan(txn)}, numbers),
        (BY_LAST_DIGITS.name, set(BY_LAST_DIGITS.scan(txn)), digits),
        (PERIODS.name, set(PERIODS.scan(txn)), periods),
    )
    for name, stored, wanted in found:
        for key in sorted(stored ^ wanted):
            yield f"{name}: {key} {'is missing' if key in wanted else 'leads nowhere'}"
