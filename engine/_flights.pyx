"""Flights: the parts between the due line and their outcomes, and the seats of the modems that take them.

The hot half of the scheduler, `engine.traffic.scheduler`, which has the rules: what is ordinary passes through here
without a Python frame, the rest is told to it.  No I/O and no clock: whoever is asked for the time is an argument.
"""

cimport cython
from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint8_t, uint64_t

from engine._at cimport AT_WITHDRAWN, Submission
from engine._packed cimport Packed

from collections import deque

cdef enum:
    # Of a line of the page (engine/traffic/page.py): message, part, how far, reference.
    FIRST_PLACE = 16
    PLACE_OCTETS = 24
    GIVEN = 1
    ACCEPTED = 2
    NOT_SENT = 3
    LOWEST_LANE = 3


@cython.final
@cython.auto_pickle(False)
cdef class PageLine:
    """A SIM's line of the page."""


@cython.final
@cython.auto_pickle(False)
cdef class Seat:
    """A modem as the scheduler sees it: the parts it has, begun or ahead, in order.

    One more than it can have ahead is kept until it asks: where it was given two, and had other business first.
    """

    def __cinit__(self, modem, PageLine line):
        self.modem = modem
        self.imsi = modem.imsi
        self.sim = int(modem.imsi)
        self.line = line

    @property
    def flights(self):
        """The parts it has, in order."""
        return [flight for flight in (self.first, self.second, *(self.others or ())) if flight is not None]

    cdef int put(self, Flight flight) except -1:
        flight.seat = self
        if self.first is None:
            self.first = flight
        elif self.second is None:
            self.second = flight
        elif self.others is None:
            self.others = [flight]
        else:
            self.others.append(flight)
        return 0

    cdef int drop(self, Flight flight) except -1:
        flight.seat = None
        if self.kept is flight:
            self.kept = None
        if self.first is flight:
            self.first = self.second
            self.second = None
        elif self.second is flight:
            self.second = None
        elif self.others is not None:
            self.others = [other for other in self.others if other is not flight]
        if self.others:
            if self.second is None:
                self.second = self.others.pop(0)
        return 0

    cdef Flight last(self):
        if self.others:
            return <Flight>self.others[len(self.others) - 1]
        return self.first if self.second is None else self.second


@cython.final
@cython.auto_pickle(False)
@cython.freelist(256)
cdef class Flight:
    """One part that a SIM shall send: chosen, then claimed (`job`), then landed (`reference`, or `error`).

    `known` is what stood with it in the line, None where it came from those that are pinned to the SIM.
    `at_ms` is when it was claimed, `given_ms` when the first octet of its PDU was about to be written (0: not yet),
    `counted_ms` from when its SIM's quotas count it (0: from `at_ms`).
    """

    def __cinit__(self, uint64_t message, uint64_t sim, int lane, Packed packed=None):
        self.message = message
        self.sim = sim
        self.lane = lane
        self.packed = packed
        self.reference = -1
        if packed is not None:
            self.group = packed.group
            self.number = packed.number

    def claim(self, int part, uint64_t group, uint64_t number, int attempt, int64_t at_ms):
        """It is claimed, as the `attempt`th of this part."""
        self.part = part
        self.group = group
        self.number = number
        self.attempt = attempt
        self.at_ms = at_ms

    def land(self, error, int reference=-1):
        """Its outcome is known."""
        self.error = error
        self.reference = reference

    @property
    def is_withdrawn(self):
        """Whether it was withdrawn, and its modem does not know yet."""
        cdef Submission job = self.job
        return job is not None and job.at == AT_WITHDRAWN

    def count(self, int64_t at_ms):
        """A committed change counts it from then."""
        self.counted_ms = at_ms

    def withdraw(self):
        """Whether its AT+CMGS was never written and never will be.  From any thread."""
        cdef Submission job = self.job
        return job is not None and job.withdraw()


@cython.final
@cython.auto_pickle(False)
cdef class Flights:
    """All parts in the air.  `seats` are by modem; `wanting` those that could take a part, first come first.

    `wake` is called when there is something to do for the first time since `is_called` was set to False; while it
    `is_patient`, only once a turn `is_ripe`.  `reload` is called when a message has come down of which the line had
    news meanwhile; `settle_error` gets a flight that was not accepted, and its error.
    """

    cdef readonly dict seats
    cdef readonly dict wanting
    cdef public list landed
    cdef public bint is_called
    cdef public bint is_patient
    cdef readonly Py_ssize_t idle
    cdef int64_t accepted
    cdef dict aloft
    cdef set stale
    cdef object wake
    cdef object now_ms
    cdef object reload
    cdef object settle_error
    cdef object page
    cdef object rests
    cdef dict refusals
    cdef dict rests_until
    cdef dict rests_full
    cdef dict lines
    cdef Py_buffer memory
    cdef bint has_memory

    def __cinit__(self, page, rests, now_ms, wake, reload, settle_error):
        self.seats = {}
        self.wanting = {}
        self.landed = []
        self.aloft = {}
        self.stale = set()
        self.lines = {}
        self.page = page
        self.rests = rests
        self.refusals = rests.refusals
        self.rests_until = rests.until_ms
        self.rests_full = rests.full_ms
        self.now_ms = now_ms
        self.wake = wake
        self.reload = reload
        self.settle_error = settle_error
        PyObject_GetBuffer(page.memory, &self.memory, PyBUF_WRITABLE)
        self.has_memory = True

    def close(self):
        """Let go of the page's memory."""
        self._let_go()

    def __dealloc__(self):
        self._let_go()

    cdef void _let_go(self):
        if self.has_memory:
            self.has_memory = False
            PyBuffer_Release(&self.memory)

    def __len__(self):
        return len(self.aloft)

    def __contains__(self, message):
        return message in self.aloft

    @property
    def is_ripe(self):
        """Whether nearly all modems want a part and have nothing to do: no more will come by waiting."""
        return self._is_ripe()

    cdef bint _is_ripe(self) noexcept:
        return 8 * self.idle >= 7 * len(self.seats)

    cdef int _call(self) except -1:
        if not self.is_called and (not self.is_patient or self._is_ripe()):
            self.is_called = True
            self.wake()
        return 0

    # -- who wants: `idle` counts those of them that have nothing

    cdef int _want(self, Seat seat) except -1:
        if not seat.wants:
            seat.wants = True
            self.wanting[seat] = None
            self.idle += seat.first is None
        return 0

    cdef int _want_no_more(self, Seat seat) except -1:
        if seat.wants:
            seat.wants = False
            del self.wanting[seat]
            self.idle -= seat.first is None
        return 0

    cdef int _put(self, Seat seat, Flight flight) except -1:
        self.idle -= seat.wants and seat.first is None
        return seat.put(flight)

    cdef int _drop(self, Seat seat, Flight flight) except -1:
        cdef bint was_idle = seat.first is None
        seat.drop(flight)
        self.idle += seat.wants and not was_idle and seat.first is None
        return 0

    # -- what the modems tell

    cdef PageLine _line(self, uint64_t sim):
        cdef PageLine line = <PageLine>self.lines.get(sim)
        if line is None:
            line = PageLine.__new__(PageLine)
            line.turn = 1
            self.lines[sim] = line
        return line

    def on_wanted(self, modem):
        """A modem has nothing ahead and could take a part."""
        cdef Seat seat = <Seat>self.seats.get(modem)
        cdef Flight kept
        if seat is None or seat.imsi is not modem.imsi:
            seat = Seat(modem, self._line(int(modem.imsi)))
            self.seats[modem] = seat
        kept = seat.kept
        if kept is not None:
            seat.kept = None
            if kept.job.at != AT_WITHDRAWN:
                modem.give(kept.job)
                return
        if seat.first is not None:
            for flight in seat.flights:
                if (<Flight>flight).job.at == AT_WITHDRAWN:
                    # By a change that may have been refused itself: then nobody else has put it back.
                    self.settle_error(flight, None)
        self._want(seat)
        self._call()

    def on_given(self, modem, job):
        """The first octet of a part's PDU is about to be written.  RuntimeError: the page has no line left."""
        cdef Flight flight = <Flight?>(<Submission?>job).tag
        cdef PageLine line = self._line(flight.sim)
        if line.at == NULL:
            line.at = <uint8_t*>self.memory.buf + <Py_ssize_t>self.page.line_of(flight.sim)
        flight.given_ms = self.now_ms()
        # What stands in the other place may have no committed outcome yet.
        line.turn = 1 - line.turn
        line.number += 1
        flight.is_given = True
        self._enter(line, flight, GIVEN, 0)

    cdef int _enter(self, PageLine line, Flight flight, int how_far, int reference) except -1:
        # A process may be killed between any two octets: volatile, so that they are written in this order.
        cdef volatile uint8_t* place = line.at + FIRST_PLACE + line.turn * PLACE_OCTETS
        cdef int at
        if not self.has_memory:
            raise RuntimeError("the page is closed")
        if how_far == GIVEN:
            place[9] = 0
            for at in range(8):
                place[at] = <uint8_t>(flight.message >> 8 * at)
            place[8] = <uint8_t>flight.part
            place[11] = line.number
        place[10] = <uint8_t>reference
        place[9] = <uint8_t>how_far
        return 0

    def on_done(self, modem, job):
        """A part has its outcome."""
        cdef Flight flight = <Flight?>(<Submission?>job).tag
        outcome = (<Submission>job).outcome
        if type(outcome) is int:
            flight.reference = outcome
            if flight.is_given:
                self._enter(self._line(flight.sim), flight, ACCEPTED, flight.reference)
            if self.refusals or self.rests_until:
                self.rests.accepted(flight.sim)
            self.accepted += 1
            self._land(flight)
        else:
            self.settle_error(flight, outcome)

    def on_lost(self, modem):
        """A modem is gone; what it had in flight has landed as an error of its own."""
        cdef Seat seat = <Seat>self.seats.pop(modem, None)
        cdef Flight kept
        if seat is None:
            return
        self._want_no_more(seat)
        kept = seat.kept
        if kept is not None:
            kept.job.withdraw()
        for flight in seat.flights:
            # What was taken back, maybe by a change that was refused itself, nobody else puts back.
            if (<Flight>flight).job.at == AT_WITHDRAWN:
                self.settle_error(flight, None)
        self._call()  # others may have its work to do

    def not_sent(self, Flight flight not None):
        """It certainly did not go, although its PDU may have been given."""
        if flight.is_given:
            self._enter(self._line(flight.sim), flight, NOT_SENT, 0)

    def land(self, Flight flight not None, error):
        """A part that was not accepted has its outcome."""
        flight.error = error
        self._land(flight)

    cdef int _land(self, Flight flight) except -1:
        cdef Seat seat = flight.seat
        if seat is not None:
            self._drop(seat, flight)
        flight.job = None  # which leads back to it
        self.landed.append(flight)
        self.come_down(flight.message)
        self._call()
        return 0

    # -- what the scheduler asks

    def take_accepted(self):
        """How many parts the network took since the last time."""
        cdef int64_t accepted = self.accepted
        self.accepted = 0
        return accepted

    def settled(self, list landed not None, dict ahead not None):
        """The outcomes of these are in the store: they are ahead no more."""
        for flight in landed:
            ahead.pop(flight, None)

    def want(self, Seat seat not None):
        """The seat's modem could take a part, as long as it is there."""
        if self.seats.get(seat.modem) is seat:
            self._want(seat)

    def take_back(self, Flight flight not None):
        """A change has put a claim back that was ahead: its modem wants another."""
        cdef Seat seat = flight.seat
        # Where it was not launched yet, the launch finds it withdrawn.
        if seat is not None:
            flight.job = None
            self._drop(seat, flight)
            self.come_down(flight.message)
            self.want(seat)

    def go_up(self, uint64_t message):
        """A part of the message is chosen."""
        self.aloft[message] = <int64_t>self.aloft.get(message, 0) + 1

    cpdef come_down(self, uint64_t message):
        """A part of the message has landed, or was not sent off."""
        cdef int64_t parts = <int64_t>self.aloft[message] - 1
        if parts:
            self.aloft[message] = parts
            return
        del self.aloft[message]
        if self.stale and message in self.stale:
            self.stale.discard(message)
            self.reload(message)

    def is_news(self, uint64_t message):
        """Whether parts of the message are in the air, so that what the line has to say of it is kept for later."""
        if message not in self.aloft:
            return False
        self.stale.add(message)
        return True

    def choose(self, line, dict pins not None, dict pinned not None, dict masks, int64_t now_ms, choose, int most):
        """[(seat, flight)] for the seats that want a part; those are wanting no more.

        Those that have nothing choose first, `most` of them, and where there are more nobody else.  Each of them
        gets two, once all others have one: it sends the first at once, and is ahead with the next.
        Messages are pinned to SIMs by `pins` (message -> SIM) and `pinned` (SIM -> messages); where a SIM has any of
        its own, `choose(seat, mask, now_ms)` says which part it sends, a flight or None.  `masks` are the route classes
        that each SIM may send, None where that is all of them.
        """
        cdef list chosen = []
        cdef list idle = []
        cdef Seat seat
        cdef Flight last
        cdef Flight flight
        cdef bint is_empty = False
        for entry in self._in_order():
            seat = <Seat>entry
            last = seat.last()
            if last is not None and not last.job.is_begun:
                self._want_no_more(seat)  # it asks again when that one begins
                continue
            if last is None and most == 0:
                idle = []
                break
            if (self.rests_until or self.rests_full) and self.rests.is_resting(seat.sim, now_ms):
                # What is under way on it may go on: `choose` gives nothing else.
                if not pinned or not pinned.get(seat.sim) or not self.rests.may_go_on(seat.sim, now_ms):
                    continue
            flight = None
            mask = None if masks is None else masks.get(seat.sim, 0)
            if pinned and pinned.get(seat.sim):
                flight = choose(seat, mask, now_ms)
                if flight is not None:
                    self.go_up(flight.message)
            elif not is_empty:
                flight = self._pop(line, pins, pinned, seat.sim, mask, now_ms)
                is_empty = flight is None and masks is None
                # The parts of a message follow one another: behind the first of several there is nothing else.
                if flight is not None and last is None and flight.is_whole:
                    idle.append((seat, mask))
            if flight is not None:
                most -= last is None
                chosen.append((seat, flight))
                self._want_no_more(seat)
        for seat, mask in idle:
            if is_empty or (pinned and pinned.get(seat.sim)):
                continue
            flight = self._pop(line, pins, pinned, seat.sim, mask, now_ms)
            if flight is not None:
                chosen.append((seat, flight))
            else:
                is_empty = masks is None
        return chosen

    cdef list _in_order(self):
        """The seats that want a part, those with nothing first: the others have a wait before it."""
        if not 0 < self.idle < len(self.wanting):
            return list(self.wanting)
        idle = [seat for seat in self.wanting if (<Seat>seat).first is None]
        return idle + [seat for seat in self.wanting if (<Seat>seat).first is not None]

    cdef Flight _pop(self, line, dict pins, dict pinned, uint64_t sim, mask, int64_t now_ms):
        """The part whose turn it is on a SIM without any of its own; None where there is none."""
        cdef tuple taken
        cdef Flight flight
        while True:
            taken = line.pop(now_ms, LOWEST_LANE, mask)
            if taken is None:
                return None
            pin = pins.pop(taken[0], 0) if pins else 0
            if pin and pin != sim:
                pinned.setdefault(pin, deque()).append(taken[0])
                continue
            row = taken[4] if type(taken[4]) is Packed else None
            flight = Flight.__new__(Flight, taken[0], sim, taken[2], row)
            flight.known = taken[4]
            flight.is_whole = taken[3] == 1 and not pin
            # At once, so that no other modem chooses it in the same turn.
            self.go_up(flight.message)
            return flight

    def launch(self, Seat seat not None, Flight flight not None):
        """Give a claimed part to its modem; False where the modem is not there any more, or the part was taken back."""
        cdef Flight last = seat.last()
        self._put(seat, flight)
        if self.seats.get(seat.modem) is not seat or flight.job.at == AT_WITHDRAWN:
            return False
        if last is not None and not last.job.is_begun and last.job.at != AT_WITHDRAWN:
            seat.kept = flight
        else:
            seat.modem.give(flight.job)
        if flight.job is not None and not flight.job.is_begun:
            # It is ahead: the modem asks again when it begins.
            self._want_no_more(seat)
        return True
