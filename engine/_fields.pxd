from libc.stdint cimport int64_t, uint8_t

from engine._octets cimport Writer


cdef enum:
    ANY_TYPE = -1  # of address: the writer is to choose

    GSM7 = 0  # the alphabets of TS 23.038 §4, in the order of its bits
    OCTETS = 1
    UCS2 = 2


cdef struct Reader:
    const uint8_t* start  # of what the caller gave: offsets in errors count from here
    const uint8_t* at
    const uint8_t* end
    bint ended  # a fault says so already
    bint filled  # FF behind the TPDU is the filler of a stored record


cdef int fault(list faults, str reason, str field, Py_ssize_t offset) except -1
cdef int octet(Reader* source, str field) except -1
cdef const uint8_t* span(Reader* source, Py_ssize_t count, str field) except NULL
cdef int number_of(object value, str field) except -1
cdef int write_address(str number, str field, Writer* out, bint any=*) except -1
cdef int write_anyone(str sender, int address_type, str field, Writer* out) except -1
cdef int write_service_centre(str number, Writer* out) except -1
cdef str read_address(Reader* source, str field, int* address_type, list faults)
cdef str read_service_centre(Reader* source, list faults)
cdef object read_time(const uint8_t* stamp, int* zone)
cdef int zone_of(object zone, str field) except -100
cdef int write_time(object time_ms, int zone, str field, uint8_t* stamp) except -1
cdef int relative_validity(int64_t seconds) noexcept nogil
cdef int relative_seconds(int validity) noexcept nogil
cdef int write_enhanced(int64_t seconds, bint single_shot, uint8_t* validity) noexcept nogil
cdef object enhanced_seconds(const uint8_t* validity)
cdef bint is_compressed(int coding) noexcept nogil
cdef int alphabet_of(int coding) noexcept nogil
cdef int coding_of(int alphabet, object message_class) except -1
cdef object class_of(int coding)
