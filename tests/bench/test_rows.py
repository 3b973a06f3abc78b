"""Files of recipients: what they hold is what an upload must count."""

import csv
import json
from pathlib import Path

import pytest

from bench import rows
from bench.rows import KINDS, Kind
from engine import numbers

ROWS = 1_000


def numbers_in(path: Path, kind: Kind) -> list[str]:
    """The `to` of every row."""
    with path.open(encoding="utf-8") as file:
        if kind.name == "csv":
            return [row["to"] for row in csv.DictReader(file)]
        return [json.loads(line)["to"] for line in file]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.title)
def test_every_spelling_is_the_number_that_the_row_has(tmp_path: Path, kind: Kind) -> None:
    path = tmp_path / "rows"
    rows.write(path, kind, ROWS, first=7)
    written = numbers_in(path, kind)
    assert [numbers.to_key(numbers.parse(text)) for text in written] == [rows.number_at(at, 7) for at in range(ROWS)]
    assert sum(numbers.parse(text) != text for text in written) == ROWS / 100


def test_what_is_expected_is_what_a_count_gives() -> None:
    keys = [rows.number_at(place) for place in range(ROWS)]
    suppressed = sum(str(key).startswith("86188") for key in keys)
    duplicate = len(keys) - len(set(keys))
    assert rows.expected(ROWS) == {
        "rows": ROWS,
        "accepted": ROWS - suppressed - duplicate,
        "duplicate": duplicate,
        "suppressed": suppressed,
        "invalid": 0,
    }


def test_a_row_that_comes_twice_comes_behind_its_first() -> None:
    first: dict[int, int] = {}
    for place in range(ROWS):
        if first.setdefault(rows.number_at(place), place) != place:
            assert place % rows.EVERY == 50
