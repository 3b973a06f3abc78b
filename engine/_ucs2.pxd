from libc.stdint cimport uint8_t

from engine._octets cimport Writer


cdef Py_ssize_t measure(
    int kind, const void* characters, Py_ssize_t begin, Py_ssize_t end, Py_ssize_t* units
) noexcept nogil
cdef Py_ssize_t fit(
    int kind, const void* characters, Py_ssize_t begin, Py_ssize_t end, int room, int* units
) noexcept nogil
cdef void write(
    int kind, const void* characters, Py_ssize_t begin, Py_ssize_t end, int units, Writer* out
) noexcept nogil
cdef str read(const uint8_t* octets, Py_ssize_t count)
