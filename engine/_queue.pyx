"""The due line in memory: which message goes next, on the SIM that asks.

Lanes come first, highest (0) to lowest; within a lane, groups share by weight, counted in parts, by deficit round
robin (Shreedhar and Varghese 1995); within a group, first due, first out.  A message that is not due yet waits in a
heap.  Knows no clock: `now_ms` is an argument.  Knows no message but its id, and no route but the number of its class.

Who asks says which route classes it may send, as bits of a mask.  A group keeps its messages by class, so a thousand
for another SIM in front cost nothing; a group that has none for this SIM is passed over where it stands: it neither
loses its turn nor is paid for one.  Class 0 is for everybody.

Plain C and CPython's own containers: a C++ standard library would ask every fresh machine for one more compiler.
"""

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, uint64_t

from engine cimport _due_heap
from engine._due_heap cimport Heap, Waiting

cdef extern from *:
    int trailing_zeros "__builtin_ctzll" (unsigned long long word) noexcept nogil

cdef enum:
    LANES = 4
    CLASSES = 64
    # Parts a group of weight 1 may send each round.  A message larger than that saves up over rounds.
    QUANTUM = 4

cdef enum Place:
    NOWHERE
    WAITING
    RIPE


@cython.final
@cython.auto_pickle(False)
@cython.no_gc
@cython.freelist(256)
cdef class _Entry:
    """A message in the line.  Its chain owns a reference to it, from the heap's item or its group's file."""

    cdef object identifier
    cdef object group
    cdef object packed
    # Neighbours in its chain, borrowed.  Where it waits it has a follower only.
    cdef PyObject* before
    cdef PyObject* behind
    # Where it stands once it is ripe, borrowed; a group lives as long as something ripe stands in it.
    cdef PyObject* home
    # Among the ripe of its group: those of several classes go in this order.
    cdef uint64_t rank
    # What its group was paid on its behalf and it has not spent: no other message may.
    cdef int64_t saved
    cdef int lane
    cdef int parts
    cdef int weight
    cdef int route
    cdef Place place


cdef inline PyObject* behind_of(PyObject* entry) noexcept:
    return (<_Entry>entry).behind


cdef int let_go(PyObject* entry) except -1:
    """Give up a chain's references, one after the other: never a recursion as deep as the chain is long."""
    cdef PyObject* behind
    while entry != NULL:
        behind = behind_of(entry)
        Py_DECREF(<object>entry)
        entry = behind
    return 0


cdef struct File:
    PyObject* first
    PyObject* last
    int64_t parts


@cython.final
@cython.auto_pickle(False)
@cython.no_gc
cdef class _Group:
    """One group's messages in one lane: those that are due, by class, and what it may still send this round."""

    cdef object name
    cdef File* files
    # Classes of which it has a message.
    cdef uint64_t classes
    cdef int64_t deficit
    cdef int lane
    cdef int weight
    cdef bint listed
    cdef bint parked
    # Neighbours in the round, borrowed: its lane owns it.
    cdef PyObject* before
    cdef PyObject* behind

    def __cinit__(self, name, int lane):
        self.name = name
        self.lane = lane
        self.weight = 1
        self.files = <File*>PyMem_Calloc(CLASSES, sizeof(File))
        if self.files == NULL:
            raise MemoryError

    def __dealloc__(self):
        cdef int route
        if self.files != NULL:
            for route in range(CLASSES):
                let_go(self.files[route].first)
        PyMem_Free(self.files)

    cdef void append(self, _Entry entry) noexcept:
        """Put it last in its file; the chain's reference becomes the file's."""
        cdef File* file = &self.files[entry.route]
        entry.home = <PyObject*>self
        entry.behind = NULL
        entry.before = file.last
        if file.last == NULL:
            file.first = <PyObject*>entry
            self.classes |= <uint64_t>1 << entry.route
        else:
            (<_Entry>file.last).behind = <PyObject*>entry
        file.last = <PyObject*>entry
        file.parts += entry.parts

    cdef void take_out(self, _Entry entry) noexcept:
        """The file's reference is given up: the caller has one of its own."""
        cdef File* file = &self.files[entry.route]
        if entry.before == NULL:
            file.first = entry.behind
        else:
            (<_Entry>entry.before).behind = entry.behind
        if entry.behind == NULL:
            file.last = entry.before
        else:
            (<_Entry>entry.behind).before = entry.before
        entry.before = entry.behind = entry.home = NULL
        if file.first == NULL:
            self.classes &= ~(<uint64_t>1 << entry.route)
        file.parts -= entry.parts
        self.deficit += entry.saved
        entry.saved = 0
        Py_DECREF(entry)

    cdef PyObject* first_of(self, uint64_t classes) noexcept:
        """The one of these classes that ripened first; the group has one."""
        cdef PyObject* first = NULL
        cdef PyObject* other
        while classes:
            other = self.files[trailing_zeros(classes)].first
            if first == NULL or (<_Entry>other).rank < (<_Entry>first).rank:
                first = other
            classes &= classes - 1
        return first


cdef struct Round:
    # Groups that take turns, borrowed.
    PyObject* first
    PyObject* last
    # Classes that could go now, and their parts: what is due in groups that are not parked.
    uint64_t classes
    int64_t[64] parts


@cython.final
@cython.auto_pickle(False)
cdef class DueLine:
    """Messages that may go now or later; each id stands in it at most once."""

    cdef dict entries
    cdef list groups
    cdef Heap waiting
    cdef set parked
    cdef Round[4] rounds
    cdef uint64_t serial
    cdef uint64_t rank
    cdef readonly int64_t parts

    def __cinit__(self):
        self.entries = {}
        self.groups = [{} for _ in range(LANES)]
        self.parked = set()

    def __dealloc__(self):
        cdef Py_ssize_t place
        for place in range(self.waiting.length):
            let_go(self.waiting.items[place].chain)
        PyMem_Free(self.waiting.items)

    def __len__(self):
        return len(self.entries)

    def __contains__(self, identifier):
        return identifier in self.entries

    # -- in

    def push(self, identifier, group, int lane, int64_t due_ms, int parts, int weight=1, int route=0, packed=None):
        """Add a message, or replace the entry that stands for it; `packed` comes back with it.

        Raises ValueError for a lane or a route class that is none, and for parts or a weight below 1.
        """
        _due_heap.make_room(&self.waiting)
        cdef _Entry entry = self._enter(identifier, group, lane, parts, weight, route, packed)
        self.serial += 1
        Py_INCREF(entry)
        _due_heap.push(&self.waiting, due_ms, self.serial, <PyObject*>entry)

    def push_rows(self, group, int lane, int64_t due_ms, int weight, list entries):
        """The same for messages of one group that are due together: (id, parts, route class, packed) each.

        They come due as one, in this order.  Where one is nonsense, those before it are in the line.
        """
        cdef _Entry entry
        cdef PyObject* first = NULL
        cdef PyObject* last = NULL
        _due_heap.make_room(&self.waiting)
        self.serial += 1
        try:
            for identifier, parts, route, packed in entries:
                entry = self._enter(identifier, group, lane, parts, weight, route, packed)
                Py_INCREF(entry)
                if last == NULL:
                    first = <PyObject*>entry
                else:
                    (<_Entry>last).behind = <PyObject*>entry
                last = <PyObject*>entry
        finally:
            if first != NULL:
                _due_heap.push(&self.waiting, due_ms, self.serial, first)

    cdef _Entry _enter(self, identifier, group, int lane, int parts, int weight, int route, packed):
        if not 0 <= lane < LANES:
            raise ValueError(f"lane {lane} is none of 0 to {LANES - 1}")
        if parts < 1 or weight < 1:
            raise ValueError(f"parts {parts} and weight {weight} must be 1 or more")
        if not 0 <= route < CLASSES:
            raise ValueError(f"route class {route} is none of 0 to {CLASSES - 1}")
        self.remove(identifier)
        cdef _Entry entry = _Entry.__new__(_Entry)
        entry.identifier = identifier
        entry.group = group
        entry.packed = packed
        entry.lane = lane
        entry.parts = parts
        entry.weight = weight
        entry.route = route
        entry.place = WAITING
        self.entries[identifier] = entry
        self.parts += parts
        return entry

    cdef int _ripen(self, int64_t now_ms) except -1:
        """Move what has come due from the heap into its group."""
        cdef PyObject* chain
        cdef PyObject* behind
        cdef _Entry entry
        cdef _Group group
        while self.waiting.length and self.waiting.items[0].due_ms <= now_ms:
            chain = _due_heap.pop(&self.waiting)
            group = None
            while chain != NULL:
                behind = behind_of(chain)
                entry = <_Entry>chain
                chain = behind
                if entry.place != WAITING:
                    # Removed or replaced since.
                    Py_DECREF(entry)
                    continue
                if group is None:
                    group = self._group(entry)
                self.rank += 1
                entry.rank = self.rank
                entry.place = RIPE
                group.append(entry)
                if not group.parked:
                    self._count(entry)
            if group is not None and not group.listed and not group.parked:
                self._list(group)
        return 0

    cdef _Group _group(self, _Entry entry):
        cdef dict lane = <dict>self.groups[entry.lane]
        cdef _Group group = <_Group>lane.get(entry.group)
        if group is None:
            group = _Group(entry.group, entry.lane)
            group.parked = entry.group in self.parked
            lane[entry.group] = group
        group.weight = entry.weight
        return group

    cdef void _count(self, _Entry entry) noexcept:
        self.rounds[entry.lane].parts[entry.route] += entry.parts
        self.rounds[entry.lane].classes |= <uint64_t>1 << entry.route

    cdef void _discount(self, int lane, int route, int64_t parts) noexcept:
        cdef Round* turns = &self.rounds[lane]
        turns.parts[route] -= parts
        if not turns.parts[route]:
            turns.classes &= ~(<uint64_t>1 << route)

    # -- the round

    cdef void _list(self, _Group group) noexcept:
        """Last in its lane's round, with nothing to its credit."""
        group.deficit = 0
        group.listed = True
        self._line_up(group)

    cdef void _line_up(self, _Group group) noexcept:
        cdef Round* turns = &self.rounds[group.lane]
        group.before = turns.last
        group.behind = NULL
        if turns.last == NULL:
            turns.first = <PyObject*>group
        else:
            (<_Group>turns.last).behind = <PyObject*>group
        turns.last = <PyObject*>group

    cdef void _step_out(self, _Group group) noexcept:
        cdef Round* turns = &self.rounds[group.lane]
        if group.before == NULL:
            turns.first = group.behind
        else:
            (<_Group>group.before).behind = group.behind
        if group.behind == NULL:
            turns.last = group.before
        else:
            (<_Group>group.behind).before = group.before
        group.before = group.behind = NULL

    cdef int _unlist(self, _Group group) except -1:
        """It takes no more turns; where nothing is left of it, it is forgotten."""
        if group.listed:
            self._step_out(group)
            group.listed = False
        if not group.classes:
            del (<dict>self.groups[group.lane])[group.name]
        return 0

    # -- out

    cpdef bint remove(self, identifier) except -1:
        """Whether the message was in the line."""
        cdef _Entry entry = <_Entry>self.entries.pop(identifier, None)
        if entry is None:
            return False
        self._leave(entry)
        return True

    cdef int _leave(self, _Entry entry) except -1:
        """What is not in `entries` any more leaves its group, or waits in the heap as nobody's."""
        cdef _Group group
        self.parts -= entry.parts
        if entry.place == RIPE:
            group = <_Group>entry.home
            if not group.parked:
                self._discount(entry.lane, entry.route, entry.parts)
            group.take_out(entry)
            if not group.classes and not group.listed:
                del (<dict>self.groups[group.lane])[group.name]
        entry.place = NOWHERE
        entry.packed = None
        return 0

    def pop(self, int64_t now_ms, int lowest_lane=LANES - 1, uint64_t routes=0xFFFFFFFFFFFFFFFF):
        """(id, group, lane, parts, packed) of what goes next, taken out of the line; None if nothing may go.

        `lowest_lane` asks no lanes below it: 0 for the `otp` lane alone.  `routes` has a bit for each route class
        that may go by who asks; class 0 always may.
        """
        cdef int lane
        cdef _Group group
        cdef _Entry entry
        cdef PyObject* turn
        cdef PyObject* behind
        cdef Round* turns
        routes |= 1
        self._ripen(now_ms)
        for lane in range(min(lowest_lane, LANES - 1) + 1):
            turns = &self.rounds[lane]
            if not turns.classes & routes:
                continue
            turn = turns.first
            while True:
                if turn == NULL:
                    turn = turns.first
                group = <_Group>turn
                behind = group.behind
                if not group.classes:
                    self._unlist(group)
                elif group.classes & routes:
                    entry = <_Entry>group.first_of(group.classes & routes)
                    if group.deficit + entry.saved >= entry.parts:
                        group.deficit -= entry.parts
                        taken = (entry.identifier, group.name, lane, entry.parts, entry.packed)
                        del self.entries[entry.identifier]
                        self._leave(entry)
                        return taken
                    # Its turn is over: the next round adds its share.
                    entry.saved += <int64_t>QUANTUM * group.weight
                    self._step_out(group)
                    self._line_up(group)
                    if behind == NULL:
                        behind = turns.first
                turn = behind
        return None

    def drop(self, group):
        """Take all of a group's messages out of the line; their ids."""
        cdef _Entry entry
        gone = []
        for value in self.entries.values():
            entry = <_Entry>value
            if entry.group == group:
                gone.append(entry.identifier)
        for identifier in gone:
            self.remove(identifier)
        gone.sort()
        return gone

    # -- asked

    def ready_parts(self, int64_t now_ms, int lane=-1, uint64_t routes=0xFFFFFFFFFFFFFFFF):
        """Parts of these route classes that could go now, in one lane or in all: due, and in no parked group."""
        cdef int64_t ready = 0
        cdef int each
        self._ripen(now_ms)
        for each in range(LANES):
            if lane < 0 or lane == each:
                ready += self._parts_of(&self.rounds[each], routes | 1)
        return ready

    cdef int64_t _parts_of(self, Round* turns, uint64_t routes) noexcept:
        cdef int64_t ready = 0
        cdef uint64_t left = turns.classes & routes
        while left:
            ready += turns.parts[trailing_zeros(left)]
            left &= left - 1
        return ready

    def ready_for(self, int64_t now_ms, uint64_t routes):
        """Whether `pop` would find a message of these route classes."""
        cdef int lane
        self._ripen(now_ms)
        for lane in range(LANES):
            if self.rounds[lane].classes & (routes | 1):
                return True
        return False

    def next_due_ms(self):
        """When the next waiting message comes due, or None; what is due already does not count."""
        cdef Waiting* item
        cdef PyObject* behind
        while self.waiting.length:
            item = &self.waiting.items[0]
            if (<_Entry>item.chain).place == WAITING:
                return item.due_ms
            behind = behind_of(item.chain)
            Py_DECREF(<object>item.chain)
            item.chain = behind
            if behind == NULL:
                _due_heap.pop(&self.waiting)
        return None

    # -- parked

    def park(self, group):
        """Keep a group's messages in the line, but do not pop them until `unpark`."""
        cdef _Group home
        cdef int route
        self.parked.add(group)
        for lanes in self.groups:
            home = <_Group>(<dict>lanes).get(group)
            if home is not None and not home.parked:
                home.parked = True
                for route in range(CLASSES):
                    self._discount(home.lane, route, home.files[route].parts)
                self._unlist(home)

    def unpark(self, group):
        """Let a parked group take its turns again."""
        cdef _Group home
        cdef int route
        self.parked.discard(group)
        for lanes in self.groups:
            home = <_Group>(<dict>lanes).get(group)
            if home is not None and home.parked:
                home.parked = False
                for route in range(CLASSES):
                    self.rounds[home.lane].parts[route] += home.files[route].parts
                self.rounds[home.lane].classes |= home.classes
                self._list(home)
