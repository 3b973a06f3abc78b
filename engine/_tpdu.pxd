cimport cython
from libc.stdint cimport uint8_t

from engine._content cimport Tpdu


@cython.final
cdef class Deliver(Tpdu):
    cdef int kind_of_address
    cdef readonly str originator
    cdef readonly object service_centre_time_ms
    cdef readonly int service_centre_zone


@cython.final
cdef class Submit(Tpdu):
    cdef int kind_of_address
    cdef uint8_t validity[7]
    cdef bint has_validity  # whether all of it was there
    cdef readonly int reference
    cdef readonly str destination

    cdef int validity_octets(self) noexcept


@cython.final
cdef class Command(Tpdu):
    cdef int kind_of_address
    cdef readonly int reference
    cdef readonly int command
    cdef readonly int number
    cdef readonly str destination
