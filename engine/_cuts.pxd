from libc.stdint cimport uint8_t


cdef enum:
    NEVER = 0  # inside an escape sequence or a surrogate pair
    INSIDE = 1  # inside a grapheme cluster that one part could hold
    FREE = 2
    MOST_PARTS = 255  # the total of a concatenation is one octet: 3GPP TS 23.040 §9.2.3.24.1
    MOST_ROOM = 160  # septets of a part that has no header


cdef void spare(const uint8_t* grades, int units, int room, int parts, int* cuts) noexcept nogil
