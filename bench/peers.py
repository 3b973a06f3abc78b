"""The other SMS codecs for Python, each called the way its documentation shows: the peers of bench_sms.

All are given what ours is given: destination, text, one day of validity, the wish for a report, 0 as every
reference.  What they return is hexadecimal for AT+CMGS, the service centre before it.  They are optional
(`pip install '.[peers]'`); `found` says which are here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

Encode = Callable[[str, str], list[str]]
Read = Callable[[str], Any]

# What a result says, for comparing: (originator, text, service centre's time in ms), (reference, recipient, outcome).
SaidDeliver = tuple[str, str, int]
SaidReport = tuple[int, str, int]

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Peer:
    """One package, by its name on PyPI; None is what it cannot do.

    `said_deliver` and `said_report` are not timed: they put what the two reads return into one form, to compare.
    """

    name: str
    encode: Encode | None = None
    # Whether its PDUs are octet for octet ours; otherwise they are read again and their fields compared.
    exact: bool = False
    read_deliver: Read | None = None
    said_deliver: Callable[[Any], SaidDeliver] | None = None
    read_report: Read | None = None
    said_report: Callable[[Any], SaidReport] | None = None


def epoch_ms(moment: datetime) -> int:
    """A moment without a zone is UTC."""
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def gsmmodem() -> Peer:
    pdu = import_module("gsmmodem.pdu")
    submit, decode = pdu.encodeSmsSubmitPdu, pdu.decodeSmsPdu
    return Peer(
        "python-gsmmodem-new",
        lambda number, text: [str(part) for part in submit(number, text, validity=DAY, requestStatusReport=True)],
        exact=True,
        read_deliver=decode,
        said_deliver=lambda sms: (sms["number"], sms["text"], epoch_ms(sms["time"])),
        read_report=decode,
        said_report=lambda sms: (sms["reference"], sms["number"], sms["status"]),
    )


def messaging() -> Peer:
    sms = import_module("messaging.sms")

    def encode(number: str, text: str) -> list[str]:
        message = sms.SmsSubmit(number, text)
        message.validity = DAY
        message.request_status = True
        return [part.pdu for part in message.to_pdu()]

    return Peer(
        "python-messaging",
        encode,
        exact=True,
        read_deliver=sms.SmsDeliver,
        said_deliver=lambda message: (message.number, message.text, epoch_ms(message.date)),
        read_report=sms.SmsDeliver,
        said_report=lambda message: (message.udh.concat.ref, message.sr["recipient"], message.sr["status"]),
    )


def smspdudecoder() -> Peer:
    """Reads only, and no status reports."""
    return Peer(
        "smspdudecoder",
        read_deliver=import_module("smspdudecoder.easy").read_incoming_sms,
        said_deliver=lambda sms: (sms["sender"], sms["content"], epoch_ms(sms["date"])),
    )


def gammu() -> Peer:
    """Chooses the reference of joined parts by itself, and writes an empty service centre as 0181.

    Like the others it is left to find the alphabet; told it (`ConcatenatedTextLong` and `Unicode`), 160 septets
    take it two thirds of the time.
    """
    library = import_module("gammu")
    prepare, write, read = library.EncodeSMS, library.EncodePDU, library.DecodePDU

    def encode(number: str, text: str) -> list[str]:
        lines = []
        for part in prepare({"Class": -1, "Entries": [{"ID": "ConcatenatedAutoTextLong", "Buffer": text}]}):
            part["SMSC"] = {"Location": 1, "Validity": "24H"}
            part["Number"] = number
            part["Type"] = "Status_Report"
            lines.append(write(part).hex().upper())
        return lines

    def decode(line: str) -> Any:
        return read(bytes.fromhex(line), True)

    return Peer(
        "python-gammu",
        encode,
        read_deliver=decode,
        said_deliver=lambda sms: (sms["Number"], sms["Text"], epoch_ms(sms["DateTime"])),
        read_report=decode,
        said_report=lambda sms: (sms["MessageReference"], sms["Number"], sms["DeliveryStatus"]),
    )


PEERS: dict[str, Callable[[], Peer]] = {
    "python-gsmmodem-new": gsmmodem,
    "python-messaging": messaging,
    "smspdudecoder": smspdudecoder,
    "python-gammu": gammu,
}


def found() -> tuple[list[Peer], dict[str, str]]:
    """The peers that can be imported, and why each of the others cannot, by name."""
    here: list[Peer] = []
    missing: dict[str, str] = {}
    for name, load in PEERS.items():
        try:
            here.append(load())
        except ImportError as error:
            missing[name] = str(error)
    return here, missing
