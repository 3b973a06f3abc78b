cimport cython
from libc.stdint cimport uint8_t


cdef enum:
    AUTO = -1  # for the alphabet: whichever needs the fewest parts
    NATIONAL_OFF = 0
    NATIONAL_SINGLE = 1
    NATIONAL_ALL = 2
    MOST_ELEMENTS = 140  # octets of information elements in one user data field


@cython.final
cdef class Envelope:
    # Everything is written once, in __cinit__, and only read from then on.
    cdef int alphabet
    cdef int national
    cdef bint transliterate
    cdef int reference_octets
    cdef int first  # the first octet of the SUBMIT, TP-UDHI left open
    cdef int protocol
    cdef int coding  # AUTO where the alphabet decides
    cdef int class_bits  # 0, or what a class adds to the coding
    cdef int validity_octets
    cdef uint8_t validity[7]
    cdef int elements_octets
    cdef uint8_t elements[MOST_ELEMENTS]
    cdef int service_centre_octets
    cdef uint8_t service_centre[12]

    cdef int say_coding(self, object coding, object message_class) except -1
    cdef int say_validity(self, object validity_s, object expires_ms, bint exact, bint single_shot) except -1


cdef Envelope PLAIN

cdef Envelope envelope_of(Envelope given, dict options)
