from libc.stdint cimport int64_t, uint8_t

from engine._octets cimport Writer


cdef struct Reader:
    const uint8_t* start  # of what the caller gave: offsets in errors count from here
    const uint8_t* at
    const uint8_t* end
    bint filled  # FF behind the TPDU is the filler of a stored record


cdef int octet(Reader* source, str field) except -1
cdef const uint8_t* span(Reader* source, Py_ssize_t count, str field) except NULL
cdef int write_address(str number, Writer* out) except -1
cdef str read_address(Reader* source, str field, bint* alphanumeric)
cdef str read_service_centre(Reader* source)
cdef object read_time(const uint8_t* stamp)
cdef int relative_validity(int64_t seconds) noexcept nogil
cdef int relative_seconds(int validity) noexcept nogil
cdef object enhanced_seconds(const uint8_t* validity)
cdef int alphabet_of(int coding) noexcept nogil
cdef object class_of(int coding)
