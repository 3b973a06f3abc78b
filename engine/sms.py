"""Text messages as octets: the codec's one Python face.

`encode` makes the SMS-SUBMIT TPDUs of a text and `line` what AT+CMGS is given of each; `read` takes what a
modem prints, `decode` a bare TPDU; `measure` and `cut` say how a text would go.  All of it is native and is
called directly.  Whatever an input says, CodecError is all that is raised.  Knows nothing of AT commands, the
store or clocks.
"""

from enum import IntEnum

from engine._pdu import Deliver, StatusReport, Submit, decode, encode, line, read
from engine._segmentation import Measure, cut, measure

__all__ = [
    "Alphabet",
    "Deliver",
    "Measure",
    "StatusReport",
    "Submit",
    "cut",
    "decode",
    "encode",
    "line",
    "measure",
    "read",
]


class Alphabet(IntEnum):
    """What the octets of a text stand for: `alphabet` of what is read or measured equals one of these."""

    GSM7 = 0
    OCTETS = 1
    UCS2 = 2
