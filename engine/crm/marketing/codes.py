"""Codes that people read, say and type: 8 characters of Crockford's base 32, the last of which is a check character.

The characters are digits of GF(32), that is polynomials over GF(2) modulo x^5 + x^2 + 1, and place i counts x^i.  A
wrong character or two that changed places, neighbours or not, always change the sum: the eight powers of x differ, and
none is nothing.

    7K3M-9QT4    shown in two groups; read in any case, with O for 0 and I or L for 1, spaces and dashes anywhere

Kept is a keyed hash: who has the data directory and not the key has no code.
"""

import unicodedata
from collections.abc import Callable
from hashlib import blake2b
from typing import Final

from engine.errors import Invalid, InvalidParam

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH: Final = 8
DIGEST_OCTETS: Final = 16

Draw = Callable[[int], bytes]  # so many octets that nobody can guess

_RANDOM: Final = LENGTH - 1
_BITS: Final = 5
_MASK: Final = (1 << _BITS) - 1
_DRAWN_OCTETS: Final = 5  # 40 bits, 35 of which are used
_REDUCED: Final = 0b00101  # x^5
_OFFSET: Final = 5  # so that eight times the same sign is hardly ever a code
_TYPED_LONGEST: Final = 40  # characters that are looked at

_VALUES: Final = {character: value for value, character in enumerate(ALPHABET)}
_LOOK_ALIKES: Final = str.maketrans({"O": "0", "I": "1", "L": "1", " ": None, "-": None})
_DASHES: Final = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))
_TIMES_X: Final = tuple((value << 1 & _MASK) ^ (_REDUCED if value >> 4 else 0) for value in range(1 << _BITS))


def check_character(characters: str) -> str:
    """The character that belongs behind these."""
    total = 0
    for character in characters:
        total = _TIMES_X[total ^ _VALUES[character]]
    return ALPHABET[total ^ _OFFSET]


def fresh(draw: Draw, count: int = 1) -> list[str]:
    """So many new codes of 35 random bits; two of them may be the same, and so may one that was given before."""
    octets, codes = draw(_DRAWN_OCTETS * count), []
    for place in range(0, _DRAWN_OCTETS * count, _DRAWN_OCTETS):
        bits, total, characters = int.from_bytes(octets[place : place + _DRAWN_OCTETS], "big"), 0, []
        for _ in range(_RANDOM):
            value = bits & _MASK
            bits >>= _BITS
            total = _TIMES_X[total ^ value]
            characters.append(ALPHABET[value])
        characters.append(ALPHABET[total ^ _OFFSET])
        codes.append("".join(characters))
    return codes


def parse(typed: str, field: str = "code") -> str:
    """The code that somebody typed or read out.  Raises Invalid `coupon_mistyped` naming `field`."""
    text = unicodedata.normalize("NFKC", typed[:_TYPED_LONGEST]).translate(_DASHES).upper().translate(_LOOK_ALIKES)
    if len(typed) > _TYPED_LONGEST or len(text) != LENGTH:
        raise _mistyped(field, f"is not {LENGTH} characters")
    wrong = next((character for character in text if character not in _VALUES), None)
    if wrong is not None:
        raise _mistyped(field, f"{wrong!r} is in no code")
    if check_character(text[:-1]) != text[-1]:
        raise _mistyped(field, "is mistyped: the last character does not fit the others")
    return text


def _mistyped(field: str, reason: str) -> Invalid:
    return Invalid(InvalidParam(field, reason), code="coupon_mistyped")


def grouped(code: str) -> str:
    """`7K3M-9QT4`."""
    return f"{code[:4]}-{code[4:]}"


def digester(pepper: bytes, purpose: bytes) -> Callable[[str], bytes]:
    """What makes the keyed hash of a code for one purpose: BLAKE2b (RFC 7693), 16 octets."""
    keyed = blake2b(key=pepper, digest_size=DIGEST_OCTETS, person=purpose)

    def digest(code: str) -> bytes:
        begun = keyed.copy()
        begun.update(code.encode("ascii"))
        return begun.digest()

    return digest
