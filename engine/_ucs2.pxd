from libc.stdint cimport uint8_t, uint16_t


cdef Py_ssize_t spread(
    int kind, const void* characters, Py_ssize_t length, uint16_t* units, Py_ssize_t room, Py_ssize_t* count
) noexcept nogil
cdef void write(const uint16_t* units, Py_ssize_t count, uint8_t* octets) noexcept nogil
cdef bint is_broken(const uint8_t* octets, Py_ssize_t count) noexcept nogil
cdef str read(const uint8_t* octets, Py_ssize_t count)


cdef inline bint is_high(uint16_t unit) noexcept nogil:
    """Whether a code unit is the first half of a surrogate pair."""
    return unit & 0xFC00 == 0xD800


cdef inline bint is_low(uint16_t unit) noexcept nogil:
    """Whether a code unit is the second half of a surrogate pair."""
    return unit & 0xFC00 == 0xDC00
