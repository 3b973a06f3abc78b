"""The reader of a modem's stream in plain Python: slow, readable, the oracle of the native one."""

import re

from engine.modem.at import LONGEST_LINE, PROMPT, Line, Unsolicited, meaning

# CR and LF are alike.  NUL (a BREAK), XON, XOFF and the echo of Ctrl-Z and ESC carry no meaning.
_CR_TO_LF = bytes.maketrans(b"\r", b"\n")
_NOISE = b"\x00\x11\x13\x1a\x1b"

_PUSHED = re.compile(rb"\+(?:CMT|CDS|CBM):.*?\d+")
_HEX = re.compile(rb"(?:[0-9A-Fa-f]{2})+")


class Reader:
    """Reads one modem's stream.  `echo` is what we wrote last, without its end: a line equal to it is dropped."""

    def __init__(self) -> None:
        self.echo = b""
        self._rest = b""
        self._header = b""
        self._skips = False

    def feed(self, octets: bytes) -> list[Line]:
        """The meanings that `octets` complete, in order."""
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
                meanings.append(Unsolicited(header.decode("latin-1"), line.decode("latin-1")))
                return
            meanings.append(Unsolicited(header.decode("latin-1")))
        if _PUSHED.fullmatch(line):
            self._header = line
        elif (said := meaning(line)) is not None:
            meanings.append(said)
