"""The TPDUs that report: SMS-STATUS-REPORT, SMS-SUBMIT-REPORT and SMS-DELIVER-REPORT.  3GPP TS 23.040 §9.2.2.

They share TP-PI, which says which of protocol, coding and user data follow (§9.2.3.27), and are otherwise as the
other TPDUs: read by `take`, written by `write`, built from their fields.
"""

cimport cython
from libc.stdint cimport uint8_t

from engine._content cimport Tpdu
from engine._fields cimport (
    ANY_TYPE,
    Reader,
    number_of,
    octet,
    read_address,
    read_time,
    span,
    write_anyone,
    write_time,
    zone_of,
)
from engine._octets cimport Writer, claim, put

cdef enum:
    DELIVER_REPORT = 0  # TP-MTI, §9.2.3.1
    SUBMIT_REPORT = 1
    STATUS_REPORT = 2

    NO_MORE_MESSAGES = 0x04  # TP-MMS
    LOOP_PREVENTION = 0x08  # TP-LP
    FOR_COMMAND = 0x20  # TP-SRQ

    HAS_PROTOCOL = 0x01  # TP-PI
    HAS_CODING = 0x02
    HAS_USER_DATA = 0x04
    MORE_PARAMETERS = 0x80

    ALPHANUMERIC_TYPE = 5

    # Octets of TP-UD, §9.2.2.
    MOST_OF_STATUS_REPORT = 143  # 131 are what is sure: a short recipient leaves more
    MOST_OF_SUBMIT_REPORT = 152
    MOST_OF_DELIVER_REPORT = 159


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


# Parameters that a report may bring: TP-PI says which of TP-PID, TP-DCS and TP-UD there are.


cdef int skip_more(Reader* source, int present) except -1:
    """Bit 7 of TP-PI announces another octet of it, which says nothing we know, and is not written again."""
    while present & MORE_PARAMETERS:
        present = octet(source, "parameters")
    return 0


cdef int take_parameters(Reader* source, Tpdu out, int present, int most, list faults) except -1:
    if present & HAS_PROTOCOL:
        out.protocol = octet(source, "protocol")
    if present & HAS_CODING:
        out.set_coding(octet(source, "coding"), faults, source.at - 1 - source.start)
    if present & HAS_USER_DATA:
        out.take_user_data(source, most, faults)
    return 0


cdef int write_parameters(int present, Tpdu self, Writer* out) except -1:
    if present & HAS_PROTOCOL:
        put(out, self.protocol)
    if present & HAS_CODING:
        put(out, self.coding)
    if present & HAS_USER_DATA:
        self.write_user_data(out)
    return 0


cdef int say_parameters(Tpdu self, object text, object protocol, object coding, tuple more, int most) except -1:
    """Take over what a report is to bring, which is what is not empty; returns TP-PI."""
    message_class, elements, single, locking = more
    self.protocol = number_of(protocol, "protocol")
    self.say(text, coding, message_class, elements, single, locking, most)
    return (
        (HAS_PROTOCOL if self.protocol else 0)
        | (HAS_CODING if self.coding or coding is not None else 0)
        | (HAS_USER_DATA if self.length else 0)
    )


@cython.final
@cython.no_gc
@cython.auto_pickle(False)
cdef class StatusReport(Tpdu):
    """SMS-STATUS-REPORT: what became of a part we sent.  §9.2.2.3."""

    def __init__(
        self,
        str recipient not None,
        object text not None="",
        *,
        object reference=0,
        object outcome=0,
        object service_centre_time_ms=None,
        object service_centre_zone=0,
        object discharge_time_ms=None,
        object discharge_zone=0,
        object protocol=0,
        object coding=None,
        object message_class=None,
        object elements=(),
        object single=0,
        object locking=0,
        bint more_messages=False,
        bint loop_prevention=False,
        bint for_command=False,
    ):
        self.make()
        self.first = (
            STATUS_REPORT
            | (0 if more_messages else NO_MORE_MESSAGES)
            | (LOOP_PREVENTION if loop_prevention else 0)
            | (FOR_COMMAND if for_command else 0)
        )
        self.recipient = recipient
        self.reference = number_of(reference, "reference")
        self.outcome = number_of(outcome, "outcome")
        self.service_centre_time_ms = service_centre_time_ms
        self.service_centre_zone = zone_of(service_centre_zone, "service_centre_time")
        self.discharge_time_ms = discharge_time_ms
        self.discharge_zone = zone_of(discharge_zone, "discharge_time")
        self.parameters = say_parameters(
            self, text, protocol, coding, (message_class, elements, single, locking), MOST_OF_STATUS_REPORT
        )
        self.kind_of_address = ANY_TYPE
        self.kind_of_address = self.built()[3]

    cdef int write(self, Writer* out) except -1:
        cdef uint8_t* at
        put(out, self.first)
        put(out, self.reference)
        write_anyone(self.recipient, self.kind_of_address, "recipient", out)
        at = claim(out, 14)
        if at != NULL:
            write_time(self.service_centre_time_ms, self.service_centre_zone, "service_centre_time", at)
            write_time(self.discharge_time_ms, self.discharge_zone, "discharge_time", at + 7)
        put(out, self.outcome)
        if self.parameters:
            put(out, self.parameters & ~MORE_PARAMETERS)
        return write_parameters(self.parameters, self, out)

    cdef int take(self, Reader* source, list faults) except -1:
        self.recipient = ""
        self.first = <uint8_t>octet(source, "message_type")
        self.reference = octet(source, "reference")
        self.recipient = read_address(source, "recipient", &self.kind_of_address, faults)
        self.service_centre_time_ms = read_time(span(source, 7, "service_centre_time"), &self.service_centre_zone)
        self.discharge_time_ms = read_time(span(source, 7, "discharge_time"), &self.discharge_zone)
        self.outcome = octet(source, "outcome")
        if not only_filler(source):
            self.parameters = octet(source, "parameters")
            skip_more(source, self.parameters)
            take_parameters(source, self, self.parameters, MOST_OF_STATUS_REPORT, faults)
        return 0

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
    def for_command(self):
        return self.first & FOR_COMMAND != 0


@cython.final
@cython.no_gc
@cython.auto_pickle(False)
cdef class SubmitReport(Tpdu):
    """SMS-SUBMIT-REPORT: what the service centre says to a part, in an RP-ACK or an RP-ERROR.  §9.2.2.2a."""

    def __init__(
        self,
        *,
        object failure=None,
        object service_centre_time_ms=None,
        object service_centre_zone=0,
        object text not None="",
        object protocol=0,
        object coding=None,
        object message_class=None,
        object elements=(),
        object single=0,
        object locking=0,
    ):
        self.make()
        self.first = SUBMIT_REPORT
        self.failure = None if failure is None else number_of(failure, "failure")
        self.service_centre_time_ms = service_centre_time_ms
        self.service_centre_zone = zone_of(service_centre_zone, "service_centre_time")
        self.parameters = say_parameters(
            self,
            text,
            protocol,
            coding,
            (message_class, elements, single, locking),
            MOST_OF_SUBMIT_REPORT - (self.failure is not None),
        )
        self.built()

    cdef int write(self, Writer* out) except -1:
        cdef uint8_t* at
        put(out, self.first)
        if self.failure is not None:
            put(out, self.failure)
        put(out, self.parameters & ~MORE_PARAMETERS)
        at = claim(out, 7)
        if at != NULL:
            write_time(self.service_centre_time_ms, self.service_centre_zone, "service_centre_time", at)
        return write_parameters(self.parameters, self, out)

    cdef int take(self, Reader* source, list faults) except -1:
        """Whether the octets have a failure cause is not said by them: `failure` is None, or any number, before."""
        self.first = <uint8_t>octet(source, "message_type")
        if self.failure is not None:
            self.failure = octet(source, "failure")
        self.parameters = octet(source, "parameters")
        skip_more(source, self.parameters)
        self.service_centre_time_ms = read_time(span(source, 7, "service_centre_time"), &self.service_centre_zone)
        return take_parameters(
            source, self, self.parameters, MOST_OF_SUBMIT_REPORT - (self.failure is not None), faults
        )


@cython.final
@cython.no_gc
@cython.auto_pickle(False)
cdef class DeliverReport(Tpdu):
    """SMS-DELIVER-REPORT: what a mobile says to a part, in an RP-ACK or an RP-ERROR.  §9.2.2.1a."""

    def __init__(
        self,
        *,
        object failure=None,
        object text not None="",
        object protocol=0,
        object coding=None,
        object message_class=None,
        object elements=(),
        object single=0,
        object locking=0,
    ):
        self.make()
        self.first = DELIVER_REPORT
        self.failure = None if failure is None else number_of(failure, "failure")
        self.parameters = say_parameters(
            self,
            text,
            protocol,
            coding,
            (message_class, elements, single, locking),
            MOST_OF_DELIVER_REPORT - (self.failure is not None),
        )
        self.built()

    cdef int write(self, Writer* out) except -1:
        put(out, self.first)
        if self.failure is not None:
            put(out, self.failure)
        put(out, self.parameters & ~MORE_PARAMETERS)
        return write_parameters(self.parameters, self, out)

    cdef int take(self, Reader* source, list faults) except -1:
        """As that of a SubmitReport."""
        self.first = <uint8_t>octet(source, "message_type")
        if self.failure is not None:
            self.failure = octet(source, "failure")
        self.parameters = octet(source, "parameters")
        skip_more(source, self.parameters)
        return take_parameters(
            source, self, self.parameters, MOST_OF_DELIVER_REPORT - (self.failure is not None), faults
        )
