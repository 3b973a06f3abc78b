from libc.stdint cimport uint8_t

from engine._octets cimport Writer


cdef enum:
    CONCATENATION_8 = 0x00  # identifiers of information elements, 3GPP TS 23.040 §9.2.3.24
    INDICATION = 0x01
    PORTS_8 = 0x04
    PORTS_16 = 0x05
    CONCATENATION_16 = 0x08
    SINGLE_SHIFT = 0x24
    LOCKING_SHIFT = 0x25


cdef tuple read_elements(const uint8_t* header, int length)
cdef tuple read_concatenation(const uint8_t* header, int length)
cdef tuple read_ports(const uint8_t* header, int length)
cdef tuple read_indications(const uint8_t* header, int length)
cdef int read_shifts(const uint8_t* header, int length, int* single, int* locking) noexcept nogil
cdef int write_elements(object elements, bint any, Writer* out) except -1
cdef void write_concatenation(int octets, int reference, int total, int sequence, Writer* out) noexcept nogil
cdef void write_shifts(int single, int locking, Writer* out) noexcept nogil
