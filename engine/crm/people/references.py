"""References: short numbers for texts and telephones, one row of them per type of record: C17, O12, F2031."""

from typing import Final

from engine.store.table import Table, Txn

CUSTOMER: Final = "C"
ERASURE: Final = "E"

LAST: Final = Table("last_references", int, "s")  # letter -> the last number given

TABLES: Final = (LAST,)


def take(txn: Txn, letter: str, count: int = 1) -> int:
    """The first of `count` fresh numbers in a row."""
    last = LAST.find(txn, letter.encode()) or 0
    LAST.put(txn, letter.encode(), last + count)
    return last + 1


def render(letter: str, number: int) -> str:
    """As people write it."""
    return f"{letter}{number}"


def parse(letter: str, text: str) -> int:
    """The number in `text`, or 0 where it is no reference of that letter."""
    digits = text.strip().upper().removeprefix(letter)
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else 0
