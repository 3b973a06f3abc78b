"""The due line in memory: which message goes next.

Lanes come first, highest (0) to lowest; within a lane, groups share by weight, counted in parts, by deficit round
robin (Shreedhar and Varghese 1995); within a group, first due, first out.  A message that is not due yet waits in a
heap.  Knows no clock: `now_ms` is an argument.  Knows no message but its id.

Plain C and CPython's own containers: a C++ standard library would ask every fresh machine for one more compiler.
"""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, uint64_t

from collections import deque

cdef enum:
    LANES = 4
    # Parts a group of weight 1 may send each round.  A message larger than that saves up over rounds.
    QUANTUM = 4


@cython.final
@cython.auto_pickle(False)
@cython.freelist(256)
cdef class _Entry:
    """A message in the line.  Removed ones stay where they are and are skipped: `gone`."""

    cdef uint64_t identifier
    cdef uint64_t group
    # Where it stands once it is ripe; before that its group may be forgotten and made anew.
    cdef _Group home
    cdef int lane
    cdef int parts
    cdef int weight
    cdef bint gone


cdef struct Waiting:
    int64_t due_ms
    uint64_t serial
    PyObject* entry


cdef inline bint earlier(const Waiting* one, const Waiting* other) noexcept nogil:
    return one.due_ms < other.due_ms or (one.due_ms == other.due_ms and one.serial < other.serial)


@cython.final
@cython.auto_pickle(False)
cdef class _Heap:
    """Entries by due time, those pushed first before others of the same; it owns a reference to each."""

    cdef Waiting* items
    cdef Py_ssize_t length
    cdef Py_ssize_t room

    def __dealloc__(self):
        cdef Py_ssize_t place
        for place in range(self.length):
            Py_DECREF(<object>self.items[place].entry)
        PyMem_Free(self.items)

    cdef int push(self, int64_t due_ms, uint64_t serial, _Entry entry) except -1:
        cdef Py_ssize_t place = self.length
        cdef Py_ssize_t above
        cdef Waiting item
        cdef void* grown
        if self.length == self.room:
            grown = PyMem_Realloc(self.items, (self.room * 2 + 64) * sizeof(Waiting))
            if grown == NULL:
                raise MemoryError
            self.items = <Waiting*>grown
            self.room = self.room * 2 + 64
        item.due_ms = due_ms
        item.serial = serial
        item.entry = <PyObject*>entry
        Py_INCREF(entry)
        self.length += 1
        while place > 0:
            above = (place - 1) >> 1
            if not earlier(&item, &self.items[above]):
                break
            self.items[place] = self.items[above]
            place = above
        self.items[place] = item
        return 0

    cdef _Entry pop(self):
        """The first entry; there must be one."""
        cdef _Entry first = <_Entry>self.items[0].entry
        cdef Waiting item
        cdef Py_ssize_t place = 0
        cdef Py_ssize_t below
        self.length -= 1
        item = self.items[self.length]
        while True:
            below = 2 * place + 1
            if below >= self.length:
                break
            if below + 1 < self.length and earlier(&self.items[below + 1], &self.items[below]):
                below += 1
            if not earlier(&self.items[below], &item):
                break
            self.items[place] = self.items[below]
            place = below
        self.items[place] = item
        Py_DECREF(first)
        return first


@cython.final
@cython.auto_pickle(False)
cdef class _Group:
    """One group's messages in one lane: those that are due, in order, and what it may still send this round."""

    cdef uint64_t name
    cdef int lane
    cdef object ready
    cdef int64_t deficit
    cdef int64_t ripe_parts
    cdef int weight
    cdef bint listed

    def __cinit__(self, uint64_t name, int lane):
        self.name = name
        self.lane = lane
        self.ready = deque()
        self.weight = 1


@cython.final
@cython.auto_pickle(False)
cdef class DueLine:
    """Messages that may go now or later; each id stands in it at most once."""

    cdef dict entries
    cdef list groups
    cdef list turns
    cdef _Heap waiting
    cdef set parked
    cdef int64_t ripe_parts
    cdef uint64_t serial
    cdef readonly int64_t parts

    def __cinit__(self):
        self.entries = {}
        self.groups = [{} for _ in range(LANES)]
        self.turns = [deque() for _ in range(LANES)]
        self.waiting = _Heap()
        self.parked = set()

    def __len__(self):
        return len(self.entries)

    def __contains__(self, identifier):
        return identifier in self.entries

    def push(self, uint64_t identifier, uint64_t group, int lane, int64_t due_ms, int parts, int weight=1):
        """Add a message, or replace the entry that stands for it.

        Raises ValueError for a lane that is none, and for parts or a weight below 1.
        """
        if not 0 <= lane < LANES:
            raise ValueError(f"lane {lane} is none of 0 to {LANES - 1}")
        if parts < 1 or weight < 1:
            raise ValueError(f"parts {parts} and weight {weight} must be 1 or more")
        self._forget(identifier)
        cdef _Entry entry = _Entry.__new__(_Entry)
        entry.identifier = identifier
        entry.group = group
        entry.lane = lane
        entry.parts = parts
        entry.weight = weight
        self.entries[identifier] = entry
        self.parts += parts
        self.serial += 1
        self.waiting.push(due_ms, self.serial, entry)

    cdef bint _forget(self, uint64_t identifier) except -1:
        cdef _Entry entry = <_Entry>self.entries.pop(identifier, None)
        if entry is None:
            return False
        entry.gone = True
        self.parts -= entry.parts
        if entry.home is not None:
            self.ripe_parts -= entry.parts
            entry.home.ripe_parts -= entry.parts
        return True

    def remove(self, uint64_t identifier):
        """Whether the message was in the line."""
        return self._forget(identifier)

    cdef int _ripen(self, int64_t now_ms) except -1:
        """Move what has come due from the heap into its group."""
        cdef _Entry entry
        cdef _Group group
        cdef dict lanes
        while self.waiting.length and self.waiting.items[0].due_ms <= now_ms:
            entry = self.waiting.pop()
            if entry.gone:
                continue
            lanes = <dict>self.groups[entry.lane]
            group = <_Group>lanes.get(entry.group)
            if group is None:
                group = _Group(entry.group, entry.lane)
                lanes[entry.group] = group
            entry.home = group
            self.ripe_parts += entry.parts
            group.ripe_parts += entry.parts
            group.weight = entry.weight
            group.ready.append(entry)
            if not group.listed and group.name not in self.parked:
                self._list(group)
        return 0

    cdef int _list(self, _Group group) except -1:
        group.listed = True
        group.deficit = 0
        self.turns[group.lane].append(group)
        return 0

    def ready_parts(self, int64_t now_ms, int lane=-1):
        """Parts that could go now, in one lane or in all: those that are due and whose group is not parked."""
        cdef _Group group
        cdef int64_t ready
        self._ripen(now_ms)
        if lane >= 0:
            ready = 0
            for group in (<dict>self.groups[lane]).values():
                if group.name not in self.parked:
                    ready += group.ripe_parts
            return ready
        ready = self.ripe_parts
        for name in self.parked:
            for lanes in self.groups:
                group = <_Group>(<dict>lanes).get(name)
                if group is not None:
                    ready -= group.ripe_parts
        return ready

    def pop(self, int64_t now_ms, int lowest_lane=LANES - 1):
        """(id, group, lane, parts) of the message that goes next, taken out of the line; None if nothing may go.

        `lowest_lane` asks no lanes below it: 0 for the `otp` lane alone.
        """
        cdef int lane
        cdef _Group group
        cdef _Entry entry
        self._ripen(now_ms)
        for lane in range(min(lowest_lane, LANES - 1) + 1):
            turns = self.turns[lane]
            while turns:
                group = <_Group>turns[0]
                # Entries that were removed or replaced since are skipped here.
                while group.ready and (<_Entry>group.ready[0]).gone:
                    group.ready.popleft()
                if not group.ready or group.name in self.parked:
                    turns.popleft()
                    group.listed = False
                    if not group.ready:
                        del (<dict>self.groups[lane])[group.name]
                    continue
                entry = <_Entry>group.ready[0]
                if group.deficit < entry.parts:
                    # Its turn is over: the next round adds its share.
                    group.deficit += <int64_t>QUANTUM * group.weight
                    turns.rotate(-1)
                    continue
                group.deficit -= entry.parts
                group.ready.popleft()
                self._forget(entry.identifier)
                return entry.identifier, group.name, lane, entry.parts
        return None

    def park(self, uint64_t group):
        """Keep a group's messages in the line, but do not pop them until `unpark`."""
        self.parked.add(group)

    def unpark(self, uint64_t group):
        """Let a parked group take its turns again."""
        cdef _Group home
        self.parked.discard(group)
        for lanes in self.groups:
            home = <_Group>(<dict>lanes).get(group)
            if home is not None and home.ready and not home.listed:
                self._list(home)

    def drop(self, uint64_t group):
        """Take all of a group's messages out of the line; their ids."""
        cdef _Entry entry
        gone = []
        for value in self.entries.values():
            entry = <_Entry>value
            if entry.group == group:
                gone.append(entry.identifier)
        for identifier in gone:
            self._forget(identifier)
        gone.sort()
        return gone

    def next_due_ms(self):
        """When the next waiting message comes due, or None; what is due already does not count."""
        while self.waiting.length and (<_Entry>self.waiting.items[0].entry).gone:
            self.waiting.pop()
        return self.waiting.items[0].due_ms if self.waiting.length else None
