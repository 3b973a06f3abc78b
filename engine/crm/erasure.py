"""Erasure: a person goes, and what must stay of him is nobody's.

    awaiting_confirm -> running -> done
          `-> lapsed

Asked for with a challenge of four digits, which whoever confirms repeats.  With the confirmation the record, what he
agreed to, what he did and said and the values of his audit rows are gone, and his numbers stand suppressed as `erased`;
messages and texts follow in steps (engine/traffic/traces.py), since there may be very many.  Until the last one the
erasure itself has to know his numbers.

What stays is under his old id, which leads nowhere: the card, closed, with the rows of its points; coupons without an
owner; messages with their times and states; that somebody answered a campaign.  The data file holds what it held until
it is compacted, and a backup that was taken before may hold it as well: the erasure says until when.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator
from enum import IntEnum
from itertools import islice
from typing import Final

import msgspec

from engine.crm import merging
from engine.crm.marketing import coupons, ledger, members, responses, till_codes, topics
from engine.crm.people import audit, customers, happenings, references, suppressions, timeline
from engine.crm.people.audit import By
from engine.crm.people.consent import CONSENTS
from engine.crm.people.customer import CUSTOMERS, numbers_of
from engine.crm.people.frequency import SENT
from engine.crm.people.imports import BEFORE, IMPORTS
from engine.crm.people.pauses import PAUSED
from engine.crm.people.reach import UNREACHED
from engine.errors import CarillonError, Conflict, Forbidden, NotFound
from engine.store import ids
from engine.store.table import Index, Keyed, Table, Txn
from engine.traffic import events, traces
from engine.traffic.traces import Left

DIGITS: Final = 4
CHALLENGE_MS: Final = 10 * 60_000
TRIES_MOST: Final = 3
DAY_MS: Final = 86_400_000
BACKUPS_DAYS: Final = 30  # as long as a backup may be kept: whoever makes them lets them expire

Below = Callable[[int], int]  # a number below the given one that nobody can guess


class State(IntEnum):
    """Where an erasure stands; the slug on the wire is the name in lower case."""

    AWAITING_CONFIRM = 0
    RUNNING = 1
    DONE = 2
    LAPSED = 3

    @property
    def slug(self) -> str:
        """The word on the wire."""
        return self.name.lower()


class Erasure(msgspec.Struct, frozen=True, array_like=True):
    """`reference` is what people call it, E12.

    `owned` are the numbers, `numbers` those that are not wiped yet, `place` is how far the one ahead is, or the
    texts under no number: nothing of it stays once it is done.
    """

    id: int
    reference: int
    customer: int
    state: State
    asked_ms: int
    asked_by: str
    challenge: bytes = b""
    tries: int = 0
    numbers: tuple[int, ...] = ()
    confirmed_ms: int = 0
    confirmed_by: str = ""
    done_ms: int = 0
    owned: tuple[int, ...] = ()
    place: int = 0


ERASURES: Final = Table("erasures", Erasure)
OF_CUSTOMER: Final = Index("erasures_of_customer", "QQ")  # customer, erasure
RUNNING: Final = Index("erasures_running", "Q")

TABLES: Final[tuple[Keyed, ...]] = (ERASURES, OF_CUSTOMER, RUNNING)


def name_of(identifier: int) -> str:
    """The id on the wire."""
    return ids.render("era", identifier)


class Confirmed(msgspec.Struct, frozen=True):
    """What came of a confirmation: a wrong one is kept too, since what raises undoes itself and nobody would count."""

    _erasure: Erasure
    _refusal: CarillonError | None = None

    @property
    def erasure(self) -> Erasure:
        """The erasure that runs now.  Raises Forbidden `wrong_challenge`, Conflict `no_challenge`."""
        if self._refusal is not None:
            raise self._refusal
        return self._erasure


# -- asking and confirming


def ask(txn: Txn, customer: int, now_ms: int, by: By, below: Below = secrets.randbelow) -> tuple[Erasure, str]:
    """Begin an erasure; it and the challenge, which is known only now.  An older one that waits has lapsed by it.

    Raises Forbidden, NotFound.
    """
    by.caller.require("customers:erase")
    customers.require(txn, customer)
    waiting = _waiting(txn, customer)
    if waiting is not None:
        _put(txn, msgspec.structs.replace(waiting, state=State.LAPSED, challenge=b""))
    challenge = f"{below(10**DIGITS):0{DIGITS}d}"
    identifier = ids.take(txn, now_ms)
    number = references.take(txn, references.ERASURE)
    erasure = Erasure(
        identifier, number, customer, State.AWAITING_CONFIRM, now_ms, _actor(by), _digest(by, identifier, challenge)
    )  # fmt: skip
    _put(txn, erasure)
    OF_CUSTOMER.add(txn, customer, identifier)
    audit.append(txn, by, "erasure.asked", customers.name_of(customer), now_ms)
    return erasure, challenge


def confirm(txn: Txn, customer: int, challenge: str, now_ms: int, by: By) -> Confirmed:
    """Erase the person whose challenge is repeated: what is his alone is gone at once, the rest in steps.

    Raises Forbidden without the right, NotFound.
    """
    by.caller.require("customers:erase")
    person = customers.require(txn, customer)
    erasure = _waiting(txn, customer)
    if erasure is None or erasure.asked_ms + CHALLENGE_MS <= now_ms or erasure.tries >= TRIES_MOST:
        text = "nothing waits for that challenge, or its time is over: ask for the erasure again"
        return Confirmed(Erasure(0, 0, 0, State.LAPSED, 0, ""), Conflict(text, code="no_challenge"))
    if not hmac.compare_digest(erasure.challenge, _digest(by, erasure.id, challenge.strip())):
        _put(txn, msgspec.structs.replace(erasure, tries=erasure.tries + 1))
        return Confirmed(erasure, Forbidden("that is not the challenge", code="wrong_challenge"))
    numbers = numbers_of(person)
    erasure = msgspec.structs.replace(
        erasure,
        state=State.RUNNING,
        challenge=b"",
        numbers=numbers,
        owned=numbers,
        confirmed_ms=now_ms,
        confirmed_by=_actor(by),
    )  # fmt: skip
    _put(txn, erasure)
    RUNNING.add(txn, erasure.id)
    for number in numbers:
        suppressions.mark_erased(txn, by.pepper, number, now_ms)
        for key, _ in list(CONSENTS.scan(txn, number)):
            CONSENTS.remove(txn, key)
        for table in (SENT, UNREACHED, PAUSED):
            table.remove(txn, number)
    _forget(txn, customer, now_ms)
    customers.remove(txn, customer)
    audit.append(txn, by, "customer.erased", customers.name_of(customer), now_ms)
    return Confirmed(erasure)


def _forget(txn: Txn, customer: int, now_ms: int) -> None:
    """What stands under the person's id, and under those that became his."""
    happenings.forget(txn, customer)
    timeline.forget(txn, customer)
    coupons.hand_over(txn, customer, 0)
    topics.forget(txn, customer)
    for (record,), _ in IMPORTS.scan(txn):
        BEFORE.remove(txn, (record, customer))
    for identifier in (customer, *merging.former(txn, customer)):
        till_codes.withdraw(txn, identifier)
        ledger.forget_reasons(txn, identifier)
        members.anonymise(txn, identifier, now_ms)
        audit.erase_values(txn, customers.name_of(identifier))
        audit.erase_values(txn, members.name_of(identifier))


def _actor(by: By) -> str:
    return audit.actor_name(by.caller.kind, by.caller.name, by.caller.id)


def _digest(by: By, erasure: int, challenge: str) -> bytes:
    said = f"{erasure} {challenge}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(said, key=by.pepper, person=b"erasure", digest_size=16).digest()


def _put(txn: Txn, erasure: Erasure) -> None:
    ERASURES.put(txn, erasure.id, erasure)


def _waiting(txn: Txn, customer: int) -> Erasure | None:
    found = of_customer(txn, customer)
    return found if found is not None and found.state is State.AWAITING_CONFIRM else None


# -- going on


def step(txn: Txn, identifier: int, now_ms: int, rows: int = 100) -> Left:
    """Wipe some of what messages and texts hold of the person, the event with the last.  Raises NotFound."""
    erasure = get(txn, identifier)
    if erasure.state is not State.RUNNING:
        return Left.NOTHING
    if erasure.numbers:
        return _wipe_number(txn, erasure, now_ms, rows)
    after = traces.wipe_national(txn, erasure.owned, erasure.place, rows)
    if after is not None:
        _put(txn, msgspec.structs.replace(erasure, place=after))
        return Left.MORE
    _put(txn, msgspec.structs.replace(erasure, state=State.DONE, owned=(), place=0, done_ms=now_ms))
    RUNNING.remove(txn, identifier)
    events.append(txn, "customer.erased", now_ms, customers.name_of(erasure.customer), erasure=name_of(identifier))
    return Left.NOTHING


def _wipe_number(txn: Txn, erasure: Erasure, now_ms: int, rows: int) -> Left:
    number, *others = erasure.numbers
    responses.forget_person(txn, number, erasure.place, rows)
    left, place = traces.wipe(txn, number, now_ms, erasure.place, rows)
    if left is Left.NOTHING:
        _put(txn, msgspec.structs.replace(erasure, numbers=tuple(others), place=0))
        return Left.MORE
    # While one has to wait the others go on.
    numbers = (*others, number) if left is Left.LATER else erasure.numbers
    _put(txn, msgspec.structs.replace(erasure, numbers=numbers, place=place))
    return left


def running(txn: Txn) -> list[int]:
    """The erasures that have steps to go."""
    return [identifier for (identifier,) in RUNNING.scan(txn)]


# -- what is left in files


def wants_compaction(txn: Txn, compacted_ms: int) -> bool:
    """Whether anybody was erased since the data file was compacted."""
    return any(erasure.done_ms >= compacted_ms for _, erasure in ERASURES.scan(txn) if erasure.state is State.DONE)


def is_compacted(erasure: Erasure, compacted_ms: int) -> bool:
    """Whether the data file holds nothing of the person any more."""
    return erasure.state is State.DONE and erasure.done_ms < compacted_ms


def backups_gone_ms(erasure: Erasure, compacted_ms: int, now_ms: int) -> int:
    """When no backup that is kept BACKUPS_DAYS at most holds the person: if the file is compacted now, where it was
    not; 0 before the confirmation.
    """
    if erasure.state not in (State.RUNNING, State.DONE):
        return 0
    clean_ms = compacted_ms if is_compacted(erasure, compacted_ms) else now_ms
    return clean_ms + BACKUPS_DAYS * DAY_MS


# -- looking up


def get(txn: Txn, identifier: int) -> Erasure:
    """The erasure.  Raises NotFound."""
    erasure = ERASURES.find(txn, identifier)
    if erasure is None:
        raise NotFound("there is no such erasure")
    return erasure


def of_customer(txn: Txn, customer: int) -> Erasure | None:
    """The newest erasure of a customer, or None."""
    for _, identifier in OF_CUSTOMER.scan(txn, customer, reverse=True):
        return get(txn, identifier)
    return None


def listed(txn: Txn, before: int, limit: int) -> list[Erasure]:
    """Up to `limit` erasures newest first, older than id `before` (0: from the newest)."""
    return [erasure for _, erasure in islice(ERASURES.scan(txn, after=before or None, reverse=True), limit)]


def differences(txn: Txn) -> Iterator[str]:
    """What of the indexes is not as a rebuild would make it, and whose record is still there."""
    of_customers, are_running = set(), set()
    for (identifier,), erasure in ERASURES.scan(txn):
        of_customers.add((erasure.customer, identifier))
        if erasure.state is State.RUNNING:
            are_running.add((identifier,))
        if erasure.state in (State.RUNNING, State.DONE) and CUSTOMERS.find(txn, erasure.customer) is not None:
            yield f"{ERASURES.name}: customer {erasure.customer} was erased and is there"
    for index, wanted in ((OF_CUSTOMER, of_customers), (RUNNING, are_running)):
        for key in sorted(wanted ^ set(index.scan(txn))):
            yield f"{index.name}: {key} {'is missing' if key in wanted else 'leads nowhere'}"
