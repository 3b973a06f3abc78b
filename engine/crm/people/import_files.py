"""Files of imports: octets on their way into the store, and rows on their way out of it.

A file is CSV with a header, in UTF-8 or GB18030, its cells apart by commas, semicolons or tabs.  A workbook of a
spreadsheet is made such a file when it has come.
"""

import codecs
import csv
import io
from collections.abc import Iterator
from datetime import date, datetime
from itertools import islice
from typing import Any, Final

from engine.crm.people.imports import FILES, PIECE_OCTETS, Place
from engine.errors import Invalid, InvalidParam
from engine.store.environment import Store
from engine.store.table import Txn

LINE_LONGEST: Final = 1 << 18  # octets
CELL_LONGEST: Final = 65_536  # characters
WORKBOOK_MOST: Final = 64 << 20  # octets: it is read whole
WRITTEN_PIECES: Final = 8  # in one change

_ENCODINGS: Final = ("utf-8", "gb18030")
_DELIMITERS: Final = (",", ";", "\t")
_ZIP: Final = b"PK\x03\x04"
_OLD_WORKBOOK: Final = b"\xd0\xcf\x11\xe0"


class Receiving:
    """A file while it comes in.  `feed` it, `settle` after each piece, then `finish`.

    What was there of the import's earlier file is written over.
    """

    def __init__(self, store: Store, identifier: int) -> None:
        self._store = store
        self._import = identifier
        self._begun = b""
        self._pieces: list[bytes] = []
        self._piece = 0
        self._whole = bytearray()
        self._is_workbook = False
        self._decoders = {name: codecs.getincrementaldecoder(name)("strict") for name in _ENCODINGS}
        self._failed: dict[str, int] = {}
        self._lines = 0
        self.octets = 0

    def feed(self, octets: bytes) -> None:
        """Take octets, in any pieces.  Raises Invalid where they are no text that we can read."""
        if not self.octets and octets:
            self._is_workbook = octets.startswith((_ZIP, _OLD_WORKBOOK))
        self.octets += len(octets)
        if self._is_workbook:
            self._whole += octets
            if len(self._whole) > WORKBOOK_MOST:
                raise Invalid(InvalidParam("file", f"is a workbook of more than {WORKBOOK_MOST >> 20} MiB"))
            return
        self._take(octets)

    def _take(self, octets: bytes, *, final: bool = False) -> None:
        for name, decoder in list(self._decoders.items()):
            if name not in self._failed:
                try:
                    decoder.decode(octets, final)
                except UnicodeDecodeError as error:
                    # Behind the header's line, the first row is 1.
                    self._failed[name] = self._lines + error.object[: error.start].count(b"\n")
        if len(self._failed) == len(_ENCODINGS):
            row = max(self._failed.values())
            raise Invalid(InvalidParam("file", "is neither UTF-8 nor GB18030 here", row))
        self._lines += octets.count(b"\n")
        if b"\0" in octets:
            raise Invalid(InvalidParam("file", "is not a text: save it as CSV in UTF-8", self._lines))
        self._begun += octets
        while len(self._begun) >= PIECE_OCTETS:
            self._pieces.append(self._begun[:PIECE_OCTETS])
            self._begun = self._begun[PIECE_OCTETS:]

    async def settle(self) -> None:
        """Store what has come, where that is enough."""
        while len(self._pieces) >= WRITTEN_PIECES:
            await self._write(WRITTEN_PIECES)

    async def _write(self, count: int) -> None:
        written, self._pieces = self._pieces[:count], self._pieces[count:]
        await self._store.write_bulk(_put_pieces, self._import, self._piece, written)
        self._piece += len(written)

    async def finish(self) -> str:
        """Store the rest; the file's encoding.  Raises Invalid where it is empty or cannot be read."""
        if self._is_workbook:
            for octets in _csv_of(bytes(self._whole)):
                self._take(octets)
                await self.settle()
            self._whole.clear()
        self._take(b"", final=True)
        if not self._begun and not self._pieces and not self._piece:
            raise Invalid(InvalidParam("file", "is empty: with curl, send it with -T or --data-binary"))
        if self._begun:
            self._pieces.append(self._begun)
            self._begun = b""
        while self._pieces:
            await self._write(WRITTEN_PIECES)
        await self._store.write_bulk(_drop_behind, self._import, self._piece)
        return next(name for name in _ENCODINGS if name not in self._failed)


def _put_pieces(txn: Txn, identifier: int, first: int, pieces: list[bytes]) -> None:
    for place, octets in enumerate(pieces, first):
        FILES.put(txn, (identifier, place), octets)


def _drop_behind(txn: Txn, identifier: int, first: int) -> None:
    """Of an earlier file that was longer."""
    for key in [key for key, _ in FILES.scan(txn, identifier, after=(identifier, first - 1))]:
        FILES.remove(txn, key)


def _csv_of(octets: bytes) -> Iterator[bytes]:
    """The first sheet of a workbook as CSV, a few hundred rows at a time."""
    try:
        import python_calamine
    except ImportError as error:
        reason = "is a workbook: install carillon[excel], or save it as CSV in UTF-8"
        raise Invalid(InvalidParam("file", reason)) from error
    try:
        sheet = python_calamine.load_workbook(io.BytesIO(octets)).get_sheet_by_index(0)
        rows = sheet.iter_rows()
    except (python_calamine.CalamineError, IndexError, OSError, ValueError) as error:
        raise Invalid(InvalidParam("file", f"is a workbook that cannot be read: {error}")) from error
    while some := list(islice(rows, 500)):
        text = io.StringIO(newline="")
        csv.writer(text).writerows([[_written(cell) for cell in row] for row in some])
        yield text.getvalue().encode()


def _written(cell: Any) -> str:
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))  # a telephone number is a quantity to a spreadsheet
    if isinstance(cell, datetime):
        return cell.date().isoformat() if not (cell.hour or cell.minute or cell.second) else cell.isoformat(" ")
    return cell.isoformat() if isinstance(cell, date) else str(cell)


class Reading:
    """The rows of a stored file, in order, from a place on; `place` is where the next reader goes on."""

    def __init__(self, store: Store, identifier: int, encoding: str, place: Place | None = None) -> None:
        self._store = store
        self._import = identifier
        self._encoding = encoding
        self._octet = 0  # where the block begins whose lines are being given
        self._given = 0  # of its lines
        self._row = 0
        header = next(self._lines(0, 0), "")
        if not header.strip():
            raise Invalid(InvalidParam("file", "has no header"))
        self._delimiter = max(_DELIMITERS, key=header.count)
        self.columns = self._header(header)
        place = place or Place()
        self._row = place.row
        csv.field_size_limit(CELL_LONGEST)
        lines = self._lines(place.octet, place.lines)
        self._reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        if not place.row and not place.octet and not place.lines:
            next(self._reader)

    def _header(self, line: str) -> list[str]:
        try:
            cells = next(csv.reader([line], delimiter=self._delimiter, strict=True))
        except csv.Error as error:
            raise Invalid(InvalidParam("file", f"the header cannot be read: {error}")) from error
        columns = [" ".join(cell.replace("\ufeff", "").split()) for cell in cells]
        while columns and not columns[-1]:
            columns.pop()
        if len(set(columns)) != len(columns) or not all(columns):
            raise Invalid(InvalidParam("file", "the header names a column twice, or leaves one without a name"))
        return columns

    @property
    def place(self) -> Place:
        """Behind the last row that was given."""
        return Place(self._octet, self._given, self._row)

    def some(self, limit: int) -> list[list[str]]:
        """The next rows, at most `limit` of them; none at the end.  Blank lines are no rows.

        Raises Invalid naming the row behind which nothing can be found.
        """
        try:
            found = [cells for cells in islice(self._reader, limit) if cells]
            while not found and (more := list(islice(self._reader, limit))):
                found = [cells for cells in more if cells]
        except csv.Error as error:
            raise Invalid(InvalidParam("file", f"cannot be read as CSV: {error}", self._row + 1)) from error
        self._row += len(found)
        return found

    def _lines(self, octet: int, skipped: int) -> Iterator[str]:
        piece, inside = divmod(octet, PIECE_OCTETS)
        self._octet, self._given = octet, 0
        rest, is_first = b"", octet == 0
        while True:
            with self._store.read() as txn:
                octets = FILES.find(txn, (self._import, piece))
            piece += 1
            block = rest + (octets or b"")[inside:]
            inside = 0
            cut = block.rfind(b"\n") + 1 if octets is not None else len(block)
            if len(block) - cut > LINE_LONGEST:
                raise Invalid(InvalidParam("file", f"has a line of more than {LINE_LONGEST} octets", self._row + 1))
            rest = block[cut:]
            for line in io.StringIO(self._text(block[:cut], is_first=is_first), newline="\n"):
                self._given += 1
                if skipped:
                    skipped -= 1
                    continue
                yield line
            if octets is None:
                return
            self._octet += cut
            self._given = 0
            is_first = is_first and not cut

    def _text(self, octets: bytes, *, is_first: bool) -> str:
        return octets.decode(self._encoding).removeprefix("\ufeff") if is_first else octets.decode(self._encoding)
