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
    cdef Switchboard board
    cdef bytes gathered

    cdef int heard(self, const uint8_t* octets, ssize_t taken, int number) except -1
    cpdef write(self, bytes octets)
    cdef int write_now(self, bytes octets) except -1
    cdef int sent(self, bytes octets, ssize_t taken, int number) except -1


cdef class Switchboard:
    cdef object epoll
    cdef dict wires
    cdef list waiting
    cdef int gatherers
    cdef readonly int fd

    cdef int flush(self, list errors) except -1
    cdef int flush_some(self, list wires, list errors) except -1
