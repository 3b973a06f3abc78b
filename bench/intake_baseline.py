"""Uploads in plain Python, a line at a time: the oracle of the native intake, and the judge of its strange lines.

Every line goes through msgspec or csv, `recipients.check` and two sets.
"""

import codecs
import csv
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from engine.crm.marketing.recipients import Row, check
from engine.errors import Invalid, InvalidParam

LINE_LONGEST = 65_536  # octets
OWN = ("to", "client_ref", "language")

Found = tuple[int, str, str, dict[str, str]]


class Reader(Protocol):
    """What a line says; None where it says nothing yet, and more lines belong to it."""

    is_open: bool

    def read(self, row: int, line: bytes) -> Found | InvalidParam | None: ...


def found(row: int, submitted: Row, country: str | None) -> Found | InvalidParam:
    """A row with its number as a key, or what is wrong with it."""
    try:
        number = check(submitted, country)
    except Invalid as error:
        return InvalidParam(error.params[0].name, error.params[0].reason, row)
    if number >> 56:
        return InvalidParam("to", "has more digits than can be kept", row)
    return number, submitted.client_ref, submitted.language, submitted.values


class Ndjson:
    """One JSON object a line."""

    is_open = False

    def __init__(self, country: str | None = None) -> None:
        self._decoder = msgspec.json.Decoder(Row)
        self._country = country

    def read(self, row: int, line: bytes) -> Found | InvalidParam | None:
        """A row from each line."""
        try:
            submitted = self._decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return InvalidParam("body", f"is not a row: {error}", row)
        return found(row, submitted, self._country)


class Csv:
    """Records of known columns; a quoted cell may go on in the next line."""

    def __init__(self, columns: tuple[str, ...], country: str | None = None) -> None:
        self.is_open = False
        self._columns = columns
        self._country = country
        self._lines: list[bytes] = []

    def read(self, row: int, line: bytes) -> Found | InvalidParam | None:
        """A row from each line that ends outside of quotes, with the lines before that did not."""
        self._lines.append(line)
        if sum(len(piece) + 1 for piece in self._lines) > LINE_LONGEST + 1:
            raise Invalid(InvalidParam("body", f"has a row of more than {LINE_LONGEST} octets"))
        whole = b"\n".join(self._lines)
        self.is_open = ends_in_quotes(whole)
        if self.is_open:
            return None
        self._lines.clear()
        try:
            cells = next(csv.reader([whole.decode()], strict=True))
        except (UnicodeDecodeError, csv.Error) as error:
            return InvalidParam("body", f"cannot be read: {error}", row)
        if len(cells) != len(self._columns):
            return InvalidParam("body", f"has {len(cells)} columns, the header {len(self._columns)}", row)
        named = dict(zip(self._columns, cells, strict=True))
        values = {name: cell for name, cell in named.items() if name not in OWN and cell}
        submitted = Row(named["to"], named.get("client_ref", ""), named.get("language", ""), values)
        return found(row, submitted, self._country)


def ends_in_quotes(record: bytes) -> bool:
    """Whether the last cell has a quote that is open.  One inside of a cell that begins without is a character."""
    is_quoted = False
    at_cell = True
    place = 0
    while place < len(record):
        octet = record[place : place + 1]
        place += 1
        if is_quoted:
            if octet == b'"':
                if record[place : place + 1] == b'"':
                    place += 1
                else:
                    is_quoted = False
        elif octet == b'"' and at_cell:
            is_quoted = True
        at_cell = not is_quoted and octet == b","
    return is_quoted


@dataclass
class Outcome:
    """What became of every row, as a take tells it."""

    accepted: list[Found] = field(default_factory=list)
    suppressed: list[tuple[int, int]] = field(default_factory=list)
    duplicates: list[tuple[int, int]] = field(default_factory=list)
    invalid: list[tuple[int, InvalidParam]] = field(default_factory=list)
    rows: int = 0


def lines_of(body: bytes, is_json: bool, has_begun: Callable[[], bool]) -> Iterator[bytes]:
    """Without their ends, and with the mark before the first row of JSON that some editors write taken off."""
    lines = body.split(b"\n")
    for place, line in enumerate(lines):
        if len(line) > LINE_LONGEST:
            raise Invalid(InvalidParam("body", f"has a line of more than {LINE_LONGEST} octets"))
        if line or place < len(lines) - 1:
            yield line.removeprefix(codecs.BOM_UTF8) if is_json and not has_begun() else line


def take(body: bytes, reader: Reader, pepper: bytes = b"", digests: frozenset[bytes] = frozenset()) -> Outcome:
    """All rows of a body, each judged by the reader."""
    outcome = Outcome()
    seen: set[str] = set()
    for line in lines_of(body, isinstance(reader, Ndjson), lambda: outcome.rows > 0):
        if not reader.is_open and not line.strip():
            continue
        row = reader.read(outcome.rows + 1, line)
        if row is None:
            continue
        outcome.rows += 1
        if isinstance(row, InvalidParam):
            outcome.invalid.append((outcome.rows, row))
            continue
        key = f"ref {row[1]}" if row[1] else f"number {row[0]}"
        if key in seen:
            first, count = outcome.duplicates[-1] if outcome.duplicates else (0, 0)
            if first and first + count == outcome.rows:
                outcome.duplicates[-1] = first, count + 1
            else:
                outcome.duplicates.append((outcome.rows, 1))
            continue
        seen.add(key)
        outcome.accepted.append(row)
        digest = hashlib.blake2b(row[0].to_bytes(8, "big"), key=pepper, digest_size=16).digest()
        if digest in digests:
            outcome.suppressed.append((outcome.rows, row[0]))
    return outcome
