"""PDUs out: the SMS-SUBMITs of a text, as octets and as a modem's line takes them, one message or many at a time.

Owns the order of a SUBMIT's fields (3GPP TS 23.040 §9.2.2.2) and the hex that AT+CMGS is given (TS 27.005 §4.3).
Everything that can be wrong with a message is found here, before any of it is written.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.ref cimport Py_INCREF
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from engine._envelope cimport AUTO, PLAIN, Envelope, envelope_of
from engine._fields cimport GSM7, UCS2, write_address, write_service_centre
from engine._octets cimport LANES, Writer, claim, put, write_hex, writer
from engine._segmentation cimport Plan, plan_octets, plan_text, write_part
from engine._template cimport Template

from engine.errors import CodecError

cdef extern from "Python.h":
    long PyLong_AsLongAndOverflow(object number, int* overflow) except? -1

cdef enum:
    LONGEST_SUBMIT = 164  # octets: §9.2.2.2
    HAS_HEADER = 0x40  # TP-UDHI
    ROOM = 12 + LONGEST_SUBMIT  # a service centre's address in front


cdef int reference_of(object concatenation, Envelope envelope) except -1:
    cdef int overflow = 0
    cdef long reference = PyLong_AsLongAndOverflow(concatenation, &overflow)
    if overflow or not 0 <= reference < 1 << 8 * envelope.reference_octets:
        raise CodecError(f"not 0 to {(1 << 8 * envelope.reference_octets) - 1}", "concatenation")
    return <int>reference


cdef list write_parts(str destination, const Plan* planned, Envelope envelope, object concatenation, bint as_line):
    """The parts of a planned message: bare TPDUs, or hex with the service centre in front."""
    cdef uint8_t buffer[ROOM + LANES]
    cdef uint8_t digits[2 * (ROOM + LANES)]
    cdef Writer out = writer(buffer, ROOM)
    cdef int reference = reference_of(concatenation, envelope)
    cdef int coding = envelope.data_coding
    cdef int part
    cdef uint8_t* at
    cdef uint8_t* behind_fields
    cdef bytes octets
    cdef list parts
    if coding == AUTO:
        coding = envelope.class_bits
        if planned.alphabet != GSM7:
            coding |= 0x08 if planned.alphabet == UCS2 else 0x04  # §4 of TS 23.038, the general group
    if as_line:
        at = claim(&out, envelope.centre_octets)
        memcpy(at, envelope.centre, envelope.centre_octets)
    put(&out, envelope.first_octet | (HAS_HEADER if planned.header else 0))
    put(&out, 0)  # TP-MR: the modem puts in its own
    write_address(destination, "destination", &out)
    put(&out, envelope.protocol)
    put(&out, coding)
    at = claim(&out, envelope.validity_octets)
    if at != NULL:
        memcpy(at, envelope.validity, envelope.validity_octets)
    behind_fields = out.at
    parts = PyList_New(planned.parts)
    for part in range(planned.parts):
        out.at = behind_fields
        write_part(planned, envelope, part, reference, &out)
        if out.full:
            raise CodecError("longer than a TPDU can be", "user_data")
        if as_line:
            write_hex(buffer, out.at - buffer, digits)
            octets = PyBytes_FromStringAndSize(<char*>digits, 2 * (out.at - buffer))
        else:
            octets = PyBytes_FromStringAndSize(<char*>buffer, out.at - buffer)
        Py_INCREF(octets)
        PyList_SET_ITEM(parts, part, octets)
    return parts


cdef list message(str destination, object text, Envelope envelope, object concatenation, bint as_line):
    cdef Plan planned
    if type(text) is bytes:
        plan_octets(text, envelope, &planned)
    elif type(text) is str:
        plan_text(text, envelope, &planned)
    else:
        raise TypeError("a text is str, octets are bytes")
    return write_parts(destination, &planned, envelope, concatenation, as_line)


def encode(
    str destination not None, object text not None, Envelope envelope=None, *, object concatenation=0, **options
):
    """The SMS-SUBMIT TPDUs of `text`, in order, without the service centre's address and with TP-MR 0.

    `text` is str, or bytes for 8-bit data.  `concatenation` is the reference that joins the parts, unused where
    there is one.  `options` are those of an Envelope, in place of one.  Raises CodecError, with the offset in
    characters, for a destination that cannot be dialled, a text its alphabet lacks or that takes more than 255
    parts, and values out of range.  3GPP TS 23.040 §9.2.2.2.
    """
    return message(destination, text, envelope_of(envelope, options), concatenation, False)


def lines(str destination not None, object text not None, Envelope envelope=None, object concatenation=0):
    """What AT+CMGS is given of each part: service centre and TPDU in upper-case hex, without the Ctrl-Z.

    Otherwise as `encode`, but for the options: making an envelope of them takes as long as the rest.  The number in
    AT+CMGS=<length> leaves out the service centre's address, which is one octet where the envelope names none: half
    of the digits, less one.
    """
    return message(destination, text, PLAIN if envelope is None else envelope, concatenation, True)


def batch(
    object destinations not None,
    object text not None,
    object values=None,
    Envelope envelope=None,
    object concatenation=0,
):
    """The `lines` of one text, or of a Template, to many: a list for each of `destinations`, in their order.

    `values` has a tuple for each of them, as `Template.render` takes it; a text takes none.  `concatenation` is
    one reference for all, which are different people, or a sequence of one each.  Raises CodecError whose field
    names the row, from 1; nothing is returned then.
    """
    cdef Py_ssize_t count = len(destinations)
    cdef Py_ssize_t row = 0
    cdef Template template = text if isinstance(text, Template) else None
    cdef Plan planned
    cdef bint each = not isinstance(concatenation, int)
    cdef object reference = concatenation
    cdef str destination
    cdef list found
    if envelope is None:
        envelope = PLAIN
    if (template is None) != (values is None):
        raise TypeError("a template takes values, a text none")
    if values is not None and len(values) != count:
        raise CodecError(f"{len(values)} rows for {count} destinations", "values")
    if each and len(concatenation) != count:
        raise CodecError(f"{len(concatenation)} references for {count} destinations", "concatenation")
    found = PyList_New(count)
    for row in range(count):
        Py_INCREF(None)
        PyList_SET_ITEM(found, row, None)
    if template is None and count > 0:
        if type(text) is bytes:
            plan_octets(text, envelope, &planned)
        else:
            plan_text(text, envelope, &planned)
    row = 0
    try:
        for row in range(count):
            destination = destinations[row]
            if destination is None:
                raise CodecError("is missing", "destination")
            if each:
                reference = concatenation[row]
            if template is not None:
                plan_text(template.fill(values[row]), envelope, &planned)
            found[row] = write_parts(destination, &planned, envelope, reference, True)
    except CodecError as error:
        raise CodecError(error.reason, f"row {row + 1}: {error.field}", error.offset) from None
    return found


def line(bytes tpdu not None, str service_centre not None=""):
    """What AT+CMGS is given of one TPDU; without a `service_centre` the SIM names it.  Raises CodecError."""
    cdef uint8_t buffer[ROOM + LANES]
    cdef uint8_t digits[2 * (ROOM + LANES)]
    cdef Writer out = writer(buffer, ROOM)
    cdef Py_ssize_t length = len(tpdu)
    cdef uint8_t* at
    write_service_centre(service_centre, &out)
    at = claim(&out, <int>length) if length <= LONGEST_SUBMIT else NULL
    if at == NULL:
        raise CodecError("longer than a TPDU can be", "tpdu")
    memcpy(at, <const uint8_t*>tpdu, length)
    write_hex(buffer, out.at - buffer, digits)
    return PyBytes_FromStringAndSize(<char*>digits, 2 * (out.at - buffer))
