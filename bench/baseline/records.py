"""What is read: one record for each type of TPDU, with the names of the native classes."""

from dataclasses import dataclass

from bench.baseline.header import Element
from engine.errors import CodecError


@dataclass(frozen=True, slots=True, kw_only=True)
class Tpdu:
    """A coding, and the user data read by it."""

    protocol: int = 0
    coding: int = 0
    alphabet: int = 0
    message_class: int | None = None
    text: str = ""
    octets: bytes = b""
    header: bytes = b""
    elements: tuple[Element, ...] = ()
    concatenation: tuple[int, int, int] | None = None
    ports: tuple[int, int] | None = None
    indications: tuple[tuple[int, bool, int], ...] = ()
    single: int = 0
    locking: int = 0
    user_data: bytes = b""
    length: int = 0
    service_centre: str = ""
    faults: tuple[CodecError, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver(Tpdu):
    originator: str = ""
    alphanumeric: bool = False
    address_type: int = 0
    service_centre_time_ms: int | None = None
    service_centre_zone: int = 0
    more_messages: bool = False
    loop_prevention: bool = False
    report_indication: bool = False
    reply_path: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReport(Tpdu):
    reference: int = 0
    recipient: str = ""
    address_type: int = 0
    service_centre_time_ms: int | None = None
    service_centre_zone: int = 0
    discharge_time_ms: int | None = None
    discharge_zone: int = 0
    outcome: int = 0
    more_messages: bool = False
    loop_prevention: bool = False
    for_command: bool = False
    parameters: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit(Tpdu):
    destination: str = ""
    address_type: int = 0
    reference: int = 0
    validity_format: int = 0
    validity_s: int | None = None
    expires_ms: int | None = None
    single_shot: bool = False
    wants_report: bool = False
    reject_duplicates: bool = False
    reply_path: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Tpdu):
    destination: str = ""
    address_type: int = 0
    command: int = 0
    number: int = 0
    reference: int = 0
    data: bytes = b""
    wants_report: bool = False
    has_header: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitReport(Tpdu):
    failure: int | None = None
    service_centre_time_ms: int | None = None
    service_centre_zone: int = 0
    parameters: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverReport(Tpdu):
    failure: int | None = None
    parameters: int = 0
