from libc.stdint cimport int64_t, uint8_t


cdef class Ear:
    cdef int hear(self, const uint8_t* octets, Py_ssize_t length) except -1


cdef class Wire:
    cdef readonly int fd
    cdef public int64_t written
    cdef public bint is_up
    cdef public bytes backlog
    cdef public object on_octets
    cdef Ear ear

    cdef int take(self) except -1
    cpdef write(self, bytes octets)
