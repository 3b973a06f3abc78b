cimport cython
from libc.stdint cimport uint8_t

from engine._fields cimport Reader
from engine._octets cimport Writer


cdef enum:
    LONGEST_USER_DATA = 160  # octets; a DELIVER-REPORT may have 159

    HAS_HEADER = 0x40  # TP-UDHI, 3GPP TS 23.040 §9.2.3.23


cdef class Tpdu:
    cdef readonly int protocol
    cdef readonly int coding
    cdef readonly int alphabet
    cdef readonly object message_class
    cdef readonly str text
    cdef readonly bytes octets
    cdef readonly str service_centre
    cdef readonly tuple faults
    cdef readonly int single
    cdef readonly int locking
    cdef readonly int length
    cdef bint made  # read, or built by __init__, which must not happen twice
    cdef uint8_t first
    cdef int header_octets
    cdef int raw_octets
    cdef uint8_t raw[LONGEST_USER_DATA + 8]  # TP-UD and some zeros, which reading septets may pass into

    cdef int make(self) except -1
    cdef bytes built(self)
    cdef int write(self, Writer* out) except -1
    cdef int take(self, Reader* source, list faults) except -1
    cdef int say(
        self, object text, object coding, object message_class, object elements, object single, object locking, int most
    ) except -1
    cdef int say_octets(self, bytes octets, Writer* out) except -1
    cdef int say_septets(self, const uint8_t* septets, int count, int header, Writer* out) except -1
    cdef int say_units(self, str text, Writer* out) except -1
    cdef int set_coding(self, int coding, list faults, Py_ssize_t offset) except -1
    cdef int write_user_data(self, Writer* out) except -1
    cdef int take_user_data(self, Reader* source, int most, list faults) except -1
    cdef int take_octets(self, Reader* source, int size, int most, str field, list faults) except -1
    cdef int interpret(self, list faults, Py_ssize_t offset) except -1
    cdef Py_ssize_t units(self, uint8_t* into) noexcept
