from libc.stdint cimport uint8_t


cdef enum:
    ESCAPE = 0x1B
    LONGEST = 304  # septets that are read at once: 255 octets, the longest that a length can say


cdef Py_ssize_t spread(
    int kind,
    const void* characters,
    Py_ssize_t length,
    int single,
    int locking,
    uint8_t* septets,
    Py_ssize_t room,
    Py_ssize_t* count,
) noexcept nogil
cdef Py_UCS4 character(int septet, bint escaped, int single, int locking) noexcept nogil
cdef void pack_septets(const uint8_t* septets, int count, int fill_bits, uint8_t* octets) noexcept nogil
cdef void unpack_septets(const uint8_t* octets, int first_bit, int count, uint8_t* septets) noexcept nogil
cdef str text_of(const uint8_t* septets, Py_ssize_t count, int single, int locking)
cdef str read(const uint8_t* octets, int first_bit, int count)
cdef int check_languages(int single, int locking) except -1
