from libc.stdint cimport int64_t, uint8_t

from engine._at cimport Reader, Submission
from engine._wire cimport Ear, Wire


cdef enum Phase:
    PHASE_OUT
    PHASE_BUSY
    PHASE_RESTING
    PHASE_FREE
    PHASE_SENDING


cdef class Exchange(Ear):
    cdef readonly Wire wire
    cdef readonly Reader reader
    cdef readonly Submission submission
    cdef readonly double prompt_timeout_s
    cdef readonly double result_timeout_s
    cdef readonly double answer_timeout_s
    cdef readonly double timeout_s
    cdef readonly double deadline_s
    cdef readonly double heard_s
    cdef public double final_s
    cdef public double watch_s
    cdef object clock
    cdef object on_submitted
    cdef object on_given
    cdef bint is_hearing

    cdef int hear(self, const uint8_t* octets, Py_ssize_t length) except -1
    cdef int take(self, const uint8_t* octets, Py_ssize_t length, double now_s) except -1
    cdef int give(self, Submission job, bytes octets, double now_s) except -1
    cdef int end(self, Submission job) except -1
    cdef bint begin(self, Submission job) except -1
    cdef int expect_by(self, double timeout_s, double now_s) except -1


cdef class Hand:
    cdef public int phase
    cdef public Submission ahead
    cdef public Exchange exchange
    cdef public bint is_held
    cdef public bint is_retiring
    cdef public int64_t sent
    cdef readonly object on_wanted
    cdef readonly object on_done
    cdef readonly object on_given

    cdef int take(self, Submission job) except -1
    cdef int begin_ahead(self) except -1
    cdef int ask_for_one(self) except -1
