"""The user data header: information elements, in and out.  3GPP TS 23.040 §9.2.3.24.

Owns what the elements say that a text engine meets: which part of which message this is, which application it is
for, which messages wait, which national tables its septets mean.  All others are kept as they are.  Knows neither
alphabets nor TPDUs.

A header whose elements do not fill it exactly counts as having none; of elements that exclude each other the last
one counts.
"""

from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from engine._national cimport locking_characters, single_characters
from engine._octets cimport Writer, claim, put

from engine.errors import CodecError


# Reading.  `header` begins with its own length octet, `length` counts it.


cdef bint well_formed(const uint8_t* header, int length) noexcept nogil:
    """Whether the elements fill the header exactly."""
    cdef int at = 1
    while at < length:
        if at + 2 > length or at + 2 + header[at + 1] > length:
            return False
        at += 2 + header[at + 1]
    return True


cdef tuple read_elements(const uint8_t* header, int length):
    """Every element: its identifier and its octets."""
    cdef int at = 1
    if not well_formed(header, length):
        return ()
    found = []
    while at < length:
        found.append((header[at], header[at + 2 : at + 2 + header[at + 1]]))
        at += 2 + header[at + 1]
    return tuple(found)


cdef tuple read_concatenation(const uint8_t* header, int length):
    """(reference, total, sequence) of the last concatenation element, or None.

    §9.2.3.24.1: a sequence of 0 or beyond the total is to be ignored.
    """
    cdef int at = 1
    cdef int size
    cdef const uint8_t* value
    cdef tuple found = None
    if not well_formed(header, length):
        return None
    while at < length:
        size = header[at + 1]
        value = header + at + 2
        if header[at] == CONCATENATION_8 and size == 3:
            if 1 <= value[2] <= value[1]:
                found = (value[0], value[1], value[2])
        elif header[at] == CONCATENATION_16 and size == 4:
            if 1 <= value[3] <= value[2]:
                found = (value[0] << 8 | value[1], value[2], value[3])
        at += 2 + size
    return found


cdef tuple read_ports(const uint8_t* header, int length):
    """(destination, source) of the last element that names application ports, or None.  §9.2.3.24.3 and .4."""
    cdef int at = 1
    cdef int size
    cdef const uint8_t* value
    cdef tuple found = None
    if not well_formed(header, length):
        return None
    while at < length:
        size = header[at + 1]
        value = header + at + 2
        if header[at] == PORTS_8 and size == 2:
            found = (value[0], value[1])
        elif header[at] == PORTS_16 and size == 4:
            found = (value[0] << 8 | value[1], value[2] << 8 | value[3])
        at += 2 + size
    return found


cdef tuple read_indications(const uint8_t* header, int length):
    """(kind, whether to store the message, count) of each special message indication.  §9.2.3.24.2.

    The kind is that of the octet's low seven bits: 0 voice, 1 fax, 2 electronic mail, 3 other, and extensions.
    """
    cdef int at = 1
    if not well_formed(header, length):
        return ()
    found = []
    while at < length:
        if header[at] == INDICATION and header[at + 1] == 2:
            found.append((header[at + 2] & 0x7F, header[at + 2] & 0x80 != 0, header[at + 3]))
        at += 2 + header[at + 1]
    return tuple(found)


cdef int read_shifts(const uint8_t* header, int length, int* single, int* locking) noexcept nogil:
    """The languages of the national tables that a header names, 0 for none that is known.  §9.2.3.24.15 and .16."""
    cdef int at = 1
    single[0] = 0
    locking[0] = 0
    if not well_formed(header, length):
        return 0
    while at < length:
        if header[at + 1] == 1:
            if header[at] == SINGLE_SHIFT:
                single[0] = header[at + 2] if single_characters(header[at + 2]) != NULL else 0
            elif header[at] == LOCKING_SHIFT:
                locking[0] = header[at + 2] if locking_characters(header[at + 2]) != NULL else 0
        at += 2 + header[at + 1]
    return 0


# Writing


cdef int write_elements(object elements, bint any, Writer* out) except -1:
    """Write the caller's elements.  Unless `any`, those that the engine writes itself are refused."""
    cdef uint8_t* at
    cdef bytes value
    for identifier, octets in elements:
        if not 0 <= identifier <= 255:
            raise CodecError("an information element's identifier is 0 to 255", "header")
        if not any and identifier in (CONCATENATION_8, CONCATENATION_16, SINGLE_SHIFT, LOCKING_SHIFT):
            raise CodecError(f"information element {identifier} is written where it is needed", "header")
        value = octets
        if value is None or len(value) > 255:
            raise CodecError(f"information element {identifier} has more than 255 octets", "header")
        put(out, identifier)
        put(out, <int>len(value))
        at = claim(out, <int>len(value))
        if at != NULL:
            memcpy(at, <const uint8_t*>value, len(value))
    if out.full:
        raise CodecError("longer than the user data", "header")
    return 0


cdef void write_concatenation(int octets, int reference, int total, int sequence, Writer* out) noexcept nogil:
    """Write which part of how many this is; the reference has one octet or two.  §9.2.3.24.1 and .8."""
    put(out, CONCATENATION_8 if octets == 1 else CONCATENATION_16)
    put(out, octets + 2)
    if octets == 2:
        put(out, reference >> 8)
    put(out, reference & 0xFF)
    put(out, total)
    put(out, sequence)


cdef void write_shifts(int single, int locking, Writer* out) noexcept nogil:
    """Write which national tables the septets mean."""
    if single:
        put(out, SINGLE_SHIFT)
        put(out, 1)
        put(out, single)
    if locking:
        put(out, LOCKING_SHIFT)
        put(out, 1)
        put(out, locking)


# Elements to give to an envelope


def ports(object destination, object source=0, object bits=16):
    """The element that names the application a message is for, and the one it comes from.

    `bits` is 8 or 16.  Raises CodecError for a port that has more.  §9.2.3.24.3 and .4.
    """
    if bits != 8 and bits != 16:
        raise CodecError("8 or 16 bits", "ports")
    for port in (destination, source):
        if not 0 <= port < 1 << bits:
            raise CodecError(f"not 0 to {(1 << bits) - 1}", "ports")
    identifier = PORTS_8 if bits == 8 else PORTS_16
    return identifier, destination.to_bytes(bits // 8, "big") + source.to_bytes(bits // 8, "big")


def indication(object kind, object count, bint store=False):
    """The element that shows `count` waiting messages of a `kind`: 0 voice, 1 fax, 2 electronic mail, 3 other.

    Raises CodecError for a kind above 127 or a count above 255.  §9.2.3.24.2.
    """
    if not 0 <= kind <= 127:
        raise CodecError("not 0 to 127", "kind")
    if not 0 <= count <= 255:
        raise CodecError("not 0 to 255", "count")
    return INDICATION, bytes([kind | (0x80 if store else 0), count])
