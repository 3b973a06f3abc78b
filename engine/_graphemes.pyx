"""Extended grapheme clusters (UAX #29): what a reader takes for one character, and a cut must not halve.

Owns the rules GB3 to GB999, of the Unicode version that `UNICODE_VERSION` names; the classes they speak of are
in _grapheme_classes.pxd, which tools/graphemes.py writes.  Knows nothing of alphabets, parts or phones.

Every rule but three looks at two neighbours.  The three look back as well: a flag is every second regional
indicator (GB12, GB13), an emoji is joined to the emoji before the joiner (GB11), an Indic consonant to the
virama before its marks (GB9c).  Each is one fact carried along, so a text is marked in one pass.

A lone surrogate is of the class Other, as `regex` has it: nothing is encoded of a text that holds one.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.unicode cimport PyUnicode_DATA, PyUnicode_KIND
from libc.stdint cimport uint8_t, uint32_t

from engine._grapheme_classes cimport GRAPHEME_UNICODE, grapheme_blocks, grapheme_letters

cdef extern from "Python.h":
    # cpython.unicode declares it without nogil, though it is a macro over plain memory.
    Py_UCS4 PyUnicode_READ(int kind, const void* characters, Py_ssize_t index) noexcept nogil

cdef enum:  # the five low bits of the letters in _grapheme_classes.pxd
    SYLLABLE_LV = c"A" & 31
    SYLLABLE_LVT = c"B" & 31
    CONTROL = c"C" & 31
    EXTEND_APART = c"D" & 31  # Extend, but InCB is None: U+200C keeps a virama from the next consonant
    EXTEND = c"E" & 31
    FLAG = c"F" & 31  # Regional_Indicator
    CONSONANT = c"I" & 31
    VIRAMA = c"K" & 31  # InCB is Linker, and the class Extend
    JAMO_L = c"L" & 31
    LF = c"N" & 31
    PREPEND = c"P" & 31
    LINKER = c"Q" & 31  # InCB is Linker, and the class Other
    CR = c"R" & 31
    SPACING_MARK = c"S" & 31
    JAMO_T = c"T" & 31
    JAMO_V = c"V" & 31
    PICTURE = c"X" & 31  # Extended_Pictographic
    JOINER = c"Z" & 31  # U+200D
    OTHER = c"_" & 31

cdef enum:  # sets of classes, a bit each
    MARKS = 1 << EXTEND | 1 << EXTEND_APART | 1 << VIRAMA
    TRAILING = MARKS | 1 << JOINER | 1 << SPACING_MARK  # GB9, GB9a
    LINKERS = 1 << VIRAMA | 1 << LINKER
    BEFORE_CONSONANT = LINKERS | 1 << EXTEND | 1 << JOINER
    CONTROLS = 1 << CONTROL | 1 << CR | 1 << LF

UNICODE_VERSION = GRAPHEME_UNICODE.decode("ascii")


cdef inline int class_of(Py_UCS4 character) noexcept nogil:
    """One of the classes above."""
    cdef uint32_t code = character
    if is_usual(character):
        return OTHER
    if 0xAC00 <= code <= 0xD7A3:  # 28 to a vowel, of which the first has no final consonant
        return SYLLABLE_LV if (code - 0xAC00) % 28 == 0 else SYLLABLE_LVT
    if code >= 0x20000:
        if not 0xE0000 <= code <= 0xE0FFF:
            return OTHER
        code -= 0xC0000
    return grapheme_letters[grapheme_blocks[code >> 6] << 6 | code & 63] & 31


cdef inline uint32_t always_after(int before) noexcept nogil:
    """The classes that go on with the cluster of a `before`, whatever stands before it."""
    if before == CR:
        return 1 << LF  # GB3
    if before == CONTROL or before == LF:
        return 0  # GB4
    if before == JAMO_L:
        return TRAILING | 1 << JAMO_L | 1 << JAMO_V | 1 << SYLLABLE_LV | 1 << SYLLABLE_LVT  # GB6
    if before == JAMO_V or before == SYLLABLE_LV:
        return TRAILING | 1 << JAMO_V | 1 << JAMO_T  # GB7
    if before == JAMO_T or before == SYLLABLE_LVT:
        return TRAILING | 1 << JAMO_T  # GB8
    if before == PREPEND:
        return ~<uint32_t>CONTROLS  # GB9b, after GB5
    return TRAILING


cdef bint joins(Py_UCS4 before, Py_UCS4 after) noexcept nogil:
    """`may_join`, for any two."""
    cdef int left = class_of(before)
    cdef int right = class_of(after)
    if always_after(left) >> right & 1:
        return True
    if right == FLAG:
        return left == FLAG
    if right == PICTURE:
        return left == JOINER
    return right == CONSONANT and BEFORE_CONSONANT >> left & 1


cdef void mark(int kind, const void* characters, Py_ssize_t length, uint8_t* begins) noexcept nogil:
    """Set each of `length` octets: 1 where a cluster begins at that character, else 0."""
    cdef Py_ssize_t i
    cdef Py_UCS4 character
    cdef int before = CONTROL  # GB1: as if after a control
    cdef int after
    cdef bint odd_flag = False  # an odd number of regional indicators ends here
    cdef bint pictured = False  # a picture and its marks end here
    cdef bint picture_joined = False  # ... and then a joiner
    cdef bint linked = False  # a virama and its marks end here
    for i in range(length):
        character = PyUnicode_READ(kind, characters, i)
        if is_usual(character):
            begins[i] = before != PREPEND
            before = OTHER
            odd_flag = pictured = picture_joined = linked = False
            continue
        after = class_of(character)
        begins[i] = not (
            always_after(before) >> after & 1
            or after == FLAG and odd_flag
            or after == PICTURE and picture_joined
            or after == CONSONANT and linked
        )
        odd_flag = after == FLAG and not odd_flag
        picture_joined = after == JOINER and pictured
        pictured = after == PICTURE or pictured and MARKS >> after & 1
        linked = LINKERS >> after & 1 or linked and (after == EXTEND or after == JOINER)
        before = after


def clusters(str text not None):
    """The clusters of `text`, which joined are `text`."""
    cdef Py_ssize_t length = len(text)
    cdef Py_ssize_t begin = 0
    cdef Py_ssize_t i
    begins = bytearray(length)
    cdef const uint8_t* flags = <const uint8_t*>PyByteArray_AS_STRING(begins)
    mark(PyUnicode_KIND(text), PyUnicode_DATA(text), length, <uint8_t*>flags)
    found = []
    for i in range(1, length + 1):
        if i == length or flags[i]:
            found.append(text[begin:i])
            begin = i
    return found
