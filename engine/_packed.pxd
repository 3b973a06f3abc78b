cimport cython
from libc.stdint cimport int64_t, uint64_t


@cython.final
cdef class Packed:
    cdef readonly uint64_t group
    cdef readonly uint64_t id
    cdef readonly uint64_t number
    cdef readonly int64_t packed_row
    cdef readonly int size
    cdef readonly int weight
    cdef readonly int64_t expires_ms
    cdef readonly bint wants_report
    cdef readonly str text
    cdef readonly str purpose
    cdef readonly object lane
    cdef readonly object state
    cdef readonly object row
    cdef readonly object feeding
