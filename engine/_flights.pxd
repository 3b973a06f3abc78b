cimport cython
from libc.stdint cimport int64_t, uint8_t, uint64_t

from engine._at cimport Submission
from engine._packed cimport Packed


@cython.final
cdef class PageLine:
    cdef uint8_t* at
    cdef int turn
    cdef uint8_t number


@cython.final
cdef class Seat:
    cdef readonly object modem
    cdef readonly uint64_t sim
    cdef object imsi
    cdef PageLine line
    cdef Flight first
    cdef Flight second
    cdef Flight kept
    cdef bint wants
    cdef list others

    cdef int put(self, Flight flight) except -1
    cdef int drop(self, Flight flight) except -1
    cdef Flight last(self)


@cython.final
cdef class Flight:
    cdef readonly uint64_t message
    cdef readonly uint64_t sim
    cdef readonly uint64_t group
    cdef readonly uint64_t number
    cdef readonly int part
    cdef readonly int lane
    cdef readonly int attempt
    cdef readonly int reference
    cdef readonly int64_t at_ms
    cdef readonly int64_t given_ms
    cdef readonly int64_t counted_ms
    cdef readonly bint is_given
    cdef bint is_whole  # the only part of its message
    cdef readonly Packed packed
    cdef public object known
    cdef public Submission job
    cdef readonly object error
    cdef Seat seat
