"""The TPDUs that carry a message or speak of one: SMS-DELIVER, SMS-SUBMIT and SMS-COMMAND.  3GPP TS 23.040 §9.2.2.

Which fields each has, in which order, in and out: each is read by `take`, written by `write`, and can be built from
its fields.  Knows neither the hex that a modem prints nor messages of several parts.

Reading trusts nothing, and what the standard says to ignore is ignored, since a message that cannot be read is a
message lost.  What is wrong is raised, or kept in the list of faults where there is one.
"""

cimport cython
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from engine._content cimport HAS_HEADER, Tpdu
from engine._envelope cimport Envelope
from engine._fields cimport (
    ANY_TYPE,
    OCTETS,
    Reader,
    enhanced_seconds,
    number_of,
    octet,
    read_address,
    read_time,
    relative_seconds,
    span,
    write_anyone,
    write_time,
    zone_of,
)
from engine._octets cimport Writer, claim, put

from engine.errors import CodecError

cdef enum:
    DELIVER = 0  # TP-MTI, §9.2.3.1
    SUBMIT = 1
    COMMAND = 2

    # Bits of the first octet, §9.2.2: not all of them mean the same in each.
    REJECT_DUPLICATES = 0x04  # TP-RD
    NO_MORE_MESSAGES = 0x04  # TP-MMS
    LOOP_PREVENTION = 0x08  # TP-LP
    VALIDITY_FORMAT = 0x18  # TP-VPF
    VALIDITY_ENHANCED = 0x08
    VALIDITY_RELATIVE = 0x10
    VALIDITY_ABSOLUTE = 0x18
    REPORT = 0x20  # TP-SRI, TP-SRR
    REPLY_PATH = 0x80  # TP-RP

    SINGLE_SHOT = 0x40  # of an enhanced validity

    ALPHANUMERIC_TYPE = 5

    MOST = 140  # octets of TP-UD
    MOST_OF_COMMAND = 156  # octets of TP-CD, §9.2.3.21


@cython.final
@cython.no_gc
@cython.auto_pickle(False)
cdef class Deliver(Tpdu):
    """SMS-DELIVER: a message for us.  §9.2.2.1."""

    def __init__(
        self,
        str originator not None,
        object text not None="",
        *,
        object service_centre_time_ms=None,
        object service_centre_zone=0,
        object protocol=0,
        object coding=None,
        object message_class=None,
        object elements=(),
        object single=0,
        object locking=0,
        bint more_messages=False,
        bint loop_prevention=False,
        bint report_indication=False,
        bint reply_path=False,
    ):
        self.make()
        self.first = (
            DELIVER
            | (0 if more_messages else NO_MORE_MESSAGES)
            | (LOOP_PREVENTION if loop_prevention else 0)
            | (REPORT if report_indication else 0)
            | (REPLY_PATH if reply_path else 0)
        )
        self.originator = originator
        self.protocol = number_of(protocol, "protocol")
        self.service_centre_time_ms = service_centre_time_ms
        self.service_centre_zone = zone_of(service_centre_zone, "service_centre_time")
        self.say(text, coding, message_class, elements, single, locking, MOST)
        self.kind_of_address = ANY_TYPE
        self.kind_of_address = self.built()[2]

    cdef int write(self, Writer* out) except -1:
        cdef uint8_t* at
        put(out, self.first)
        write_anyone(self.originator, self.kind_of_address, "originator", out)
        put(out, self.protocol)
        put(out, self.coding)
        at = claim(out, 7)
        if at != NULL:
            write_time(self.service_centre_time_ms, self.service_centre_zone, "service_centre_time", at)
        return self.write_user_data(out)

    cdef int take(self, Reader* source, list faults) except -1:
        self.originator = ""
        self.first = <uint8_t>octet(source, "message_type")
        self.originator = read_address(source, "originator", &self.kind_of_address, faults)
        self.protocol = octet(source, "protocol")
        self.set_coding(octet(source, "coding"), faults, source.at - 1 - source.start)
        self.service_centre_time_ms = read_time(span(source, 7, "service_centre_time"), &self.service_centre_zone)
        return self.take_user_data(source, MOST, faults)

    @property
    def alphanumeric(self):
        return (self.kind_of_address >> 4) & 7 == ALPHANUMERIC_TYPE

    @property
    def address_type(self):
        return self.kind_of_address

    @property
    def more_messages(self):
        return not self.first & NO_MORE_MESSAGES

    @property
    def loop_prevention(self):
        return self.first & LOOP_PREVENTION != 0

    @property
    def report_indication(self):
        return self.first & REPORT != 0

    @property
    def reply_path(self):
        return self.first & REPLY_PATH != 0


@cython.final
@cython.no_gc
@cython.auto_pickle(False)
cdef class Submit(Tpdu):
    """SMS-SUBMIT: a part of ours, as given to a modem or stored in it.  §9.2.2.2."""

    def __init__(
        self,
        str destination not None,
        object text not None="",
        *,
        object reference=0,
        object coding=None,
        object message_class=None,
        object elements=(),
        object single=0,
        object locking=0,
        object validity_s=None,
        object expires_ms=None,
        bint exact_validity=False,
        bint single_shot=False,
        bint wants_report=False,
        bint reject_duplicates=False,
        bint reply_path=False,
        object protocol=0,
    ):
        cdef Envelope envelope = Envelope(
            validity_s=validity_s,
            expires_ms=expires_ms,
            exact_validity=exact_validity,
            single_shot=single_shot,
            wants_report=wants_report,
            reject_duplicates=reject_duplicates,
            reply_path=reply_path,
            protocol=protocol,
        )
        self.make()
        self.first = <uint8_t>envelope.first_octet
        self.destination = destination
        self.reference = number_of(reference, "reference")
        self.protocol = envelope.protocol
        memcpy(self.validity, envelope.validity, sizeof(self.validity))
        self.has_validity = True
        self.say(text, coding, message_class, elements, single, locking, MOST)
        self.kind_of_address = ANY_TYPE
        self.kind_of_address = self.built()[3]

    cdef int write(self, Writer* out) except -1:
        cdef uint8_t* at
        cdef int octets = self.validity_octets()
        put(out, self.first)
        put(out, self.reference)
        write_anyone(self.destination, self.kind_of_address, "destination", out)
        put(out, self.protocol)
        put(out, self.coding)
        at = claim(out, octets)
        if at != NULL:
            memcpy(at, self.validity, octets)
        return self.write_user_data(out)

    cdef int take(self, Reader* source, list faults) except -1:
        cdef int octets
        self.destination = ""
        self.first = <uint8_t>octet(source, "message_type")
        self.reference = octet(source, "reference")
        self.destination = read_address(source, "destination", &self.kind_of_address, faults)
        self.protocol = octet(source, "protocol")
        self.set_coding(octet(source, "coding"), faults, source.at - 1 - source.start)
        octets = self.validity_octets()
        if octets:
            memcpy(self.validity, span(source, octets, "validity"), octets)
            self.has_validity = True
        return self.take_user_data(source, MOST, faults)

    cdef int validity_octets(self) noexcept:
        cdef int form = self.first & VALIDITY_FORMAT
        return 0 if form == 0 else (1 if form == VALIDITY_RELATIVE else 7)

    @property
    def address_type(self):
        return self.kind_of_address

    @property
    def validity_format(self):
        return (self.first & VALIDITY_FORMAT) >> 3

    @property
    def validity_s(self):
        cdef int form = self.first & VALIDITY_FORMAT if self.has_validity else 0
        if form == VALIDITY_RELATIVE:
            return relative_seconds(self.validity[0])
        if form == VALIDITY_ENHANCED:
            return enhanced_seconds(self.validity)
        return None

    @property
    def expires_ms(self):
        cdef int zone
        if self.has_validity and self.first & VALIDITY_FORMAT == VALIDITY_ABSOLUTE:
            return read_time(self.validity, &zone)
        return None

    @property
    def single_shot(self):
        return self.first & VALIDITY_FORMAT == VALIDITY_ENHANCED and self.validity[0] & SINGLE_SHOT != 0

    @property
    def wants_report(self):
        return self.first & REPORT != 0

    @property
    def reject_duplicates(self):
        return self.first & REJECT_DUPLICATES != 0

    @property
    def reply_path(self):
        return self.first & REPLY_PATH != 0


@cython.final
@cython.no_gc
@cython.auto_pickle(False)
cdef class Command(Tpdu):
    """SMS-COMMAND: what the service centre is to do with a part that was submitted before.  §9.2.2.4."""

    def __init__(
        self,
        str destination not None,
        *,
        object command,
        object number=0,
        object reference=0,
        object protocol=0,
        bytes data not None=b"",
        bint wants_report=False,
        bint has_header=False,
    ):
        self.make()
        self.first = COMMAND | (REPORT if wants_report else 0) | (HAS_HEADER if has_header else 0)
        self.destination = destination
        self.command = number_of(command, "command")
        self.number = number_of(number, "number")
        self.reference = number_of(reference, "reference")
        self.protocol = number_of(protocol, "protocol")
        self.alphabet = OCTETS
        if len(data) > MOST_OF_COMMAND:
            raise CodecError(f"more than {MOST_OF_COMMAND} octets", "data")
        memcpy(self.raw, <const uint8_t*>data, len(data))
        self.raw_octets = <int>len(data)
        self.length = self.raw_octets
        self.kind_of_address = ANY_TYPE
        self.kind_of_address = self.built()[6]

    cdef int write(self, Writer* out) except -1:
        put(out, self.first)
        put(out, self.reference)
        put(out, self.protocol)
        put(out, self.command)
        put(out, self.number)
        write_anyone(self.destination, self.kind_of_address, "destination", out)
        return self.write_user_data(out)

    cdef int take(self, Reader* source, list faults) except -1:
        self.destination = ""
        self.alphabet = OCTETS
        self.first = <uint8_t>octet(source, "message_type")
        self.reference = octet(source, "reference")
        self.protocol = octet(source, "protocol")
        self.command = octet(source, "command")
        self.number = octet(source, "number")
        self.destination = read_address(source, "destination", &self.kind_of_address, faults)
        self.length = octet(source, "data")
        return self.take_octets(source, self.length, MOST_OF_COMMAND, "data", faults)

    @property
    def address_type(self):
        return self.kind_of_address

    @property
    def data(self):
        return self.user_data

    @property
    def has_header(self):
        return self.first & HAS_HEADER != 0

    @property
    def wants_report(self):
        return self.first & REPORT != 0
