"""Deliveries: what a webhook is told next, and what becomes of what it did not take.

The log is read from the subscription's cursor.  Events of one subject are told in order: one that fails is parked, with
whatever follows of its subject behind it; other subjects go on.  It is tried again after a while that doubles, with
jitter, up to an hour, until 48 hours after its first try; then it is a dead letter, and the next of its subject is
due.  A person may replay dead letters, which then come after what has passed them.

Where ten fail in a row the subscription rests: one parked event and one new are tried, then it rests longer, up to five
minutes, until something is taken.  So what waits for a receiver that is down stays in the log.  One that took nothing
for 48 hours, or answered 410, is disabled.

Each event is told at least once.  Decides only: whoever posts asks `take` and tells `settle`.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from random import Random
from typing import Final, NamedTuple

import msgspec

from engine.access import webhooks
from engine.access.webhooks import PLACES, SUBSCRIPTIONS, Place, State, Subscription
from engine.errors import NotFound
from engine.store import ids
from engine.store.table import Index, Keyed, Table, Txn
from engine.traffic import events
from engine.traffic.events import Event

GIVE_UP_MS: Final = 48 * 3_600_000
RETRY_FIRST_MS: Final = 5_000
RETRY_MOST_MS: Final = 3_600_000
FAILURES_TO_REST: Final = 10  # in a row
REST_FIRST_MS: Final = 1_000
REST_MOST_MS: Final = 300_000
PARKED_MOST: Final = 10_000  # events of one subscription; the others stay in the log until there are fewer
DEAD_KEPT_MS: Final = 30 * 86_400_000
ATTEMPTS_KEPT: Final = 500  # of one subscription
SCANNED: Final = 500  # events that one turn looks at
CLEARED: Final = 1_000  # rows in one change

_GONE: Final = 410


class Parked(msgspec.Struct, frozen=True, array_like=True):
    """An event that was not taken yet.  `next_ms` is 0 where an earlier one of its subject stands before it."""

    event: Event
    next_ms: int = 0
    attempts: int = 0
    first_ms: int = 0


class Dead(msgspec.Struct, frozen=True, array_like=True):
    """An event that was given up, with what was said at its last attempt."""

    event: Event
    attempts: int
    first_ms: int
    dead_ms: int
    status: int
    error: str


class Attempt(msgspec.Struct, frozen=True, array_like=True):
    """One post.  `status` is what was answered, 0 where nothing was; `error` is empty where it was taken."""

    number: int
    sequence: int
    kind: str
    subject: str
    at_ms: int
    took_ms: int
    status: int
    error: str


PARKED: Final = Table("webhook_parked", Parked, "QQ")  # subscription, event
DUE: Final = Index("webhook_due", "QQQ")  # subscription, next try, event
SUBJECTS: Final = Index("webhook_subjects", "Q8sQ")  # subscription, hash of the subject, event
DEAD: Final = Table("webhook_dead", Dead, "QQ")  # subscription, event
ATTEMPTS: Final = Table("webhook_attempts", Attempt, "QH")  # subscription, place in a ring

TABLES: Final[tuple[Keyed, ...]] = (PARKED, DUE, SUBJECTS, DEAD, ATTEMPTS)


class Delivery(NamedTuple):
    """An event to be posted, or to be parked."""

    sequence: int
    event: Event


class Turn(NamedTuple):
    """What to do next for `subscription`.

    `retries` are parked events to be posted, one of a subject, `due` new ones in their order; `blocked` are new ones
    that must wait behind a parked one.  `read_to` is how far the log has been read with this; `missed_to` is not 0
    where what stood up to there has been forgotten.  `is_more` says that the log goes on.
    """

    subscription: Subscription
    place: Place
    retries: list[Delivery]
    due: list[Delivery]
    blocked: list[Delivery]
    read_to: int
    missed_to: int = 0
    is_more: bool = False


class Outcome(NamedTuple):
    """What became of a post: `error` is empty where it was taken."""

    delivery: Delivery
    at_ms: int
    took_ms: int
    status: int = 0
    error: str = ""


# -- what is due


def take(
    txn: Txn, identifier: int, read_to: int, busy: Collection[str], room: int, retries: int, now_ms: int
) -> Turn | None:
    """What to post: up to `retries` parked events, none of a `busy` subject; up to `room` new ones behind `read_to`.

    None where there is no such subscription.  The new ones may be of busy subjects: whoever posts keeps their order.
    """
    subscription, place = SUBSCRIPTIONS.find(txn, identifier), PLACES.find(txn, identifier)
    if subscription is None or place is None:
        return None
    turn = Turn(subscription, place, [], [], [], max(read_to, place.cursor))
    if subscription.state is not State.ACTIVE:
        return turn
    if is_resting(place):
        if now_ms < place.rest_until_ms or busy:
            return turn
        room, retries = min(room, 1), min(retries, 1)
    turn.retries.extend(_parked_due(txn, identifier, busy, retries, now_ms))
    return turn if place.parked >= PARKED_MOST else _read(txn, turn, room)


def is_resting(place: Place) -> bool:
    """Whether so many failed in a row that only a try now and then is worth it."""
    return place.failures >= FAILURES_TO_REST


def _parked_due(txn: Txn, identifier: int, busy: Collection[str], most: int, now_ms: int) -> Iterator[Delivery]:
    for _, next_ms, sequence in DUE.scan(txn, identifier):
        if next_ms > now_ms or most <= 0:
            return
        event = PARKED.get(txn, (identifier, sequence)).event
        if event.subject not in busy:
            most -= 1
            yield Delivery(sequence, event)


def _read(txn: Txn, turn: Turn, room: int) -> Turn:
    """The turn with what the log has next."""
    identifier, read_to, looked = turn.subscription.id, turn.read_to, 0
    known: dict[str, bool] = {}
    for sequence, event in events.after(txn, read_to, SCANNED):
        if sequence != read_to + 1:
            return turn._replace(read_to=read_to, missed_to=sequence - 1)
        looked += 1
        if turn.subscription.wants(event):
            if event.subject not in known:
                known[event.subject] = _head(txn, identifier, event.subject) is not None
            if known[event.subject]:
                # Where the last run ended between two steps of the cursor, it may stand there itself.
                if PARKED.find(txn, (identifier, sequence)) is None:
                    turn.blocked.append(Delivery(sequence, event))
            elif room > 0:
                room -= 1
                turn.due.append(Delivery(sequence, event))
            else:
                return turn._replace(read_to=read_to)
        read_to = sequence
    return turn._replace(read_to=read_to, is_more=looked == SCANNED)


def miss(txn: Txn, identifier: int, missed_from: int, missed_to: int, now_ms: int) -> None:
    """Tell that the events behind `missed_from` up to `missed_to` were forgotten before they were told."""
    place = PLACES.find(txn, identifier)
    if place is None or place.cursor >= missed_to:
        return
    if place.cursor >= missed_from:
        PLACES.put(txn, identifier, msgspec.structs.replace(place, cursor=missed_to))
    last = ids.render("evt", missed_to)
    missed = missed_to - missed_from
    events.append(txn, "webhook.gap", now_ms, webhooks.name_of(identifier), missed=missed, up_to=last)


# -- what became of it


def settle(
    txn: Txn,
    identifier: int,
    cursor: int,
    outcomes: Iterable[Outcome],
    behind: Iterable[Delivery],
    now_ms: int,
    rng: Random,
) -> Place | None:
    """Note what became of posts, park what waits behind the failed, and move the cursor; the place after it.

    None where there is no such subscription any more.
    """
    subscription, place = SUBSCRIPTIONS.find(txn, identifier), PLACES.find(txn, identifier)
    if subscription is None or place is None:
        return None
    desk = _Desk(txn, subscription, place, now_ms, rng)
    outcomes = list(outcomes)
    for outcome in outcomes:
        desk.note(outcome)
    taken = {outcome.delivery.sequence for outcome in outcomes if not outcome.error}
    for delivery in behind:
        if delivery.sequence not in taken and PARKED.find(txn, (identifier, delivery.sequence)) is None:
            desk.park(delivery.sequence, Parked(delivery.event, now_ms))
    desk.conclude(any(outcome.status == _GONE for outcome in outcomes), any(outcome.error for outcome in outcomes))
    place = msgspec.structs.replace(desk.place, cursor=max(cursor, place.cursor))
    PLACES.put(txn, identifier, place)
    return place


class _Desk:
    """One subscription inside one transaction, while its place changes."""

    def __init__(self, txn: Txn, subscription: Subscription, place: Place, now_ms: int, rng: Random) -> None:
        self._txn = txn
        self._subscription = subscription
        self._id = subscription.id
        self.place = place
        self._now_ms = now_ms
        self._rng = rng

    def _move(self, **fields: int) -> None:
        self.place = msgspec.structs.replace(self.place, **fields)

    def note(self, outcome: Outcome) -> None:
        """One post has ended."""
        (sequence, event), place = outcome.delivery, self.place
        number = place.attempts + 1
        self._move(attempts=number)
        said = outcome.at_ms, outcome.took_ms, outcome.status, outcome.error
        attempt = Attempt(number, sequence, event.kind, event.subject, *said)
        ATTEMPTS.put(self._txn, (self._id, number % ATTEMPTS_KEPT), attempt)
        parked = PARKED.find(self._txn, (self._id, sequence))
        if outcome.error:
            since_ms = place.failing_since_ms if place.failures else outcome.at_ms
            self._move(failures=place.failures + 1, failing_since_ms=since_ms)
            self._failed(sequence, parked or Parked(event), outcome)
            return
        self._move(failures=0, failing_since_ms=0, rests=0, rest_until_ms=0, delivered_ms=outcome.at_ms)
        if parked is not None:
            self._unpark(sequence, parked)
            self.wake(event.subject)

    def _failed(self, sequence: int, parked: Parked, outcome: Outcome) -> None:
        first_ms = parked.first_ms if parked.attempts else outcome.at_ms
        attempts, last_ms = parked.attempts + 1, first_ms + GIVE_UP_MS
        if self._now_ms < last_ms:
            wait_ms = _backed_off(attempts, RETRY_FIRST_MS, RETRY_MOST_MS, self._rng)
            self.park(sequence, Parked(parked.event, min(self._now_ms + wait_ms, last_ms), attempts, first_ms))
            return
        self._unpark(sequence, parked)
        dead = Dead(parked.event, attempts, first_ms, self._now_ms, outcome.status, outcome.error)
        self._move(dead=self.place.dead + (DEAD.find(self._txn, (self._id, sequence)) is None))
        DEAD.put(self._txn, (self._id, sequence), dead)
        self._forget_dead()
        self.wake(parked.event.subject)

    def conclude(self, is_gone: bool, has_failed: bool) -> None:
        """After all of them: does it rest, is it disabled?"""
        place, now_ms = self.place, self._now_ms
        if is_gone:
            webhooks.disable(self._txn, self._subscription, "gone", now_ms)
        elif is_resting(place) and has_failed:
            if now_ms - place.failing_since_ms >= GIVE_UP_MS:
                webhooks.disable(self._txn, self._subscription, "failing", now_ms)
            # What was in the air when the rest began makes it no longer.
            if now_ms >= place.rest_until_ms:
                rests = place.rests + 1
                wait_ms = _backed_off(rests, REST_FIRST_MS, REST_MOST_MS, self._rng)
                self._move(rests=rests, rest_until_ms=now_ms + wait_ms)

    # -- parking

    def park(self, sequence: int, parked: Parked) -> None:
        """Write or replace it; it is due at its `next_ms`, unless an earlier one of its subject is parked."""
        txn, subject = self._txn, parked.event.subject
        self._unpark(sequence, PARKED.find(txn, (self._id, sequence)))
        head = _head(txn, self._id, subject)
        if head is not None and head < sequence:
            parked = msgspec.structs.replace(parked, next_ms=0)
        elif head is not None:
            self._put(head, PARKED.get(txn, (self._id, head)), 0)
        SUBJECTS.add(txn, self._id, _hash(subject), sequence)
        self._move(parked=self.place.parked + 1)
        self._put(sequence, msgspec.structs.replace(parked, next_ms=0), parked.next_ms)

    def _put(self, sequence: int, parked: Parked, next_ms: int) -> None:
        if parked.next_ms:
            DUE.remove(self._txn, self._id, parked.next_ms, sequence)
        if next_ms:
            DUE.add(self._txn, self._id, next_ms, sequence)
        PARKED.put(self._txn, (self._id, sequence), msgspec.structs.replace(parked, next_ms=next_ms))

    def _unpark(self, sequence: int, parked: Parked | None) -> None:
        if parked is None or not PARKED.remove(self._txn, (self._id, sequence)):
            return
        DUE.remove(self._txn, self._id, parked.next_ms, sequence)
        SUBJECTS.remove(self._txn, self._id, _hash(parked.event.subject), sequence)
        self._move(parked=self.place.parked - 1)

    def wake(self, subject: str) -> None:
        """The first that is parked of a subject becomes due."""
        head = _head(self._txn, self._id, subject)
        if head is not None:
            parked = PARKED.get(self._txn, (self._id, head))
            if not parked.next_ms:
                self._put(head, parked, self._now_ms)

    def _forget_dead(self) -> None:
        """Dead letters of a month ago; a few, since each new one looks."""
        old = [
            sequence
            for (_, sequence), dead in islice(DEAD.scan(self._txn, self._id), 10)
            if self._now_ms - dead.dead_ms > DEAD_KEPT_MS
        ]
        for sequence in old:
            DEAD.remove(self._txn, (self._id, sequence))
        self._move(dead=self.place.dead - len(old))

    def revive(self, sequence: int, dead: Dead) -> None:
        """A dead letter is due as if it had never been tried."""
        DEAD.remove(self._txn, (self._id, sequence))
        self._move(dead=self.place.dead - 1)
        self.park(sequence, Parked(dead.event, self._now_ms))

    def close(self) -> None:
        """Write the place."""
        PLACES.put(self._txn, self._id, self.place)


def _backed_off(times: int, first_ms: int, most_ms: int, rng: Random) -> int:
    """Between a half and the whole of a wait that doubles."""
    whole_ms = min(most_ms, first_ms << min(times - 1, 20))
    return whole_ms // 2 + rng.randrange(whole_ms // 2 + 1)


def _hash(subject: str) -> bytes:
    return hashlib.blake2b(subject.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _head(txn: Txn, identifier: int, subject: str) -> int | None:
    """The first event that is parked of a subject."""
    for _, _, sequence in SUBJECTS.scan(txn, identifier, _hash(subject)):
        return int(sequence)
    return None


# -- what people do


def replay(txn: Txn, identifier: int, sequence: int, now_ms: int) -> None:
    """Let a dead letter be tried again, for 48 hours more.  Raises NotFound."""
    desk = _Desk(txn, SUBSCRIPTIONS.get(txn, identifier), PLACES.get(txn, identifier), now_ms, Random(0))  # noqa: S311
    desk.revive(sequence, dead_letter(txn, identifier, sequence))
    desk.close()
    events.append(txn, "webhook.replayed", now_ms, webhooks.name_of(identifier), letters=1)


def replay_all(txn: Txn, identifier: int, now_ms: int, limit: int = CLEARED) -> int:
    """Let the oldest dead letters be tried again, `limit` at most; how many those were.  Raises NotFound."""
    desk = _Desk(txn, SUBSCRIPTIONS.get(txn, identifier), PLACES.get(txn, identifier), now_ms, Random(0))  # noqa: S311
    found = list(islice(DEAD.scan(txn, identifier), limit))
    for (_, sequence), dead in found:
        desk.revive(sequence, dead)
    if found:
        desk.close()
        events.append(txn, "webhook.replayed", now_ms, webhooks.name_of(identifier), letters=len(found))
    return len(found)


def clear(txn: Txn, identifier: int, limit: int = CLEARED) -> bool:
    """Remove what is left of a subscription that was removed, `limit` rows of a table at most; is there more?"""
    for table in (PARKED, DEAD, ATTEMPTS):
        keys = [key for key, _ in islice(table.scan(txn, identifier), limit)]
        for key in keys:
            table.remove(txn, key)
        if len(keys) == limit:
            return True
    for index in (DUE, SUBJECTS):
        entries = list(islice(index.scan(txn, identifier), limit))
        for entry in entries:
            index.remove(txn, *entry)
        if len(entries) == limit:
            return True
    return False


def orphans(txn: Txn) -> list[int]:
    """Subscriptions that are gone and left something: the server ended while they were removed."""
    found = {key[0] for table in (PARKED, DEAD, ATTEMPTS) for key in _firsts(txn, table)}
    found |= {key[0] for index in (DUE, SUBJECTS) for key in _firsts(txn, index)}
    return sorted(identifier for identifier in found if SUBSCRIPTIONS.find(txn, identifier) is None)


def _firsts(txn: Txn, table: Keyed) -> Iterator[tuple[int, ...]]:
    """The first key of each subscription."""
    after = b""
    while keys := table.keys(txn, after, 1):
        key = table.layout.unpack(keys[0])
        yield key
        after = keys[0][:8] + b"\xff" * (table.layout.size - 8)


def dead_letters(txn: Txn, identifier: int, before: int, limit: int) -> list[tuple[int, Dead]]:
    """(event, dead letter), the newest event first, from before the event `before` where that is not 0."""
    after = (identifier, before) if before else None
    return [
        (sequence, dead) for (_, sequence), dead in islice(DEAD.scan(txn, identifier, after=after, reverse=True), limit)
    ]


def dead_letter(txn: Txn, identifier: int, sequence: int) -> Dead:
    """One of them.  Raises NotFound."""
    found = DEAD.find(txn, (identifier, sequence))
    if found is None:
        raise NotFound("there is no such dead letter")
    return found


def attempts(txn: Txn, identifier: int, sequence: int, limit: int) -> list[Attempt]:
    """The last posts, the newest first; those of one event where `sequence` is not 0."""
    found = [attempt for _, attempt in ATTEMPTS.scan(txn, identifier) if sequence in (0, attempt.sequence)]
    return sorted(found, key=lambda attempt: attempt.number, reverse=True)[:limit]


def differences(txn: Txn) -> Iterator[str]:
    """What is not as a rebuild would make it; nothing where all is well."""
    due: set[tuple[int, ...]] = set()
    subjects: set[tuple[int | bytes, ...]] = set()
    heads: set[tuple[int, bytes]] = set()
    counts: dict[int, list[int]] = {subscription.id: [0, 0] for subscription in webhooks.listed(txn)}
    for (identifier, sequence), parked in PARKED.scan(txn):
        if identifier not in counts:
            continue
        counts[identifier][0] += 1
        subject = _hash(parked.event.subject)
        subjects.add((identifier, subject, sequence))
        if ((identifier, subject) in heads) == bool(parked.next_ms):
            yield f"webhook_parked: {(identifier, sequence)} is due and not the first, or the first and not due"
        heads.add((identifier, subject))
        if parked.next_ms:
            due.add((identifier, parked.next_ms, sequence))
    for (identifier, _), _dead in DEAD.scan(txn):
        if identifier in counts:
            counts[identifier][1] += 1
    for index, wanted in ((DUE, due), (SUBJECTS, subjects)):
        found = {key for key in index.scan(txn) if key[0] in counts}
        yield from (f"{index.name}: {key} is missing" for key in sorted(wanted - found))
        yield from (f"{index.name}: {key} leads nowhere" for key in sorted(found - wanted))
    for identifier, (parked_most, dead_most) in counts.items():
        place = PLACES.get(txn, identifier)
        if (place.parked, place.dead) != (parked_most, dead_most):
            yield f"webhook_places: {identifier} counts {place.parked}, {place.dead}, not {parked_most}, {dead_most}"
