"""What the TPDUs of 3GPP TS 23.040 have in common: the user data, its header, and the coding that says what it is.

Owns TP-DCS, TP-UDL and TP-UD of one part, in and out.  Knows no other field, and not which TPDU has which.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DATA, PyUnicode_KIND
from libc.stdint cimport uint8_t, uint16_t
from libc.string cimport memcpy, memset

from engine cimport _gsm7, _ucs2
from engine._fields cimport (
    GSM7,
    OCTETS,
    UCS2,
    Reader,
    alphabet_of,
    class_of,
    coding_of,
    fault,
    is_compressed,
    number_of,
    octet,
)
from engine._header cimport (
    read_concatenation,
    read_elements,
    read_indications,
    read_ports,
    read_shifts,
    write_elements,
    write_shifts,
)
from engine._octets cimport Writer, claim, put, writer

from engine.errors import CodecError

cdef enum:
    LONGEST_RECORD = 256  # octets: more than any TPDU has
    LONGEST_TPDU = 164  # octets of each of the six: §9.2.2


@cython.no_gc
@cython.auto_pickle(False)
cdef class Tpdu:
    """What all TPDUs have in common.

    Has no __repr__ on purpose: a text or a number must not reach a log by accident.
    """

    def __cinit__(self):
        self.text = ""
        self.octets = b""
        self.service_centre = ""
        self.faults = ()

    def __init__(self):
        raise TypeError("one of the six is to be made")

    def encode(self):
        """The octets of this TPDU, without a service centre's address.  Raises CodecError naming the field."""
        cdef uint8_t buffer[LONGEST_RECORD]
        cdef Writer out = writer(buffer, sizeof(buffer))
        self.write(&out)
        if out.full:
            raise CodecError("longer than a TPDU can be", "user_data")
        return PyBytes_FromStringAndSize(<char*>buffer, out.at - buffer)

    cdef int make(self) except -1:
        """Before anything is set by __init__: what was made once stays as it is."""
        if self.made:
            raise TypeError("a TPDU is made only once")
        self.made = True
        return 0

    cdef bytes built(self):
        """The octets of a TPDU that was made of its fields: what came in may be longer than any should be."""
        cdef bytes octets = self.encode()
        if len(octets) > LONGEST_TPDU:
            raise CodecError("longer than a TPDU can be", "user_data")
        return octets

    @property
    def header(self):
        return self.raw[: self.header_octets]

    @property
    def user_data(self):
        return self.raw[: self.raw_octets]

    @property
    def elements(self):
        return read_elements(self.raw, self.header_octets) if self.header_octets else ()

    @property
    def concatenation(self):
        return read_concatenation(self.raw, self.header_octets) if self.header_octets else None

    @property
    def ports(self):
        return read_ports(self.raw, self.header_octets) if self.header_octets else None

    @property
    def indications(self):
        return read_indications(self.raw, self.header_octets) if self.header_octets else ()

    cdef int write(self, Writer* out) except -1:
        raise NotImplementedError

    cdef int take(self, Reader* source, list faults) except -1:
        raise NotImplementedError

    # Out

    cdef int say(
        self, object text, object coding, object message_class, object elements, object single, object locking, int most
    ) except -1:
        """Make the user data of a text or of octets, of at most `most` octets."""
        cdef uint8_t septets[_gsm7.LONGEST + 1]
        cdef Writer out = writer(self.raw, most)
        cdef Py_ssize_t count = 0
        cdef int header
        cdef str said
        cdef int tables = number_of(single, "single") << 8 | number_of(locking, "locking")
        _gsm7.check_languages(tables >> 8, tables & 0xFF)
        put(&out, 0)
        write_elements(elements, True, &out)
        write_shifts(tables >> 8, tables & 0xFF, &out)
        header = <int>(out.at - self.raw)
        if header == 1:
            out.at = self.raw
            header = 0
        else:
            self.raw[0] = <uint8_t>(header - 1)
            self.first |= HAS_HEADER
        if coding is not None:
            if message_class is not None:
                raise CodecError("the coding says the class", "message_class")
            self.set_coding(number_of(coding, "coding"), None, -1)
        if type(text) is bytes:  # no subclass, which may say that it has any length
            if coding is None:
                self.set_coding(coding_of(OCTETS, message_class), None, -1)
            self.say_octets(text, &out)
        else:
            said = text
            if coding is None or self.alphabet == GSM7:
                stop = _gsm7.spread(
                    PyUnicode_KIND(said),
                    PyUnicode_DATA(said),
                    len(said),
                    tables >> 8,
                    tables & 0xFF,
                    septets,
                    _gsm7.LONGEST,
                    &count,
                )
                if coding is None:
                    self.set_coding(coding_of(GSM7 if stop == len(said) else UCS2, message_class), None, -1)
                elif stop < len(said):
                    raise CodecError("not in the GSM 7-bit alphabet, or too long", "text", stop)
            if self.alphabet == GSM7:
                self.say_septets(septets, <int>count, header, &out)
            elif self.alphabet == UCS2:
                self.say_units(said, &out)
            elif said:
                raise CodecError("a text in a coding for octets", "coding")
            else:
                self.length = header
        if out.full:
            raise CodecError(f"more than {most} octets", "user_data")
        self.raw_octets = <int>(out.at - self.raw)
        memset(self.raw + self.raw_octets, 0, 8)
        self.interpret(None, -1)
        return 0

    cdef int say_octets(self, bytes octets, Writer* out) except -1:
        cdef uint8_t* at = claim(out, len(octets))
        if self.alphabet == GSM7:
            raise CodecError("octets in a coding for septets", "coding")
        if at != NULL:
            memcpy(at, <const uint8_t*>octets, len(octets))
        self.length = <int>(out.at - self.raw)
        return 0

    cdef int say_septets(self, const uint8_t* septets, int count, int header, Writer* out) except -1:
        cdef int skipped = (8 * header + 6) // 7
        cdef int fill_bits = 7 * skipped - 8 * header
        cdef uint8_t* at = claim(out, (fill_bits + 7 * count + 7) >> 3)
        if at != NULL:
            _gsm7.pack_septets(septets, count, fill_bits, at)
        self.length = skipped + count
        return 0

    cdef int say_units(self, str text, Writer* out) except -1:
        cdef uint16_t units[LONGEST_USER_DATA]
        cdef Py_ssize_t count = 0
        cdef uint8_t* at
        cdef Py_ssize_t stop = _ucs2.spread(
            PyUnicode_KIND(text), PyUnicode_DATA(text), len(text), units, LONGEST_USER_DATA, &count
        )
        if stop < len(text):
            raise CodecError("half a surrogate pair, or too long", "text", stop)
        at = claim(out, 2 * count)
        if at != NULL:
            _ucs2.write(units, count, at)
        self.length = <int>(out.at - self.raw)
        return 0

    cdef int write_user_data(self, Writer* out) except -1:
        """Write TP-UDL and TP-UD."""
        cdef uint8_t* at
        put(out, self.length)
        at = claim(out, self.raw_octets)
        if at != NULL:
            memcpy(at, self.raw, self.raw_octets)
        return 0

    # In

    cdef int set_coding(self, int coding, list faults, Py_ssize_t offset) except -1:
        self.coding = coding
        self.alphabet = alphabet_of(coding)
        self.message_class = class_of(coding)
        if is_compressed(coding):
            fault(faults, "compressed texts are not read here", "coding", offset)
        return 0

    cdef int take_user_data(self, Reader* source, int most, list faults) except -1:
        """TP-UDL and TP-UD of at most `most` octets, once the coding is known.

        §9.2.3.16: the length counts septets or octets, header and all.
        """
        cdef Py_ssize_t begin
        self.length = octet(source, "user_data")
        begin = source.at - source.start
        self.take_octets(
            source, (7 * self.length + 7) >> 3 if self.alphabet == GSM7 else self.length, most, "user_data", faults
        )
        # A header that was cut short is the same fault as its user data.
        return self.interpret([] if source.ended else faults, begin)

    cdef int take_octets(self, Reader* source, int size, int most, str field, list faults) except -1:
        """The `size` octets that the length in front of them announced."""
        if size > most:
            fault(faults, f"more than {most} octets", field, source.at - 1 - source.start)
        if size > source.end - source.at:
            fault(faults, "ends too early", field, source.end - source.start)
            source.ended = True
            size = <int>(source.end - source.at)
        if size > LONGEST_USER_DATA:
            size = LONGEST_USER_DATA
        memcpy(self.raw, source.at, size)
        memset(self.raw + size, 0, 8)
        source.at += size
        self.raw_octets = size
        return 0

    cdef int interpret(self, list faults, Py_ssize_t offset) except -1:
        """Read header and text of the user data, which began at `offset`."""
        cdef int size = self.raw_octets
        cdef int header = 0
        cdef int skipped
        cdef int count
        cdef uint8_t septets[_gsm7.LONGEST + 8]
        if self.first & HAS_HEADER:
            header = self.raw[0] + 1
            if header > size:
                fault(faults, "longer than the user data", "header", offset)
                header = size
            self.header_octets = header
            read_shifts(self.raw, header, &self.single, &self.locking)
        if self.alphabet == GSM7:
            count = 8 * size // 7  # as many septets as there are
            if count > self.length:
                count = self.length
            skipped = (8 * header + 6) // 7  # fill bits lead to the next septet
            if count > skipped:
                _gsm7.unpack_septets(self.raw, 7 * skipped, count - skipped, septets)
                self.text = _gsm7.text_of(septets, count - skipped, self.single, self.locking)
            return 0
        if self.alphabet == UCS2:
            self.text = _ucs2.read(self.raw + header, size - header)
            if not _ucs2.is_broken(self.raw + header, size - header):
                return 0
            # Half a pair may find its other half in the next part: kept for whoever joins them.
        self.octets = self.raw[header:size]
        return 0

    cdef Py_ssize_t units(self, uint8_t* into) noexcept:
        """What stands behind the header: septets one to an octet, code units or octets; how many octets that is."""
        cdef int skipped
        cdef int count
        if self.alphabet != GSM7:
            memcpy(into, self.raw + self.header_octets, self.raw_octets - self.header_octets)
            return self.raw_octets - self.header_octets
        count = 8 * self.raw_octets // 7
        if count > self.length:
            count = self.length
        skipped = (8 * self.header_octets + 6) // 7
        if count <= skipped:
            return 0
        _gsm7.unpack_septets(self.raw, 7 * skipped, count - skipped, into)
        return count - skipped
