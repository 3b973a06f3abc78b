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
    cdef readonly str alphabet
    cdef readonly str national
    cdef readonly bint transliterate
    cdef readonly int reference_bits
    cdef readonly object validity_s
    cdef readonly object expires_ms
    cdef readonly bint exact_validity
    cdef readonly bint single_shot
    cdef readonly bint wants_report
    cdef readonly bint reject_duplicates
    cdef readonly bint reply_path
    cdef readonly int protocol
    cdef readonly object message_class
    cdef readonly object coding
    cdef readonly tuple elements
    cdef readonly str service_centre

    # The same as they are written.
    cdef int spoken  # the alphabet
    cdef int tables  # which national ones
    cdef int reference_octets
    cdef int first_octet  # TP-UDHI left open
    cdef int data_coding  # AUTO where the alphabet decides
    cdef int class_bits  # 0, or what a class adds to the coding
    cdef int validity_octets
    cdef uint8_t validity[7]
    cdef int header_octets  # of the elements
    cdef uint8_t header[MOST_ELEMENTS]
    cdef int centre_octets
    cdef uint8_t centre[12]

    cdef int say_coding(self) except -1
    cdef int say_validity(self) except -1


cdef Envelope PLAIN

cdef Envelope envelope_of(Envelope given, dict options)
