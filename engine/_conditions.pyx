"""Conditions evaluated over records as they are stored: no record becomes an object to be looked at.

A program is a tree in prefix order.  Its answers are three: yes, no, and maybe, where what would decide stands in
another table; `settle` is then given that too.  Missing values make every comparison false.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcmp, memcpy

from engine._documents cimport (
    CONTAINS, EQ, FIELDS_MOST, GE, GT, LE, LT, NE, STARTS, Document, compared, contains, day_bit, entry_of, field_of,
    is_among, is_plain, key_id, open_document, plus,
)
from engine._nodes cimport (
    ALL, ANY, ASK, BITS, COUNT, DAY, EVENTS, FOLDED_MOST, INTEGER, INTEGERS, MAX, MAYBE, MIN, MISSING, NO, NODES_MOST,
    NOT, OF_EVENT, OF_MEMBER, OF_RECORD, SET, SPAN, SUM, TEXT, YES, Node,
)
from engine._walk cimport array, big, integer, is_nil, step, text

OPS = {
    "all": ALL, "any": ANY, "not": NOT, "integer": INTEGER, "integers": INTEGERS, "text": TEXT, "set": SET,
    "missing": MISSING, "bits": BITS, "span": SPAN, "day": DAY, "events": EVENTS, "ask": ASK,
}
COMPARISONS = {"eq": EQ, "ne": NE, "lt": LT, "lte": LE, "gt": GT, "gte": GE, "contains": CONTAINS, "starts": STARTS}
SOURCES = {"record": OF_RECORD, "member": OF_MEMBER, "event": OF_EVENT}
AGGREGATES = {"count": COUNT, "sum": SUM, "min": MIN, "max": MAX}


@cython.final
@cython.auto_pickle(False)
cdef class Program:
    """A condition, compiled.

    `nodes` are tuples (op, source, field, key, comparison, value, slot, operands, aggregate, size), in prefix order.
    `fold` gives a text as it is compared; `bounds_of` gives, for the name of a zone, one pair for each slot: [from,
    until) of a span, or the bits of a window of days in the Gregorian and in the Chinese calendar.  `zone_field` and
    `region_field` say where a record has its zone and its region, `zone_of_region` the zones of regions that have one;
    `house` is the zone of everybody else.  `ask` is asked (number of the question, id) what no table here can tell.
    """

    cdef Node* nodes
    cdef int count
    cdef int64_t* integers
    cdef list texts
    cdef object fold
    cdef object bounds_of
    cdef object ask
    cdef dict zones
    cdef dict zone_of_region
    cdef bytes house
    cdef int zone_field
    cdef int region_field
    cdef int slots
    cdef list kept  # bounds of the zones that were met, by number
    cdef int64_t* bounds
    cdef int zones_most
    # Of the record that is looked at.
    cdef Document record
    cdef Document member
    cdef Document event
    cdef bint has_rest
    cdef bint has_member
    cdef bint broken
    cdef int zone
    cdef uint64_t identifier
    cdef list events
    cdef Py_ssize_t first_event
    cdef Py_ssize_t last_event
    cdef uint8_t folded[FOLDED_MOST]
    cdef bytes folded_long

    def __cinit__(
        self, list nodes not None, int slots, fold, bounds_of, int zone_field, int region_field,
        dict zone_of_region not None, bytes house not None, ask=None,
    ):
        cdef int place
        cdef int total = 0
        cdef list integers = []
        if not 0 < len(nodes) <= NODES_MOST:
            raise ValueError("a program of no nodes, or too many")
        self.count = <int>len(nodes)
        self.slots = slots
        self.fold = fold
        self.bounds_of = bounds_of
        self.zone_field = zone_field
        self.region_field = region_field
        self.zone_of_region = zone_of_region
        self.house = house
        self.ask = ask
        self.zones = {}
        self.texts = []
        self.kept = []
        self.nodes = <Node*>PyMem_Calloc(self.count, sizeof(Node))
        if self.nodes == NULL:
            raise MemoryError
        for place in range(self.count):
            op, source, field, key, comparison, value, slot, operands, aggregate, size = nodes[place]
            node = &self.nodes[place]
            node.op, node.source, node.field, node.key = op, source, field, key
            node.comparison, node.value, node.slot, node.aggregate, node.size = comparison, value, slot, aggregate, size
            if not 0 <= node.field < FIELDS_MOST or not 0 < node.size <= self.count - place:
                raise ValueError(f"node {place} is none")
            if not 0 <= node.slot < max(slots, 1):
                raise ValueError(f"node {place} has no slot")
            node.operands = <int>len(operands)
            if op == TEXT:
                node.first = <int>len(self.texts)
                self.texts.extend(operands)
            else:
                node.first = <int>len(integers)
                integers.extend(operands)
        if self.nodes[0].size != self.count:
            raise ValueError("more than one tree")
        total = <int>len(integers)
        self.integers = <int64_t*>PyMem_Calloc(max(total, 1), sizeof(int64_t))
        if self.integers == NULL:
            raise MemoryError
        for place in range(total):
            self.integers[place] = integers[place]
        for operand in self.texts:
            if type(operand) is not bytes:
                raise TypeError("operands of texts are octets")

    def __dealloc__(self):
        PyMem_Free(self.nodes)
        PyMem_Free(self.integers)
        PyMem_Free(self.bounds)

    # -- zones

    cdef int zone_now(self) except -1:
        """The number of the record's zone."""
        cdef const uint8_t* at
        cdef const uint8_t* name
        cdef uint32_t octets = 0
        cdef int64_t region = 0
        cdef object found
        if self.zone >= 0:
            return self.zone
        at = field_of(&self.record, self.zone_field, &self.broken)
        name = NULL if at == NULL else text(at, self.record.end, &octets)
        if name != NULL and octets:
            found = name[:octets]
        else:
            found = None
            at = field_of(&self.record, self.region_field, &self.broken)
            if self.zone_of_region and at != NULL and integer(at, self.record.end, &region) and region:
                found = self.zone_of_region.get(region)
            if found is None:
                found = self.house
        number = self.zones.get(found)
        if number is None:
            number = self.meet(found)
        self.zone = number
        return self.zone

    cdef int64_t* bounds_now(self, int64_t slot) except NULL:
        """The pair that a slot has in the record's zone."""
        cdef int number = self.zone_now()
        return self.bounds + (number * self.slots + slot) * 2

    cdef object meet(self, bytes name):
        cdef tuple pairs = tuple(self.bounds_of(name))
        cdef int number = <int>len(self.kept)
        cdef int64_t* grown
        cdef int slot
        cdef object low, high
        if len(pairs) != self.slots:
            raise ValueError("not one pair for each slot")
        if number == self.zones_most:
            grown = <int64_t*>PyMem_Calloc(max(2 * self.zones_most, 4) * max(self.slots, 1) * 2, sizeof(int64_t))
            if grown == NULL:
                raise MemoryError
            if self.bounds != NULL:
                memcpy(grown, self.bounds, number * self.slots * 2 * sizeof(int64_t))
                PyMem_Free(self.bounds)
            self.bounds = grown
            self.zones_most = max(2 * self.zones_most, 4)
        for slot in range(self.slots):
            low, high = pairs[slot]
            at = (number * self.slots + slot) * 2
            if type(low) is bytes:
                if len(low) < 47 or len(high) < 90:
                    raise ValueError("a window of days is too short")
                self.bounds[at] = <int64_t><uintptr_t>PyBytes_AS_STRING(low)
                self.bounds[at + 1] = <int64_t><uintptr_t>PyBytes_AS_STRING(high)
            else:
                self.bounds[at] = low
                self.bounds[at + 1] = high
        self.kept.append(pairs)
        self.zones[name] = number
        return number

    # -- one record

    cdef const uint8_t* value_of(self, Node* node, const uint8_t** end) noexcept:
        """Where the value begins that a node asks for; NULL where it is missing."""
        cdef Document* doc = &self.record
        cdef const uint8_t* at
        if node.source == OF_MEMBER:
            doc = &self.member
        elif node.source == OF_EVENT:
            doc = &self.event
        at = field_of(doc, node.field, &self.broken)
        end[0] = doc.end
        if at != NULL and node.key >= 0:
            at = entry_of(at, doc.end, node.key, &self.broken)
        return NULL if at == NULL or is_nil(at) else at

    cdef int holds(self, int place) except -1:
        """YES, NO or MAYBE."""
        cdef Node* node = &self.nodes[place]
        cdef int below = place + 1
        cdef int last = place + node.size
        cdef int answer, told
        if node.op == ALL:
            answer = YES
            while below < last:
                told = self.holds(below)
                if told == NO:
                    return NO
                if told == MAYBE:
                    answer = MAYBE
                below += self.nodes[below].size
            return answer
        if node.op == ANY:
            answer = NO
            while below < last:
                told = self.holds(below)
                if told == YES:
                    return YES
                if told == MAYBE:
                    answer = MAYBE
                below += self.nodes[below].size
            return answer
        if node.op == NOT:
            told = self.holds(below)
            return MAYBE if told == MAYBE else YES - told
        if node.op == EVENTS:
            return self.happened(node, below, last) if self.has_rest else MAYBE
        if node.op == ASK:
            if not self.has_rest:
                return MAYBE
            return YES if self.ask(node.value, self.identifier) else NO
        if node.source == OF_MEMBER:
            if not self.has_rest:
                return MAYBE
            if not self.has_member:
                return YES if node.op == MISSING else NO
        return YES if self.leaf(node) else NO

    cdef int leaf(self, Node* node) except -1:
        cdef const uint8_t* end = NULL
        cdef const uint8_t* at = self.value_of(node, &end)
        cdef uint32_t count = 0
        cdef int64_t value = 0
        cdef int64_t* bounds
        if node.op == SET or node.op == MISSING:
            return (at != NULL and not self.is_empty(node, at)) == (node.op == SET)
        if at == NULL:
            return False
        if node.op == TEXT:
            if at[0] & 0xf0 != 0x90 and at[0] != 0xdc and at[0] != 0xdd:
                return self.is_text(node, at, end)
            at = array(at, end, &count)
            for _ in range(count):
                if at == NULL or at >= end:
                    self.broken = True
                    return False
                # A list is unlike a text where none of its entries is like it, and like it where one is.
                if self.is_text(node, at, end) != (node.comparison == NE):
                    return node.comparison != NE
                at = step(at, end)
            return count and node.comparison == NE
        if node.op == INTEGERS:
            if at[0] & 0xf0 == 0x90 or at[0] == 0xdc or at[0] == 0xdd:
                at = array(at, end, &count)
                for _ in range(count):
                    if at == NULL or not integer(at, end, &value):
                        break
                    if is_among(self.integers + node.first, node.operands, value):
                        return True
                    at = step(at, end)
                return False
            return integer(at, end, &value) and is_among(self.integers + node.first, node.operands, value)
        if node.op == DAY:
            return self.is_day(node, at, end)
        if at[0] == 0xc2 or at[0] == 0xc3:
            value = at[0] & 1
        elif not integer(at, end, &value):
            return False
        if node.op == INTEGER:
            return compared(value, node.comparison, node.value)
        if node.op == BITS:
            return (value & node.value) == node.value
        if node.op == SPAN:
            # A moment that never was is kept as 0.
            if not value:
                return False
            bounds = self.bounds_now(node.slot)
            return (bounds[0] <= value < bounds[1]) == (node.comparison == EQ)
        return False

    cdef bint is_empty(self, Node* node, const uint8_t* at) noexcept:
        """Whether a value stands for none: an empty text or list, and 0 where the node's value says so."""
        return at[0] == 0xa0 or at[0] == 0x90 or at[0] == 0x80 or (node.value and not at[0])

    cdef int is_day(self, Node* node, const uint8_t* at, const uint8_t* end) except -1:
        """Whether the window holds this day: [calendar, month, day, year, leap], or the number of a date."""
        cdef int calendar = 0
        cdef int bit = day_bit(at, end, &calendar, &self.broken)
        cdef int64_t* bounds
        cdef const uint8_t* bits
        # `value` tells which calendars are asked for: 1 the Gregorian, 2 the Chinese, 3 whichever the day is of.
        if bit < 0 or not node.value >> calendar & 1:
            return False
        bounds = self.bounds_now(node.slot)
        bits = <const uint8_t*><uintptr_t>bounds[calendar]
        return bits[bit >> 3] >> (bit & 7) & 1

    cdef int is_text(self, Node* node, const uint8_t* at, const uint8_t* end) except -1:
        """Whether a text is as the node says, which has folded operands."""
        cdef uint32_t octets = 0
        cdef const uint8_t* said = text(at, end, &octets)
        cdef const uint8_t* sought
        cdef Py_ssize_t length, mine
        cdef uint32_t place
        cdef int operand
        cdef bint is_same = False
        if said == NULL or not octets:
            return False
        mine = octets
        if octets <= FOLDED_MOST and is_plain(said, octets):
            for place in range(octets):
                self.folded[place] = said[place] | 0x20 if 0x41 <= said[place] <= 0x5a else said[place]
            said = self.folded
        else:
            self.folded_long = self.fold(said[:octets].decode("utf-8", "replace")).encode("utf-8", "replace")
            said = <const uint8_t*>PyBytes_AS_STRING(self.folded_long)
            mine = PyBytes_GET_SIZE(self.folded_long)
        for operand in range(node.first, node.first + node.operands):
            sought = <const uint8_t*>PyBytes_AS_STRING(self.texts[operand])
            length = PyBytes_GET_SIZE(self.texts[operand])
            if node.comparison == CONTAINS:
                is_same = contains(said, mine, sought, length)
            elif node.comparison == STARTS:
                is_same = length <= mine and not memcmp(said, sought, <size_t>length)
            else:
                is_same = length == mine and not memcmp(said, sought, <size_t>length)
            if is_same:
                break
        return is_same != (node.comparison == NE)

    cdef int happened(self, Node* node, int below, int last) except -1:
        """What the events of a kind, within the time and of which the tree below is true, amount to."""
        cdef Py_ssize_t place
        cdef int64_t found = 0
        cdef int64_t total = 0
        cdef int64_t at_ms = 0
        cdef int64_t amount = 0
        cdef int64_t low, high
        cdef uint32_t count = 0
        cdef const uint8_t* at
        cdef const uint8_t* end
        cdef const uint8_t* start
        cdef const uint8_t* value
        cdef bint any_amount = False
        cdef bytes key, octets
        cdef int64_t* bounds = self.bounds_now(node.slot)
        low, high = bounds[0], bounds[1]
        for place in range(self.first_event, self.last_event):
            key, octets = self.events[place]
            if PyBytes_GET_SIZE(key) < 9 or <uint8_t>PyBytes_AS_STRING(key)[8] != node.value:
                continue
            at = <const uint8_t*>PyBytes_AS_STRING(octets)
            end = at + PyBytes_GET_SIZE(octets)
            at = array(at + 1, end, &count) if end - at > 1 else NULL
            for _ in range(count):
                start = at
                at = NULL if at == NULL else step(at, end)
                if at == NULL or not open_document(&self.event, start, at):
                    self.broken = True
                    return NO
                value = field_of(&self.event, 0, &self.broken)
                if value == NULL or not integer(value, at, &at_ms) or not low <= at_ms < high:
                    continue
                if below < last and self.holds(below) != YES:
                    continue
                found += 1
                if node.aggregate == COUNT:
                    continue
                value = field_of(&self.event, node.field, &self.broken)
                if value == NULL or not integer(value, at, &amount):
                    continue
                if node.aggregate == SUM:
                    total = plus(total, amount)
                elif not any_amount or (amount < total) == (node.aggregate == MIN):
                    total = amount
                any_amount = True
        if node.aggregate == COUNT:
            total = found
        elif node.aggregate != SUM and not any_amount:
            return NO
        return YES if compared(total, node.comparison, self.integers[node.first]) else NO

    # -- many

    cdef int begin(self, bytes key, bytes octets) except -1:
        """Look at another record.  Raises ValueError where it is none."""
        cdef const uint8_t* at = <const uint8_t*>PyBytes_AS_STRING(octets)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(octets)
        self.zone = -1
        self.broken = False
        if PyBytes_GET_SIZE(key) < 8 or length < 2 or not open_document(&self.record, at + 1, at + length):
            raise ValueError("no record")
        self.identifier = big(<const uint8_t*>PyBytes_AS_STRING(key), 8)
        return 0

    cdef bint open_member(self, bytes octets) noexcept:
        cdef const uint8_t* at = <const uint8_t*>PyBytes_AS_STRING(octets)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(octets)
        return length > 1 and open_document(&self.member, at + 1, at + length)

    def sift(self, list items not None):
        """([ids of which it is true], [places of which more must be known]) of [(key, record)].

        Raises ValueError naming the place of one that is no record.
        """
        cdef list true = []
        cdef list open_ = []
        cdef Py_ssize_t place
        cdef int told
        self.has_rest = False
        for place in range(len(items)):
            key, octets = items[place]
            self.begin(key, octets)
            told = self.holds(0)
            if self.broken:
                raise ValueError(place)
            if told == YES:
                true.append(self.identifier)
            elif told == MAYBE:
                open_.append(place)
        return true, open_

    def settle(self, list items not None, list places not None, list members not None, list events not None):
        """[ids of which it is true] of the records at `places`, with what else is known of them.

        `members` are (key, record) by the customer's id, `events` ((id, kind, …), packed events); both in order, and
        with all there is of those records.  Raises ValueError naming the place of one that is no record.
        """
        cdef list true = []
        cdef Py_ssize_t place
        cdef Py_ssize_t at_member = 0
        cdef Py_ssize_t at_event = 0
        cdef Py_ssize_t members_count = len(members)
        cdef Py_ssize_t events_count = len(events)
        cdef bytes record
        cdef int told
        self.has_rest = True
        self.events = events
        for place in places:
            key, octets = items[place]
            self.begin(key, octets)
            while at_member < members_count and key_id(members[at_member][0]) < self.identifier:
                at_member += 1
            self.has_member = at_member < members_count and key_id(members[at_member][0]) == self.identifier
            if self.has_member:
                record = members[at_member][1]
                if not self.open_member(record):
                    raise ValueError(place)
            while at_event < events_count and key_id(events[at_event][0]) < self.identifier:
                at_event += 1
            self.first_event = at_event
            while at_event < events_count and key_id(events[at_event][0]) == self.identifier:
                at_event += 1
            self.last_event = at_event
            told = self.holds(0)
            if self.broken:
                raise ValueError(place)
            if told == YES:
                true.append(self.identifier)
        return true
