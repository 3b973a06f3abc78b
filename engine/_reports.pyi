"""Stub of _reports.pyx, where the behaviour is documented."""

from collections.abc import Iterable
from typing import final

from engine._content import Tpdu

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
