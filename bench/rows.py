"""Files of recipients as senders write them: some twice, some in odd spellings, some who must get nothing.

Of every hundred rows one has the number of a row far before it, one is written as people write numbers, and one is a
suppressed number; what an upload must answer is known to the row.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.crm.people import suppressions
from engine.store.environment import Store
from engine.store.table import Txn
from engine.wiring import TABLES

EVERY: Final = 100
_PLAIN, _ODD, _TWICE, _SUPPRESSED = 10, 25, 50, 75  # places in every hundred
_CHUNK: Final = 10_000
# Numbers of the first kind take 9 free digits, suppressed ones 8 under another prefix.
_NUMBER: Final = 8_613_000_000_000
_SUPPRESSED_NUMBER: Final = 8_618_800_000_000


@dataclass(frozen=True, slots=True)
class Kind:
    """A form of file: its name, its media type, and whether each row has three values of its own."""

    name: str
    content_type: str
    has_values: bool

    @property
    def title(self) -> str:
        return f"{self.name}, {'three values each' if self.has_values else 'shared text'}"

    @property
    def text(self) -> str:
        """What the campaign says."""
        if self.has_values:
            return "Dear {name}, {amount} is due, your code is {code}."
        return "Your parcel is on its way and comes tomorrow between 9 and 11."


KINDS: Final = (
    Kind("ndjson", "application/x-ndjson", False),
    Kind("csv", "text/csv", False),
    Kind("ndjson", "application/x-ndjson", True),
    Kind("csv", "text/csv", True),
)


def expected(rows: int) -> dict[str, int]:
    """What the answer to a file of so many rows counts."""
    duplicate, suppressed = (len(range(place, rows, EVERY)) for place in (_TWICE, _SUPPRESSED))
    return {
        "rows": rows,
        "accepted": rows - duplicate - suppressed,
        "duplicate": duplicate,
        "suppressed": suppressed,
        "invalid": 0,
    }


def number_at(place: int, first: int = 0) -> int:
    """The number that a row has: `first` moves a whole file to other ones."""
    at = place % EVERY
    if at == _SUPPRESSED:
        return _SUPPRESSED_NUMBER + place // EVERY
    if at == _TWICE:
        place = place // 2 // EVERY * EVERY + _PLAIN
    return _NUMBER + first + place


def _spelled(number: int, place: int) -> str:
    digits = str(number)
    country, prefix, middle, last = digits[:2], digits[2:5], digits[5:9], digits[9:]
    spellings = (
        f"+{country} {prefix} {middle} {last}",
        f"+{country}-{prefix}-{middle}-{last}",
        f"+{country} ({prefix}) {middle}{last}",
        f"+{country}.{prefix}.{middle}.{last}",
    )
    return spellings[place // EVERY % len(spellings)]


def _lines(kind: Kind, rows: int, first: int) -> Iterator[str]:
    render: Callable[[str, int], str]
    if kind.name == "csv":
        yield "to,name,amount,code\n" if kind.has_values else "to\n"
        if kind.has_values:
            render = lambda to, at: f"{to},Ann{at % 997},{at % 9000 / 100:.2f},{at * 7919 % 1000003:06d}\n"  # noqa: E731
        else:
            render = lambda to, _: f"{to}\n"  # noqa: E731
    elif kind.has_values:
        render = lambda to, at: (  # noqa: E731
            f'{{"to":"{to}","values":{{"name":"Ann{at % 997}","amount":"{at % 9000 / 100:.2f}",'
            f'"code":"{at * 7919 % 1000003:06d}"}}}}\n'
        )
    else:
        render = lambda to, _: f'{{"to":"{to}"}}\n'  # noqa: E731
    for place in range(rows):
        number = number_at(place, first)
        yield render(_spelled(number, place) if place % EVERY == _ODD else f"+{number}", place)


def write(path: Path, kind: Kind, rows: int, first: int = 0) -> None:
    """Write the file.  No row of a file with another `first`, further away than `rows`, has a number of it."""
    with path.open("w", encoding="ascii") as file:
        file.writelines(_lines(kind, rows, first))


def suppress(data: Path, pepper: bytes, count: int, now_ms: int) -> None:
    """Suppress so many numbers, those of the files first, in a data directory that nobody uses."""

    def chunk(txn: Txn, first: int, end: int) -> None:
        for place in range(first, end):
            suppressions.add(txn, pepper, _SUPPRESSED_NUMBER + place, "stop_all", now_ms)

    store = Store(data, TABLES)
    try:
        for first in range(0, count, _CHUNK):
            store.write_now(chunk, first, min(count, first + _CHUNK))
    finally:
        store.close()
