"""Slots that one transaction reads and writes; `engine.traffic.slots` has their layout and what they mean.

No I/O of its own: the table that holds the sheets of slots is an argument.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport uint8_t, uint64_t

from engine._octets cimport load, store

from engine.errors import RecordBroken

OCTETS = OCTETS_OF_SLOT
OF_A_SHEET = SLOTS_OF_SHEET


cdef bint is_sound(const uint8_t* octets, Py_ssize_t length) noexcept:
    """Whether these are slots: a sheet of them at most, each with a state, a reason and an attempt that there are."""
    cdef Py_ssize_t at
    if length % OCTETS_OF_SLOT or length > SLOTS_OF_SHEET * OCTETS_OF_SLOT:
        return False
    for at in range(0, length, OCTETS_OF_SLOT):
        if (octets[at] > LAST_STATE and octets[at] != WRITTEN_OUT) or octets[at + AT_REASON] > LAST_REASON:
            return False
        if octets[at + AT_ATTEMPT] == MOST_ATTEMPTS:
            return False
    return True


def sound(bytes octets not None):
    """Whether these octets are a sheet of slots."""
    return is_sound(<const uint8_t*>PyBytes_AS_STRING(octets), len(octets))


@cython.final
@cython.auto_pickle(False)
cdef class Slots:
    """The slots of `table`, (group, slot sheet) -> octets: each sheet is read once, and written by `flush` if changed.

    Nobody else may look at those slots in the same transaction before that.
    """

    def __cinit__(self, txn, table):
        self.txn = txn
        self.table = table
        self.opened = {}
        self.touched = set()

    cdef uint8_t* at(self, uint64_t group, uint64_t row) except NULL:
        """A row's slot, until the next call; whoever changes it calls `touch` behind this."""
        cdef uint64_t sheet = row // SLOTS_OF_SHEET
        cdef Py_ssize_t offset = <Py_ssize_t>(row % SLOTS_OF_SHEET) * OCTETS_OF_SLOT
        cdef tuple key
        cdef bytearray octets
        if self.latest is None or self.latest_sheet != sheet or self.latest_group != group:
            key = (group, sheet)
            octets = <bytearray>self.opened.get(key)
            if octets is None:
                octets = bytearray(self.table.find(self.txn, key) or b"")
                if not is_sound(<const uint8_t*><char*>octets, len(octets)):
                    raise RecordBroken(self.table.name, self.table.layout.pack(*key), "no slots")
                self.opened[key] = octets
            self.latest = octets
            self.latest_key = key
            self.latest_group = group
            self.latest_sheet = sheet
        octets = self.latest
        if len(octets) < offset + OCTETS_OF_SLOT:
            octets.extend(bytes(offset + OCTETS_OF_SLOT - len(octets)))
        return <uint8_t*>(<char*>octets) + offset

    cdef int touch(self) except -1:
        """The sheet of the slot that was asked for last was changed."""
        self.touched.add(self.latest_key)
        return 0

    def get(self, uint64_t group, uint64_t row):
        """A row's slot: state, attempt, reference, outcome, reason, flags, report's delay in s, SIM, time in ms."""
        cdef const uint8_t* slot = self.at(group, row)
        cdef int reported_s = slot[6] | slot[7] << 8
        return (
            slot[0], slot[1], slot[2], slot[3], slot[4], slot[5], reported_s, load(slot + AT_SIM), load(slot + AT_TIME)
        )

    def put(
        self, uint64_t group, uint64_t row, uint8_t state, uint8_t attempt=0, uint8_t reference=0, uint8_t outcome=0,
        uint8_t reason=0, uint8_t flags=0, int reported_s=0, uint64_t sim=0, uint64_t sent_ms=0,
    ):
        """Write a row's slot, all of it.  Raises OverflowError for what does not fit."""
        cdef uint8_t* slot
        if not 0 <= reported_s <= 0xFFFF:
            raise OverflowError(f"a report after {reported_s} s")
        slot = self.at(group, row)
        slot[0] = state
        slot[1] = attempt
        slot[2] = reference
        slot[3] = outcome
        slot[4] = reason
        slot[5] = flags
        slot[6] = <uint8_t>reported_s
        slot[7] = <uint8_t>(reported_s >> 8)
        store(sim, slot + AT_SIM)
        store(sent_ms, slot + AT_TIME)
        self.touch()

    def flush(self):
        """Write what was changed, and forget what was read."""
        for key in self.touched:
            self.table.put(self.txn, key, bytes(self.opened[key]))
        self.touched.clear()
        self.opened.clear()
        self.latest = None
