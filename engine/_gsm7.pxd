from libc.stdint cimport uint8_t

from engine._octets cimport Writer


cdef Py_ssize_t measure(
    int kind, const void* characters, Py_ssize_t begin, Py_ssize_t end, Py_ssize_t* septets
) noexcept nogil
cdef Py_ssize_t fit(
    int kind, const void* characters, Py_ssize_t begin, Py_ssize_t end, int room, int* septets
) noexcept nogil
cdef void write(
    int kind,
    const void* characters,
    Py_ssize_t begin,
    Py_ssize_t end,
    int septets,
    int fill_bits,
    Writer* out,
) noexcept nogil
cdef str read(const uint8_t* octets, int first_bit, int septets)
