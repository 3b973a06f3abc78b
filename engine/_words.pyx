"""Words of many names in order, each with who is called by it.

Owns one promise: they are those of engine/crm/people/words.py, with their keys.  Names in ASCII and Han, which no
compatibility form changes, are read here; all others are somebody else's.  Knows no store; what is sorted is sorted
without the interpreter, best in a thread of its own.
"""

cimport cython
from cpython cimport array
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.unicode cimport PyUnicode_DATA, PyUnicode_GET_LENGTH, PyUnicode_KIND, PyUnicode_READ
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from engine._pair_page cimport Pair, load_high, store_high
from engine._runs cimport sort

cdef enum:
    ID = 8  # octets
    # Of engine/crm/people/words.py, but for the longest name, which is that of customers.
    KEY_OCTETS = 16
    WORDS_MOST = 12
    GIVEN_NAMES_LONGEST = 3
    NAME_LONGEST = 200
    HAN_FIRST = 0x4E00
    HAN_LAST = 0x9FFF

cdef bytes NOTHING = b""

cdef struct Word:  # As the index has it, and whose it is.
    uint64_t head
    uint64_t tail
    uint64_t at


cdef inline bint is_letter(uint16_t code) noexcept nogil:
    return (
        c"a" <= code <= c"z" or c"0" <= code <= c"9" or code == c"_" or code >= HAN_FIRST
    )


def unusual(list names not None):
    """Places of names that have more in them than Han, visible ASCII and single spaces between, or are longer than any.

    All others are as cleaning would leave them.
    """
    cdef list found = []
    cdef Py_ssize_t place
    for place in range(len(names)):
        if not is_usual(<str?>names[place]):
            found.append(place)
    return found


cdef bint is_usual(str name):
    cdef Py_ssize_t length = PyUnicode_GET_LENGTH(name)
    cdef int kind = PyUnicode_KIND(name)
    cdef void* data = PyUnicode_DATA(name)
    cdef bint is_space = True
    cdef uint32_t code
    cdef Py_ssize_t i
    if length > NAME_LONGEST:
        return False
    for i in range(length):
        code = PyUnicode_READ(kind, data, i)
        if code == c" " and is_space or not (c" " <= code <= c"~" or HAN_FIRST <= code <= HAN_LAST):
            return False
        is_space = code == c" "
    return not is_space or length == 0


@cython.final
@cython.auto_pickle(False)
cdef class Words:
    """Words of names, with who is called by them; `gather` all, in order, `sort`, then ask for `items`."""

    cdef Word* words
    cdef Pair* room
    cdef Pair* order
    cdef Py_ssize_t count
    cdef Py_ssize_t size

    def __dealloc__(self):
        PyMem_Free(self.words)
        PyMem_Free(self.room)

    def __len__(self):
        return self.count

    def gather(
        self, list names not None, array.array places not None, Py_ssize_t first, Py_ssize_t behind, set gone not None,
        keys_of,
    ):
        """Take the words of newcomers `first` to `behind`, but for those in `gone`: each comes once, in order.

        The name of newcomer `at` is the one at `places[at]`.  `keys_of` gives the keys of a name that has more than
        ASCII and Han in it.
        """
        cdef Py_ssize_t at
        cdef Py_ssize_t place
        cdef bytes key
        if not 0 <= first <= behind <= len(places) or places.typecode != "I":
            raise ValueError(f"there are no newcomers {first} to {behind}")
        for at in range(first, behind):
            place = places.data.as_uints[at]
            if place >= len(names):
                raise ValueError(f"there is no name {place}")
            if gone and at in gone or self.take(<str?>names[place], at):
                continue
            for key in keys_of(names[place]):
                if len(key) != KEY_OCTETS:
                    raise ValueError(f"a key has {KEY_OCTETS} octets, not {len(key)}")
                self.put(<const uint8_t*>PyBytes_AS_STRING(key), at)

    cdef int put(self, const uint8_t* key, uint64_t at) except -1:
        cdef Py_ssize_t size = self.size
        cdef void* grown
        if self.count == size:
            size = max(1024, size + size // 2)
            grown = PyMem_Realloc(self.words, size * sizeof(Word))
            if grown == NULL:
                raise MemoryError
            self.words = <Word*>grown
            self.size = size
        self.words[self.count].head = load_high(key)
        self.words[self.count].tail = load_high(key + 8)
        self.words[self.count].at = at
        self.count += 1
        return 0

    cdef bint take(self, str name, uint64_t at) except -1:
        """Whether the name was plain enough for its words to be told here."""
        cdef uint16_t folded[NAME_LONGEST]
        cdef Py_ssize_t begins[WORDS_MOST + GIVEN_NAMES_LONGEST]
        cdef Py_ssize_t ends[WORDS_MOST + GIVEN_NAMES_LONGEST]
        cdef Py_ssize_t length = PyUnicode_GET_LENGTH(name)
        cdef int kind = PyUnicode_KIND(name)
        cdef void* data = PyUnicode_DATA(name)
        cdef uint8_t key[KEY_OCTETS]
        cdef Py_ssize_t i = 0
        cdef Py_ssize_t begin
        cdef Py_ssize_t start
        cdef int count = 0
        cdef int word
        cdef uint32_t code
        if length > NAME_LONGEST or kind > 2:
            return False
        for i in range(length):
            code = PyUnicode_READ(kind, data, i)
            if code >= 0x80 and not HAN_FIRST <= code <= HAN_LAST:
                return False
            folded[i] = <uint16_t>(code + 32 if c"A" <= code <= c"Z" else code)
        i = 0
        while i < length and count < WORDS_MOST:
            if not is_letter(folded[i]):
                i += 1
                continue
            begin = i
            while i < length and is_letter(folded[i]):
                i += 1
            count = distinct(folded, begins, ends, count, begin, i)
            if folded[begin] >= HAN_FIRST:
                for start in range(begin + 1, begin + min(i - begin, GIVEN_NAMES_LONGEST)):
                    count = distinct(folded, begins, ends, count, start, i)
        for word in range(min(count, WORDS_MOST)):
            write_key(folded + begins[word], ends[word] - begins[word], key)
            self.put(key, at)
        return True

    def sort(self):
        """Put them in order.  Nothing else may be asked of it meanwhile.  Raises MemoryError."""
        cdef Py_ssize_t i
        cdef Py_ssize_t behind
        cdef Pair* spare
        PyMem_Free(self.room)
        self.room = self.order = <Pair*>PyMem_Malloc(max(1, 2 * self.count) * sizeof(Pair))
        if self.room == NULL:
            raise MemoryError
        with nogil:
            for i in range(self.count):
                self.order[i].key = self.words[i].head
                self.order[i].turned = i
            self.order = sort(self.room, self.room + self.count, self.count)
            spare = self.room + self.count if self.order == self.room else self.room
            # Those with the same beginning by what follows: few are as long.
            i = 0
            while i < self.count:
                behind = i + 1
                while behind < self.count and self.order[behind].key == self.order[i].key:
                    behind += 1
                self.sort_tails(i, behind, spare)
                i = behind

    cdef void sort_tails(self, Py_ssize_t first, Py_ssize_t behind, Pair* spare) noexcept nogil:
        cdef uint64_t strange = 0
        cdef Py_ssize_t i
        cdef Pair* found
        for i in range(first, behind):
            strange |= self.words[self.order[i].turned].tail
        if not strange or behind - first == 1:
            return
        for i in range(first, behind):
            self.order[i].key = self.words[self.order[i].turned].tail
        found = sort(self.order + first, spare, behind - first)
        if found != self.order + first:
            memcpy(self.order + first, found, (behind - first) * sizeof(Pair))

    def items(self, Py_ssize_t first, Py_ssize_t behind, uint64_t first_id):
        """Entries of words `first` to `behind` of the order, made when they are asked for.

        Newcomer `at` has the id `first_id + at`.
        """
        cdef uint8_t octets[KEY_OCTETS + ID]
        cdef Py_ssize_t i
        cdef Word* word
        if self.order == NULL or not 0 <= first <= behind <= self.count:
            raise ValueError(f"there are no words {first} to {behind}")
        for i in range(first, behind):
            word = &self.words[self.order[i].turned]
            store_high(word.head, octets)
            store_high(word.tail, octets + 8)
            store_high(first_id + word.at, octets + KEY_OCTETS)
            yield PyBytes_FromStringAndSize(<const char*>octets, KEY_OCTETS + ID), NOTHING


cdef int distinct(
    const uint16_t* folded, Py_ssize_t* begins, Py_ssize_t* ends, int count, Py_ssize_t begin, Py_ssize_t end
) noexcept nogil:
    """How many words there are with this one, unless it is there already."""
    cdef int i
    for i in range(count):
        if ends[i] - begins[i] == end - begin and not memcmp(folded + begins[i], folded + begin, 2 * (end - begin)):
            return count
    begins[count] = begin
    ends[count] = end
    return count + 1


cdef void write_key(const uint16_t* word, Py_ssize_t length, uint8_t* key) noexcept nogil:
    """The word's octets in UTF-8, cut between characters, filled with zeros."""
    cdef int used = 0
    cdef Py_ssize_t i
    memset(key, 0, KEY_OCTETS)
    for i in range(length):
        if word[i] < 0x80:
            if used == KEY_OCTETS:
                return
            key[used] = <uint8_t>word[i]
            used += 1
        elif used + 3 > KEY_OCTETS:
            return
        else:
            key[used] = <uint8_t>(0xE0 | word[i] >> 12)
            key[used + 1] = <uint8_t>(0x80 | (word[i] >> 6 & 0x3F))
            key[used + 2] = <uint8_t>(0x80 | (word[i] & 0x3F))
            used += 3
