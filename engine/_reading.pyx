"""PDUs in: octets, or the hex that a modem prints, to TPDUs; and the parts of one text to the text.

Owns which TPDU it is, by its type and its direction, and where it ends: structure decides, not the end of the line.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DATA
from libc.stdint cimport uint8_t

from engine cimport _gsm7, _ucs2
from engine._content cimport LONGEST_USER_DATA, Tpdu
from engine._fields cimport GSM7, UCS2, Reader, fault, read_service_centre
from engine._octets cimport read_hex
from engine._reports cimport DeliverReport, StatusReport, SubmitReport
from engine._tpdu cimport Command, Deliver, Submit

from engine.errors import CodecError

cdef enum:
    LONGEST_RECORD = 256  # octets `read` takes: a stored record is 176 and its service centre's address 12

    # Which TPDUs are expected.
    TO_MOBILE = 0
    FROM_MOBILE = 1
    PRINTED = 2  # by a modem: those for us, and those of ours that it stores


cdef Tpdu kind_of(Reader* source, int direction, bint failed):
    """An empty TPDU of the type that the first octet names."""
    cdef int kind
    cdef SubmitReport submit_report
    cdef DeliverReport deliver_report
    if source.at >= source.end:
        raise CodecError("ends too early", "message_type", source.at - source.start)
    kind = source.at[0] & 3
    if kind == 0:
        if direction != FROM_MOBILE:
            return Deliver.__new__(Deliver)
        deliver_report = DeliverReport.__new__(DeliverReport)
        deliver_report.failure = 0 if failed else None
        return deliver_report
    if kind == 1:
        if direction != TO_MOBILE:
            return Submit.__new__(Submit)
        submit_report = SubmitReport.__new__(SubmitReport)
        submit_report.failure = 0 if failed else None
        return submit_report
    if kind == 2:
        return Command.__new__(Command) if direction == FROM_MOBILE else StatusReport.__new__(StatusReport)
    raise CodecError("a reserved type", "message_type", source.at - source.start)


cdef int check_end(Reader* source, list faults) except -1:
    """Nothing may be left, or nothing but the filler of a stored record."""
    cdef const uint8_t* at = source.at
    if source.filled:
        while at < source.end and at[0] == 0xFF:
            at += 1
    if at < source.end:
        fault(faults, "octets behind the end", "length", source.at - source.start)
    return 0


cdef Tpdu take(Reader* source, int direction, bint failed):
    cdef Tpdu out = kind_of(source, direction, failed)
    out.made = True
    out.take(source, None)
    if source.at < source.end:
        check_end(source, None)
    return out


cdef Tpdu take_what_there_is(Reader* source, int direction, bint failed, list faults):
    cdef Tpdu out = kind_of(source, direction, failed)
    out.made = True
    try:
        out.take(source, faults)
        check_end(source, faults)
    except CodecError as error:
        if not source.ended:  # what lacks behind a field that was cut short is the same fault
            faults.append(error)
    out.faults = tuple(faults)
    return out


def decode(bytes tpdu not None, str direction not None="sc2ms", *, str rp not None="ack", bint strict=True):
    """The Deliver, SubmitReport or StatusReport ("sc2ms", to the mobile) or the DeliverReport, Submit or Command
    ("ms2sc", from it) of a bare TPDU.

    `rp` says whether a report came in an RP-ACK ("ack") or in an RP-ERROR ("error"), which its octets do not.
    Raises CodecError, with the field and the octet, where it ends too early, goes on behind its end, has a field
    that is too long or a text that is compressed; unless `strict`, what there is of it is read, and the errors are
    in `faults`.  An octet that names no type is raised always.
    """
    cdef Reader source
    cdef int way
    source.start = <const uint8_t*>PyBytes_AS_STRING(tpdu)
    source.at = source.start
    source.end = source.start + len(tpdu)
    source.ended = False
    source.filled = False
    if direction == "sc2ms":
        way = TO_MOBILE
    elif direction == "ms2sc":
        way = FROM_MOBILE
    else:
        raise CodecError("neither sc2ms nor ms2sc", "direction")
    if rp != "ack" and rp != "error":
        raise CodecError("neither ack nor error", "rp")
    if strict:
        return take(&source, way, rp == "error")
    return take_what_there_is(&source, way, rp == "error", [])


def read(object pdu_hex not None, object length=None, *, bint strict=True):
    """The Deliver, StatusReport or stored Submit of a PDU as a modem prints it, service centre first.

    `pdu_hex` is str or bytes, in either case of digits.  `length` is the number of TPDU octets that the modem
    stated, checked where given.  FF behind the TPDU, the filler of a stored record, is allowed.  Raises
    CodecError; its offset is in octets of the whole PDU.  `strict` is as for `decode`; what is no hex is raised
    always.
    """
    cdef uint8_t record[2 * LONGEST_RECORD]
    cdef Reader source
    cdef const uint8_t* digits
    cdef Py_ssize_t count = len(pdu_hex)
    cdef Py_ssize_t stated
    cdef Py_ssize_t behind
    cdef Py_ssize_t i
    cdef list faults = None if strict else []
    cdef str service_centre
    cdef Tpdu out
    if type(pdu_hex) is str:
        if not (<str>pdu_hex).isascii():
            raise CodecError("not hex digits", "pdu")
        digits = <const uint8_t*>PyUnicode_DATA(pdu_hex)
    elif type(pdu_hex) is bytes:
        digits = <const uint8_t*>PyBytes_AS_STRING(pdu_hex)
    else:
        raise TypeError("a PDU is str or bytes")
    if count > 2 * LONGEST_RECORD:
        raise CodecError("longer than a PDU can be", "pdu", LONGEST_RECORD)
    if count & 1:
        raise CodecError("an odd number of hex digits", "pdu", count >> 1)
    if not read_hex(digits, count >> 1, record):
        raise CodecError("not hex digits", "pdu", first_strange(digits, count))
    source.start = record
    source.at = record
    source.end = record + (count >> 1)
    source.ended = False
    source.filled = True
    service_centre = read_service_centre(&source, faults)
    if length is not None:
        stated = length if 0 <= length <= LONGEST_RECORD else LONGEST_RECORD + 1  # which are never there
        behind = source.end - source.at - stated
        # Stored status reports are printed with the filler of their record behind what the length counts.
        for i in range(behind):
            if source.at[stated + i] != 0xFF:
                behind = -1
                break
        if behind < 0:
            fault(faults, "not as many octets as the modem stated", "length", source.at - source.start)
        else:
            source.end -= behind
    if strict:
        out = take(&source, PRINTED, False)
    else:
        out = take_what_there_is(&source, PRINTED, False, faults)
    out.service_centre = service_centre
    return out


cdef Py_ssize_t first_strange(const uint8_t* digits, Py_ssize_t count) noexcept nogil:
    """The octet of the first character that is no hex digit."""
    cdef uint8_t octet[2]
    cdef Py_ssize_t i
    for i in range(count >> 1):
        if not read_hex(digits + 2 * i, 1, octet):
            return i
    return count >> 1


# Several parts


cdef str text_of_run(list units, Tpdu like):
    """The text of units that follow each other, in the alphabet of one of their parts."""
    cdef bytes octets = b"".join(units)
    if like.alphabet == GSM7:
        return _gsm7.text_of(<const uint8_t*>PyBytes_AS_STRING(octets), len(octets), like.single, like.locking)
    if like.alphabet == UCS2:
        return _ucs2.read(<const uint8_t*>PyBytes_AS_STRING(octets), len(octets))
    return ""


def join(object tpdus not None):
    """The text of the parts of one message, given in any order; the first of two with the same sequence counts.

    Septets and code units are joined before they are read, so that an escape sequence or a surrogate pair that
    someone else's encoder has cut in two reads right.  Parts between which one is missing, or whose alphabets
    differ, are read apart.  A part without a sequence is taken for the first.
    """
    cdef uint8_t buffer[2 * LONGEST_USER_DATA]
    cdef dict parts = {}
    cdef Tpdu one
    cdef Tpdu last = None
    cdef int before = 0
    cdef int sequence
    cdef list units = []
    cdef list texts = []
    cdef Py_ssize_t count
    for one in tpdus:
        if one is None:
            raise TypeError("None is no TPDU")
        parts.setdefault(1 if one.concatenation is None else one.concatenation[2], one)
    for sequence in sorted(parts):
        one = parts[sequence]
        if last is not None and not (
            sequence == before + 1
            and one.alphabet == last.alphabet
            and one.single == last.single
            and one.locking == last.locking
        ):
            texts.append(text_of_run(units, last))
            units = []
        count = one.units(buffer)
        if one.alphabet == UCS2 and count & 1:
            # Half a code unit cannot be completed: the next part begins with a whole one.
            buffer[count - 1] = 0xFF
            buffer[count] = 0xFD
            count += 1
        units.append(PyBytes_FromStringAndSize(<char*>buffer, count))
        last = one
        before = sequence
    if last is not None:
        texts.append(text_of_run(units, last))
    return "".join(texts)
