"""The points ledger: rows that are only ever appended, and the lots in which points lie until they are spent or lapse.

    POINTS    a row for everything that ever happened to a member's points
    LOTS      what is left of points that lapse together: by member, the soonest to lapse first
    LAPSES    the lots by the day behind which they lapse, of all members
    REFS      which row a reference stands for, so that the same order cannot earn twice

At every moment the balance in the member's record is the sum of his rows, and the sum of his lots where it is not below
nothing; a balance below nothing has no lots, and the next points that come pay it first.

Knows no rules: who may give and take how much is for engine/crm/marketing/points.py.
"""

from collections import defaultdict
from collections.abc import Iterator
from enum import StrEnum
from hashlib import blake2b
from itertools import islice
from typing import Final

import msgspec

from engine.crm.marketing import days, loyalty, members, tiers
from engine.crm.people.member import MEMBERS
from engine.store.table import Index, Table, Txn
from engine.traffic import events


class Kind(StrEnum):
    """What a row is."""

    EARN = "earn"
    REDEEM = "redeem"
    ADJUST = "adjust"
    EXPIRE = "expire"
    REVERSE = "reverse"
    TRANSFER = "transfer"


_NEWS: Final = {
    Kind.EARN: "points.earned",
    Kind.REDEEM: "points.redeemed",
    Kind.ADJUST: "points.adjusted",
    Kind.EXPIRE: "points.expired",
    Kind.REVERSE: "points.reversed",
    Kind.TRANSFER: "points.transferred",
}


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """So many points into a lot, or out of it where they are below nothing; they lapse after the day `expires`."""

    expires: int
    lot: int
    points: int


Pieces = tuple[Piece, ...]


class Row(msgspec.Struct, frozen=True, array_like=True):
    """What happened once: `balance` is what it left, `by` who did it, `ref` what it was for, unique for its kind.

    `pieces` are what it put into lots and took from them: less than `delta` where it paid what was owed, or was owed.
    """

    kind: Kind
    delta: int
    balance: int
    by: str
    ref: str = ""
    reason: str = ""
    pieces: Pieces = ()


Place = tuple[int, int, int]  # a row's key: member, epoch milliseconds, number of the row


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """Where a row stands, kept under what leads to it."""

    member: int
    at_ms: int
    number: int


POINTS: Final = Table("points", Row, "QQI")
LOTS: Final = Table("lots", int, "QII")  # member, day, the number of the row that made it: what is left
LAPSES: Final = Index("lapses", "IQI")  # day, member, lot
REFS: Final = Table("points_refs", Mark, "16s")

TABLES: Final = (POINTS, LOTS, LAPSES, REFS)


def _digest(kind: str, ref: str) -> bytes:
    return blake2b(f"{kind}\0{ref}".encode(), digest_size=16).digest()


def _marked(txn: Txn, kind: str, ref: str) -> Place | None:
    mark = REFS.find(txn, _digest(kind, ref))
    return None if mark is None else (mark.member, mark.at_ms, mark.number)


def find_by_ref(txn: Txn, kind: str, ref: str) -> Place | None:
    """The place of the row of that kind which `ref` stands for, or None."""
    return _marked(txn, kind, ref) if ref else None


def mark_reversed(txn: Txn, place: Place, by_place: Place) -> None:
    """Note which row took another one back."""
    REFS.put(txn, _digest("reversed", repr(place)), Mark(*by_place))


def find_reversal(txn: Txn, place: Place) -> Place | None:
    """The row that took back the one at `place`, or None."""
    return _marked(txn, "reversed", repr(place))


def lots(txn: Txn, member: int) -> Iterator[tuple[int, int, int]]:
    """(day, lot, points left) of a member, the soonest to lapse first."""
    for (_, day, lot), left in LOTS.scan(txn, member):
        yield day, lot, left


def history(txn: Txn, member: int, before: tuple[int, int] | None, limit: int) -> list[tuple[Place, Row]]:
    """Up to `limit` rows of a member, the newest first, older than the one at (milliseconds, number)."""
    after = None if before is None else (member, *before)
    found = islice(POINTS.scan(txn, member, after=after, reverse=True), limit)
    return [((member, place[1], place[2]), row) for place, row in found]


def move(txn: Txn, member: int, to: int) -> None:
    """Make the rows and the lots of a member another's who has none."""
    for (_, day, lot), left in list(LOTS.scan(txn, member)):
        LOTS.remove(txn, (member, day, lot))
        LOTS.put(txn, (to, day, lot), left)
        if LAPSES.remove(txn, day, member, lot):
            LAPSES.add(txn, day, to, lot)
    for (_, at_ms, number), row in list(POINTS.scan(txn, member)):
        POINTS.remove(txn, (member, at_ms, number))
        POINTS.put(txn, (to, at_ms, number), row)
        mark = Mark(to, at_ms, number)
        if row.ref and _marked(txn, row.kind, row.ref) == (member, at_ms, number):
            REFS.put(txn, _digest(row.kind, row.ref), mark)
        by_place = find_reversal(txn, (member, at_ms, number))
        if by_place is not None:
            REFS.remove(txn, _digest("reversed", repr((member, at_ms, number))))
            mark_reversed(txn, (to, at_ms, number), (to, *by_place[1:]))


def forget_reasons(txn: Txn, member: int) -> None:
    """Take the words of people out of a member's rows: what was given, taken and for what stays."""
    for key, row in list(POINTS.scan(txn, member)):
        if row.reason:
            POINTS.put(txn, key, msgspec.structs.replace(row, reason=""))


class Account:
    """A member's points inside one change: what has lapsed is gone, periods that have ended are decided.

    What else is done to it stands in the member's own record from `save` on.  Raises NotFound.
    """

    __slots__ = ("_known", "_now_ms", "_old", "_txn", "id", "lapsed", "member", "programme", "today")

    def __init__(self, txn: Txn, identifier: int, now_ms: int, zone: str) -> None:
        self._txn = txn
        self._now_ms = now_ms
        self._old = members.get(txn, identifier)
        self._known = tiers.ladder(txn)
        self.id = identifier
        self.today = days.of(now_ms, zone)
        self.programme = loyalty.current(txn)
        self.member = tiers.weighed(self._known, self.programme, self._old, self.today)
        self.lapsed = self.lapse()
        if self.lapsed:
            # Whatever is refused from now on: the rows that tell of it are written.
            self.save()

    def is_of_period(self, day: int) -> bool:
        """Whether what was earned on that day counts for the period that is running."""
        return day >= days.later(self.member.tier_until + 1, -self.programme.period_months)

    # -- lots

    def lapse(self) -> int:
        """Take out the lots whose last day is over, a row for each; how many."""
        if not 0 < self.member.expires < self.today:
            return 0
        gone = [piece for piece in lots(self._txn, self.id) if piece[0] < self.today]
        for day, lot, left in gone:
            self._put(day, lot, 0)
            self.post(Kind.EXPIRE, -left, (Piece(day, lot, -left),), "carillon")
        return len(gone)

    def _put(self, day: int, lot: int, left: int) -> None:
        if left:
            LOTS.put(self._txn, (self.id, day, lot), left)
            if day < days.NEVER:
                LAPSES.add(self._txn, day, self.id, lot)
        else:
            LOTS.remove(self._txn, (self.id, day, lot))
            LAPSES.remove(self._txn, day, self.id, lot)

    def take(self, points: int, first: Pieces = ()) -> Pieces:
        """Take so many points out of lots, as far as there are any: of those of `first`, then the soonest to lapse."""
        taken: dict[tuple[int, int], int] = {}
        preferred = [(piece.expires, piece.lot) for piece in first]
        for day, lot in preferred:
            left = LOTS.find(self._txn, (self.id, day, lot)) or 0
            points -= self._take(taken, day, lot, left, points)
        if points:
            wanted = []
            total = 0
            for day, lot, left in lots(self._txn, self.id):
                wanted.append((day, lot, left))
                total += left
                if total >= points:
                    break
            for day, lot, left in wanted:
                points -= self._take(taken, day, lot, left, points)
        return tuple(Piece(day, lot, -taken[day, lot]) for day, lot in sorted(taken))

    def _take(self, taken: dict[tuple[int, int], int], day: int, lot: int, left: int, points: int) -> int:
        part = min(left, points)
        if part:
            self._put(day, lot, left - part)
            taken[day, lot] = taken.get((day, lot), 0) + part
        return part

    def give(self, pieces: Pieces) -> Pieces:
        """Put points into lots, what is owed taken off the soonest to lapse; what went into lots."""
        owed = max(0, -self.member.balance)
        given = []
        for piece in sorted(pieces, key=lambda piece: (piece.expires, piece.lot)):
            paid = min(owed, piece.points)
            owed -= paid
            if piece.points > paid:
                left = LOTS.find(self._txn, (self.id, piece.expires, piece.lot)) or 0
                self._put(piece.expires, piece.lot, left + piece.points - paid)
                given.append(Piece(piece.expires, piece.lot, piece.points - paid))
        return tuple(given)

    @property
    def fresh_lot(self) -> int:
        """The number of the lot that the next row makes: the row's own."""
        return self.member.rows + 1

    # -- rows

    def post(
        self, kind: Kind, delta: int, pieces: Pieces, by: str, *, ref: str = "", reason: str = "", earned: int = 0
    ) -> Place:
        """Append a row; the balance and the points of the period follow."""
        member = self.member
        balance, number = member.balance + delta, member.rows + 1
        row = Row(kind, delta, balance, by, ref, reason, pieces)
        place = (self.id, self._now_ms, number)
        POINTS.put(self._txn, place, row)
        if ref and find_by_ref(self._txn, kind, ref) is None:
            REFS.put(self._txn, _digest(kind, ref), Mark(*place))
        earned = max(0, member.earned + earned)
        self.member = msgspec.structs.replace(member, balance=balance, rows=number, earned=earned)
        detail = {"ref": ref} if ref else {}
        subject = members.name_of(self.id)
        events.append(self._txn, _NEWS[kind], self._now_ms, subject, delta=delta, balance=balance, **detail)
        return place

    def save(self) -> None:
        """Store the member: risen where he has earned it, and with what lapses next."""
        member = tiers.weighed(self._known, self.programme, self.member, self.today)
        expires, expiring = self._next_to_lapse()
        if (member, expires, expiring) == (self._old, self._old.expires, self._old.expiring):
            return
        self.member = msgspec.structs.replace(
            member, expires=expires, expiring=expiring, updated_ms=self._now_ms, version=self._old.version + 1
        )
        members.save(self._txn, self.id, self._old, self.member)
        tiers.tell(self._txn, self.id, self._known, self._old, self.member, self._now_ms)
        self._old = self.member

    def _next_to_lapse(self) -> tuple[int, int]:
        expires = expiring = 0
        for day, _, left in lots(self._txn, self.id):
            if day == days.NEVER or expires not in (0, day):
                break
            expires, expiring = day, expiring + left
        return expires, expiring


def due(txn: Txn, today: int, limit: int) -> list[int]:
    """The members of the first `limit` lots whose last day is over, each once."""
    found = islice(LAPSES.scan(txn), limit)
    return sorted({member for day, member, _ in found if day < today})


def differences(txn: Txn) -> Iterator[str]:
    """What is not as a rebuild from the rows would make it."""
    rows: defaultdict[int, int] = defaultdict(int)
    left: defaultdict[tuple[int, int, int], int] = defaultdict(int)
    for (member, _, number), row in POINTS.scan(txn):
        rows[member] += row.delta
        for piece in row.pieces:
            left[member, piece.expires, piece.lot] += piece.points
        if row.balance != rows[member]:
            yield f"points: row {number} of member {member} leaves {row.balance}, a rebuild {rows[member]}"
    stored: dict[tuple[int, int, int], int] = {(key[0], key[1], key[2]): points for key, points in LOTS.scan(txn)}
    for key in sorted(stored.keys() | left.keys()):
        if stored.get(key, 0) != left.get(key, 0):
            yield f"lots: {key} says {stored.get(key, 0)}, a rebuild {left.get(key, 0)}"
    lapses = {(day, member, lot) for member, day, lot in stored if day < days.NEVER}
    for found in sorted(lapses ^ set(LAPSES.scan(txn))):
        yield f"lapses: {found} {'is missing' if found in lapses else 'leads nowhere'}"
    in_lots: defaultdict[int, int] = defaultdict(int)
    for (member, _, _), points in stored.items():
        in_lots[member] += points
    for (member,), record in MEMBERS.scan(txn):
        if record.balance != rows[member]:
            yield f"members: {member} has {record.balance} points, his rows say {rows[member]}"
        if max(0, record.balance) != in_lots[member]:
            yield f"members: {member} has {record.balance} points, his lots say {in_lots[member]}"
    for member in sorted(rows.keys() - {member for (member,), _ in MEMBERS.scan(txn)}):
        yield f"points: {member} is no member"
