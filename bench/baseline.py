"""The SMS codec in plain Python: slow, readable, and by other means than the native one.

It is the oracle of the tests and the `python` column of the benchmarks, never part of the engine.  A packed
text is one big number and octets are slices, the way 3GPP TS 23.040 and 23.038 draw them.  Everything wrong
is a CodecError; exact fields and offsets are the native codec's business.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from engine.errors import CodecError

MAIN = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\0ÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
BEHIND_ESCAPE = dict(zip(b"\x0a\x14()/<=>@e", "\f^{}\\[~]|€", strict=True))
ESCAPE = 27

SEPTETS: dict[str, tuple[int, ...]] = {
    **{character: (septet,) for septet, character in enumerate(MAIN) if septet != ESCAPE},
    **{character: (ESCAPE, septet) for septet, character in BEHIND_ESCAPE.items()},
}
GSM7, OCTETS, UCS2 = 0, 1, 2
ROOM = {GSM7: (160, 153), UCS2: (70, 67)}  # alone, and behind a concatenation header
DIALLED = "0123456789*#abc"


@dataclass(frozen=True, slots=True)
class Measure:
    alphabet: int
    units: int
    parts: int
    room: int
    forced_by: str


@dataclass(frozen=True, slots=True)
class Content:
    """A coding, and the user data read by it."""

    coding: int
    alphabet: int
    message_class: int | None
    text: str = ""
    octets: bytes = b""
    header: bytes = b""
    concatenation: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Deliver(Content):
    originator: str = ""
    alphanumeric: bool = False
    protocol: int = 0
    service_centre_time_ms: int | None = None


@dataclass(frozen=True, slots=True)
class StatusReport(Content):
    reference: int = 0
    recipient: str = ""
    protocol: int = 0
    service_centre_time_ms: int | None = None
    discharge_time_ms: int | None = None
    outcome: int = 0


@dataclass(frozen=True, slots=True)
class Submit(Content):
    destination: str = ""
    reference: int = 0
    protocol: int = 0
    validity_s: int | None = None
    expires_ms: int | None = None
    wants_report: bool = False
    reject_duplicates: bool = False
    reply_path: bool = False


# Alphabets


def pack(text: str, fill_bits: int = 0) -> bytes:
    """Septets as one big number, lowest first, behind `fill_bits` zero bits."""
    septets = [septet for character in text for septet in SEPTETS[character]]
    number = sum(septet << (fill_bits + 7 * place) for place, septet in enumerate(septets))
    return number.to_bytes(-(-(fill_bits + 7 * len(septets)) // 8), "little")


def unpack(octets: bytes, septets: int, fill_bits: int = 0) -> str:
    number = int.from_bytes(octets, "little") >> fill_bits
    text = ""
    escaped = False
    for place in range(septets):
        septet = number >> (7 * place) & 127
        if escaped:
            text += " " if septet == ESCAPE else BEHIND_ESCAPE.get(septet, MAIN[septet])
            escaped = False
        elif septet == ESCAPE:
            escaped = True
        else:
            text += MAIN[septet]
    return text + " " * escaped


def units_of(character: str, alphabet: int) -> int:
    if alphabet == GSM7:
        return len(SEPTETS[character])
    return len(character.encode("utf-16-be")) // 2


def pieces(text: str, alphabet: int, room: int) -> list[str]:
    """Fill each piece with whole characters before the next begins."""
    found = [""]
    left = room
    for character in text:
        units = units_of(character, alphabet)
        if units > left:
            found.append("")
            left = room
        found[-1] += character
        left -= units
    return found


def parts(text: str, alphabet: int) -> list[str]:
    alone, joined = ROOM[alphabet]
    if sum(units_of(character, alphabet) for character in text) <= alone:
        return [text]
    return pieces(text, alphabet, joined)


def choose(text: str, alphabet: str) -> tuple[int, list[str]]:
    """The alphabet and the parts: whichever gives fewer, GSM 7-bit where they are equal."""
    speaks_gsm7 = all(character in SEPTETS for character in text)
    if alphabet not in ("auto", "gsm7", "ucs2") or (alphabet == "gsm7" and not speaks_gsm7):
        raise CodecError("not in that alphabet", "text")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise CodecError("half a surrogate pair", "text")
    candidates = []
    if alphabet != "ucs2" and speaks_gsm7:
        candidates.append((GSM7, parts(text, GSM7)))
    if alphabet != "gsm7":
        candidates.append((UCS2, parts(text, UCS2)))
    best = min(candidates, key=lambda candidate: len(candidate[1]))
    if len(best[1]) > 255:
        raise CodecError("more than 255 parts", "text")
    return best


def cut(text: str, alphabet: str = "auto") -> list[str]:
    return choose(text, alphabet)[1]


def measure(text: str, alphabet: str = "auto") -> Measure:
    chosen, texts = choose(text, alphabet)
    units = [sum(units_of(character, chosen) for character in part) for part in texts]
    room = ROOM[chosen][0 if len(texts) == 1 else 1] - units[-1]
    foreign = [character for character in text if character not in SEPTETS]
    forced_by = foreign[0] if foreign and alphabet == "auto" else ""
    return Measure(chosen, sum(units), len(texts), room, forced_by)


# Writing


def validity_seconds(value: int) -> int:
    """§9.2.3.12.1: five minutes, then half hours, days, weeks."""
    if value <= 143:
        return (value + 1) * 5 * 60
    if value <= 167:
        return 12 * 3600 + (value - 143) * 30 * 60
    if value <= 196:
        return (value - 166) * 86400
    return (value - 192) * 7 * 86400


def write_address(number: str) -> bytes:
    digits = number.removeprefix("+")
    allowed = DIALLED[:10] if number.startswith("+") else DIALLED
    if not 1 <= len(digits) <= 20 or any(digit not in allowed for digit in digits):
        raise CodecError("cannot be dialled", "destination")
    nibbles = [DIALLED.index(digit) for digit in digits] + [15] * (len(digits) % 2)
    octets = [low + 16 * high for low, high in zip(nibbles[::2], nibbles[1::2], strict=True)]
    return bytes([len(digits), 0x91 if number.startswith("+") else 0x81, *octets])


def encode(
    destination: str,
    text: str,
    *,
    concatenation: int = 0,
    validity_s: int | None = None,
    wants_report: bool = False,
    alphabet: str = "auto",
    message_class: int | None = None,
) -> list[bytes]:
    chosen, texts = choose(text, alphabet)
    joined = len(texts) > 1
    first = 0x01 | (validity_s is not None) << 4 | wants_report << 5 | joined << 6
    coding = (0x08 if chosen == UCS2 else 0) | (0 if message_class is None else 0x10 | message_class)
    fields = bytes([first, 0]) + write_address(destination) + bytes([0, coding])
    if validity_s is not None:
        enough = [value for value in range(256) if validity_seconds(value) >= validity_s]
        fields += bytes([enough[0] if enough else 255])
    tpdus = []
    for sequence, part in enumerate(texts, 1):
        header = bytes([5, 0, 3, concatenation, len(texts), sequence]) if joined else b""
        if chosen == GSM7:
            length = sum(units_of(character, GSM7) for character in part) + (7 if joined else 0)
            body = pack(part, fill_bits=1 if joined else 0)
        else:
            body = part.encode("utf-16-be")
            length = len(header) + len(body)
        tpdus.append(fields + bytes([length]) + header + body)
    return tpdus


# Reading


class Octets:
    """What is left to read."""

    def __init__(self, octets: bytes) -> None:
        self.left = octets

    def take(self, count: int) -> bytes:
        if count > len(self.left):
            raise CodecError("ends too early", "octets")
        taken, self.left = self.left[:count], self.left[count:]
        return taken

    def one(self) -> int:
        return self.take(1)[0]


def digits_of(octets: bytes, count: int, international: bool) -> str:
    nibbles = octets.hex()
    swapped = "".join(nibbles[i + 1] + nibbles[i] for i in range(0, len(nibbles), 2))[:count]
    swapped = swapped.removesuffix("f") if swapped else ""
    if "f" in swapped:
        raise CodecError("a filler between digits", "address")
    number = "".join(DIALLED[int(nibble, 16)] for nibble in swapped)
    return "+" + number if international and number else number


def take_address(source: Octets) -> tuple[str, bool]:
    count = source.one()
    if count > 20:
        raise CodecError("too long", "address")
    kind = source.one() >> 4 & 7
    octets = source.take(-(-count // 2))
    if kind == 5:
        return unpack(octets, count * 4 // 7), True
    return digits_of(octets, count, kind == 1), False


def take_time(source: Octets) -> int | None:
    octets = source.take(7)
    behind_utc = bool(octets[6] & 8)
    digits = "".join(f"{octet & 15:x}{octet >> 4:x}" for octet in octets[:6])
    zone = f"{octets[6] & 7:x}{octets[6] >> 4:x}"
    if not (digits + zone).isdecimal():
        return None
    year, month, day, hour, minute, second = (int(digits[i : i + 2]) for i in range(0, 12, 2))
    try:
        local = datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    offset = timedelta(minutes=15 * int(zone))
    utc = local + offset if behind_utc else local - offset
    return (utc - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def enhanced_validity(octets: bytes) -> int | None:
    """§9.2.3.12.3: the low bits of the first octet name the format, its top bit announces another octet."""
    value = octets[2:] if octets[0] & 0x80 else octets[1:]
    match octets[0] & 7:
        case 1:
            return validity_seconds(value[0])
        case 2:
            return value[0] or None
        case 3:
            digits = "".join(f"{octet & 15:x}{octet >> 4:x}" for octet in value[:3])
            if digits.isdecimal() and digits[2] < "6" and digits[4] < "6":
                return int(digits[:2]) * 3600 + int(digits[2:4]) * 60 + int(digits[4:])
    return None


def alphabet_of(coding: int) -> tuple[int, int | None]:
    """TS 23.038 §4: the alphabet and the class."""
    group = coding >> 4
    if group == 15:
        return (OCTETS if coding & 4 else GSM7), coding & 3
    if group == 14:
        return UCS2, None
    if group >= 8:
        return GSM7, None
    message_class = coding & 3 if coding & 16 else None
    if coding & 32:
        return OCTETS, message_class
    return (GSM7, OCTETS, UCS2, GSM7)[coding >> 2 & 3], message_class


def joins(header: bytes) -> tuple[int, int, int] | None:
    """The concatenation that a header's elements name; an ill-fitting header names none."""
    found = None
    elements = Octets(header[1:])
    try:
        while elements.left:
            element, size = elements.take(2)
            value = elements.take(size)
            if (element, size) in ((0, 3), (8, 4)) and 1 <= value[-1] <= value[-2]:
                found = (int.from_bytes(value[:-2], "big"), value[-2], value[-1])
    except CodecError:
        return None
    return found


def take_content(source: Octets, coding: int, has_header: bool) -> Content:
    alphabet, message_class = alphabet_of(coding)
    length = source.one()
    size = -(-length * 7 // 8) if alphabet == GSM7 else length
    if size > 140:
        raise CodecError("more than 140 octets", "user_data")
    data = source.take(size)
    header = b""
    if has_header:
        if not data or data[0] >= len(data):
            raise CodecError("longer than the user data", "header")
        header = data[: data[0] + 1]
    body = data[len(header) :]
    text = ""
    if alphabet == GSM7:
        skipped = -(-len(header) * 8 // 7)
        text = unpack(body, max(0, length - skipped), skipped * 7 - len(header) * 8)
    elif alphabet == UCS2:
        text = body.decode("utf-16-be", "replace")
    kept = body if alphabet == OCTETS or "\ufffd" in text else b""
    return Content(coding, alphabet, message_class, text, kept, header, joins(header))


def fields_of(
    content: Content,
) -> tuple[int, int, int | None, str, bytes, bytes, tuple[int, int, int] | None]:
    """What `Content` has, for the front of a record."""
    return (
        content.coding,
        content.alphabet,
        content.message_class,
        content.text,
        content.octets,
        content.header,
        content.concatenation,
    )


def end(source: Octets, filler: bool) -> None:
    if source.left.strip(b"\xff" if filler else b""):
        raise CodecError("octets behind the end", "length")


def decode_deliver(tpdu: bytes, filler: bool = False) -> Deliver:
    source = Octets(tpdu)
    first = source.one()
    if first & 3 != 0:
        raise CodecError("not a DELIVER", "message_type")
    originator, alphanumeric = take_address(source)
    protocol, coding = source.take(2)
    time_ms = take_time(source)
    content = take_content(source, coding, bool(first & 64))
    end(source, filler)
    return Deliver(*fields_of(content), originator, alphanumeric, protocol, time_ms)


def decode_report(tpdu: bytes, filler: bool = False) -> StatusReport:
    source = Octets(tpdu)
    first, reference = source.take(2)
    if first & 3 != 2:
        raise CodecError("not a STATUS-REPORT", "message_type")
    recipient, _ = take_address(source)
    taken_ms = take_time(source)
    discharged_ms = take_time(source)
    outcome = source.one()
    if filler and not source.left.strip(b"\xff"):
        source.left = b""
    present = source.one() if source.left else 0
    more = present
    while more & 128:
        more = source.one()
    protocol = source.one() if present & 1 else 0
    coding = source.one() if present & 2 else 0
    content = Content(coding, *alphabet_of(coding))
    if present & 4:
        content = take_content(source, coding, bool(first & 64))
    end(source, filler)
    return StatusReport(*fields_of(content), reference, recipient, protocol, taken_ms, discharged_ms, outcome)


def decode_submit(tpdu: bytes, filler: bool = False) -> Submit:
    source = Octets(tpdu)
    first, reference = source.take(2)
    if first & 3 != 1:
        raise CodecError("not a SUBMIT", "message_type")
    destination, _ = take_address(source)
    protocol, coding = source.take(2)
    validity_s = expires_ms = None
    match first >> 3 & 3:
        case 2:
            validity_s = validity_seconds(source.one())
        case 3:
            expires_ms = take_time(source)
        case 1:
            validity_s = enhanced_validity(source.take(7))
    content = take_content(source, coding, bool(first & 64))
    end(source, filler)
    return Submit(
        *fields_of(content),
        destination,
        reference,
        protocol,
        validity_s,
        expires_ms,
        wants_report=bool(first & 32),
        reject_duplicates=bool(first & 4),
        reply_path=bool(first & 128),
    )


def decode(tpdu: bytes, direction: str = "sc2ms") -> Deliver | StatusReport | Submit:
    kind = tpdu[0] & 3 if tpdu else 3
    match direction, kind:
        case "sc2ms", 0:
            return decode_deliver(tpdu)
        case "sc2ms", 2:
            return decode_report(tpdu)
        case "ms2sc", 1:
            return decode_submit(tpdu)
    raise CodecError("a type of message that is not read here", "message_type")


def read(pdu_hex: str) -> Deliver | StatusReport | Submit:
    """A PDU as a modem prints it; its service centre is passed over."""
    source = Octets(bytes.fromhex(pdu_hex))
    source.take(source.one())
    kinds = (decode_deliver, decode_submit, decode_report)
    kind = source.left[0] & 3 if source.left else 3
    if kind == 3:
        raise CodecError("a type of message that is not read here", "message_type")
    return kinds[kind](source.left, True)
