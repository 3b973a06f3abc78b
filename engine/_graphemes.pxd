from libc.stdint cimport uint8_t


cdef inline bint is_usual(Py_UCS4 character) noexcept nogil:
    """Whether `character` is of the class Other by its range alone.

    ASCII, Latin, Greek and Cyrillic letters, the ideographs and kana of daily use.  Not all of that class.
    """
    if character < 0x300:
        return 0x20 <= character <= 0x7E or character >= 0xC0
    return 0x370 <= character <= 0x482 or 0x3400 <= character <= 0xA66E or 0x309B <= character <= 0x3296


cdef bint joins(Py_UCS4 before, Py_UCS4 after) noexcept nogil
cdef void mark(int kind, const void* characters, Py_ssize_t length, uint8_t* begins) noexcept nogil


cpdef inline bint may_join(Py_UCS4 before, Py_UCS4 after) noexcept nogil:
    """False only where a cluster begins at `after`, whatever stands before the two."""
    if is_usual(before) and is_usual(after):
        return False
    return joins(before, after)
