cimport cython
from libc.stdint cimport uint8_t, uint64_t


cdef enum:
    OCTETS_OF_SLOT = 24
    SLOTS_OF_SHEET = 170
    # Where the fields of a slot begin.
    AT_ATTEMPT = 1
    AT_REFERENCE = 2
    AT_REASON = 4
    AT_FLAGS = 5
    AT_SIM = 8
    AT_TIME = 16
    # What can stand in them.
    LAST_STATE = 11
    WRITTEN_OUT = 255
    LAST_REASON = 13
    MOST_ATTEMPTS = 255


@cython.final
cdef class Slots:
    cdef object txn
    cdef object table
    cdef dict opened
    cdef set touched
    cdef bytearray latest
    cdef tuple latest_key
    cdef uint64_t latest_group
    cdef uint64_t latest_sheet

    cdef uint8_t* at(self, uint64_t group, uint64_t row) except NULL
    cdef int touch(self) except -1
