"""Rows of campaigns in one part, settled in their slots: the hot half of `engine.traffic.settling`, which has the rules
and writes what is kept here.

No I/O.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint64_t

from engine._flights cimport Flight
from engine._octets cimport load, store
from engine._packed cimport Packed
from engine._slots cimport AT_ATTEMPT, AT_FLAGS, AT_REFERENCE, AT_SIM, AT_TIME, OCTETS_OF_SLOT, Slots

cdef enum:
    # States of a slot: engine/traffic/message.py.
    WAITING = 0
    SENDING = 3
    SENT = 4
    HAS_REFERENCE = 1
    # A SIM's counters: engine/traffic/sims.py.
    KEY_OCTETS = 8
    COUNTERS_OCTETS = 11


@cython.final
@cython.auto_pickle(False)
cdef class Moves:
    """What a turn moves of one group's counters; `sent` are the entries of the event log of what was sent."""

    cdef readonly int64_t queued
    cdef readonly int64_t sending
    cdef readonly int64_t went
    cdef readonly int64_t spent
    cdef readonly bytearray sent

    def __cinit__(self):
        self.sent = bytearray()


@cython.final
@cython.auto_pickle(False)
cdef class Rows:
    """The rows that one turn settles and claims.

    `moves` are by group; `references` by SIM, an octet for each part it was given one for, in order; `reported` has the
    flights whose messages want a report.
    """

    cdef readonly dict moves
    cdef readonly dict references
    cdef readonly list reported
    cdef Slots slots
    cdef int64_t now_ms
    cdef uint64_t latest_group
    cdef Moves latest

    def __cinit__(self, Slots slots not None, int64_t now_ms):
        self.slots = slots
        self.now_ms = now_ms
        self.moves = {}
        self.references = {}
        self.reported = []

    cdef Moves _of(self, uint64_t group):
        if self.latest is None or self.latest_group != group:
            self.latest = <Moves>self.moves.get(group)
            if self.latest is None:
                self.latest = Moves()
                self.moves[group] = self.latest
            self.latest_group = group
        return self.latest

    def clear(self):
        """What was kept is written."""
        self.moves.clear()
        self.references.clear()
        self.reported.clear()
        self.latest = None

    def land(self, list landed not None, Py_ssize_t first, set doubted not None):
        """Settle what landed, from place `first` on, until one that must go the long way; its place, or the end.

        `doubted` are SIMs whose next reference may tell of other parts.
        """
        cdef Flight flight
        while first < len(landed):
            flight = <Flight?>landed[first]
            if (doubted and flight.sim in doubted) or not self._land(flight):
                break
            first += 1
        return first

    cdef bint _land(self, Flight flight) except -1:
        """Whether it was a row that was accepted, and whose claim is this flight's: then its slot says so."""
        cdef Packed packed = flight.packed
        cdef uint8_t* slot
        cdef Moves moves
        cdef Py_ssize_t end
        cdef uint8_t* entry
        cdef int at
        if packed is None or flight.reference < 0 or flight.part:
            return False
        slot = self.slots.at(packed.group, packed.packed_row)
        if slot[0] != SENDING or load(slot + AT_SIM) != flight.sim or <int64_t>load(slot + AT_TIME) != flight.at_ms:
            return False
        slot[0] = SENT
        slot[AT_ATTEMPT] = <uint8_t>flight.attempt
        slot[AT_REFERENCE] = <uint8_t>flight.reference
        slot[AT_REFERENCE + 1] = 0
        slot[AT_REFERENCE + 2] = 0
        slot[AT_FLAGS] = HAS_REFERENCE
        slot[AT_FLAGS + 1] = 0
        slot[AT_FLAGS + 2] = 0
        store(<uint64_t>self.now_ms, slot + AT_TIME)
        self.slots.touch()
        moves = self._of(packed.group)
        moves.sending -= 1
        moves.went += 1
        end = len(moves.sent)
        moves.sent.extend(b"\0\0\0\0\0\0\0\0\0")
        entry = <uint8_t*>(<char*>moves.sent) + end
        for at in range(8):
            entry[8 - at] = <uint8_t>(flight.message >> 8 * at)
        references = self.references.get(flight.sim)
        if references is None:
            references = self.references[flight.sim] = bytearray()
        (<bytearray>references).append(flight.reference)
        if packed.wants_report:
            self.reported.append(flight)
        return True

    def sorted(self, list chosen not None):
        """Two lists: the rows in one part that wait, and can be claimed in their slots; and all other flights."""
        cdef list rows = []
        cdef list others = []
        cdef Flight flight
        for one in chosen:
            flight = <Flight?>one
            (rows if self._is_open(flight.packed) else others).append(flight)
        return rows, others

    cdef bint _is_open(self, Packed packed) except -1:
        if packed is None or packed.size != 1 or packed.expires_ms <= self.now_ms:
            return False
        return self.slots.at(packed.group, packed.packed_row)[0] == WAITING

    def claim(self, list flights not None, list lines not None, dict ahead not None, job):
        """Write the intents of open rows into their slots; `job(line, octets, flight)` makes what their modems get.

        `lines` has the parts of each, of which there is one.  From now on a change can take them back.
        """
        cdef Py_ssize_t place
        cdef Flight flight
        cdef bytes line
        for place in range(len(flights)):
            flight = <Flight?>flights[place]
            line = (<list?>lines[place])[0]
            self._claim(flight)
            # AT+CMGS counts the TPDU, without the empty service centre in front of it.
            flight.job = job(line, len(line) // 2 - 1, flight)
            ahead[flight] = None

    cdef int _claim(self, Flight flight) except -1:
        cdef Packed packed = flight.packed
        cdef uint8_t* slot = self.slots.at(packed.group, packed.packed_row)
        cdef Moves moves = self._of(packed.group)
        cdef int at
        cdef int attempt = slot[AT_ATTEMPT] + 1
        if attempt > 255:
            raise OverflowError("more than 255 attempts")
        for at in range(OCTETS_OF_SLOT):
            slot[at] = 0
        slot[0] = SENDING
        slot[AT_ATTEMPT] = <uint8_t>attempt
        store(flight.sim, slot + AT_SIM)
        store(<uint64_t>self.now_ms, slot + AT_TIME)
        self.slots.touch()
        moves.queued -= 1
        moves.sending += 1
        moves.spent += 1
        flight.part = 0
        flight.attempt = attempt
        flight.at_ms = self.now_ms
        return 0


def alike(list flights not None, Py_ssize_t first):
    """The numbers of the flights from place `first` on, all of rows, that have the same text, deadline and report."""
    cdef Packed one = (<Flight?>flights[first]).packed
    cdef Packed other = one
    cdef Py_ssize_t place = first
    cdef list destinations = []
    while other.expires_ms == one.expires_ms and other.wants_report == one.wants_report and other.text == one.text:
        destinations.append(f"+{other.number}")
        place += 1
        if place == len(flights):
            break
        other = (<Flight?>flights[place]).packed
    return destinations


def keys(dict references not None):
    """The SIMs as keys of the store."""
    cdef list found = []
    cdef uint8_t key[KEY_OCTETS]
    for sim in references:
        write_key(sim, key)
        found.append(PyBytes_FromStringAndSize(<char*>key, KEY_OCTETS))
    return found


cdef inline void write_key(uint64_t sim, uint8_t* key) noexcept nogil:
    cdef int at
    for at in range(KEY_OCTETS):
        key[at] = <uint8_t>(sim >> 8 * (KEY_OCTETS - 1 - at))


def counted(dict references not None, dict known not None, int believed):
    """(key, counters) of SIMs behind the references that each gave one after the other; `known` are those before.

    A reference that follows the one before by one is a step, up to `believed` of which are counted in a row.  Raises
    ValueError for counters that are none.
    """
    cdef list found = []
    cdef uint8_t octets[KEY_OCTETS]
    for sim, given in references.items():
        write_key(sim, octets)
        key = PyBytes_FromStringAndSize(<char*>octets, KEY_OCTETS)
        found.append((key, counters_behind(known.get(key), given, believed)))
    return found


cdef bytes counters_behind(bytes counters, bytearray references, int believed):
    cdef const uint8_t* old
    cdef int reference = -1
    cdef int steps = 0
    cdef uint64_t sent = 0
    cdef uint8_t new[COUNTERS_OCTETS]
    cdef int given
    if counters is not None:
        if len(counters) != COUNTERS_OCTETS:
            raise ValueError(f"{len(counters)} octets, not {COUNTERS_OCTETS}")
        old = <const uint8_t*>PyBytes_AS_STRING(counters)
        reference = old[1] if old[0] else -1
        steps = old[2]
        sent = load(old + 3)
    for given in references:
        steps = min(steps + 1, believed) if reference >= 0 and given == (reference + 1) & 0xFF else 0
        reference = given
        sent += 1
    new[0] = 1
    new[1] = <uint8_t>reference
    new[2] = <uint8_t>steps
    store(sent, new + 3)
    return PyBytes_FromStringAndSize(<char*>new, COUNTERS_OCTETS)
