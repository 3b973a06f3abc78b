"""Stub of _tpdu.pyx, where the behaviour is documented."""

from collections.abc import Iterable
from typing import final

from engine._user_data import Tpdu

@final
class Deliver(Tpdu):
    """SMS-DELIVER: a message for us."""

    def __init__(
        self,
        originator: str,
        text: str | bytes = "",
        *,
        service_centre_time_ms: int | None = None,
        service_centre_zone: int = 0,
        protocol: int = 0,
        coding: int | None = None,
        message_class: int | None = None,
        elements: Iterable[tuple[int, bytes]] = (),
        single: int = 0,
        locking: int = 0,
        more_messages: bool = False,
        loop_prevention: bool = False,
        report_indication: bool = False,
        reply_path: bool = False,
    ) -> None: ...
    @property
    def originator(self) -> str:
        """+ and digits if international, digits otherwise, or a name."""
    @property
    def alphanumeric(self) -> bool:
        """Whether the originator is a name, which cannot be answered."""
    @property
    def address_type(self) -> int:
        """Type of the originator's address, as received."""
    @property
    def service_centre_time_ms(self) -> int | None:
        """Epoch milliseconds UTC, None for an impossible date."""
    @property
    def service_centre_zone(self) -> int:
        """Quarters of an hour east of UTC."""
    @property
    def more_messages(self) -> bool:
        """Whether more wait at the service centre."""
    @property
    def loop_prevention(self) -> bool: ...
    @property
    def report_indication(self) -> bool:
        """Whether a status report will be returned to the originator."""
    @property
    def reply_path(self) -> bool: ...

@final
class StatusReport(Tpdu):
    """SMS-STATUS-REPORT: what became of a part."""

    def __init__(
        self,
        recipient: str,
        text: str | bytes = "",
        *,
        reference: int = 0,
        outcome: int = 0,
        service_centre_time_ms: int | None = None,
        service_centre_zone: int = 0,
        discharge_time_ms: int | None = None,
        discharge_zone: int = 0,
        protocol: int = 0,
        coding: int | None = None,
        message_class: int | None = None,
        elements: Iterable[tuple[int, bytes]] = (),
        single: int = 0,
        locking: int = 0,
        more_messages: bool = False,
        loop_prevention: bool = False,
        for_command: bool = False,
    ) -> None: ...
    @property
    def reference(self) -> int:
        """TP-MR that the modem gave the part, 0 to 255."""
    @property
    def recipient(self) -> str:
        """As `Deliver.originator`."""
    @property
    def alphanumeric(self) -> bool: ...
    @property
    def address_type(self) -> int: ...
    @property
    def service_centre_time_ms(self) -> int | None:
        """When the service centre took the part: epoch milliseconds UTC."""
    @property
    def service_centre_zone(self) -> int:
        """Quarters of an hour east of UTC."""
    @property
    def discharge_time_ms(self) -> int | None:
        """When the outcome was reached: epoch milliseconds UTC."""
    @property
    def discharge_zone(self) -> int: ...
    @property
    def outcome(self) -> int:
        """TP-ST: 0 to 0x1F done, 0x20 to 0x3F still trying, 0x40 and up failed."""
    @property
    def parameters(self) -> int:
        """TP-PI: bit 0 a protocol, bit 1 a coding, bit 2 user data."""
    @property
    def more_messages(self) -> bool: ...
    @property
    def loop_prevention(self) -> bool: ...
    @property
    def for_command(self) -> bool:
        """Whether it answers an SMS-COMMAND."""

@final
class Submit(Tpdu):
    """SMS-SUBMIT: a part of ours."""

    def __init__(
        self,
        destination: str,
        text: str | bytes = "",
        *,
        reference: int = 0,
        coding: int | None = None,
        message_class: int | None = None,
        elements: Iterable[tuple[int, bytes]] = (),
        single: int = 0,
        locking: int = 0,
        validity_s: int | None = None,
        expires_ms: int | None = None,
        exact_validity: bool = False,
        single_shot: bool = False,
        wants_report: bool = False,
        reject_duplicates: bool = False,
        reply_path: bool = False,
        protocol: int = 0,
    ) -> None: ...
    @property
    def reference(self) -> int:
        """TP-MR, 0 until a modem puts in its own."""
    @property
    def destination(self) -> str:
        """As `Deliver.originator`."""
    @property
    def address_type(self) -> int: ...
    @property
    def validity_format(self) -> int:
        """TP-VPF: 0 none, 1 enhanced, 2 relative, 3 absolute."""
    @property
    def validity_s(self) -> int | None:
        """Seconds from submission; None where none, or a point in time, is given."""
    @property
    def expires_ms(self) -> int | None:
        """The point in time of an absolute validity: epoch milliseconds UTC."""
    @property
    def single_shot(self) -> bool:
        """Whether the network is to try once only."""
    @property
    def wants_report(self) -> bool: ...
    @property
    def reject_duplicates(self) -> bool: ...
    @property
    def reply_path(self) -> bool: ...

@final
class Command(Tpdu):
    """SMS-COMMAND: what to do with a part submitted before."""

    def __init__(
        self,
        destination: str,
        *,
        command: int,
        number: int = 0,
        reference: int = 0,
        protocol: int = 0,
        data: bytes = b"",
        wants_report: bool = False,
        has_header: bool = False,
    ) -> None: ...
    @property
    def reference(self) -> int: ...
    @property
    def command(self) -> int:
        """TP-CT: 0 enquiry, 1 cancel the report request, 2 delete, 3 enable the report request."""
    @property
    def number(self) -> int:
        """TP-MN: the reference of the part it is about."""
    @property
    def destination(self) -> str: ...
    @property
    def address_type(self) -> int: ...
    @property
    def data(self) -> bytes:
        """TP-CD, at most 156 octets."""
    @property
    def has_header(self) -> bool:
        """Whether the data begin with a header, which is not read here."""
    @property
    def wants_report(self) -> bool: ...

@final
class SubmitReport(Tpdu):
    """SMS-SUBMIT-REPORT: what the service centre says to a part."""

    def __init__(
        self,
        *,
        failure: int | None = None,
        service_centre_time_ms: int | None = None,
        service_centre_zone: int = 0,
        text: str | bytes = "",
        protocol: int = 0,
        coding: int | None = None,
        message_class: int | None = None,
        elements: Iterable[tuple[int, bytes]] = (),
        single: int = 0,
        locking: int = 0,
    ) -> None: ...
    @property
    def failure(self) -> int | None:
        """TP-FCS, None in an RP-ACK."""
    @property
    def service_centre_time_ms(self) -> int | None: ...
    @property
    def service_centre_zone(self) -> int: ...
    @property
    def parameters(self) -> int:
        """TP-PI, as of a StatusReport."""

@final
class DeliverReport(Tpdu):
    """SMS-DELIVER-REPORT: what a mobile says to a part."""

    def __init__(
        self,
        *,
        failure: int | None = None,
        text: str | bytes = "",
        protocol: int = 0,
        coding: int | None = None,
        message_class: int | None = None,
        elements: Iterable[tuple[int, bytes]] = (),
        single: int = 0,
        locking: int = 0,
    ) -> None: ...
    @property
    def failure(self) -> int | None:
        """TP-FCS, None in an RP-ACK."""
    @property
    def parameters(self) -> int: ...
