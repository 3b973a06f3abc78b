cimport cython
from libc.stdint cimport int64_t, uint8_t


cdef enum:
    # A stored record is 176 octets, 352 digits (3GPP TS 51.011 §10.5.3); the rest is room for a header before it.
    LONGEST = 1024


cdef enum Stage:
    AT_AHEAD
    AT_ASKED
    AT_GIVEN
    AT_ACCEPTED
    AT_DONE
    AT_WITHDRAWN


@cython.final
cdef class Reader:
    cdef public bytes echo
    cdef object meaning
    cdef object pushed
    cdef bytes header
    cdef bint skips
    cdef int length
    cdef uint8_t[LONGEST + 1] line

    cdef list read(self, const uint8_t* octets, Py_ssize_t length)
    cdef int _take(self, list meanings) except -1


@cython.final
cdef class Submission:
    cdef readonly bytes pdu
    cdef readonly int length
    cdef readonly object tag
    cdef readonly object outcome
    cdef readonly bint is_begun
    cdef readonly bint is_suspect
    cdef readonly bint hid_errors
    cdef public int64_t written_before
    cdef Stage at
    cdef bint is_garbled
    cdef int reference
    cdef double given_s

    cpdef bytes begin(self)
    cpdef bint withdraw(self) noexcept
    cpdef hear(self, line, double now_s)
    cdef bint _was_given(self, int64_t written) noexcept
    cdef int _decide(self, outcome) except -1
