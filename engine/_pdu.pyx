"""TPDUs of 3GPP TS 23.040: SMS-SUBMIT out; SMS-DELIVER, SMS-STATUS-REPORT and SMS-SUBMIT in.

Owns which TPDU has which fields, the user data and its header, and the PDU as a modem prints it.  Structure
decides where a TPDU ends, not the end of the line.  Knows nothing of AT commands, modems or the store.

Reading trusts nothing, and raises CodecError only.  But what the standard says to ignore is ignored, since
a message that cannot be read is a message lost.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DATA
from libc.stdint cimport uint8_t

from engine cimport _gsm7, _ucs2
from engine._fields cimport (
    Reader,
    alphabet_of,
    class_of,
    enhanced_seconds,
    octet,
    read_address,
    read_service_centre,
    read_time,
    relative_seconds,
    relative_validity,
    span,
    write_address,
)
from engine._octets cimport Writer, hex_value, put, write_hex, writer
from engine._segmentation cimport GSM7, UCS2, Plan, plan, write_part

from engine.errors import CodecError

cdef enum:
    DELIVER = 0x00  # TP-MTI, §9.2.3.1
    SUBMIT = 0x01
    STATUS_REPORT = 0x02
    REJECT_DUPLICATES = 0x04  # TP-RD, bit 2 of a SUBMIT
    VALIDITY_ENHANCED = 0x08  # TP-VPF, §9.2.3.3
    VALIDITY_RELATIVE = 0x10
    VALIDITY_ABSOLUTE = 0x18
    WANTS_REPORT = 0x20  # TP-SRR
    HAS_HEADER = 0x40  # TP-UDHI
    REPLY_PATH = 0x80  # TP-RP

    CONCATENATION_8 = 0x00  # information elements, §9.2.3.24
    CONCATENATION_16 = 0x08

    MOST_OCTETS = 140  # TP-UD, header and all
    LONGEST_VALIDITY_S = 63 * 7 * 86400  # what the last value of TP-VP says: §9.2.3.12.1
    LONGEST_TPDU = 164  # octets of a SUBMIT: §9.2.2.2
    LONGEST_RECORD = 256  # octets `read` takes: a stored record is 176 and its service centre's address 12


# Results


@cython.no_gc
@cython.auto_pickle(False)
cdef class Tpdu:
    """What the TPDUs that are read have in common.

    Has no __repr__ on purpose: a text or a number must not reach a log by accident.
    """

    cdef readonly int protocol
    cdef readonly int coding
    cdef readonly int alphabet
    cdef readonly object message_class
    cdef readonly str text
    cdef readonly bytes octets
    cdef readonly bytes header
    cdef readonly tuple concatenation
    cdef readonly str service_centre

    def __cinit__(self):
        self.text = ""
        self.octets = b""
        self.header = b""
        self.service_centre = ""


@cython.final
@cython.no_gc
@cython.auto_pickle(False)
cdef class Deliver(Tpdu):
    """SMS-DELIVER: a message for us.  §9.2.2.1."""

    cdef readonly str originator
    cdef readonly bint alphanumeric
    cdef readonly object service_centre_time_ms


@cython.final
@cython.no_gc
@cython.auto_pickle(False)
cdef class StatusReport(Tpdu):
    """SMS-STATUS-REPORT: what became of a part we sent.  §9.2.2.3."""

    cdef readonly int reference
    cdef readonly str recipient
    cdef readonly object service_centre_time_ms
    cdef readonly object discharge_time_ms
    cdef readonly int outcome


@cython.final
@cython.no_gc
@cython.auto_pickle(False)
cdef class Submit(Tpdu):
    """SMS-SUBMIT: a part of ours, as given to a modem or stored in it.  §9.2.2.2."""

    cdef readonly int reference
    cdef readonly str destination
    cdef readonly object validity_s
    cdef readonly object expires_ms
    cdef readonly bint wants_report
    cdef readonly bint reject_duplicates
    cdef readonly bint reply_path


# Writing


def encode(
    str destination not None,
    str text not None,
    *,
    object concatenation=0,
    object validity_s=None,
    bint wants_report=False,
    str alphabet not None="auto",
    object message_class=None,
):
    """The SMS-SUBMIT TPDUs of `text`, in order, without the service centre's address and with TP-MR 0.

    `concatenation` is the 8-bit reference that joins the parts, unused where there is one.  `validity_s` is
    rounded up to the next value TP-VP can say, at most 63 weeks; None leaves it to the network.  `alphabet`
    is "auto", "gsm7" or "ucs2".  Raises CodecError, with the offset in characters, for a destination that
    cannot be dialled, a text its alphabet lacks or that takes more than 255 parts, and values out of range.
    3GPP TS 23.040 §9.2.2.2.
    """
    cdef uint8_t buffer[LONGEST_TPDU]
    cdef Writer out = writer(buffer, sizeof(buffer))
    cdef uint8_t* behind_fields
    cdef Plan planned
    cdef Py_ssize_t begin = 0
    cdef int first = SUBMIT
    cdef int coding
    cdef int validity = -1
    cdef int sequence
    if not 0 <= concatenation <= 255:
        raise CodecError("not 0 to 255", "concatenation")
    plan(text, alphabet, &planned)
    coding = 0x08 if planned.alphabet == UCS2 else 0x00  # §4 of TS 23.038, the general group
    if message_class is not None:
        if not 0 <= message_class <= 3:
            raise CodecError("not 0 to 3", "message_class")
        coding |= 0x10 | <int>message_class
    if validity_s is not None:
        if validity_s < 0:
            raise CodecError("already over", "validity")
        validity = relative_validity(min(validity_s, LONGEST_VALIDITY_S))
        first |= VALIDITY_RELATIVE
    if wants_report:
        first |= WANTS_REPORT
    if planned.parts > 1:
        first |= HAS_HEADER

    put(&out, first)
    put(&out, 0)  # TP-MR: the modem puts in its own
    write_address(destination, &out)
    put(&out, 0)  # TP-PID: an ordinary short message
    put(&out, coding)
    if validity >= 0:
        put(&out, validity)
    behind_fields = out.at
    tpdus = []
    for sequence in range(1, planned.parts + 1):
        out.at = behind_fields
        begin = write_part(&planned, begin, sequence, <int>concatenation, &out)
        if out.full:
            raise CodecError("longer than a TPDU can be", "user_data")
        tpdus.append(PyBytes_FromStringAndSize(<char*>buffer, out.at - buffer))
    return tpdus


def line(bytes tpdu not None):
    """What AT+CMGS is given, in upper-case hex: 00, for the SIM names the service centre, then the TPDU."""
    cdef Py_ssize_t length = len(tpdu)
    cdef bytes digits = PyBytes_FromStringAndSize(NULL, 2 * length + 2)
    cdef uint8_t* at = <uint8_t*>PyBytes_AS_STRING(digits)
    at[0] = c"0"
    at[1] = c"0"
    write_hex(<const uint8_t*>PyBytes_AS_STRING(tpdu), length, at + 2)
    return digits


# Reading: user data


cdef tuple read_concatenation(const uint8_t* header, int length):
    """(reference, total, sequence) of the last concatenation element of a header, or None.

    §9.2.3.24: where the elements do not fill the header exactly, none of it counts; of elements that exclude
    each other the last one counts.  §9.2.3.24.1: a sequence of 0 or beyond the total is to be ignored.
    """
    cdef int at = 1
    cdef int element
    cdef int size
    cdef tuple found = None
    while at < length:
        if at + 2 > length or at + 2 + header[at + 1] > length:
            return None
        element = header[at]
        size = header[at + 1]
        at += 2
        if element == CONCATENATION_8 and size == 3:
            if 1 <= header[at + 2] <= header[at + 1]:
                found = (header[at], header[at + 1], header[at + 2])
        elif element == CONCATENATION_16 and size == 4:
            if 1 <= header[at + 3] <= header[at + 2]:
                found = (header[at] << 8 | header[at + 1], header[at + 2], header[at + 3])
        at += size
    return found


cdef int read_coding(Reader* source, Tpdu out) except -1:
    out.coding = octet(source, "coding")
    out.alphabet = alphabet_of(out.coding)
    out.message_class = class_of(out.coding)
    return 0


cdef int read_user_data(Reader* source, bint has_header, Tpdu out) except -1:
    """TP-UDL and TP-UD, once the coding is known.

    §9.2.3.16: the length counts septets or octets, header and all.
    """
    cdef int length = octet(source, "user_data")
    cdef int size = (7 * length + 7) >> 3 if out.alphabet == GSM7 else length
    cdef int header = 0
    cdef int skipped
    cdef const uint8_t* octets
    if size > MOST_OCTETS:
        raise CodecError("more than 140 octets", "user_data", source.at - 1 - source.start)
    octets = span(source, size, "user_data")
    if has_header:
        if size == 0 or octets[0] + 1 > size:
            raise CodecError("longer than the user data", "header", octets - source.start)
        header = octets[0] + 1
        out.header = octets[:header]
        out.concatenation = read_concatenation(octets, header)
    if out.alphabet == GSM7:
        skipped = (8 * header + 6) // 7  # fill bits lead to the next septet
        if skipped < length:
            out.text = _gsm7.read(octets, 7 * skipped, length - skipped)
        return 0
    if out.alphabet == UCS2:
        out.text = _ucs2.read(octets + header, size - header)
        if u"\uFFFD" not in out.text:
            return 0
        # Half a pair may find its other half in the next part: kept for whoever joins them.
    out.octets = octets[header:size]
    return 0


# Reading: TPDUs


cdef bint only_filler(Reader* source) noexcept nogil:
    """Whether nothing is left, or nothing but the filler of a stored record."""
    cdef const uint8_t* at = source.at
    if at < source.end and not source.filled:
        return False
    while at < source.end:
        if at[0] != 0xFF:
            return False
        at += 1
    return True


cdef Deliver read_deliver(Reader* source, int first):
    cdef Deliver out = Deliver.__new__(Deliver)
    cdef bint alphanumeric = False
    out.originator = read_address(source, "originator", &alphanumeric)
    out.alphanumeric = alphanumeric
    out.protocol = octet(source, "protocol")
    read_coding(source, out)
    out.service_centre_time_ms = read_time(span(source, 7, "service_centre_time"))
    read_user_data(source, first & HAS_HEADER, out)
    return out


cdef StatusReport read_status_report(Reader* source, int first):
    cdef StatusReport out = StatusReport.__new__(StatusReport)
    cdef bint alphanumeric = False
    cdef int present
    out.reference = octet(source, "reference")
    out.recipient = read_address(source, "recipient", &alphanumeric)
    out.service_centre_time_ms = read_time(span(source, 7, "service_centre_time"))
    out.discharge_time_ms = read_time(span(source, 7, "discharge_time"))
    out.outcome = octet(source, "outcome")
    if only_filler(source):
        return out
    # TP-PI says which of the optional fields follow; its bit 7 announces another octet of it.  §9.2.3.27.
    present = octet(source, "parameters")
    if present & 0x80:
        while octet(source, "parameters") & 0x80:
            pass
    if present & 0x01:
        out.protocol = octet(source, "protocol")
    if present & 0x02:
        read_coding(source, out)
    if present & 0x04:
        read_user_data(source, first & HAS_HEADER, out)
    return out


cdef Submit read_submit(Reader* source, int first):
    cdef Submit out = Submit.__new__(Submit)
    cdef bint alphanumeric = False
    cdef int form = first & VALIDITY_ABSOLUTE
    out.reject_duplicates = first & REJECT_DUPLICATES
    out.wants_report = first & WANTS_REPORT
    out.reply_path = first & REPLY_PATH
    out.reference = octet(source, "reference")
    out.destination = read_address(source, "destination", &alphanumeric)
    out.protocol = octet(source, "protocol")
    read_coding(source, out)
    if form == VALIDITY_RELATIVE:
        out.validity_s = relative_seconds(octet(source, "validity"))
    elif form == VALIDITY_ABSOLUTE:
        out.expires_ms = read_time(span(source, 7, "validity"))
    elif form == VALIDITY_ENHANCED:
        out.validity_s = enhanced_seconds(span(source, 7, "validity"))
    read_user_data(source, first & HAS_HEADER, out)
    return out


cdef Tpdu read_tpdu(Reader* source, bint from_network, bint from_us):
    cdef int first = octet(source, "message_type")
    cdef int kind = first & 3
    cdef Tpdu out
    if kind == DELIVER and from_network:
        out = read_deliver(source, first)
    elif kind == STATUS_REPORT and from_network:
        out = read_status_report(source, first)
    elif kind == SUBMIT and from_us:
        out = read_submit(source, first)
    else:
        raise CodecError("not a type that is read here", "message_type", source.at - source.start - 1)
    if not only_filler(source):
        raise CodecError("octets behind the end", "length", source.at - source.start)
    return out


def decode(bytes tpdu not None, str direction not None="sc2ms"):
    """The Deliver or StatusReport ("sc2ms", to the mobile) or the Submit ("ms2sc", from it) of a bare TPDU.

    Raises CodecError, with the field and the octet, where it ends too early, goes on behind its end, or is
    of another type.
    """
    cdef Reader source
    source.start = <const uint8_t*>PyBytes_AS_STRING(tpdu)
    source.at = source.start
    source.end = source.start + len(tpdu)
    source.filled = False
    if direction == "sc2ms":
        return read_tpdu(&source, True, False)
    if direction == "ms2sc":
        return read_tpdu(&source, False, True)
    raise CodecError("neither sc2ms nor ms2sc", "direction")


def read(pdu_hex not None, length=None):
    """The Deliver, StatusReport or stored Submit of a PDU as a modem prints it, service centre first.

    `pdu_hex` is str or bytes, in either case of digits.  `length` is the number of TPDU octets that the modem
    stated, checked where given.  FF behind the TPDU, the filler of a stored record, is allowed.  Raises
    CodecError; its offset is in octets of the whole PDU.
    """
    cdef uint8_t record[LONGEST_RECORD]
    cdef Reader source
    cdef const uint8_t* digits
    cdef Py_ssize_t count = len(pdu_hex)
    cdef Py_ssize_t i
    cdef Py_ssize_t stated
    cdef Py_ssize_t behind
    cdef int high
    cdef int low
    cdef str service_centre
    cdef Tpdu out
    if isinstance(pdu_hex, str):
        if not (<str>pdu_hex).isascii():
            raise CodecError("not hex digits", "pdu")
        digits = <const uint8_t*>PyUnicode_DATA(pdu_hex)
    elif isinstance(pdu_hex, bytes):
        digits = <const uint8_t*>PyBytes_AS_STRING(pdu_hex)
    else:
        raise TypeError("a PDU is str or bytes")
    if count > 2 * LONGEST_RECORD:
        raise CodecError("longer than a PDU can be", "pdu", LONGEST_RECORD)
    if count & 1:
        raise CodecError("an odd number of hex digits", "pdu", count >> 1)
    for i in range(count >> 1):
        high = hex_value(digits[2 * i])
        low = hex_value(digits[2 * i + 1])
        if high < 0 or low < 0:
            raise CodecError("not hex digits", "pdu", i)
        record[i] = <uint8_t>(high << 4 | low)
    source.start = record
    source.at = record
    source.end = record + (count >> 1)
    source.filled = True
    service_centre = read_service_centre(&source)
    if length is not None:
        stated = length
        behind = source.end - source.at - stated
        # Stored status reports are printed with the filler of their record behind what the length counts.
        for i in range(behind):
            if stated < 0 or source.at[stated + i] != 0xFF:
                behind = -1
                break
        if behind < 0:
            raise CodecError("not as many octets as the modem stated", "length", source.at - source.start)
        source.end -= behind
    out = read_tpdu(&source, True, True)
    out.service_centre = service_centre
    return out
