"""SMS-SUBMIT TPDUs of a text, and the lines that a modem is given: 3GPP TS 23.040 §9.2.2.2."""

from collections.abc import Sequence

from bench.baseline import fields, header
from bench.baseline.alphabets import GSM7, pack_septets, septets_of
from bench.baseline.cutting import choose, ends_of, spans
from bench.baseline.envelope import Envelope, envelope_of
from bench.baseline.templates import Template
from engine.errors import CodecError


def user_data(
    content: str | bytes, alphabet: int, elements: Sequence[header.Element], single: int = 0, locking: int = 0
) -> tuple[int, bytes]:
    """TP-UDL and TP-UD: §9.2.3.16 and .24.  Fill bits lead the text to a septet's border."""
    front = header.join_elements(elements)
    if alphabet == GSM7:
        assert isinstance(content, str)
        skipped = -(-len(front) * 8 // 7)
        septets = septets_of(content, single, locking)
        return skipped + len(septets), front + pack_septets(septets, 7 * skipped - 8 * len(front))
    body = content.encode("utf-16-be") if isinstance(content, str) else content
    return len(front + body), front + body


def encode(
    destination: str,
    text: str | bytes,
    envelope: Envelope | str | None = None,
    *,
    concatenation: int = 0,
    **options: object,
) -> list[bytes]:
    asked = envelope_of(envelope, options)
    if not 0 <= concatenation < 1 << asked.reference_bits:
        raise CodecError("no reference", "concatenation")
    way, parts = choose(text, asked)
    contents = [text[begin:end] for begin, end in spans(ends_of(text, way, parts, asked))]
    has_header = parts > 1 or bool(way.elements(asked))
    first = (
        0x01
        | asked.reject_duplicates << 2
        | asked.validity_format() << 3
        | asked.wants_report << 5
        | has_header << 6
        | asked.reply_path << 7
    )
    kind = fields.type_of_address(destination, "destination", names=False)
    front = bytes([first, 0]) + fields.write_address(destination, kind)
    front += bytes([asked.protocol, asked.coding_of(way.alphabet)]) + asked.validity_octets()
    tpdus = []
    for sequence, part in enumerate(contents, 1):
        elements = way.elements(asked)
        if parts > 1:
            joined = header.concatenation_element(concatenation, parts, sequence, asked.reference_bits)
            elements = [joined, *elements]
        length, octets = user_data(part, way.alphabet, elements, way.single, way.locking)
        tpdus.append(front + bytes([length]) + octets)
    return tpdus


def line(tpdu: bytes, service_centre: str = "") -> bytes:
    return (fields.write_service_centre(service_centre) + tpdu).hex().upper().encode()


def lines(
    destination: str,
    text: str | bytes,
    envelope: Envelope | str | None = None,
    *,
    concatenation: int = 0,
    **options: object,
) -> list[bytes]:
    asked = envelope_of(envelope, options)
    tpdus = encode(destination, text, asked, concatenation=concatenation)
    return [line(tpdu, asked.service_centre) for tpdu in tpdus]


def batch(
    destinations: Sequence[str],
    text: str | bytes | Template,
    values: Sequence[tuple[str | None, ...]] | None = None,
    envelope: Envelope | None = None,
    *,
    concatenation: int | Sequence[int] = 0,
    **options: object,
) -> list[list[bytes]]:
    """The lines of each recipient, who has a row of `values` where the text has fields.  Rows count from 1."""
    asked = envelope_of(envelope, options)
    found = []
    for row, destination in enumerate(destinations):
        reference = concatenation if isinstance(concatenation, int) else concatenation[row]
        try:
            filled = text.render(values[row] if values is not None else ()) if isinstance(text, Template) else text
            found.append(lines(destination, filled, asked, concatenation=reference))
        except CodecError as refused:
            raise CodecError(refused.reason, f"row {row + 1}: {refused.field}", refused.offset) from None
    return found
