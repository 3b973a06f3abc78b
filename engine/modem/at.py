"""Octets from a modem to lines to meanings.  No I/O, no clock, no knowledge of messages.

Rule 1: an unsolicited line may stand anywhere between two lines; only its own shape tells it from an answer.
Rule 2: the meaning of a stream does not depend on how it was cut into chunks.
Rule 3: no stream makes the reader grow: a line longer than LONGEST_LINE is dropped whole.

`engine._at` cuts the stream and knows the lines of a submit; all other lines get their meaning here.
"""

import re
from dataclasses import dataclass

from engine._at import LONGEST_LINE, OK, PROMPT, Final, Info, Prompt, Reader, is_ambiguous

__all__ = [
    "ERROR",
    "LONGEST_LINE",
    "OK",
    "PROMPT",
    "Final",
    "Indication",
    "Info",
    "Line",
    "News",
    "Prompt",
    "Reader",
    "Unsolicited",
    "is_ambiguous",
    "meaning",
    "pushed",
    "reader",
]


@dataclass(frozen=True, slots=True)
class Indication:
    """A message (+CMTI) or a status report (+CDSI) was stored: `kind`, in `storage`, at `index`."""

    kind: str
    storage: str
    index: int


@dataclass(frozen=True, slots=True)
class Unsolicited:
    """Any other line that nobody asked for; `pdu` is the line after a +CMT, +CDS or +CBM."""

    text: str
    pdu: str = ""


News = Indication | Unsolicited
Line = Info | Final | Prompt | News

ERROR = Final(False)

_INDICATION = re.compile(rb'\+(?:CMTI|CDSI): *"?(\w{1,8})"?, *(\d{1,5})')
_PUSHED = re.compile(rb"\+(?:CMT|CDS|CBM):.*?\d+")
_HEX = re.compile(rb"(?:[0-9A-Fa-f]{2})+")
# Asked for, these two begin with the setting; unasked, with the news alone.
_ANSWERED = {b"+CREG": re.compile(rb"\+CREG: *\d, *\d"), b"^SMGO": re.compile(rb"\^SMGO: *\d, *\d")}
_NEVER_AN_ANSWER = frozenset(
    b"+CMTI +CDSI +CMT +CDS +CBM +CRING +CLIP +CCWA +CUSD +CSSI +CSSU +CCCM +CALA ^SCKS ^SCTM_A ^SCTM_B ^SBC "
    b"RING BUSY ^SHUTDOWN".split()
) | {b"NO CARRIER", b"NO ANSWER", b"NO DIALTONE"}

# With AT+CMEE=2, which a modem may keep until we have spoken.  Only what a decision hangs on.
_CME_TEXTS = {
    "phone failure": 0,
    "operation not allowed": 3,
    "operation not supported": 4,
    "sim not inserted": 10,
    "sim pin required": 11,
    "sim puk required": 12,
    "sim failure": 13,
    "sim busy": 14,
    "sim wrong": 15,
    "incorrect password": 16,
    "no network service": 30,
    "network timeout": 31,
    "operation temporary not allowed": 256,
    "phone busy": 258,
}
_CMS_TEXTS = {
    "me failure": 300,
    "operation not allowed": 302,
    "operation not supported": 303,
    "invalid pdu mode parameter": 304,
    "sim not inserted": 310,
    "sim pin necessary": 311,
    "sim failure": 313,
    "sim busy": 314,
    "sim wrong": 315,
    "memory failure": 320,
    "invalid memory index": 321,
    "memory full": 322,
    "smsc address unknown": 330,
    "no network": 331,
    "no network service": 331,
    "network timeout": 332,
    "timer expired": 521,
}
# For a text we do not know: unknown error.  As +CMS it is ambiguous, and so never sent again by itself.
_UNKNOWN_CME = 100
_UNKNOWN_CMS = 500


def reader() -> Reader:
    """A reader for one modem's stream."""
    return Reader(meaning, pushed)


def pushed(header: bytes, below: bytes) -> Unsolicited | None:
    """The `header` of a pushed PDU with the line `below` it, empty where it has none; None if that is no PDU."""
    if below and not _HEX.fullmatch(below):
        return None
    return Unsolicited(_text(header), _text(below))


def meaning(line: bytes) -> Info | Final | News | None:
    """What a whole line says by itself; None for a header whose PDU is the next line."""
    if _PUSHED.fullmatch(line):
        return None
    if line == b"OK":
        return OK
    name = line.partition(b":")[0]
    if name == b"+CMGS":
        return Info(_text(line))
    if line == b"ERROR":
        return ERROR
    if name == b"+CMS ERROR":
        return Final(False, cms=_code(line, _CMS_TEXTS, _UNKNOWN_CMS))
    if name == b"+CME ERROR":
        return Final(False, cme=_code(line, _CME_TEXTS, _UNKNOWN_CME))
    if found := _INDICATION.fullmatch(line):
        return Indication(_text(name), _text(found[1]), int(found[2]))
    # A modem that restarts may say so in the middle of a line that it never ended.
    if b"^SYSSTART" in line:
        return Unsolicited(_text(line[line.index(b"^SYSSTART") :]))
    answered = _ANSWERED.get(name)
    if name in _NEVER_AN_ANSWER or (answered and not answered.match(line)):
        return Unsolicited(_text(line))
    return Info(_text(line))


def _code(line: bytes, texts: dict[str, int], unknown: int) -> int:
    said = _text(line.partition(b":")[2]).strip()
    if said.isdecimal() and len(said) <= 5:
        return int(said)
    return texts.get(said.lower(), unknown)


def _text(octets: bytes) -> str:
    # Latin-1 never fails: a phone-book name in a header may hold any octet.
    return octets.decode("latin-1")
