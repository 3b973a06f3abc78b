from libc.stdint cimport uint8_t, uint16_t

from engine._cuts cimport MOST_PARTS
from engine._envelope cimport Envelope
from engine._octets cimport Writer


cdef enum:
    MOST_UNITS = 255 * 160  # more than 255 parts of any alphabet hold, but not by much
    MOST_CODE_UNITS = 255 * 80


cdef union Units:
    uint8_t septets[MOST_UNITS]
    uint16_t code_units[MOST_CODE_UNITS]


cdef struct Plan:
    int alphabet
    int single  # national languages, 0 for the default tables
    int locking
    int units  # septets, code units or octets of the whole text, headers not counted
    int parts
    int header  # octets of the header in each part, its own length among them; 0 where there is none
    int room  # units of one part
    Py_ssize_t forced_at  # the first character that GSM 7-bit does not have, where that decided; else -1
    Py_UCS4 forcing
    int cuts[MOST_PARTS + 1]  # where each part begins, in units, and the last ends
    const uint8_t* octets  # of 8-bit data
    Units text


cdef str plan_text(str text, Envelope envelope, Plan* out)
cdef int plan_octets(bytes octets, Envelope envelope, Plan* out) except -1
cdef int write_part(const Plan* planned, Envelope envelope, int part, int reference, Writer* out) noexcept nogil
