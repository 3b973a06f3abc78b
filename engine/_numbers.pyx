"""Numbers that are plain E.164 already, a plus sign and digits, told from all that need a library.

Owns one promise: what is accepted here is accepted by `phonenumbers` too, which gives the same digits back.  The
other way about there is none: a number that is refused here may be a good one, and the library decides.  The table is
in _number_lengths.pxd, which tools/numbers.py writes.  Knows nothing of other ways to write a number.
"""

from cpython cimport array
from cpython.unicode cimport PyUnicode_CheckExact, PyUnicode_DATA, PyUnicode_GET_LENGTH, PyUnicode_KIND
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t

from engine._number_lengths cimport NUMBERS_VERSION, number_steps

cdef enum:
    LEAST_DIGITS = 5  # none of the table's lengths is shorter
    MOST_DIGITS = 15  # ITU-T E.164, and the bits of an entry
    MOST_WRITTEN = 41  # of engine/numbers.py, with the plus sign

cdef array.array KEYS = array.array("Q")

METADATA_VERSION = NUMBERS_VERSION.decode("ascii")


cdef int64_t key_of(const uint8_t* text, Py_ssize_t length) noexcept nogil:
    """The digits of `text`, plus sign and all `length` octets of it, as an integer; 0 where the library must decide.

    `text` need not be ASCII, nor end with a zero.
    """
    cdef int64_t key = 0
    cdef uint16_t entry = 0
    cdef uint8_t digit
    cdef Py_ssize_t i
    if length <= LEAST_DIGITS or length > 1 + MOST_DIGITS or text[0] != c"+":
        return 0
    for i in range(1, length):
        digit = <uint8_t>(text[i] - c"0")
        if digit > 9:
            return 0
        key = 10 * key + digit
        # An odd entry is an end, and stands whatever follows; an even one is twice the number of the next node.
        if not entry & 1:
            entry = number_steps[5 * entry + digit]
            if entry == 0:
                return 0
    if entry & 1 and entry >> (length - 1) & 1:
        return key
    return 0


cdef int64_t key_of_spaced(const uint8_t* text, Py_ssize_t length) noexcept nogil:
    """`key_of` without the separators that people put between digits; 0 where the library must decide.

    The library, too, throws them away before it looks at anything but the plus sign: 30 us less for +44 20 7946 0958.
    """
    cdef uint8_t digits[1 + MOST_DIGITS]
    cdef int count = 0
    cdef Py_ssize_t i
    if length > MOST_WRITTEN or length == 0 or text[0] != c"+" or <uint8_t>(text[length - 1] - c"0") > 9:
        return 0
    for i in range(length):
        if text[i] in (c" ", c"-", c".", c"/", c"(", c")"):
            continue
        if count > MOST_DIGITS:
            return 0
        digits[count] = text[i]
        count += 1
    return key_of(digits, count)


cdef inline int64_t key_of_text(object text) noexcept:
    """`key_of` for a str of any width; 0 for everything else."""
    if not PyUnicode_CheckExact(text) or PyUnicode_KIND(text) != 1:
        return 0
    return key_of(<const uint8_t*>PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text))


def plain(text):
    """Whether `text` is a possible number in E.164 as it stands; False is not final, for the library knows more."""
    return key_of_text(text) != 0


def key(text):
    """The digits of what is `plain` as an integer; 0 of all else."""
    return key_of_text(text)


def keys(texts):
    """`key` of each, 64 bits wide, in an array."""
    cdef list found = list(texts)
    cdef array.array out = array.clone(KEYS, len(found), False)
    cdef Py_ssize_t i
    for i in range(len(found)):
        out.data.as_ulonglongs[i] = <uint64_t>key_of_text(found[i])
    return out
