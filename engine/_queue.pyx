"""The due line in memory: which message goes next, on the SIM that asks.

Lanes come first, highest (0) to lowest; within a lane, groups share by weight, counted in parts, by deficit round
robin (Shreedhar and Varghese 1995); within a group, first due, first out.  A message that is not due yet waits in a
heap.  Knows no clock: `now_ms` is an argument.  Knows no message but its id, and no route but the number of its class.

Who asks says which route classes it may send, as bits of an integer.  A group keeps its messages by class, so that a
thousand for another SIM in front cost nothing; a group that has none for this SIM is passed over where it stands: it
neither loses its turn nor is paid for one.  Class 0 is for everybody.

Plain C and CPython's own containers: a C++ standard library would ask every fresh machine for one more compiler.
"""

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, uint64_t

from engine cimport _chain, _due_heap, _route_classes
from engine._chain cimport Chain, Link
from engine._due_heap cimport Heap, Waiting
from engine._route_classes cimport CLASSES, Classes

cdef enum:
    LANES = 4
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
    cdef Link link
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


cdef int let_go(Link* link) except -1:
    """Give up a chain's references, one after the other: never a recursion as deep as the chain is long."""
    cdef PyObject* owner
    while link != NULL:
        owner = link.owner
        link = link.behind
        Py_DECREF(<object>owner)
    return 0


cdef struct File:
    Chain chain
    int64_t parts


@cython.final
@cython.auto_pickle(False)
@cython.no_gc
cdef class _Group:
    """One group's messages in one lane: those that are due, by class, and what it may still send this round."""

    cdef object name
    cdef File* files
    # Classes of which it has a message.
    cdef Classes classes
    cdef int64_t deficit
    cdef int lane
    cdef int weight
    cdef bint listed
    cdef bint parked
    # In the round of its lane, which holds no reference.
    cdef Link link

    def __cinit__(self, name, int lane):
        self.name = name
        self.link.owner = <PyObject*>self
        self.lane = lane
        self.weight = 1
        self.files = <File*>PyMem_Calloc(CLASSES, sizeof(File))
        if self.files == NULL:
            raise MemoryError

    def __dealloc__(self):
        cdef int route
        if self.files != NULL:
            for route in range(CLASSES):
                let_go(self.files[route].chain.first)
        PyMem_Free(self.files)

    cdef void put(self, _Entry entry, bint is_first) noexcept:
        """Put it last in its file, or first; the caller's reference becomes the file's."""
        cdef File* file = &self.files[entry.route]
        entry.home = <PyObject*>self
        if is_first:
            _chain.prepend(&file.chain, &entry.link)
        else:
            _chain.append(&file.chain, &entry.link)
        _route_classes.put(&self.classes, entry.route)
        file.parts += entry.parts

    cdef void take_out(self, _Entry entry) noexcept:
        """The file's reference is given up: the caller has one of its own."""
        cdef File* file = &self.files[entry.route]
        _chain.take_out(&file.chain, &entry.link)
        entry.home = NULL
        if file.chain.first == NULL:
            _route_classes.take(&self.classes, entry.route)
        file.parts -= entry.parts
        self.deficit += entry.saved
        entry.saved = 0
        Py_DECREF(entry)

    cdef bint is_empty(self) noexcept:
        return _route_classes.is_empty(&self.classes)

    cdef PyObject* first_of(self, const Classes* routes) noexcept:
        """The one of these classes that ripened first; the group has one."""
        cdef PyObject* first = NULL
        cdef PyObject* other
        cdef int route = _route_classes.following(&self.classes, routes, 0)
        while route >= 0:
            other = self.files[route].chain.first.owner
            if first == NULL or (<_Entry>other).rank < (<_Entry>first).rank:
                first = other
            route = _route_classes.following(&self.classes, routes, route + 1)
        return first


cdef struct Round:
    Chain groups
    # Classes that could go now, and their parts: what is due in groups that are not parked.
    Classes classes
    int64_t[256] parts


@cython.final
@cython.auto_pickle(False)
cdef class DueLine:
    """Messages that may go now or later; each id stands in it at most once."""

    cdef dict entries
    cdef list groups
    cdef Heap waiting
    cdef set parked
    cdef dict asked  # masks, and what they stand for
    cdef Round[4] rounds
    cdef uint64_t serial
    cdef uint64_t rank
    cdef uint64_t front
    cdef readonly int64_t parts

    def __cinit__(self):
        # What is given back goes before all that ripened.
        self.rank = self.front = <uint64_t>1 << 63
        self.entries = {}
        self.groups = [{} for _ in range(LANES)]
        self.parked = set()
        self.asked = {}

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
        _due_heap.push(&self.waiting, due_ms, self.serial, &entry.link)

    def push_rows(self, group, int lane, int64_t due_ms, int weight, list entries):
        """The same for messages of one group that are due together: (id, parts, route class, packed) each.

        They come due as one, in this order.  Where one is nonsense, those before it are in the line.
        """
        cdef _Entry entry
        cdef Chain chain
        chain.first = chain.last = NULL
        _due_heap.make_room(&self.waiting)
        self.serial += 1
        try:
            for identifier, parts, route, packed in entries:
                entry = self._enter(identifier, group, lane, parts, weight, route, packed)
                Py_INCREF(entry)
                _chain.append(&chain, &entry.link)
        finally:
            if chain.first != NULL:
                _due_heap.push(&self.waiting, due_ms, self.serial, chain.first)

    def give_back(self, identifier, group, int lane, int parts, int weight=1, int route=0, packed=None):
        """Put back what was popped and did not go: before all others of its group, which has its parts to its credit.

        Of several, the one that was popped last is given back first.  Raises ValueError as `push` does.
        """
        cdef _Entry entry = self._enter(identifier, group, lane, parts, weight, route, packed)
        cdef _Group home = self._group(entry)
        self.front -= 1
        entry.rank = self.front
        entry.place = RIPE
        Py_INCREF(entry)
        home.put(entry, True)
        if not home.parked:
            self._add(lane, route, parts)
            if not home.listed:
                self._list(home)
            home.deficit += parts

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
        entry.link.owner = <PyObject*>entry
        entry.place = WAITING
        self.entries[identifier] = entry
        self.parts += parts
        return entry

    cdef int _ripen(self, int64_t now_ms) except -1:
        """Move what has come due from the heap into its group."""
        cdef Link* chain
        cdef _Entry entry
        cdef _Group group
        while self.waiting.length and self.waiting.items[0].due_ms <= now_ms:
            chain = _due_heap.pop(&self.waiting)
            group = None
            while chain != NULL:
                entry = <_Entry>chain.owner
                chain = chain.behind
                if entry.place != WAITING:
                    # Removed or replaced since.
                    Py_DECREF(entry)
                    continue
                if group is None:
                    group = self._group(entry)
                self.rank += 1
                entry.rank = self.rank
                entry.place = RIPE
                group.put(entry, False)
                if not group.parked:
                    self._add(entry.lane, entry.route, entry.parts)
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

    cdef void _add(self, int lane, int route, int64_t parts) noexcept:
        """So many parts more, or fewer, could go."""
        cdef Round* turns = &self.rounds[lane]
        turns.parts[route] += parts
        if turns.parts[route]:
            _route_classes.put(&turns.classes, route)
        else:
            _route_classes.take(&turns.classes, route)

    # -- the round

    cdef void _list(self, _Group group) noexcept:
        """Last in its lane's round, with nothing to its credit."""
        group.deficit = 0
        group.listed = True
        _chain.append(&self.rounds[group.lane].groups, &group.link)

    cdef int _unlist(self, _Group group) except -1:
        """It takes no more turns; where nothing is left of it, it is forgotten."""
        if group.listed:
            _chain.take_out(&self.rounds[group.lane].groups, &group.link)
            group.listed = False
        if group.is_empty():
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
                self._add(entry.lane, entry.route, -entry.parts)
            group.take_out(entry)
            if group.is_empty() and not group.listed:
                del (<dict>self.groups[group.lane])[group.name]
        entry.place = NOWHERE
        entry.packed = None
        return 0

    def pop(self, int64_t now_ms, int lowest_lane=LANES - 1, routes=None):
        """(id, group, lane, parts, packed) of what goes next, taken out of the line; None if nothing may go.

        `lowest_lane` asks no lanes below it: 0 for the `otp` lane alone.  `routes` has a bit for each route class
        that may go by who asks, None for all; class 0 always may.
        """
        cdef int lane
        cdef _Group group
        cdef _Entry entry
        cdef Link* turn
        cdef Link* behind
        cdef Round* turns
        cdef const Classes* mine = _route_classes.read(self.asked, routes)
        self._ripen(now_ms)
        for lane in range(min(lowest_lane, LANES - 1) + 1):
            turns = &self.rounds[lane]
            if not _route_classes.meet(&turns.classes, mine):
                continue
            turn = NULL
            while True:
                turn = turns.groups.first if turn == NULL else turn
                group = <_Group>turn.owner
                behind = turn.behind
                if group.is_empty():
                    self._unlist(group)
                elif _route_classes.meet(&group.classes, mine):
                    entry = <_Entry>group.first_of(mine)
                    if group.deficit + entry.saved >= entry.parts:
                        group.deficit -= entry.parts
                        taken = (entry.identifier, group.name, lane, entry.parts, entry.packed)
                        del self.entries[entry.identifier]
                        self._leave(entry)
                        return taken
                    # Its turn is over: the next round adds its share.
                    entry.saved += <int64_t>QUANTUM * group.weight
                    _chain.take_out(&turns.groups, &group.link)
                    _chain.append(&turns.groups, &group.link)
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

    def ready_parts(self, int64_t now_ms, int lane=-1, routes=None):
        """Parts of these route classes that could go now, in one lane or in all: due, and in no parked group."""
        cdef const Classes* asked = _route_classes.read(self.asked, routes)
        cdef int64_t ready = 0
        cdef Round* turns
        cdef int each, route
        self._ripen(now_ms)
        for each in range(LANES):
            if lane < 0 or lane == each:
                turns = &self.rounds[each]
                route = _route_classes.following(&turns.classes, asked, 0)
                while route >= 0:
                    ready += turns.parts[route]
                    route = _route_classes.following(&turns.classes, asked, route + 1)
        return ready

    def ready_for(self, int64_t now_ms, routes):
        """Whether `pop` would find a message of these route classes."""
        return self.ready_parts(now_ms, -1, routes) > 0

    def of_classes(self, routes):
        """Ids of all messages of these classes, whenever they are due: of 0 too only where it is asked for."""
        return [key for key, entry in self.entries.items() if routes >> (<_Entry>entry).route & 1]

    def reroute(self, class_of):
        """Give every message the class that `class_of(id, packed)` says; what is due keeps its order."""
        cdef _Entry entry
        cdef _Group home
        ripe = []
        for value in self.entries.values():
            entry = <_Entry>value
            route = class_of(entry.identifier, entry.packed)
            if not 0 <= route < CLASSES:
                raise ValueError(f"route class {route} is none of 0 to {CLASSES - 1}")
            if entry.place == RIPE:
                ripe.append((entry.rank, entry, route))
            else:
                entry.route = route
        ripe.sort()
        for _, entry, route in ripe:
            home = <_Group>entry.home
            if not home.parked:
                self._add(entry.lane, entry.route, -entry.parts)
            home.take_out(entry)
            entry.route = route
            Py_INCREF(entry)
            home.put(entry, False)
            if not home.parked:
                self._add(entry.lane, entry.route, entry.parts)

    def next_due_ms(self):
        """When the next waiting message comes due, or None; what is due already does not count."""
        cdef Waiting* item
        cdef Link* gone
        while self.waiting.length:
            item = &self.waiting.items[0]
            gone = item.chain
            if (<_Entry>gone.owner).place == WAITING:
                return item.due_ms
            item.chain = gone.behind
            Py_DECREF(<object>gone.owner)
            if item.chain == NULL:
                _due_heap.pop(&self.waiting)
        return None

    # -- parked

    def park(self, group):
        """Keep a group's messages in the line, but do not pop them until `unpark`."""
        self.parked.add(group)
        self._set_parked(group, True)

    def unpark(self, group):
        """Let a parked group take its turns again."""
        self.parked.discard(group)
        self._set_parked(group, False)

    cdef int _set_parked(self, name, bint is_parked) except -1:
        cdef _Group group
        cdef int route
        for lane in self.groups:
            group = <_Group>(<dict>lane).get(name)
            if group is None or group.parked == is_parked:
                continue
            group.parked = is_parked
            for route in range(CLASSES):
                if group.files[route].parts:
                    self._add(group.lane, route, -group.files[route].parts if is_parked else group.files[route].parts)
            if is_parked:
                self._unlist(group)
            else:
                self._list(group)
        return 0
