"""Text messages as octets: the codec's one Python face.

Out: `encode` makes the SMS-SUBMIT TPDUs of a text, `lines` what AT+CMGS is given of each, `batch` the lines of one
text or `Template` to many; an `Envelope` holds all that is said about a message but its text and whom it goes to.
`measure` and `cut` say how a text would go.  In: `read` takes what a modem prints, `decode` a bare TPDU, `join` the
parts of one text.  Each of the six TPDUs is a class that can be built and encoded too.

All of it is native and is called directly.  Whatever an input says, CodecError is all that is raised.  Knows nothing
of AT commands, the store or clocks.
"""

from enum import IntEnum

from engine._content import Tpdu
from engine._envelope import Envelope
from engine._header import indication, ports
from engine._pdu import batch, encode, line, lines
from engine._reading import decode, join, read
from engine._reports import DeliverReport, StatusReport, SubmitReport
from engine._segmentation import Measure, cut, measure
from engine._template import Template
from engine._tpdu import Command, Deliver, Submit

__all__ = [
    "Alphabet",
    "Command",
    "Deliver",
    "DeliverReport",
    "Envelope",
    "Measure",
    "StatusReport",
    "Submit",
    "SubmitReport",
    "Template",
    "Tpdu",
    "batch",
    "cut",
    "decode",
    "encode",
    "indication",
    "join",
    "line",
    "lines",
    "measure",
    "ports",
    "read",
]


class Alphabet(IntEnum):
    """What the octets of a text stand for: `alphabet` of what is read or measured equals one of these."""

    GSM7 = 0
    OCTETS = 1
    UCS2 = 2
