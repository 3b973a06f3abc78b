cimport cython
from libc.stdint cimport uint8_t

from engine._user_data cimport Tpdu


@cython.final
cdef class Deliver(Tpdu):
    cdef uint8_t kind_of_address
    cdef readonly str originator
    cdef readonly object service_centre_time_ms
    cdef readonly int service_centre_zone


@cython.final
cdef class StatusReport(Tpdu):
    cdef uint8_t kind_of_address
    cdef readonly int reference
    cdef readonly str recipient
    cdef readonly object service_centre_time_ms
    cdef readonly int service_centre_zone
    cdef readonly object discharge_time_ms
    cdef readonly int discharge_zone
    cdef readonly int outcome
    cdef readonly int parameters


@cython.final
cdef class Submit(Tpdu):
    cdef uint8_t kind_of_address
    cdef uint8_t validity[7]
    cdef bint has_validity  # whether all of it was there
    cdef readonly int reference
    cdef readonly str destination

    cdef int validity_octets(self) noexcept


@cython.final
cdef class Command(Tpdu):
    cdef uint8_t kind_of_address
    cdef readonly int reference
    cdef readonly int command
    cdef readonly int number
    cdef readonly str destination


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
