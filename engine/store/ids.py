"""Ids: 64 bits, 42 of milliseconds and 22 of counter, in time order and never given twice.

The last one is stored, so that a clock set back repeats none.  On the wire an id is a prefix and 13
characters of Crockford's base 32: `msg_06bq3f8r0g000`.
"""

from typing import Final

from engine.errors import Invalid, InvalidParam
from engine.store.table import Table, Txn

COUNTER_BITS: Final = 22
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_DIGITS: Final = 13
_VALUES: Final = {character: value for value, character in enumerate(_ALPHABET)}

LAST: Final = Table("last_id", int, "B")


def take(txn: Txn, now_ms: int, count: int = 1) -> int:
    """The first of `count` fresh ids in a row."""
    last = LAST.find(txn, 0) or 0
    first = max(last + 1, now_ms << COUNTER_BITS)
    LAST.put(txn, 0, first + count - 1)
    return first


def created_ms(identifier: int) -> int:
    """When the id was given, to the millisecond (later than the clock where the clock was set back)."""
    return identifier >> COUNTER_BITS


def render(prefix: str, identifier: int) -> str:
    """`prefix` + `_` + 13 characters."""
    characters = []
    for _ in range(_DIGITS):
        characters.append(_ALPHABET[identifier & 31])
        identifier >>= 5
    return f"{prefix}_{''.join(reversed(characters))}"


def parse(prefix: str, text: str, field: str = "id") -> int:
    """The id in `text`.  Raises Invalid naming `field`."""
    head, _, digits = text.partition("_")
    if head != prefix or len(digits) != _DIGITS:
        raise Invalid(InvalidParam(field, f"must be {prefix}_ and {_DIGITS} characters"))
    value = 0
    for character in digits:
        if character not in _VALUES:
            raise Invalid(InvalidParam(field, f"{character!r} is not a character of an id"))
        value = value << 5 | _VALUES[character]
    if value >> 64:
        raise Invalid(InvalidParam(field, "is larger than any id"))
    return value
