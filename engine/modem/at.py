"""Octets from a modem to lines to meanings.  No I/O, no clock, no knowledge of messages.

Rule 1: an unsolicited line may stand anywhere between two lines; only its own shape tells it from an answer.
Rule 2: the meaning of a stream does not depend on how it was cut into chunks.
Rule 3: no stream makes the reader grow: a line longer than LONGEST_LINE is dropped whole.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

# A stored record is 176 octets, 352 digits (3GPP TS 51.011 §10.5.3); the rest is room for a header before it.
LONGEST_LINE = 1024

# +CMS ERROR codes after which the service centre may hold the message all the same: network time-out, unknown
# error, timer expired.
AMBIGUOUS_CMS = frozenset({332, 500, 521})
# Definite when the network says them at once; at the end of a long silence they are the modem's own guess.
AMBIGUOUS_LATE_CMS = frozenset({38, 41, 47})
LATE_S = 25.0


@dataclass(frozen=True, slots=True)
class Info:
    """A line of an answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Final:
    """The end of an answer: OK, ERROR, +CME ERROR or +CMS ERROR (3GPP TS 27.007 §9.2, 27.005 §3.2.5)."""

    ok: bool
    cme: int | None = None
    cms: int | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """The modem waits for a PDU."""


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


Line = Info | Final | Prompt | Indication | Unsolicited

PROMPT = Prompt()
OK = Final(True)
ERROR = Final(False)

# The two chunks of every submit that arrive whole on a clean line, and so need no parsing.
_WHOLE: dict[bytes, Sequence[Line]] = {b"\r\n> ": (PROMPT,), b"\r\nOK\r\n": (OK,)}

# CR and LF are alike.  NUL (a BREAK), XON, XOFF and the echo of Ctrl-Z and ESC carry no meaning.
_CR_TO_LF = bytes.maketrans(b"\r", b"\n")
_NOISE = b"\x00\x11\x13\x1a\x1b"

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


def is_ambiguous(cms: int | None, after_s: float) -> bool:
    """Whether +CMS ERROR `cms`, `after_s` seconds behind the PDU, leaves open if the part went."""
    return cms in AMBIGUOUS_CMS or (cms in AMBIGUOUS_LATE_CMS and after_s > LATE_S)


class Reader:
    """Reads one modem's stream.  `echo` is what we wrote last, without its end: a line equal to it is
    dropped.
    """

    __slots__ = ("_header", "_rest", "_skips", "echo")

    def __init__(self) -> None:
        self.echo = b""
        self._rest = b""
        self._header = b""
        self._skips = False

    def feed(self, octets: bytes) -> Sequence[Line]:
        """The meanings that `octets` complete, in order.  A prompt is complete without an end of line."""
        if not (self._rest or self._header or self._skips) and (whole := _WHOLE.get(octets)) is not None:
            return whole
        *lines, rest = (self._rest + octets).translate(_CR_TO_LF, _NOISE).split(b"\n")
        meanings: list[Line] = []
        if self._skips and lines:
            lines[0] = b""
            self._skips = False
        for line in lines:
            if line:
                self._take(line, meanings)
        while rest.startswith(b"> ") and not self._skips:
            meanings.append(PROMPT)
            rest = rest[2:]
        if self._skips or len(rest) > LONGEST_LINE:
            self._skips = True
            rest = b""
        self._rest = rest
        return meanings

    def _take(self, line: bytes, meanings: list[Line]) -> None:
        while line.startswith(b"> "):
            meanings.append(PROMPT)
            line = line[2:]
        if not line or len(line) > LONGEST_LINE or line == self.echo:
            return
        if self._header:
            header, self._header = self._header, b""
            if _HEX.fullmatch(line):
                meanings.append(Unsolicited(_text(header), _text(line)))
                return
            meanings.append(Unsolicited(_text(header)))
        if _PUSHED.fullmatch(line):
            self._header = line
        else:
            meanings.append(_meaning(line))


def _meaning(line: bytes) -> Line:
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
