"""A text into parts: which alphabet, how many parts, where each ends, and the header that joins them again.

Owns the choice of the alphabet (fewest parts; where equal, GSM 7-bit), the rooms of 3GPP TS 23.040
§9.2.3.24.1 and the concatenation header with an 8-bit reference.  Writes TP-UDL and TP-UD, and knows no other
field.

A further alphabet (national shift tables) is one more candidate in `plan`; a finer cut (grapheme clusters)
is one more rule in the `fit` of its alphabet.
"""

cimport cython
from cpython.unicode cimport PyUnicode_DATA, PyUnicode_KIND

from engine cimport _gsm7, _ucs2
from engine._octets cimport Writer, put

from engine.errors import CodecError

cdef enum:
    ALONE_SEPTETS = 160  # 140 octets
    ALONE_UNITS = 70
    JOINED_SEPTETS = 153  # 140 octets less the header, whose 48 bits take 7 septets with one fill bit
    JOINED_UNITS = 67
    HEADER_OCTETS = 6  # UDHL 05, IE 00, its length 03, reference, total, sequence
    HEADER_SEPTETS = 7
    HEADER_FILL_BITS = 1
    MOST_PARTS = 255  # the total is one octet: §9.2.3.24.1


cdef inline Py_ssize_t fit(const Plan* planned, Py_ssize_t begin, int* units) noexcept nogil:
    """Where the part that starts at character `begin` ends, and its units."""
    if planned.parts == 1:
        units[0] = <int>planned.units
        return planned.length
    if planned.alphabet == GSM7:
        return _gsm7.fit(planned.kind, planned.characters, begin, planned.length, JOINED_SEPTETS, units)
    return _ucs2.fit(planned.kind, planned.characters, begin, planned.length, JOINED_UNITS, units)


cdef int count_parts(Plan* planned) except -1:
    """Set `parts` and `room` of a plan whose alphabet and units are known.

    Filling each part before the next begins gives the fewest: nothing of a text may change its place.
    """
    cdef int alone = ALONE_SEPTETS if planned.alphabet == GSM7 else ALONE_UNITS
    cdef int joined = JOINED_SEPTETS if planned.alphabet == GSM7 else JOINED_UNITS
    cdef Py_ssize_t end = 0
    cdef int units = 0
    cdef int parts
    if planned.units <= alone:
        planned.parts = 1
        planned.room = alone - <int>planned.units
        return 0
    planned.parts = MOST_PARTS  # anything but one: `fit` takes a single part as it is
    if planned.units > <Py_ssize_t>MOST_PARTS * joined:
        raise CodecError("more than 255 parts", "text")
    for parts in range(1, MOST_PARTS + 1):
        end = fit(planned, end, &units)
        if end == planned.length:
            planned.parts = parts
            planned.room = joined - units
            return 0
    raise CodecError("more than 255 parts", "text", end)


cdef int plan(str text, str alphabet, Plan* out) except -1:
    """Decide how `text` goes: "gsm7", "ucs2" or, with "auto", whichever needs fewer parts.

    Where GSM 7-bit has every character it never needs more parts than UCS2 (160 septets hold 80 escaped
    characters, 70 code units hold 70), so the two need not be compared.  Raises CodecError for a character
    the alphabet lacks, a lone surrogate, or more than 255 parts; its offset is in characters.
    """
    cdef Py_ssize_t stop
    out.kind = PyUnicode_KIND(text)
    out.characters = PyUnicode_DATA(text)
    out.length = len(text)
    out.forced_at = -1
    out.alphabet = GSM7
    if alphabet == "auto" or alphabet == "gsm7":
        stop = _gsm7.measure(out.kind, out.characters, 0, out.length, &out.units)
        if stop == out.length:
            return count_parts(out)
        if alphabet == "gsm7":
            raise CodecError("not in the GSM 7-bit alphabet", "text", stop)
        out.forced_at = stop
    elif alphabet != "ucs2":
        raise CodecError("neither auto, gsm7 nor ucs2", "alphabet")
    out.alphabet = UCS2
    stop = _ucs2.measure(out.kind, out.characters, 0, out.length, &out.units)
    if stop != out.length:
        raise CodecError("half a surrogate pair", "text", stop)
    return count_parts(out)


cdef Py_ssize_t write_part(
    const Plan* planned, Py_ssize_t begin, int sequence, int concatenation, Writer* out
) noexcept nogil:
    """Write TP-UDL and TP-UD of the part that starts at `begin`; returns where the next one starts.

    `sequence` counts from 1.  A message of one part has no header.
    """
    cdef bint joined = planned.parts > 1
    cdef int units = 0
    cdef Py_ssize_t end = fit(planned, begin, &units)
    if planned.alphabet == GSM7:
        put(out, units + (HEADER_SEPTETS if joined else 0))
    else:
        put(out, 2 * units + (HEADER_OCTETS if joined else 0))
    if joined:
        put(out, HEADER_OCTETS - 1)
        put(out, 0)
        put(out, 3)
        put(out, concatenation)
        put(out, planned.parts)
        put(out, sequence)
    if planned.alphabet == GSM7:
        _gsm7.write(
            planned.kind, planned.characters, begin, end, units, HEADER_FILL_BITS if joined else 0, out
        )
    else:
        _ucs2.write(planned.kind, planned.characters, begin, end, units, out)
    return end


@cython.final
@cython.auto_pickle(False)
cdef class Measure:
    """What a text takes: `units` septets or code units in `parts`, `room` units left in the last of them."""

    cdef readonly int alphabet
    cdef readonly Py_ssize_t units
    cdef readonly int parts
    cdef readonly int room
    cdef readonly str forced_by

    def __repr__(self):
        return (
            f"Measure(alphabet={self.alphabet}, units={self.units}, parts={self.parts}, room={self.room}, "
            f"forced_by={self.forced_by!r})"
        )


def measure(str text not None, str alphabet not None="auto"):
    """Say how `text` would go, without encoding it.

    `units` are of the whole text, 7-bit or 16-bit, without headers; `forced_by` is the first character that
    GSM 7-bit lacks where that decided, else "".  Raises CodecError as `encode` does.
    """
    cdef Plan planned
    cdef Measure result
    plan(text, alphabet, &planned)
    result = Measure.__new__(Measure)
    result.alphabet = planned.alphabet
    result.units = planned.units
    result.parts = planned.parts
    result.room = planned.room
    result.forced_by = "" if planned.forced_at < 0 else text[planned.forced_at]
    return result


def cut(str text not None, str alphabet not None="auto"):
    """The text of each part; an empty text is one empty part.  Raises CodecError as `encode` does."""
    cdef Plan planned
    cdef Py_ssize_t begin = 0
    cdef Py_ssize_t end
    cdef int units = 0
    plan(text, alphabet, &planned)
    if planned.parts == 1:
        return [text]
    texts = []
    while begin < planned.length:
        end = fit(&planned, begin, &units)
        texts.append(text[begin:end])
        begin = end
    return texts
