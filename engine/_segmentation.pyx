"""A text into parts: which alphabet, how many parts, where each ends, and the header that joins them again.

Owns the choice of the alphabet (fewest parts; where equal the earlier of GSM 7-bit, single shift, locking shift,
both, UCS2), the rooms of 3GPP TS 23.040 §9.2.3.24.1 and whether a cut would tear a grapheme cluster.  Writes TP-UDL
and TP-UD, and knows no other field.
"""

cimport cython
from cpython.unicode cimport PyUnicode_DATA, PyUnicode_KIND
from libc.stdint cimport uint8_t, uint16_t
from libc.string cimport memcpy

from engine cimport _cuts, _graphemes, _gsm7, _ucs2
from engine._cuts cimport FREE, INSIDE, MOST_PARTS, NEVER
from engine._envelope cimport AUTO, NATIONAL_ALL, NATIONAL_OFF, Envelope, envelope_of
from engine._fields cimport GSM7, OCTETS, UCS2
from engine._header cimport write_concatenation, write_shifts
from engine._look_alikes cimport place_before, without_look_alikes
from engine._national cimport LANGUAGES, locking_characters
from engine._octets cimport Writer, claim, put

from engine.errors import CodecError

cdef enum:
    USER_DATA = 140  # octets of TP-UD: §9.2.3.16
    ELEMENT_OF_SHIFT = 3
    LEAST_ROOM = 2  # an escape sequence, or a surrogate pair

# Under the interpreter's lock, which is never released here.
cdef uint8_t BEGINS[MOST_UNITS + 1]
cdef uint8_t GRADES[MOST_UNITS + 1]


# Rooms


cdef int room_of(int alphabet, int header) noexcept nogil:
    """Units of one part behind a header of so many octets: septets begin at the next septet."""
    if alphabet == GSM7:
        return (8 * (USER_DATA - header)) // 7
    if alphabet == UCS2:
        return (USER_DATA - header) >> 1
    return USER_DATA - header


cdef int header_of(const Plan* planned, Envelope envelope, bint joined) noexcept nogil:
    """Octets of the header: its length, the parts, the caller's elements, national tables."""
    cdef int octets = (
        envelope.header_octets
        + (ELEMENT_OF_SHIFT if planned.single else 0)
        + (ELEMENT_OF_SHIFT if planned.locking else 0)
        + (4 + envelope.reference_octets if joined else 0)
    )
    return octets + 1 if octets else 0


# Cutting


cdef int fill(Plan* planned, Envelope envelope) noexcept nogil:
    """Set the header, the room and the cuts: each part is filled before the next begins, which gives the fewest.

    Sets `parts` to 0 where 255 are not enough, or the header leaves no room.
    """
    cdef int place = 0
    cdef int parts
    cdef int room
    planned.header = header_of(planned, envelope, False)
    planned.room = room_of(planned.alphabet, planned.header)
    planned.parts = 1
    planned.cuts[0] = 0
    planned.cuts[1] = planned.units
    if planned.units <= planned.room:
        return 0
    planned.header = header_of(planned, envelope, True)
    room = planned.room = room_of(planned.alphabet, planned.header)
    planned.parts = 0
    if room < LEAST_ROOM:
        return 0
    for parts in range(1, MOST_PARTS + 1):
        if planned.units - place <= room:
            planned.cuts[parts] = planned.units
            planned.parts = parts
            return 0
        place += room
        # An escape sequence or a surrogate pair on the edge moves whole.
        if planned.alphabet == GSM7:
            if planned.text.septets[place - 1] == _gsm7.ESCAPE:
                place -= 1
        elif planned.alphabet == UCS2:
            if _ucs2.is_low(planned.text.code_units[place]):
                place -= 1
        planned.cuts[parts] = place
    return 0


cdef Py_UCS4 before(const Plan* planned, int place) noexcept nogil:
    """The character that ends at a place where a cut is allowed."""
    cdef const uint16_t* units = planned.text.code_units
    cdef const uint8_t* septets = planned.text.septets
    if planned.alphabet == GSM7:
        return _gsm7.character(
            septets[place - 1],
            place > 1 and septets[place - 2] == _gsm7.ESCAPE,
            planned.single,
            planned.locking,
        )
    if _ucs2.is_low(units[place - 1]):
        return 0x10000 + ((units[place - 2] & 0x3FF) << 10 | (units[place - 1] & 0x3FF))
    return units[place - 1]


cdef Py_UCS4 behind(const Plan* planned, int place) noexcept nogil:
    """The character that begins there."""
    cdef const uint16_t* units = planned.text.code_units
    cdef const uint8_t* septets = planned.text.septets
    if planned.alphabet == GSM7:
        if septets[place] == _gsm7.ESCAPE:
            return _gsm7.character(septets[place + 1], True, planned.single, planned.locking)
        return _gsm7.character(septets[place], False, planned.single, planned.locking)
    if _ucs2.is_high(units[place]):
        return 0x10000 + ((units[place] & 0x3FF) << 10 | (units[place + 1] & 0x3FF))
    return units[place]


cdef bint looks_torn(const Plan* planned) noexcept nogil:
    """Whether a cut may stand inside a grapheme cluster, by the two characters beside it."""
    cdef int part
    for part in range(1, planned.parts):
        if _graphemes.may_join(before(planned, planned.cuts[part]), behind(planned, planned.cuts[part])):
            return True
    return False


cdef void grade(const Plan* planned, Py_ssize_t length) noexcept nogil:
    """Fill GRADES from BEGINS: what a cut at each place would tear.

    A cluster that no part could hold is free to be cut anywhere.
    """
    cdef int place = 0
    cdef int start = 0  # of the cluster
    cdef int width
    cdef int i
    cdef Py_ssize_t one
    for one in range(length):
        if BEGINS[one]:
            if place - start > planned.room:
                for i in range(start, place):
                    if GRADES[i] == INSIDE:
                        GRADES[i] = FREE
            start = place
        GRADES[place] = FREE if BEGINS[one] else INSIDE
        width = 1
        if planned.alphabet == GSM7:
            if planned.text.septets[place] == _gsm7.ESCAPE:
                width = 2
        elif _ucs2.is_high(planned.text.code_units[place]):
            width = 2
        if width == 2:
            GRADES[place + 1] = NEVER
        place += width
    if place - start > planned.room:
        for i in range(start, place):
            if GRADES[i] == INSIDE:
                GRADES[i] = FREE
    GRADES[place] = FREE


cdef void keep_whole(Plan* planned, str text) noexcept:
    """Move cuts out of grapheme clusters, as far as that needs no further part."""
    cdef Py_ssize_t length = len(text)
    cdef bint torn = False
    cdef int part
    if planned.parts < 2 or not looks_torn(planned):
        return
    _graphemes.mark(PyUnicode_KIND(text), PyUnicode_DATA(text), length, BEGINS)
    grade(planned, length)
    for part in range(1, planned.parts):
        torn |= GRADES[planned.cuts[part]] == INSIDE
    if torn:
        _cuts.spare(GRADES, planned.units, planned.room, planned.parts, planned.cuts)


# Choosing


cdef int too_long(const Plan* planned, Envelope envelope, str field) except -1:
    # Not by planned.room: nothing was planned where the text alone has too many units.
    if room_of(planned.alphabet, header_of(planned, envelope, True)) < LEAST_ROOM:
        raise CodecError("leaves no room for the text", "header")
    raise CodecError("more than 255 parts", field)


cdef Py_ssize_t spread(str text, Plan* out) noexcept:
    """Write the units of `text` in the alphabet of the plan; returns the character where it stopped."""
    cdef Py_ssize_t count = 0
    cdef Py_ssize_t stop
    cdef int kind = PyUnicode_KIND(text)
    cdef const void* characters = PyUnicode_DATA(text)
    if out.alphabet == GSM7:
        stop = _gsm7.spread(
            kind, characters, len(text), out.single, out.locking, out.text.septets, MOST_UNITS, &count
        )
    else:
        stop = _ucs2.spread(kind, characters, len(text), out.text.code_units, MOST_CODE_UNITS, &count)
    out.units = <int>count
    return stop


cdef bint tried(str text, Envelope envelope, Plan* out, int single, int locking, int most) except -1:
    """Plan with the tables of these languages; whether they have all characters and need fewer than `most` parts."""
    out.alphabet = GSM7
    out.single = single
    out.locking = locking
    if spread(text, out) < len(text):
        return False
    fill(out, envelope)
    return 0 < out.parts < most


cdef int plan_national(str text, Envelope envelope, Plan* out, int parts) except -1:
    """Find the national tables with which `text` takes fewest parts, if fewer than `parts`; 0 where there are none.

    Leaves the plan as the last try made it: the caller plans again.
    """
    cdef int form  # 1 a single shift table, 2 a locking one, 3 both
    cdef int language
    cdef int single = 0
    cdef int locking = 0
    for form in range(1, 4 if envelope.tables == NATIONAL_ALL else 2):
        for language in range(1, LANGUAGES):
            if parts == 1:
                break
            if form > 1 and locking_characters(language) == NULL:
                continue
            if tried(text, envelope, out, language if form & 1 else 0, language if form & 2 else 0, parts):
                parts = out.parts
                single = out.single
                locking = out.locking
    return single << 8 | locking


cdef int plan_as_it_is(str text, Envelope envelope, Plan* out) except -1:
    cdef Py_ssize_t length = len(text)
    cdef Py_ssize_t stop
    cdef int gsm7_parts = MOST_PARTS + 1  # of the best way in GSM 7-bit
    cdef int ucs2_parts
    cdef int tables = 0
    cdef bint plain = False  # GSM 7-bit with the default tables can say it
    out.forced_at = -1
    out.single = 0
    out.locking = 0
    out.octets = NULL
    if envelope.spoken != UCS2:
        out.alphabet = GSM7
        stop = spread(text, out)
        if stop == length:
            fill(out, envelope)
            plain = out.parts > 0
            if plain:
                gsm7_parts = out.parts
        elif out.units < MOST_UNITS - 1:
            out.forced_at = stop
            out.forcing = text[stop]
        if envelope.tables != NATIONAL_OFF and gsm7_parts > 1:
            tables = plan_national(text, envelope, out, gsm7_parts)
            out.single = tables >> 8
            out.locking = tables & 0xFF
            out.alphabet = GSM7
            if tables or plain:
                spread(text, out)
                fill(out, envelope)
                gsm7_parts = out.parts
        if gsm7_parts <= MOST_PARTS and (
            envelope.spoken == GSM7 or tables == 0 or gsm7_parts == 1
        ):
            # The default tables never need more parts than UCS2: 160 septets hold 80 escaped characters, 70 code
            # units hold 70.
            return 0
        if envelope.spoken == GSM7:
            if out.forced_at >= 0:
                raise CodecError("not in the GSM 7-bit alphabet", "text", out.forced_at)
            too_long(out, envelope, "text")
    out.alphabet = UCS2
    out.single = 0
    out.locking = 0
    stop = spread(text, out)
    if stop < length:
        if out.units < MOST_CODE_UNITS - 1:
            raise CodecError("half a surrogate pair", "text", stop)
        raise CodecError("more than 255 parts", "text")
    fill(out, envelope)
    ucs2_parts = out.parts
    if gsm7_parts <= MOST_PARTS and (ucs2_parts == 0 or gsm7_parts <= ucs2_parts):
        out.alphabet = GSM7
        out.single = tables >> 8
        out.locking = tables & 0xFF
        spread(text, out)
        fill(out, envelope)
        return 0
    if ucs2_parts == 0:
        too_long(out, envelope, "text")
    return 0


cdef str plan_text(str text, Envelope envelope, Plan* out):
    """Decide how `text` goes; returns the text that does, which is another where look-alikes were replaced.

    Raises CodecError for a character the alphabet lacks, a lone surrogate, or more than 255 parts; its offset is
    in characters.
    """
    if envelope.spoken == OCTETS:
        raise CodecError("a text in an envelope for octets", "coding")
    if envelope.transliterate:
        return plan_plainly(text, envelope, out)
    plan_as_it_is(text, envelope, out)
    keep_whole(out, text)
    return text


cdef str plan_plainly(str text, Envelope envelope, Plan* out):
    """The same, with look-alikes in place of what costs a part."""
    cdef str plainer = without_look_alikes(text)
    cdef object refused = None
    cdef int parts = MOST_PARTS + 1
    try:
        plan_as_it_is(text, envelope, out)
        parts = out.parts
    except CodecError as error:
        refused = error
    if plainer != text and parts > 1:
        try:
            plan_as_it_is(plainer, envelope, out)
        except CodecError:
            out.parts = parts
        if out.parts < parts:
            if out.forced_at >= 0:
                out.forced_at = place_before(text, out.forced_at)
            keep_whole(out, plainer)
            return plainer
        if refused is None:
            plan_as_it_is(text, envelope, out)
    if refused is not None:
        raise refused
    keep_whole(out, text)
    return text


cdef int plan_octets(bytes octets, Envelope envelope, Plan* out) except -1:
    """Decide how 8-bit data goes.  Raises CodecError for more than 255 parts."""
    if envelope.spoken != AUTO and envelope.spoken != OCTETS:
        raise CodecError("octets in an envelope for a text", "alphabet")
    out.alphabet = OCTETS
    out.single = 0
    out.locking = 0
    out.forced_at = -1
    out.octets = <const uint8_t*>octets
    if len(octets) > MOST_PARTS * USER_DATA:
        raise CodecError("more than 255 parts", "octets")
    out.units = <int>len(octets)
    fill(out, envelope)
    if out.parts == 0:
        too_long(out, envelope, "octets")
    return 0


# Writing


cdef int write_part(const Plan* planned, Envelope envelope, int part, int reference, Writer* out) noexcept nogil:
    """Write TP-UDL and TP-UD of a part, the first of which is 0."""
    cdef int begin = planned.cuts[part]
    cdef int units = planned.cuts[part + 1] - begin
    cdef int fill_bits = 0
    cdef int length = units
    cdef uint8_t* at
    if planned.alphabet == UCS2:
        length = planned.header + 2 * units
    elif planned.alphabet == OCTETS:
        length = planned.header + units
    elif planned.header:
        length = (8 * planned.header + 6) // 7
        fill_bits = 7 * length - 8 * planned.header
        length += units
    put(out, length)
    if planned.header:
        put(out, planned.header - 1)
        if planned.parts > 1:
            write_concatenation(envelope.reference_octets, reference, planned.parts, part + 1, out)
        at = claim(out, envelope.header_octets)
        if at != NULL:
            memcpy(at, envelope.header, envelope.header_octets)
        write_shifts(planned.single, planned.locking, out)
    if planned.alphabet == GSM7:
        at = claim(out, (fill_bits + 7 * units + 7) >> 3)
        if at != NULL:
            _gsm7.pack_septets(planned.text.septets + begin, units, fill_bits, at)
    elif planned.alphabet == UCS2:
        at = claim(out, 2 * units)
        if at != NULL:
            _ucs2.write(planned.text.code_units + begin, units, at)
    else:
        at = claim(out, units)
        if at != NULL:
            memcpy(at, planned.octets + begin, units)
    return 0


# Faces


@cython.final
@cython.no_gc
@cython.auto_pickle(False)
cdef class Measure:
    """What a text takes: `units` septets, code units or octets in `parts`, `room` units left in the last of them."""

    cdef readonly int alphabet
    cdef readonly int units
    cdef readonly int parts
    cdef readonly int room
    cdef readonly int single
    cdef readonly int locking
    cdef Py_ssize_t forced
    cdef Py_UCS4 forcing

    def __init__(self):
        raise TypeError("measure makes it")

    @property
    def forced_by(self):
        return "" if self.forced < 0 else self.forcing

    @property
    def forced_at(self):
        return None if self.forced < 0 else self.forced

    def __repr__(self):
        return (
            f"Measure(alphabet={self.alphabet}, units={self.units}, parts={self.parts}, room={self.room}, "
            f"forced_by={self.forced_by!r})"
        )


def measure(object text, Envelope envelope=None, **options):
    """Say how `text`, or octets, would go, without encoding it.

    `units` are of the whole text, without headers; `forced_by` is the first character that the GSM 7-bit default
    alphabet lacks where that decided, else "", and `forced_at` its place.  `options` are those of an envelope.
    Raises CodecError as `encode` does.
    """
    cdef Plan planned
    cdef Measure result
    envelope = envelope_of(envelope, options)
    result = Measure.__new__(Measure)
    if type(text) is bytes:
        plan_octets(text, envelope, &planned)
    else:
        plan_text(text, envelope, &planned)
    result.alphabet = planned.alphabet
    result.units = planned.units
    result.parts = planned.parts
    result.room = planned.room - (planned.cuts[planned.parts] - planned.cuts[planned.parts - 1])
    result.single = planned.single
    result.locking = planned.locking
    result.forced = planned.forced_at
    result.forcing = planned.forcing
    return result


def cut(str text not None, Envelope envelope=None, **options):
    """The text of each part; an empty text is one empty part.  Raises CodecError as `encode` does."""
    cdef Plan planned
    cdef Py_ssize_t begin = 0
    cdef Py_ssize_t end = 0
    cdef int place = 0
    cdef int part
    text = plan_text(text, envelope_of(envelope, options), &planned)
    if planned.parts == 1:
        return [text]
    texts = []
    for part in range(1, planned.parts + 1):
        while place < planned.cuts[part]:
            if planned.alphabet == GSM7:
                place += 2 if planned.text.septets[place] == _gsm7.ESCAPE else 1
            else:
                place += 2 if _ucs2.is_high(planned.text.code_units[place]) else 1
            end += 1
        texts.append(text[begin:end])
        begin = end
    return texts
