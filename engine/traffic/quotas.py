"""Quotas: how much a SIM may send on rolling windows, in parts and in different recipients.

A part is spent in the change that claims it, so what is counted is durable before any octet goes to a line.  On no
window, of whatever beginning, is a limit exceeded, and at least 95 % of it can be used (windows.py).

Time.  Each SIM has its own, which is the wall clock's as long as that does not run backwards.  Where the clock is set
back the SIM's time stands still until the clock has come as far again; where that would take longer than
STANDS_STILL_MS, it goes on from where it was, in step with the clock from then on.  Nothing leaves a window earlier by
it.  A clock set forward cannot be told from time that went by.

A SIM without any limit costs nothing and is not counted.  Once it has one, all windows of parts are counted, and once
it has one of recipients, both of those: a limit that is added later knows what went before.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

import msgspec

from engine.config import Limits
from engine.errors import RecordBroken
from engine.store.table import Keyed, Table, Txn
from engine.traffic.windows import COUNT_BITS, COUNT_MOST, Window

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
MONTH_MS: Final = 30 * DAY_MS

PARTS_MS: Final = (MINUTE_MS, HOUR_MS, DAY_MS, MONTH_MS)
RECIPIENTS_MS: Final = (DAY_MS, MONTH_MS)
PARTS: Final = ("minute", "hour", "day", "month")
RECIPIENTS: Final = ("day_recipients", "month_recipients")

# Two time services at odds move a clock by seconds, again and again, and must not gain anything by it; a clock that
# was an hour or ten years ahead must not stop a SIM for that long.
STANDS_STILL_MS: Final = 5 * MINUTE_MS

# How many times are kept of what one recipient was sent: the latest counts, the others are for refunds, and no SIM has
# more than two parts on the way.
TIMES: Final = 4


class Quota(NamedTuple):
    """One limit: its name in `Limits`, how much of it is used, and from when on there is room (0: now).

    Of recipients, that is for one who has not been counted.
    """

    name: str
    limit: int
    used: int
    free_ms: int

    @property
    def left(self) -> int:
        """How much may still be used now."""
        return max(self.limit - self.used, 0)


class Parts(msgspec.Struct, array_like=True):
    """The parts of one SIM.  `latest_ms`, and all times in windows, are its own time: `ahead_ms` before the clock."""

    latest_ms: int
    ahead_ms: int
    windows: tuple[Window, Window, Window, Window]


class Recipients(msgspec.Struct, array_like=True):
    """The recipients of one SIM, each in the cell of the latest part it was sent."""

    windows: tuple[Window, Window]


class Recipient(msgspec.Struct, frozen=True, array_like=True):
    """When one recipient was sent how many parts by one SIM: cells as those of a window, the latest last."""

    cells: tuple[int, ...]


class Place(msgspec.Struct, frozen=True, array_like=True):
    """How far the removal of old recipients has come."""

    sim: int
    number: int


SIM_PARTS: Final = Table("quota_parts", Parts)
SIM_RECIPIENTS: Final = Table("quota_recipients", Recipients)
RECIPIENT: Final = Table("quota_recipient", Recipient, "QQ")  # sim, number
SWEPT: Final = Table("quota_swept", Place, "B")

TABLES: Final = (SIM_PARTS, SIM_RECIPIENTS, RECIPIENT, SWEPT)

_SWEEP: Final = 0

# Which windows are counted, where what their limits are does not matter.
_ANY_PARTS: Final = Limits(minute=1)
_ANY_RECIPIENTS: Final = Limits(day_recipients=1)


class _Sim:
    """What is counted of one SIM, as it stands at this moment; `save` stores it."""

    __slots__ = ("_parts", "_recipients", "_sim", "_txn", "ahead_ms", "at_ms", "parts", "recipients")

    def __init__(self, txn: Txn, sim: int, now_ms: int | None, limits: Limits) -> None:
        self._txn = txn
        self._sim = sim
        self._parts = parts = SIM_PARTS.find(txn, sim) or Parts(0, 0, (Window(), Window(), Window(), Window()))
        # Without a time of the clock: as it was left.
        times_ms = (parts.latest_ms, parts.ahead_ms) if now_ms is None else _own_time(parts, now_ms)
        self.at_ms, self.ahead_ms = times_ms
        self.parts = tuple(zip(parts.windows, PARTS_MS, strict=True))
        self._move(SIM_PARTS, self.parts)
        self._recipients: Recipients | None = None
        self.recipients: tuple[tuple[Window, int], ...] = ()
        if limits.day_recipients > 0 or limits.month_recipients > 0:
            self._recipients = SIM_RECIPIENTS.find(txn, sim) or Recipients((Window(), Window()))
            self.recipients = tuple(zip(self._recipients.windows, RECIPIENTS_MS, strict=True))
            self._move(SIM_RECIPIENTS, self.recipients)

    def _move(self, table: Keyed, windows: tuple[tuple[Window, int], ...]) -> None:
        at_ms = self.at_ms
        try:
            for window, length_ms in windows:
                window.move(at_ms, length_ms)
        except ValueError as error:
            raise self._broken(table, str(error)) from error

    def _broken(self, table: Keyed, reason: str) -> RecordBroken:
        return RecordBroken(table.name, table.layout.pack(self._sim), reason)

    def save(self) -> None:
        self._parts.latest_ms = self.at_ms
        self._parts.ahead_ms = self.ahead_ms
        SIM_PARTS.put(self._txn, self._sim, self._parts)
        if self._recipients is not None:
            SIM_RECIPIENTS.put(self._txn, self._sim, self._recipients)

    def clock_ms(self, own_ms: int) -> int:
        """What the wall clock shows at the SIM's own time `own_ms`; 0 stays 0."""
        return own_ms - self.ahead_ms if own_ms else 0

    def free_ms(self, number: int, limits: Limits, parts: int) -> int:
        """From when on, by the wall clock, so many parts may go to `number` (0: to one not counted yet); 0: now."""
        free_ms = max(self.parts_free_ms(limits, parts))
        if self.recipients:
            free_ms = max(free_ms, *self.recipient_free_ms(number, limits))
        return self.clock_ms(free_ms)

    def parts_free_ms(self, limits: Limits, parts: int = 1) -> tuple[int, ...]:
        """Of each window of parts, in the SIM's own time."""
        minute, hour, day, month = self._parts.windows
        try:
            return (
                minute.free_ms(MINUTE_MS, limits.minute, parts),
                hour.free_ms(HOUR_MS, limits.hour, parts),
                day.free_ms(DAY_MS, limits.day, parts),
                month.free_ms(MONTH_MS, limits.month, parts),
            )
        except ValueError as error:
            raise self._broken(SIM_PARTS, str(error)) from error

    def recipient_free_ms(self, number: int, limits: Limits) -> tuple[int, ...]:
        """Of each window of recipients, in the SIM's own time."""
        cells = self._cells(number) if number else None
        latest_ms = cells[-1] >> COUNT_BITS if cells else -1
        try:
            return tuple(
                0 if window.reaches(latest_ms) else window.free_ms(length_ms, limit)
                for (window, length_ms), limit in zip(self.recipients, limits.of_recipients, strict=False)
            )
        except ValueError as error:
            raise self._broken(SIM_RECIPIENTS, str(error)) from error

    def _cells(self, number: int) -> tuple[int, ...]:
        known = RECIPIENT.find(self._txn, (self._sim, number))
        return known.cells if known else ()

    def spend(self, number: int) -> None:
        at_ms = self.at_ms
        for window, length_ms in self.parts:
            window.add(at_ms, length_ms)
        if self.recipients:
            self._spend_recipient(number, at_ms)

    def _spend_recipient(self, number: int, at_ms: int) -> None:
        cells = self._cells(number)
        latest_ms = cells[-1] >> COUNT_BITS if cells else -1
        for window, length_ms in self.recipients:
            if window.reaches(latest_ms):
                window.take_out(latest_ms)
            window.add(at_ms, length_ms)
        if latest_ms == at_ms:
            cells = (*cells[:-1], min(cells[-1] + 1, (at_ms << COUNT_BITS) + COUNT_MOST))
        else:
            cells = (*cells, (at_ms << COUNT_BITS) + 1)
        if len(cells) > TIMES:
            # The later of the two oldest stands for both.
            both = cells[1] + min(cells[0] & COUNT_MOST, COUNT_MOST - (cells[1] & COUNT_MOST))
            cells = (both, *cells[2:])
        RECIPIENT.put(self._txn, (self._sim, number), Recipient(cells))

    def refund(self, number: int, spent_ms: int, counted_ms: int) -> None:
        for window, _ in self.parts:
            if window.reaches(counted_ms):
                window.take_out(counted_ms)
        if self.recipients:
            self._refund_recipient(number, spent_ms)

    def _refund_recipient(self, number: int, spent_ms: int) -> None:
        cells = list(self._cells(number))
        place = next((place for place, cell in enumerate(cells) if cell >> COUNT_BITS >= spent_ms), -1)
        if place < 0:
            return
        was_ms = cells[-1] >> COUNT_BITS
        cells[place] -= 1
        if not cells[place] & COUNT_MOST:
            del cells[place]
        is_ms = cells[-1] >> COUNT_BITS if cells else -1
        if is_ms != was_ms:
            for window, _ in self.recipients:
                if window.reaches(was_ms):
                    window.take_out(was_ms)
                if window.reaches(is_ms):
                    window.put_back(is_ms)
        if cells:
            RECIPIENT.put(self._txn, (self._sim, number), Recipient(tuple(cells)))
        else:
            RECIPIENT.remove(self._txn, (self._sim, number))

    def delay(self, spent_ms: int, went_ms: int) -> None:
        self.at_ms = max(self.at_ms, went_ms)
        for window, length_ms in (*self.parts, *self.recipients):
            if window.reaches(spent_ms):
                window.delay(spent_ms, went_ms)
            elif went_ms >= self.at_ms - length_ms:
                # The window has let it go by when it was spent, and would hold it by when it went.
                window.add(self.at_ms, length_ms)


def _own_time(stored: Parts, now_ms: int) -> tuple[int, int]:
    """The SIM's own time, and by how much it is ahead of the clock."""
    at_ms = now_ms + stored.ahead_ms
    if at_ms >= stored.latest_ms:
        return at_ms, stored.ahead_ms
    if stored.latest_ms - at_ms <= STANDS_STILL_MS:
        return stored.latest_ms, stored.ahead_ms
    return stored.latest_ms, stored.latest_ms - now_ms


def room(txn: Txn, sim: int, number: int, now_ms: int, limits: Limits, parts: int = 1) -> int:
    """0 where `parts` parts may go from the SIM to `number` now, else the epoch milliseconds at which to ask again.

    A message longer than a whole limit waits until nothing of it is used.  Raises RecordBroken.
    """
    return _Sim(txn, sim, now_ms, limits).free_ms(number, limits, parts) if limits.are_any else 0


def sim_room(txn: Txn, sim: int, now_ms: int, limits: Limits, parts: int = 1) -> int:
    """As `room`, for a recipient who has not been counted.

    Where that is not now, the SIM is best left alone till then: only those it has written to lately could still hear
    from it, and to look for them means to ask for everybody who waits.
    """
    return room(txn, sim, 0, now_ms, limits, parts)


def spend(txn: Txn, sim: int, number: int, now_ms: int, limits: Limits) -> None:
    """Count a part that is claimed for the SIM now, in the claim's own change; there was `room` for it.

    Raises RecordBroken.
    """
    if limits.are_any:
        counted = _Sim(txn, sim, now_ms, limits)
        counted.spend(number)
        counted.save()


def take(txn: Txn, sim: int, number: int, now_ms: int, limits: Limits, parts: int = 1) -> int:
    """Spend one part where there is room for `parts`: `room` and `spend` in one; 0 where it was spent."""
    if not limits.are_any:
        return 0
    counted = _Sim(txn, sim, now_ms, limits)
    free_ms = counted.free_ms(number, limits, parts)
    if not free_ms:
        counted.spend(number)
        counted.save()
    return free_ms


def refund(txn: Txn, sim: int, number: int, spent_ms: int, limits: Limits, counted_ms: int = 0) -> None:
    """A part that was spent at `spent_ms` certainly did not go: it is as if it had not been.

    `counted_ms` is what was said last of when it `went`, 0 where nothing was.  Once for each part: what was spent is
    not remembered one by one.  Raises RecordBroken.
    """
    if limits.are_any:
        counted = _Sim(txn, sim, None, limits)
        counted.refund(number, spent_ms + counted.ahead_ms, (counted_ms or spent_ms) + counted.ahead_ms)
        counted.save()


def went(txn: Txn, sim: int, spent_ms: int, went_ms: int, limits: Limits) -> None:
    """A part that was spent at `spent_ms` went as late as `went_ms`, or has not by then: it counts from then.

    A part that is claimed ahead waits for the one in the air, so that parts go closer together than they were spent.
    Said of all that has not landed in the change that claims the next one, before there is asked for room, this keeps
    the quota on the line too.  Said again of the same part, `spent_ms` is what was `went_ms` before.  Raises
    RecordBroken.
    """
    if limits.are_any and went_ms > spent_ms:
        counted = _Sim(txn, sim, None, limits)
        counted.delay(spent_ms + counted.ahead_ms, went_ms + counted.ahead_ms)
        counted.save()


def recover(txn: Txn, sim: int, number: int, spent_ms: int, now_ms: int, *, may_have_gone: bool) -> None:
    """A part that was spent at `spent_ms` had no outcome when the last run ended: it is refunded, or counts from now.

    Nobody knows when it went, only that it waited for the one in the air.  Needs no limits: a SIM that had none has
    nothing to put right.  Raises RecordBroken.
    """
    if SIM_PARTS.find(txn, sim) is None:
        return
    limits = _ANY_PARTS if SIM_RECIPIENTS.find(txn, sim) is None else _ANY_RECIPIENTS
    if may_have_gone:
        went(txn, sim, spent_ms, now_ms, limits)
    else:
        refund(txn, sim, number, spent_ms, limits)


def used(txn: Txn, sim: int, now_ms: int, limits: Limits, number: int = 0) -> list[Quota]:
    """Each limit of the SIM and how much of it is used; for a part to `number` where one is given.

    Raises RecordBroken.
    """
    if not limits.are_any:
        return []
    counted = _Sim(txn, sim, now_ms, limits)
    asked = [
        (PARTS, limits.of_parts, counted.parts, counted.parts_free_ms(limits)),
        (RECIPIENTS, limits.of_recipients, counted.recipients, counted.recipient_free_ms(number, limits)),
    ]
    return [
        Quota(name, limit, window.total, counted.clock_ms(free_ms))
        for names, all_limits, windows, times_ms in asked
        for name, limit, (window, _), free_ms in zip(names, all_limits, windows, times_ms, strict=False)
        if limit > 0
    ]


def binding(txn: Txn, sim: int, number: int, now_ms: int, limits: Limits) -> Quota | None:
    """The quota that keeps a part to `number` waiting longest, or None where it may go now.  Raises RecordBroken."""
    quotas = [quota for quota in used(txn, sim, now_ms, limits, number) if quota.free_ms]
    return max(quotas, key=lambda quota: quota.free_ms, default=None)


def prune(txn: Txn, now_ms: int, rows: int) -> bool:
    """Look at so many recipients more and remove those that no window reaches; whether some are left to look at.

    To be called now and then.  It also lets SIMs that wait know of a clock that was set far back.  Raises RecordBroken.
    """
    reached_ms = dict(_reached_ms(txn, now_ms))
    place = SWEPT.find(txn, _SWEEP)
    looked = list(islice(RECIPIENT.scan(txn, after=(place.sim, place.number) if place else None), rows))
    for (sim, number), recipient in looked:
        if recipient.cells[-1] >> COUNT_BITS < reached_ms.get(sim, 0):
            RECIPIENT.remove(txn, (sim, number))
    if len(looked) < rows:
        SWEPT.remove(txn, _SWEEP)
        return False
    SWEPT.put(txn, _SWEEP, Place(*looked[-1][0]))
    return True


def _reached_ms(txn: Txn, now_ms: int) -> Iterator[tuple[int, int]]:
    """Each SIM, and how far back any of its windows will ever reach again."""
    for (sim,), stored in list(SIM_PARTS.scan(txn)):
        at_ms, ahead_ms = _own_time(stored, now_ms)
        if ahead_ms != stored.ahead_ms:
            SIM_PARTS.put(txn, sim, msgspec.structs.replace(stored, ahead_ms=ahead_ms))
        # A clock that is a month ahead by mistake must not make us forget: a SIM's own parts say what time it is.
        yield sim, max(stored.latest_ms, at_ms - MONTH_MS) - MONTH_MS - DAY_MS
