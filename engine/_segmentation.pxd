from engine._octets cimport Writer


cdef enum:
    GSM7 = 0
    OCTETS = 1
    UCS2 = 2


cdef struct Plan:
    # The text as CPython holds it; the caller keeps the str alive.
    int kind
    const void* characters
    Py_ssize_t length
    int alphabet
    Py_ssize_t units  # septets or code units of the whole text, headers not counted
    int parts
    int room  # units left in the last part
    Py_ssize_t forced_at  # the first character that GSM 7-bit does not have, where that decided; else -1


cdef int plan(str text, str alphabet, Plan* out) except -1
cdef Py_ssize_t write_part(
    const Plan* planned, Py_ssize_t begin, int sequence, int concatenation, Writer* out
) noexcept nogil
