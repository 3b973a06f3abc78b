"""Fields of a TPDU one by one, each read and written: addresses, time stamps, validity.

3GPP TS 23.040 §9.1.2 and §9.2.3.  `Octets` is what is left to read, and what was wrong with it so far.
"""

import re
from datetime import UTC, datetime, timedelta

from bench.baseline.alphabets import SEPTETS, pack, septets_of, unpack
from engine.errors import CodecError

DIALLED = "0123456789*#abc"  # §9.1.2.3; the sixteenth is the filler
INTERNATIONAL, DIALLED_AS_IS, NAME = 0x91, 0x81, 0xD0
MOST_SEMI_OCTETS = 20

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# TP-VPF in the order of its bits: §9.2.3.3.
NO_VALIDITY, ENHANCED, RELATIVE, ABSOLUTE = range(4)


class Octets:
    """What is left to read.  Strict, the first fault is raised; otherwise faults are noted, the end once."""

    def __init__(self, octets: bytes, strict: bool = True) -> None:
        self.left = octets
        self.strict = strict
        self.ended = False
        self.faults: list[CodecError] = []

    def note(self, reason: str, field: str) -> None:
        fault = CodecError(reason, field)
        if self.strict:
            raise fault
        self.faults.append(fault)

    def expect(self, count: int, field: str) -> None:
        if count > len(self.left) and not self.ended:
            self.ended = True
            self.note("ends too early", field)

    def take(self, count: int, field: str = "octets") -> bytes:
        """The next `count` octets, or what there is of them."""
        self.expect(count, field)
        taken, self.left = self.left[:count], self.left[count:]
        return taken

    def one(self, field: str = "octets") -> int:
        """The next octet, 0 where there is none."""
        return int.from_bytes(self.take(1, field), "big")


# Addresses


def semi_octets(octets: bytes) -> str:
    """Hex digits, the low half of each octet first."""
    digits = octets.hex()
    return "".join(digits[i + 1] + digits[i] for i in range(0, len(digits), 2))


def from_semi_octets(digits: str) -> bytes:
    padded = digits + "f" * (len(digits) % 2)
    return bytes.fromhex("".join(padded[i + 1] + padded[i] for i in range(0, len(padded), 2)))


def type_of_address(number: str, field: str, *, names: bool) -> int:
    """The type that we write for a number or a name.  Raises CodecError for what is neither."""
    if re.fullmatch(r"\+[0-9]{1,20}", number):
        return INTERNATIONAL
    if re.fullmatch(r"[0-9*#abc]{1,20}", number):
        return DIALLED_AS_IS
    if names and not number:
        return DIALLED_AS_IS  # nobody can be reached there, but networks send it
    if names and all(character in SEPTETS for character in number) and len(septets_of(number)) <= 11:
        return NAME
    raise CodecError("neither a number nor a name", field)


def digits_of(source: Octets, octets: bytes, count: int, international: bool, field: str) -> str:
    """`count` digits; a filler may end them, for some count it in."""
    digits = semi_octets(octets)[:count].removesuffix("f")
    if "f" in digits:
        source.note("a filler between digits", field)
    number = "".join(DIALLED[int(digit, 16)] for digit in digits.partition("f")[0])
    return "+" + number if international and number else number


def take_address(source: Octets, field: str = "address") -> tuple[str, int]:
    """The number or name, and its type of address."""
    count = source.one(field)
    if count > MOST_SEMI_OCTETS:
        source.note("too long", field)
    kind = source.one(field)
    octets = source.take(-(-count // 2), field)
    count = min(count, 2 * len(octets))
    if kind >> 4 & 7 == 5:
        return unpack(octets, count * 4 // 7), kind
    return digits_of(source, octets, count, kind >> 4 & 7 == 1, field), kind


def write_address(number: str, kind: int) -> bytes:
    if kind >> 4 & 7 == 5:
        octets = pack(number)
        return bytes([-(-7 * len(septets_of(number)) // 4), kind]) + octets
    digits = "".join(f"{DIALLED.index(digit):x}" for digit in number.removeprefix("+"))
    return bytes([len(digits), kind]) + from_semi_octets(digits)


def take_service_centre(source: Octets) -> str:
    """The address before a TPDU, whose length counts octets, the type among them.  Nothing where it is 0."""
    field = "service_centre"
    size = source.one(field)
    if size == 0:
        return ""
    if 2 * (size - 1) > MOST_SEMI_OCTETS:
        source.note("too long", field)
    kind = source.one(field) >> 4 & 7
    octets = source.take(size - 1, field)
    if kind == 5:
        return unpack(octets, len(octets) * 8 // 7)
    return digits_of(source, octets, 2 * len(octets), kind == 1, field)


def write_service_centre(number: str) -> bytes:
    if not number:
        return b"\0"
    field = write_address(number, type_of_address(number, "service_centre", names=False))
    return bytes([len(field) - 1]) + field[1:]


# Times


def take_stamp(source: Octets, field: str = "time") -> tuple[int | None, int]:
    """§9.2.3.11: epoch milliseconds, and the zone in quarters of an hour; None and 0 for what is no moment."""
    octets = source.take(7, field)
    if len(octets) < 7:
        return None, 0
    behind_utc = bool(octets[6] & 8)
    digits = semi_octets(octets[:6] + bytes([octets[6] & 0xF7]))
    if not digits.isdecimal():
        return None, 0
    year, month, day, hour, minute, second, quarters = (int(digits[i : i + 2]) for i in range(0, 14, 2))
    try:
        local = datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None, 0
    zone = -quarters if behind_utc else quarters
    return (local - timedelta(minutes=15 * zone) - EPOCH) // timedelta(milliseconds=1), zone


def take_time(source: Octets, field: str = "time") -> int | None:
    return take_stamp(source, field)[0]


def write_stamp(time_ms: int | None, zone: int, field: str) -> bytes:
    """Whole seconds.  Raises CodecError outside 2000 to 2099 where the clock hangs, or beyond 79 quarters."""
    if time_ms is None:
        return bytes(7)
    try:
        local = EPOCH + timedelta(seconds=time_ms // 1000, minutes=15 * zone)
    except OverflowError:
        raise CodecError("no year of ours", field) from None
    if not 2000 <= local.year <= 2099 or abs(zone) > 79:
        raise CodecError("not a moment that can be said", field)
    octets = from_semi_octets(f"{local:%y%m%d%H%M%S}{abs(zone):02}")
    return octets[:6] + bytes([octets[6] | (8 if zone < 0 else 0)])


# Validity


def validity_seconds(value: int) -> int:
    """§9.2.3.12.1: five minutes, then half hours, days, weeks."""
    if value <= 143:
        return (value + 1) * 5 * 60
    if value <= 167:
        return 12 * 3600 + (value - 143) * 30 * 60
    if value <= 196:
        return (value - 166) * 86400
    return (value - 192) * 7 * 86400


def relative_value(seconds: int) -> int:
    """The first value that is long enough, or the longest."""
    return next((value for value in range(256) if validity_seconds(value) >= seconds), 255)


def take_enhanced(source: Octets, field: str = "validity") -> tuple[int | None, bool]:
    """§9.2.3.12.3: the seconds, and whether one attempt is all.

    The low bits of the first octet name the form, its top bit announces another octet.
    """
    octets = source.take(7, field)
    if len(octets) < 7:
        return None, False
    return enhanced_validity(octets), bool(octets[0] & 0x40)


def enhanced_validity(octets: bytes) -> int | None:
    value = octets[2:] if octets[0] & 0x80 else octets[1:]
    match octets[0] & 7:
        case 1:
            return validity_seconds(value[0])
        case 2:
            return value[0] or None
        case 3:
            digits = semi_octets(value[:3])
            if digits.isdecimal() and digits[2] < "6" and digits[4] < "6":
                return int(digits[:2]) * 3600 + int(digits[2:4]) * 60 + int(digits[4:])
    return None


def write_validity(form: int, validity_s: int | None, expires_ms: int | None, single_shot: bool) -> bytes:
    """TP-VP in the format `form`.  Raises CodecError for what it cannot say."""
    if validity_s is not None and validity_s < 0:
        raise CodecError("already over", "validity")
    match form:
        case 0:
            return b""
        case 2:
            if validity_s is None:
                raise CodecError("how long?", "validity")
            return bytes([relative_value(validity_s)])
        case 3:
            rounded_ms = None if expires_ms is None else -(-expires_ms // 1000) * 1000
            return write_stamp(rounded_ms, 0, "validity")
    flag = 0x40 if single_shot else 0
    if validity_s is None:
        return bytes([flag]).ljust(7, b"\0")
    if 1 <= validity_s <= 255:
        return bytes([flag | 2, validity_s]).ljust(7, b"\0")
    if validity_s <= 99 * 3600 + 59 * 60 + 59:
        clock = f"{validity_s // 3600:02}{validity_s // 60 % 60:02}{validity_s % 60:02}"
        return (bytes([flag | 3]) + from_semi_octets(clock)).ljust(7, b"\0")
    return bytes([flag | 1, relative_value(validity_s)]).ljust(7, b"\0")
