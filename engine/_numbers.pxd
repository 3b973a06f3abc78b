from libc.stdint cimport int64_t, uint8_t


cdef int64_t key_of(const uint8_t* text, Py_ssize_t length) noexcept nogil
cdef int64_t key_of_spaced(const uint8_t* text, Py_ssize_t length) noexcept nogil
