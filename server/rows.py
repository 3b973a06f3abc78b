"""Rows of a streamed upload: octets in any pieces to rows, or to what is wrong with them.

NDJSON, CSV (the header is required; every column but `to`, `client_ref` and `language` is a merge value) and msgpack,
packed or not.  Memory stays bounded by the longest line.
"""

import codecs
import csv
import zlib
from collections.abc import Iterator
from typing import Any, Final, Protocol

import msgpack
import msgspec
from aiohttp import web

from engine.crm.marketing import recipients
from engine.crm.marketing.arrival import Arrival, Found
from engine.crm.marketing.recipients import Row
from engine.errors import Invalid, InvalidParam
from server import problems

LINE_LONGEST: Final = 65_536  # octets
_OWN: Final = ("to", "client_ref", "language")

PIECE_OCTETS: Final = 65_536  # unpacked at once: a few octets may stand for very many
ENCODINGS: Final = ("gzip", "deflate")

_GZIP: Final = 16 + zlib.MAX_WBITS
_RAW: Final = -zlib.MAX_WBITS
_ALSO: Final = {"x-gzip": "gzip", "identity": ""}

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
            yield self._row, self.one(self._row, line)

    def one(self, row: int, line: bytes) -> Row | InvalidParam:
        """The row in a line that is not blank."""
        try:
            return self._decoder.decode(line)
        except msgspec.ValidationError as error:
            return problems.param_of(error, row)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return InvalidParam("body", f"is not JSON: {error}", row)


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
        self.columns: tuple[str, ...] = ()
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
        if not self.columns:
            raise Invalid(InvalidParam("body", "has no header line"))

    def _read(self, lines: list[bytes]) -> Iterator[Read]:
        for line in lines:
            row = self.one(self._row + 1, line)
            if row is not None:
                self._row += 1
                yield self._row, row

    @property
    def is_open(self) -> bool:
        """Whether a quoted cell goes on in the next line."""
        return bool(self._open)

    def one(self, row: int, line: bytes) -> Row | InvalidParam | None:
        """The row that ends with a line; None where none does, and for the header."""
        # A record goes on while a quote is open.
        if self._open or b'"' in line:
            is_open = _ends_in_quotes(line, bool(self._open))
            self._open.append(line)
            self._open_octets += len(line) + 1
            if self._open_octets > LINE_LONGEST + 1:
                raise Invalid(InvalidParam("body", f"has a row of more than {LINE_LONGEST} octets"))
            if is_open:
                return None
        whole = b"\n".join(self._open) if self._open else line
        self._open.clear()
        self._open_octets = 0
        if not whole.strip():
            return None
        if not self.columns:
            self._take_header(whole)
            return None
        try:
            cells = next(csv.reader([whole.decode()], strict=True))
        except (UnicodeDecodeError, csv.Error) as error:
            return InvalidParam("body", f"cannot be read: {error}", row)
        if len(cells) != len(self.columns):
            return InvalidParam("body", f"has {len(cells)} columns, the header {len(self.columns)}", row)
        named = dict(zip(self.columns, cells, strict=True))
        values = {name: cell for name, cell in named.items() if name not in _OWN and cell}
        return Row(named["to"], named.get("client_ref", ""), named.get("language", ""), values)

    def _take_header(self, octets: bytes) -> None:
        try:
            cells = next(csv.reader([octets.decode("utf-8-sig")], strict=True))
        except (UnicodeDecodeError, csv.Error) as error:
            raise Invalid(InvalidParam("body", f"the header cannot be read: {error}")) from error
        names = [cell.strip() for cell in cells]
        if "to" not in names:
            found = ", ".join(repr(name[:40]) for name in names[:10])
            raise Invalid(InvalidParam("to", f"is not a column of the header, which has {found}"))
        for name in names:
            if len(name) > recipients.NAME_LONGEST:
                reason = f"the header has a name of more than {recipients.NAME_LONGEST} characters"
                raise Invalid(InvalidParam("body", reason))
        if len(set(names)) != len(names):
            raise Invalid(InvalidParam("body", "the header names a column twice"))
        self.columns = tuple(names)


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


def encoding_of(request: web.Request) -> str:
    """What the body is packed with, empty where it is not."""
    named = request.headers.get("Content-Encoding", "").strip().lower()
    return _ALSO.get(named, named)


class Unpacker:
    """A body from packed octets: `feed` them in any pieces, then `end`.  `encoding` is one of ENCODINGS, or empty.

    Not aiohttp's: that takes gzip that was cut short for whole, and of deflate that was it never tells who reads.
    """

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._stream: zlib._Decompress | None = None  # None: between two members

    def feed(self, octets: bytes) -> Iterator[bytes]:
        """What the octets stand for, in pieces.  Raises RequestPayloadError where they are not packed as said."""
        if not self._encoding:
            yield octets
            return
        is_full = False
        while octets or is_full:
            if self._stream is None:
                self._stream = self._begun(octets)
            try:
                piece = self._stream.decompress(octets, PIECE_OCTETS)
            except zlib.error as error:
                raise web.RequestPayloadError(f"the body is not {self._encoding}: {error}") from error
            if piece:
                yield piece
            is_full = len(piece) == PIECE_OCTETS and not self._stream.eof  # it may hold more back
            octets = self._stream.unconsumed_tail
            if self._stream.eof:
                octets = self._stream.unused_data
                if self._encoding == "deflate" and octets:
                    raise web.RequestPayloadError("the body goes on behind its end")
                if self._encoding == "gzip":
                    self._stream = None  # the next member, if there is one

    def _begun(self, octets: bytes) -> "zlib._Decompress":
        if self._encoding == "gzip":
            return zlib.decompressobj(_GZIP)
        # Many send it without the header that RFC 9110 §8.4.1.2 asks for.
        return zlib.decompressobj(zlib.MAX_WBITS if octets[0] & 15 == 8 else _RAW)

    def end(self) -> None:
        """All of it has come.  Raises RequestPayloadError where more should have."""
        if self._stream is None:
            return
        if not self._stream.eof:
            raise web.RequestPayloadError(f"the body is {self._encoding} that was cut short")


class Body:
    """The body of an upload on its way into an arrival: plain lines are the engine's, the others are read here."""

    def __init__(self, media_type: str, arrival: Arrival, country: str | None) -> None:
        self._reader = READERS[media_type]()
        self._arrival = arrival
        self._country = country
        self._head = b""  # of CSV, until its header is whole
        if not isinstance(self._reader, Csv):
            arrival.expect(None, self._strange)

    def feed(self, octets: bytes) -> None:
        """Take octets, in any pieces.  Raises Invalid where what follows could not be found."""
        if isinstance(self._reader, Msgpack):
            for row, found in self._reader.feed(octets):
                self._arrival.add(self._checked(row, found))
        elif isinstance(self._reader, Csv) and not self._arrival.is_expecting:
            self._feed_head(self._reader, octets)
        else:
            self._arrival.feed(octets)

    def _feed_head(self, reader: Csv, octets: bytes) -> None:
        self._head += octets
        while b"\n" in self._head and not reader.columns:
            line, _, self._head = self._head.partition(b"\n")
            reader.one(0, line)
        if reader.columns:
            self._arrival.expect(reader.columns, self._strange)
            self._arrival.feed(self._head)
        elif len(self._head) > LINE_LONGEST:
            raise Invalid(InvalidParam("body", f"has a line of more than {LINE_LONGEST} octets"))

    def end(self) -> None:
        """All of it has come.  Raises Invalid where the last row is not whole."""
        if isinstance(self._reader, Csv) and not self._arrival.is_expecting:
            self._feed_head(self._reader, b"\n")
        self._arrival.end()
        for row, found in self._reader.end():
            self._arrival.add(self._checked(row, found))

    def _strange(self, row: int, line: bytes) -> Found:
        reader = self._reader
        if isinstance(reader, Msgpack):
            return None  # it has no lines
        found = reader.one(row, line)
        if isinstance(reader, Csv):
            self._arrival.hold(reader.is_open)
        return None if found is None else self._checked(row, found)

    def _checked(self, row: int, found: Row | InvalidParam) -> tuple[int, str, str, dict[str, str]] | InvalidParam:
        if isinstance(found, InvalidParam):
            return found
        try:
            number = recipients.check(found, self._country)
        except Invalid as error:
            return InvalidParam(error.params[0].name, error.params[0].reason, row)
        return number, found.client_ref, found.language, found.values


READERS: Final[dict[str, type[Ndjson | Csv | Msgpack]]] = {
    "application/x-ndjson": Ndjson,
    "application/jsonl": Ndjson,
    "text/csv": Csv,
    "application/x-msgpack": Msgpack,
    "application/vnd.msgpack": Msgpack,
}
