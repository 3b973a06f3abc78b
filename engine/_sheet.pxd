from libc.stdint cimport uint8_t, uint64_t


cdef struct Span:
    const uint8_t* at
    Py_ssize_t length


cdef struct Row:
    uint64_t number
    Span reference
    Span language
    int given  # values, in the order of the columns
    const uint8_t* values  # `given` lengths plus one, 0 for none, each with its octets


cdef struct Walk:
    const uint8_t* at
    const uint8_t* end  # one past the last row
    int left


cdef int begin_walk(const uint8_t* octets, Py_ssize_t length, Walk* walk) except -1
cdef bint next_row(Walk* walk, Row* row) except -1


cdef class Sheet:
    cdef readonly int rows
    cdef uint8_t* octets
    cdef Py_ssize_t used
    cdef Py_ssize_t room
    cdef list names
    cdef Py_ssize_t names_octets

    cdef bint add(
        self, uint64_t number, Span reference, Span language, int count, const Span* names, const Span* values
    ) except -1
    cdef int column(self, Span name, int expected) except -2
    cdef int make_room(self, Py_ssize_t octets) except -1
