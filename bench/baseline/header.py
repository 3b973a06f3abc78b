"""The user data header: information elements as octets and back, and what those that we know say.

3GPP TS 23.040 §9.2.3.24.  Where the elements do not fill a header exactly none of them counts; of elements that
exclude or repeat each other the last one counts, and an element of another size than the standard gives it is none.
"""

from collections.abc import Iterable

from bench.baseline.alphabets import LOCKING_SHIFTS, SINGLE_SHIFTS
from engine.errors import CodecError

Element = tuple[int, bytes]

CONCATENATION_8 = 0x00
INDICATION = 0x01
PORTS_8 = 0x04
PORTS_16 = 0x05
CONCATENATION_16 = 0x08
SINGLE_SHIFT = 0x24
LOCKING_SHIFT = 0x25
OURS = (CONCATENATION_8, CONCATENATION_16, SINGLE_SHIFT, LOCKING_SHIFT)  # written by `encode`, never by its caller


def join_elements(elements: Iterable[Element]) -> bytes:
    """The header, its length octet first; nothing where there are no elements.  Raises CodecError beyond 255 octets."""
    octets = b""
    for identifier, value in elements:
        if not 0 <= identifier <= 255 or len(value) > 255:
            raise CodecError("no element", "header")
        octets += bytes([identifier, len(value)]) + value
    if len(octets) > 255:
        raise CodecError("more than 255 octets", "header")
    return bytes([len(octets)]) + octets if octets else b""


def split_elements(header: bytes) -> tuple[Element, ...]:
    found: list[Element] = []
    left = header[1:]
    while left:
        identifier, value = left[0], left[2:][: int.from_bytes(left[1:2], "big")]
        if len(left) < 2 or len(value) < left[1]:
            return ()
        found.append((identifier, value))
        left = left[2 + len(value) :]
    return tuple(found)


def concatenation_of(elements: Iterable[Element]) -> tuple[int, int, int] | None:
    """(reference, total, sequence); a sequence of 0 or beyond the total says nothing."""
    found = None
    for identifier, value in elements:
        if (identifier, len(value)) in ((CONCATENATION_8, 3), (CONCATENATION_16, 4)) and 1 <= value[-1] <= value[-2]:
            found = (int.from_bytes(value[:-2], "big"), value[-2], value[-1])
    return found


def concatenation_element(reference: int, total: int, sequence: int, reference_bits: int) -> Element:
    identifier = CONCATENATION_8 if reference_bits == 8 else CONCATENATION_16
    return identifier, reference.to_bytes(reference_bits // 8, "big") + bytes([total, sequence])


def ports_of(elements: Iterable[Element]) -> tuple[int, int] | None:
    """(destination, source): §9.2.3.24.3 and .4."""
    found = None
    for identifier, value in elements:
        if (identifier, len(value)) in ((PORTS_8, 2), (PORTS_16, 4)):
            half = len(value) // 2
            found = (int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big"))
    return found


def indications_of(elements: Iterable[Element]) -> tuple[tuple[int, bool, int], ...]:
    """(type, store, count) of each special message indication: §9.2.3.24.2, the one that may be repeated."""
    return tuple(
        (value[0] & 0x7F, value[0] >= 0x80, value[1])
        for identifier, value in elements
        if identifier == INDICATION and len(value) == 2
    )


def shifts_of(elements: Iterable[Element]) -> tuple[int, int]:
    """The languages of single and locking shift, 0 for none or one that we do not know: §9.2.3.24.15 and .16."""
    single = locking = 0
    for identifier, value in elements:
        if identifier == SINGLE_SHIFT and len(value) == 1 and value[0] in SINGLE_SHIFTS:
            single = value[0]
        if identifier == LOCKING_SHIFT and len(value) == 1 and value[0] in LOCKING_SHIFTS:
            locking = value[0]
    return single, locking


def shift_elements(single: int, locking: int) -> list[Element]:
    wanted = ((SINGLE_SHIFT, single), (LOCKING_SHIFT, locking))
    return [(identifier, bytes([language])) for identifier, language in wanted if language]
