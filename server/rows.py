"""Rows of a streamed upload: octets in any pieces to rows, or to what is wrong with them.

NDJSON, CSV (the header is required; every column but `to`, `client_ref` and `language` is a merge value) and msgpack.
Memory stays bounded by the longest line.
"""

import codecs
import csv
from collections.abc import Iterator
from typing import Any, Final, Protocol

import msgpack
import msgspec

from engine.crm.marketing.recipients import Row
from engine.errors import Invalid, InvalidParam
from server import problems

LINE_LONGEST: Final = 65_536  # octets
_OWN: Final = ("to", "client_ref", "language")

Read = tuple[int, Row | InvalidParam]


class Reader(Protocol):
    """`feed` octets, then `end`; both give (row number from 1, row or fault)."""

    def feed(self, octets: bytes) -> Iterator[Read]: ...
    def end(self) -> Iterator[Read]: ...


class _Lines:
    """Octets to lines, without their ends."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, octets: bytes) -> list[bytes]:
        lines = (self._rest + octets).split(b"\n")
        longest = max(map(len, lines))
        self._rest = lines.pop()
        if longest > LINE_LONGEST:
            raise Invalid(InvalidParam("body", f"has a line of more than {LINE_LONGEST} octets"))
        return lines

    def end(self) -> list[bytes]:
        rest, self._rest = self._rest, b""
        return [rest] if rest else []


class Ndjson:
    """One JSON object a line; empty lines do not count."""

    def __init__(self) -> None:
        self._lines = _Lines()
        self._decoder = msgspec.json.Decoder(Row)
        self._row = 0

    def feed(self, octets: bytes) -> Iterator[Read]:
        """Rows that are whole."""
        return self._read(self._lines.feed(octets))

    def end(self) -> Iterator[Read]:
        """The last row, where it has no line end."""
        return self._read(self._lines.end())

    def _read(self, lines: list[bytes]) -> Iterator[Read]:
        for line in lines:
            if not self._row:
                line = line.removeprefix(codecs.BOM_UTF8)  # noqa: PLW2901
            if not line.strip():
                continue
            self._row += 1
            try:
                yield self._row, self._decoder.decode(line)
            except msgspec.ValidationError as error:
                yield self._row, problems.param_of(error, self._row)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                yield self._row, InvalidParam("body", f"is not JSON: {error}", self._row)


def _ends_in_quotes(line: bytes, is_open: bool) -> bool:
    """Whether a quoted cell goes on behind `line`.  A quote inside a cell that has none around it is a character."""
    place = 0
    while True:
        if not is_open:
            is_open = line.startswith(b'"', place)
            place = place + 1 if is_open else line.find(b",", place) + 1
            if not is_open and not place:
                return False
            continue
        place = line.find(b'"', place) + 1
        if not place:
            return True
        if line.startswith(b'"', place):
            place += 1  # two of them are one
            continue
        is_open = False
        place = line.find(b",", place) + 1
        if not place:
            return False


class Csv:
    """Comma-separated, UTF-8, quotes doubled, line ends inside quotes allowed."""

    def __init__(self) -> None:
        self._lines = _Lines()
        self._open: list[bytes] = []  # lines of a record whose quote is open
        self._open_octets = 0
        self._header: list[str] = []
        self._row = 0

    def feed(self, octets: bytes) -> Iterator[Read]:
        """Rows that are whole."""
        return self._read(self._lines.feed(octets))

    def end(self) -> Iterator[Read]:
        """The last row, where it has no line end."""
        yield from self._read(self._lines.end())
        if self._open:
            self._row += 1
            yield self._row, InvalidParam("body", "a quote is opened and never closed", self._row)
        if not self._header:
            raise Invalid(InvalidParam("body", "has no header line"))

    def _read(self, lines: list[bytes]) -> Iterator[Read]:
        for line in lines:
            # A record goes on while a quote is open.
            if self._open or b'"' in line:
                is_open = _ends_in_quotes(line, bool(self._open))
                self._open.append(line)
                self._open_octets += len(line) + 1
                if self._open_octets > LINE_LONGEST + 1:
                    raise Invalid(InvalidParam("body", f"has a row of more than {LINE_LONGEST} octets"))
                if is_open:
                    continue
            whole = b"\n".join(self._open) if self._open else line
            self._open.clear()
            self._open_octets = 0
            if not whole.strip():
                continue
            yield from self._record(whole)

    def _record(self, octets: bytes) -> Iterator[Read]:
        number = self._row + 1 if self._header else 0
        try:
            text = octets.decode("utf-8-sig" if not self._header else "utf-8")
            cells = next(csv.reader([text], strict=True))
        except (UnicodeDecodeError, csv.Error) as error:
            if not self._header:
                raise Invalid(InvalidParam("body", f"the header cannot be read: {error}")) from error
            self._row = number
            yield number, InvalidParam("body", f"cannot be read: {error}", number)
            return
        if not self._header:
            self._take_header([cell.strip() for cell in cells])
            return
        self._row = number
        if len(cells) != len(self._header):
            reason = f"has {len(cells)} columns, the header {len(self._header)}"
            yield number, InvalidParam("body", reason, number)
            return
        named = dict(zip(self._header, cells, strict=True))
        values = {name: cell for name, cell in named.items() if name not in _OWN and cell}
        yield number, Row(named["to"], named.get("client_ref", ""), named.get("language", ""), values)

    def _take_header(self, names: list[str]) -> None:
        if "to" not in names:
            found = ", ".join(repr(name[:40]) for name in names[:10])
            raise Invalid(InvalidParam("to", f"is not a column of the header, which has {found}"))
        if len(set(names)) != len(names):
            raise Invalid(InvalidParam("body", "the header names a column twice"))
        self._header = names


class Msgpack:
    """Maps one behind the other."""

    def __init__(self) -> None:
        self._unpacker = msgpack.Unpacker(max_buffer_size=1 << 20, strict_map_key=True)
        self._row = 0
        self._fed = 0
        self._whole = 0  # octets of the values that are whole

    def feed(self, octets: bytes) -> Iterator[Read]:
        """Rows that are whole.  Raises Invalid where the octets are no msgpack: what follows cannot be found."""
        try:
            self._unpacker.feed(octets)
            self._fed += len(octets)
            for value in self._unpacker:
                self._whole = self._unpacker.tell()
                yield self._one(value)
        except (ValueError, msgpack.UnpackException) as error:
            raise Invalid(
                InvalidParam("body", f"is not msgpack behind row {self._row}: {str(error) or type(error).__name__}")
            ) from error

    def end(self) -> Iterator[Read]:
        """Nothing: a value that is not whole is an error."""
        if self._fed != self._whole:
            raise Invalid(InvalidParam("body", f"ends inside row {self._row + 1}"))
        return iter(())

    def _one(self, value: Any) -> Read:
        self._row += 1
        try:
            return self._row, msgspec.convert(value, Row)
        except msgspec.ValidationError as error:
            return self._row, problems.param_of(error, self._row)


READERS: Final[dict[str, type[Ndjson | Csv | Msgpack]]] = {
    "application/x-ndjson": Ndjson,
    "application/jsonl": Ndjson,
    "text/csv": Csv,
    "application/x-msgpack": Msgpack,
    "application/vnd.msgpack": Msgpack,
}
