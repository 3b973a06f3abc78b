# distutils: language = c++
"""The due line in memory: which message goes next.

Lanes come first, highest (0) to lowest; within a lane, groups share by weight, counted in parts, by deficit round
robin (Shreedhar and Varghese 1995); within a group, first due, first out.  A message that is not due yet waits in a
heap.  Knows no clock: `now_ms` is an argument.  Knows no message but its id.
"""

cimport cython
from libc.stdint cimport int64_t, uint64_t
from libcpp.deque cimport deque
from libcpp.pair cimport pair
from libcpp.queue cimport priority_queue
from libcpp.unordered_map cimport unordered_map
from libcpp.unordered_set cimport unordered_set
from libcpp.vector cimport vector

cdef enum:
    LANES = 4
    # Parts a group of weight 1 may send each round.  A message larger than that saves up over rounds.
    QUANTUM = 4

cdef struct Entry:
    uint64_t group
    int64_t due_ms
    int parts
    int weight
    int lane
    # Whether it has come due and stands in its group.
    bint ripe
    # Tells an entry from an older one with the same id that still stands in a heap or deque.
    uint64_t serial

cdef struct Place:
    uint64_t id
    uint64_t serial

cdef struct Group:
    deque[Place] ready
    int64_t deficit
    int weight
    bint listed

ctypedef pair[int64_t, uint64_t] Waiting


@cython.final
cdef class DueLine:
    """Messages that may go now or later; each id stands in it at most once."""

    cdef unordered_map[uint64_t, Entry] entries
    # By lane.  Vectors, since Cython constructs C++ attributes but not the elements of C arrays of them.
    cdef vector[unordered_map[uint64_t, Group]] groups
    cdef vector[deque[uint64_t]] turns
    # Keyed by the negative due time, since the C++ queue gives the largest first.
    cdef priority_queue[Waiting] waiting
    cdef unordered_map[uint64_t, uint64_t] serial_of
    cdef unordered_set[uint64_t] parked
    # Parts that have come due, by group.
    cdef unordered_map[uint64_t, int64_t] ripe
    cdef int64_t ripe_parts
    cdef uint64_t serial
    cdef readonly int64_t parts

    def __cinit__(self):
        self.groups.resize(LANES)
        self.turns.resize(LANES)

    def __len__(self):
        return <Py_ssize_t>self.entries.size()

    def __contains__(self, uint64_t identifier):
        return self.entries.count(identifier) > 0

    def push(self, uint64_t identifier, uint64_t group, int lane, int64_t due_ms, int parts, int weight=1):
        """Add a message, or replace the entry that stands for it.

        Raises ValueError for a lane that is none, and for parts or a weight below 1.
        """
        if not 0 <= lane < LANES:
            raise ValueError(f"lane {lane} is none of 0 to {LANES - 1}")
        if parts < 1 or weight < 1:
            raise ValueError(f"parts {parts} and weight {weight} must be 1 or more")
        self._forget(identifier)
        self.serial += 1
        cdef Entry entry
        entry.group = group
        entry.due_ms = due_ms
        entry.parts = parts
        entry.weight = weight
        entry.lane = lane
        entry.ripe = False
        entry.serial = self.serial
        self.entries[identifier] = entry
        self.parts += parts
        self.serial_of[self.serial] = identifier
        self.waiting.push(Waiting(-due_ms, self.serial))

    cdef bint _forget(self, uint64_t identifier) noexcept:
        if self.entries.count(identifier) == 0:
            return False
        cdef Entry entry = self.entries[identifier]
        self.parts -= entry.parts
        if entry.ripe:
            self.ripe_parts -= entry.parts
            self.ripe[entry.group] -= entry.parts
            if self.ripe[entry.group] == 0:
                self.ripe.erase(entry.group)
        self.serial_of.erase(entry.serial)
        self.entries.erase(identifier)
        return True

    def remove(self, uint64_t identifier):
        """Whether the message was in the line."""
        return self._forget(identifier)

    cdef void _ripen(self, int64_t now_ms) noexcept:
        """Move what has come due from the heap into its group."""
        cdef Waiting head
        cdef Entry entry
        cdef Place place
        cdef Group* group
        while not self.waiting.empty() and -self.waiting.top().first <= now_ms:
            head = self.waiting.top()
            self.waiting.pop()
            if self.serial_of.count(head.second) == 0:
                continue
            place.id = self.serial_of[head.second]
            place.serial = head.second
            self.entries[place.id].ripe = True
            entry = self.entries[place.id]
            self.ripe_parts += entry.parts
            self.ripe[entry.group] += entry.parts
            group = &self.groups[entry.lane][entry.group]
            group.weight = entry.weight
            group.ready.push_back(place)
            if not group.listed and self.parked.count(entry.group) == 0:
                group.listed = True
                group.deficit = 0
                self.turns[entry.lane].push_back(entry.group)

    def ready_parts(self, int64_t now_ms):
        """Parts that could go now: those that are due and whose group is not parked."""
        cdef int64_t ready
        cdef uint64_t group
        self._ripen(now_ms)
        ready = self.ripe_parts
        for group in self.parked:
            if self.ripe.count(group):
                ready -= self.ripe[group]
        return ready

    def pop(self, int64_t now_ms, int lowest_lane=LANES - 1):
        """(id, group, lane, parts) of the message that goes next, taken out of the line; None if nothing may go.

        `lowest_lane` asks no lanes below it: 0 for the `otp` lane alone.
        """
        cdef int lane
        cdef uint64_t name
        cdef Group* group
        cdef Place place
        cdef Entry entry
        self._ripen(now_ms)
        for lane in range(min(lowest_lane, LANES - 1) + 1):
            while not self.turns[lane].empty():
                name = self.turns[lane].front()
                group = &self.groups[lane][name]
                # Entries that were removed or replaced since are skipped here.
                while not group.ready.empty() and self.serial_of.count(group.ready.front().serial) == 0:
                    group.ready.pop_front()
                if group.ready.empty() or self.parked.count(name):
                    self.turns[lane].pop_front()
                    group.listed = False
                    if group.ready.empty():
                        self.groups[lane].erase(name)
                    continue
                place = group.ready.front()
                entry = self.entries[place.id]
                if group.deficit < entry.parts:
                    # Its turn is over: the next round adds its share.
                    group.deficit += <int64_t>QUANTUM * group.weight
                    self.turns[lane].pop_front()
                    self.turns[lane].push_back(name)
                    continue
                group.deficit -= entry.parts
                group.ready.pop_front()
                self._forget(place.id)
                return place.id, entry.group, lane, entry.parts
        return None

    def park(self, uint64_t group):
        """Keep a group's messages in the line, but do not pop them until `unpark`."""
        self.parked.insert(group)

    def unpark(self, uint64_t group):
        """Let a parked group take its turns again."""
        cdef int lane
        if self.parked.erase(group) == 0:
            return
        for lane in range(LANES):
            if self.groups[lane].count(group) and not self.groups[lane][group].listed:
                self.groups[lane][group].listed = True
                self.groups[lane][group].deficit = 0
                self.turns[lane].push_back(group)

    def drop(self, uint64_t group):
        """Take all of a group's messages out of the line; their ids."""
        cdef vector[uint64_t] gone
        cdef pair[uint64_t, Entry] item
        for item in self.entries:
            if item.second.group == group:
                gone.push_back(item.first)
        cdef uint64_t identifier
        for identifier in gone:
            self._forget(identifier)
        return sorted(gone)

    def next_due_ms(self):
        """When the next waiting message comes due, or None; what is due already does not count."""
        while not self.waiting.empty() and self.serial_of.count(self.waiting.top().second) == 0:
            self.waiting.pop()
        return None if self.waiting.empty() else -self.waiting.top().first
