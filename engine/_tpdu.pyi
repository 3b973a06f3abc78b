"""Stub of _tpdu.pyx, where the behaviour is documented."""

from collections.abc import Iterable
from typing import final

from engine._content import Tpdu

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
