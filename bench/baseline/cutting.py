"""A text into parts: every way it could go, the one with the fewest parts, and where each part ends.

A way is an alphabet with its tables.  3GPP TS 23.040 §9.2.3.24 has the rooms.  The cuts are sought backwards, place
by place: whatever comes before a cut, what comes behind it is cut best in the same way.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import pairwise

from bench.baseline import header
from bench.baseline.alphabets import GSM7, LOCKING_SHIFTS, OCTETS, SEPTETS, SINGLE_SHIFTS, UCS2, codes, units_of
from bench.baseline.envelope import MOST_OCTETS, Envelope, envelope_of
from engine.errors import CodecError

ROOM = {GSM7: (160, 153), UCS2: (70, 67)}  # alone, and behind a concatenation element with an 8-bit reference
MOST_PARTS = 255
LEAST_ROOM = 2  # units: an escape or a surrogate pair with what belongs to it


@dataclass(frozen=True, slots=True)
class Measure:
    alphabet: int
    units: int
    parts: int
    room: int
    forced_by: str
    forced_at: int | None
    single: int
    locking: int


@dataclass(frozen=True, slots=True)
class Way:
    """An alphabet, the languages of its shift tables, and the units of each character of the text."""

    alphabet: int
    single: int
    locking: int
    widths: list[int]

    def elements(self, envelope: Envelope) -> list[header.Element]:
        """Those of each part, but for the concatenation."""
        return [*envelope.elements, *header.shift_elements(self.single, self.locking)]

    def room(self, elements: list[header.Element]) -> int:
        """Units behind a header of these elements."""
        try:
            octets = MOST_OCTETS - len(header.join_elements(elements))
        except CodecError:
            return -1
        return octets * 8 // 7 if self.alphabet == GSM7 else octets // 2 if self.alphabet == UCS2 else octets

    def rooms(self, envelope: Envelope) -> tuple[int, int]:
        """Alone, and as one of several parts."""
        joined = header.concatenation_element(0, 1, 1, envelope.reference_bits)
        elements = self.elements(envelope)
        return self.room(elements), self.room([joined, *elements])


# Cuts


def needed(widths: list[int], room: int) -> list[int]:
    """How many parts the text takes from each place on, every part filled before the next begins."""
    parts = [0] * (len(widths) + 1)
    for begin in reversed(range(len(widths))):
        parts[begin] = 1 + parts[furthest(widths, begin, room)]
    return parts


def furthest(widths: list[int], begin: int, room: int) -> int:
    end = begin
    while end < len(widths) and widths[end] <= room:
        room -= widths[end]
        end += 1
    return end


def greedy(widths: list[int], room: int) -> list[int]:
    """Where each part ends if each is filled before the next begins."""
    ends = [furthest(widths, 0, room)]
    while ends[-1] < len(widths):
        ends.append(furthest(widths, ends[-1], room))
    return ends


def inside_clusters(text: str, widths: list[int], room: int) -> set[int]:
    """The places that halve what is seen as one character (UAX #29), unless that is longer than a part."""
    places: set[int] = set()
    for match in import_module("regex").finditer(r"\X", text):
        if sum(widths[match.start() : match.end()]) <= room:
            places.update(range(match.start() + 1, match.end()))
    return places


def best_ends(widths: list[int], room: int, spoilt: set[int]) -> list[int]:
    """Where each part ends: no more parts than need be, then the fewest cuts in `spoilt`, then the fullest parts."""
    filled = greedy(widths, room)
    if not spoilt.intersection(filled):
        return filled
    parts_from = needed(widths, room)

    @cache
    def best(begin: int, parts: int) -> tuple[int, list[int]]:
        """The spoilt cuts behind `begin`, and the ends of the parts, negative so that the least is the fullest."""
        if parts == 1:
            return 0, [-len(widths)]
        ways = []
        for end in range(begin + 1, furthest(widths, begin, room) + 1):
            if parts_from[end] <= parts - 1:
                worse, ends = best(end, parts - 1)
                ways.append((worse + (end in spoilt), [-end, *ends]))
        return min(ways)

    return [-end for end in best(0, parts_from[0])[1]]


def spans(ends: list[int]) -> Iterator[tuple[int, int]]:
    """Where each part begins and ends."""
    return pairwise([0, *ends])


def pieces(text: str, alphabet: int, room: int) -> list[str]:
    """Fill each piece with whole characters before the next begins."""
    ends = greedy([units_of(character, alphabet) for character in text], room)
    return [text[begin:end] for begin, end in spans(ends)]


# Ways


def tables(national: str) -> Iterator[tuple[int, int]]:
    """The languages of single and locking shift, in the order in which they are preferred."""
    yield 0, 0
    if national != "off":
        yield from ((language, 0) for language in SINGLE_SHIFTS)
    if national == "all":
        yield from ((0, language) for language in LOCKING_SHIFTS)
        yield from ((language, language) for language in LOCKING_SHIFTS)


def ways(content: str | bytes, envelope: Envelope) -> Iterator[Way]:
    """Those that have all of the text, in the order in which they are preferred."""
    if isinstance(content, bytes):
        if envelope.alphabet != "auto":
            raise CodecError("octets are no text", "alphabet")
        if envelope.coding is not None and envelope.alphabets() != [OCTETS]:
            raise CodecError("names another alphabet", "coding")
        yield Way(OCTETS, 0, 0, [1] * len(content))
        return
    if any("\ud800" <= character <= "\udfff" for character in content):
        raise CodecError("half a surrogate pair", "text")
    if GSM7 in envelope.alphabets():
        for single, locking in tables(envelope.national):
            known = codes(single, locking)
            if all(character in known for character in content):
                yield Way(GSM7, single, locking, [len(known[character]) for character in content])
    if UCS2 in envelope.alphabets():
        yield Way(UCS2, 0, 0, [units_of(character, UCS2) for character in content])


def count_parts(way: Way, envelope: Envelope) -> int:
    """How many parts, filled greedily.  Raises CodecError where the headers leave no room, or for too many."""
    alone, joined = way.rooms(envelope)
    if sum(way.widths) <= alone:
        return 1
    if joined < LEAST_ROOM:
        raise CodecError("leaves no room for a text", "header")
    parts = len(greedy(way.widths, joined))
    if parts > MOST_PARTS:
        raise CodecError("more than 255 parts", "text")
    return parts


def choose(content: str | bytes, envelope: Envelope) -> tuple[Way, int]:
    """The way with the fewest parts, the earlier where they are equal, and how many."""
    found: tuple[Way, int] | None = None
    refusal = CodecError("not in that alphabet", "text")
    for way in ways(content, envelope):
        try:
            parts = count_parts(way, envelope)
        except CodecError as refused:
            refusal = refused
            continue
        if found is None or parts < found[1]:
            found = way, parts
    if found is None:
        raise refusal
    return found


def ends_of(content: str | bytes, way: Way, parts: int, envelope: Envelope) -> list[int]:
    """Where each part ends."""
    room = way.rooms(envelope)[1]
    if parts == 1:
        return [len(content)]
    if isinstance(content, bytes):
        return greedy(way.widths, room)
    return best_ends(way.widths, room, inside_clusters(content, way.widths, room))


def cut(text: str, envelope: Envelope | str | None = None, **options: object) -> list[str]:
    asked = envelope_of(envelope, options)
    way, parts = choose(text, asked)
    return [text[begin:end] for begin, end in spans(ends_of(text, way, parts, asked))]


def measure(text: str | bytes, envelope: Envelope | str | None = None, **options: object) -> Measure:
    asked = envelope_of(envelope, options)
    way, parts = choose(text, asked)
    *_, (begin, end) = spans(ends_of(text, way, parts, asked))
    room = way.rooms(asked)[parts > 1] - sum(way.widths[begin:end])
    forced_by, forced_at = "", None
    if isinstance(text, str) and GSM7 in asked.alphabets() and (way.alphabet, way.single, way.locking) != (GSM7, 0, 0):
        foreign = [place for place, character in enumerate(text) if character not in SEPTETS]
        if foreign:
            forced_by, forced_at = text[foreign[0]], foreign[0]
    return Measure(way.alphabet, sum(way.widths), parts, room, forced_by, forced_at, way.single, way.locking)
