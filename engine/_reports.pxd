cimport cython
from libc.stdint cimport uint8_t

from engine._content cimport Tpdu


@cython.final
cdef class StatusReport(Tpdu):
    cdef int kind_of_address
    cdef readonly int reference
    cdef readonly str recipient
    cdef readonly object service_centre_time_ms
    cdef readonly int service_centre_zone
    cdef readonly object discharge_time_ms
    cdef readonly int discharge_zone
    cdef readonly int outcome
    cdef readonly int parameters


@cython.final
cdef class SubmitReport(Tpdu):
    cdef readonly object failure
    cdef readonly object service_centre_time_ms
    cdef readonly int service_centre_zone
    cdef readonly int parameters


@cython.final
cdef class DeliverReport(Tpdu):
    cdef readonly object failure
    cdef readonly int parameters
