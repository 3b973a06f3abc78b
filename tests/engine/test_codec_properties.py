"""The native codec against the plain one: whatever is asked, both write the same octets and read the same fields.

CARILLON_LONG=1 tries each property on ten thousand examples.
"""

import json
import os
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench import baseline
from bench.baseline import cutting, header
from bench.baseline.alphabets import LOCKING_SHIFTS, SINGLE_SHIFTS, escaped_table, main_table, pack_septets
from engine import sms
from engine.errors import CodecError
from tests.engine import codec_strategies as some

# The two codecs are called by the same words, so that neither needs its types here.
native: Any = sms
plain: Any = baseline

IS_LONG = os.environ.get("CARILLON_LONG") == "1"
VECTORS = [
    json.loads(row)
    for row in (Path(__file__).parents[1] / "vectors" / "pdus.jsonl").read_text(encoding="utf-8").splitlines()
]
REFERENCES = st.integers(0, 255) | st.integers(0, 65_535)


def examples(few: int) -> settings:
    return settings(
        max_examples=10_000 if IS_LONG else few, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )


def result(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What is returned, or CodecError where it was raised; any other exception is a failure."""
    try:
        return call(*arguments, **options)
    except CodecError:
        return CodecError


def refusal(call: Callable[..., Any], *arguments: Any) -> tuple[str, int | None] | None:
    """The field and the place that a CodecError names, None where there is none."""
    try:
        call(*arguments)
    except CodecError as refused:
        return refused.field, refused.offset
    return None


def read_fields(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Every field of what is read and the number of its faults, or CodecError where it was refused."""
    found = result(call, *arguments, **options)
    return found if found is CodecError else (some.fields_of(found), found.service_centre, len(found.faults))


# Out


@examples(120)
@given(some.NUMBERS, some.TEXTS | some.DATA, some.options(), REFERENCES)
def test_what_is_written_is_the_same_octet_by_octet(
    destination: str, text: str | bytes, options: some.Options, concatenation: int
) -> None:
    asked = {**options, "concatenation": concatenation}
    assert result(native.encode, destination, text, **asked) == result(plain.encode, destination, text, **asked)


@examples(60)
@given(
    some.NUMBERS | some.BAD_NUMBERS,
    some.TEXTS | some.BAD_TEXTS | some.DATA,
    some.options() | some.wrong_options(),
    REFERENCES | st.sampled_from([-1, 256, 65_536]),
)
def test_what_is_refused_is_refused_by_both(
    destination: str, text: str | bytes, options: some.Options, concatenation: int
) -> None:
    asked = {**options, "concatenation": concatenation}
    assert result(native.encode, destination, text, **asked) == result(plain.encode, destination, text, **asked)
    if "elements" not in options:  # whose room depends on the text
        refused = result(plain.Envelope, **options) is CodecError
        assert (result(native.Envelope, **options) is CodecError) == refused


@examples(40)
@given(some.NUMBERS, some.TEXTS, some.options())
def test_an_envelope_says_the_same_as_its_options(destination: str, text: str, options: some.Options) -> None:
    envelope = native.Envelope(**options)
    assert result(native.encode, destination, text, envelope) == result(native.encode, destination, text, **options)
    assert result(native.cut, text, envelope) == result(native.cut, text, **options)


@examples(120)
@given(some.TEXTS | some.DATA, some.options())
def test_measures_are_the_same(text: str | bytes, options: some.Options) -> None:
    names = ("alphabet", "units", "parts", "room", "forced_by", "forced_at", "single", "locking")
    ours, theirs = result(native.measure, text, **options), result(plain.measure, text, **options)
    if theirs is CodecError:
        assert ours is CodecError
    else:
        assert {name: getattr(ours, name) for name in names} == {name: getattr(theirs, name) for name in names}


@examples(120)
@given(some.DENSE_TEXTS | some.TEXTS, some.options())
def test_cuts_are_the_same_and_clusters_never_cost_a_part(text: str, options: some.Options) -> None:
    parts = result(native.cut, text, **options)
    assert parts == result(plain.cut, text, **options)
    if parts is CodecError:
        return
    found = native.measure(text, **options)
    assert "".join(parts) == text
    assert len(parts) == found.parts
    if found.parts > 1:
        elements = [
            header.concatenation_element(0, 1, 1, options["reference_bits"]),
            *options["elements"],
            *header.shift_elements(found.single, found.locking),
        ]
        widths = [plain.units_of(character, found.alphabet, found.single, found.locking) for character in text]
        room = cutting.Way(found.alphabet, found.single, found.locking, widths).room(elements)
        assert found.parts == len(cutting.greedy(widths, room))
        assert all(
            sum(plain.units_of(character, found.alphabet, found.single, found.locking) for character in part) <= room
            for part in parts
        )


@examples(40)
@given(some.TEXTS, st.lists(st.sampled_from("“”„‘’–—…\u00a0\u2009"), max_size=5), some.options())
def test_look_alikes_never_cost_a_part_and_the_rest_is_as_without_them(
    text: str, typographic: list[str], options: some.Options
) -> None:
    text = "".join(typographic) + text + "".join(typographic)
    asked = {**options, "transliterate": True}
    parts = result(native.cut, text, **asked)
    if parts is CodecError:
        assert result(plain.cut, text, **options) is CodecError
        return
    before = result(plain.measure, text, **options)
    assert before is CodecError or len(parts) <= before.parts
    if before is not CodecError and len(parts) == before.parts:
        assert "".join(parts) == text
    written = native.encode("12345", text, **asked)
    assert written == plain.encode("12345", "".join(parts), **options)


# There and back


def said_validity(options: some.Options) -> tuple[int | None, int | None]:
    """Seconds and moment, rounded as documented."""
    seconds, moment_ms = options.get("validity_s"), options.get("expires_ms")
    if moment_ms is not None:
        return None, -(-moment_ms // 1000) * 1000
    is_exact = options.get("exact_validity") or options.get("single_shot")
    if seconds is None or (is_exact and seconds <= 99 * 3600 + 59 * 60 + 59):
        return seconds, None
    longer = [said for said in map(plain.validity_seconds, range(256)) if said >= seconds]
    return min(longer, default=63 * 7 * 86_400), None


@examples(80)
@given(some.NUMBERS, some.TEXTS | some.DATA, some.options(), REFERENCES)
def test_what_is_written_is_read_again(
    destination: str, text: str | bytes, options: some.Options, concatenation: int
) -> None:
    tpdus = result(native.encode, destination, text, **options, concatenation=concatenation)
    if tpdus is CodecError:
        return
    parts = [native.decode(tpdu, "ms2sc") for tpdu in tpdus]
    shifts = native.measure(text, **options)
    for sequence, (tpdu, part) in enumerate(zip(tpdus, parts, strict=True), 1):
        assert part.encode() == tpdu
        assert part.destination == destination
        assert (part.validity_s, part.expires_ms) == said_validity(options)
        assert part.single_shot == options.get("single_shot", False)
        assert all(getattr(part, name) == options[name] for name in (*some.FLAGS, "protocol"))
        assert part.concatenation == ((concatenation, len(parts), sequence) if len(parts) > 1 else None)
        assert part.elements[len(parts) > 1 :] == (
            *options["elements"],
            *header.shift_elements(shifts.single, shifts.locking),
        )
        assert part.alphabet == shifts.alphabet
    if isinstance(text, bytes):
        assert b"".join(part.octets for part in parts) == text
    else:
        assert "".join(part.text for part in parts) == native.join(parts) == text
        assert [part.text for part in parts] == native.cut(text, **options)


@examples(150)
@given(some.built())
def test_every_class_is_built_written_and_read_as_the_plain_codec_does(asked: tuple[str, some.Options]) -> None:
    kind, keywords = asked
    theirs = result(plain.build, kind, **keywords)
    ours = result(getattr(native, kind), **keywords)
    if theirs is CodecError or ours is CodecError:
        assert theirs is ours
        return
    assert some.fields_of(ours) == some.fields_of(theirs)
    octets = ours.encode()
    assert octets == plain.write(theirs)
    answer = "ack" if keywords.get("failure") is None else "error"
    again = native.decode(octets, some.DIRECTIONS[kind], rp=answer)
    assert some.fields_of(again) == some.fields_of(theirs)
    assert again.encode() == octets
    for name in set(keywords) & set(some.FIELDS[kind]) - {"text", "elements", "coding", "message_class"}:
        assert getattr(again, name) == keywords[name], name


# In


def check_reading(octets: bytes, direction: str, answer: str) -> None:
    """Both read it alike, strictly and tolerantly, and write it again if it was as they would write it."""
    theirs = read_fields(plain.decode, octets, direction, rp=answer)
    assert read_fields(native.decode, octets, direction, rp=answer) == theirs, octets.hex()
    tolerant = read_fields(native.decode, octets, direction, rp=answer, strict=False)
    assert tolerant == read_fields(plain.decode, octets, direction, rp=answer, strict=False), octets.hex()
    if theirs is not CodecError:
        assert tolerant == theirs
        if result(plain.write, plain.decode(octets, direction, rp=answer)) == octets:
            assert native.decode(octets, direction, rp=answer).encode() == octets, octets.hex()
    elif tolerant is not CodecError:
        assert tolerant[-1] > 0


ANSWERS = st.sampled_from(["ack", "error"])


@examples(150)
@given(some.built(), ANSWERS, st.data())
def test_damaged_tpdus_are_read_alike_or_refused_by_both(
    asked: tuple[str, some.Options], answer: str, data: st.DataObject
) -> None:
    kind, keywords = asked
    whole = result(plain.build, kind, **keywords)
    if whole is not CodecError:
        octets = plain.write(whole)
        check_reading(octets, some.DIRECTIONS[kind], answer)
        check_reading(data.draw(some.damaged(octets)), some.DIRECTIONS[kind], answer)


@examples(100)
@given(st.sampled_from(VECTORS), ANSWERS, st.data())
def test_damaged_tpdus_of_others_are_read_alike_or_refused_by_both(
    vector: dict[str, Any], answer: str, data: st.DataObject
) -> None:
    check_reading(data.draw(some.damaged(bytes.fromhex(vector["tpdu"]))), vector["direction"], answer)


@pytest.mark.parametrize("answer", ["ack", "error"])
def test_collected_tpdus_are_read_alike(answer: str) -> None:
    for vector in VECTORS:
        check_reading(bytes.fromhex(vector["tpdu"]), vector["direction"], answer)


@examples(100)
@given(st.binary(max_size=220), st.sampled_from(["sc2ms", "ms2sc"]), ANSWERS)
def test_any_octets_are_read_alike_or_refused_by_both(octets: bytes, direction: str, answer: str) -> None:
    check_reading(octets, direction, answer)


def test_only_an_empty_tpdu_and_a_reserved_type_are_refused_by_the_tolerant() -> None:
    for direction in ("sc2ms", "ms2sc"):
        for octets in (b"", b"\x03", b"\xff" * 20):
            with pytest.raises(CodecError):
                native.decode(octets, direction, strict=False)
        for first in (0, 1, 2):
            assert native.decode(bytes([first]), direction, strict=False).faults


@examples(100)
@given(some.built(), some.NUMBERS | st.just(""), st.integers(0, 180), st.none() | st.integers(-2, 2), st.data())
def test_what_a_modem_prints_is_read_alike(
    asked: tuple[str, some.Options], service_centre: str, filler: int, off: int | None, data: st.DataObject
) -> None:
    kind, keywords = asked
    whole = result(plain.build, kind, **keywords)
    if whole is CodecError:
        return
    tpdu = plain.write(whole)
    printed = plain.line(tpdu, service_centre)
    assert native.line(tpdu, service_centre) == printed
    octets = bytes.fromhex(printed.decode()) + b"\xff" * data.draw(st.sampled_from([0, 0, filler]))
    if data.draw(st.booleans()):
        octets = data.draw(some.damaged(octets))
    digits = data.draw(st.sampled_from([octets.hex(), octets.hex().upper(), octets.hex().encode(), octets.hex()[1:]]))
    length = None if off is None else len(tpdu) + off
    for strict in (True, False):
        theirs = read_fields(plain.read, digits, length, strict=strict)
        assert read_fields(native.read, digits, length, strict=strict) == theirs, digits


@examples(120)
@given(some.halved(), st.randoms(use_true_random=False))
def test_parts_that_halve_escapes_and_pairs_are_joined_to_the_text(asked: tuple[str, list[bytes]], dice: Any) -> None:
    text, tpdus = asked
    parts = [native.decode(tpdu) for tpdu in tpdus]
    shuffled = [*parts, *dice.sample(parts, min(2, len(parts)))]
    dice.shuffle(shuffled)
    assert native.join(parts) == native.join(shuffled) == text
    assert plain.join(parts) == text
    kept = [part for part in parts if dice.random() < 0.8]
    assert native.join(kept) == plain.join(kept)


def test_half_a_unit_at_a_part_s_end_spoils_no_other_part() -> None:
    """It cannot be completed: the next part begins with a whole one."""
    front = "40048110f20008" + "00" * 7
    parts = [
        native.decode(bytes.fromhex(front + "0b" + "050003070301" + "0041" + "0042" + "00")),
        native.decode(bytes.fromhex(front + "08" + "050003070302" + "0043")),
        native.decode(bytes.fromhex(front + "08" + "050003070303" + "0044")),
    ]
    assert native.join(parts) == plain.join(parts) == "AB\ufffdCD"


# Many at once


@examples(60)
@given(some.NUMBERS, some.TEXTS, some.options(), REFERENCES)
def test_lines_are_the_hex_of_what_is_written(
    destination: str, text: str, options: some.Options, concatenation: int
) -> None:
    tpdus = result(native.encode, destination, text, **options, concatenation=concatenation)
    lines = result(native.lines, destination, text, native.Envelope(**options), concatenation)
    assert lines == result(plain.lines, destination, text, **options, concatenation=concatenation)
    if tpdus is not CodecError:
        assert lines == [native.line(tpdu, options["service_centre"]) for tpdu in tpdus]


@examples(100)
@given(some.ANY_TEMPLATES | some.GOOD_TEMPLATES, st.lists(some.VALUES, min_size=8, max_size=8))
def test_templates_are_read_and_filled_alike(source: str, values: list[str | None]) -> None:
    ours, theirs = refusal(native.Template, source), refusal(plain.Template, source)
    assert ours == theirs
    if theirs is not None:
        return
    template, expected = native.Template(source), plain.Template(source)
    assert template.fields == expected.fields
    row = tuple(islice(cycle(values), len(template.fields)))
    missing = refusal(expected.render, row)
    assert refusal(template.render, row) == missing
    if missing is None:
        assert template.render(row) == expected.render(row)


@examples(60)
@given(
    st.lists(st.tuples(some.NUMBERS, some.VALUES, REFERENCES), max_size=6),
    some.GOOD_TEMPLATES,
    some.options(),
    st.booleans(),
)
def test_a_batch_is_the_lines_of_each_recipient(
    rows: list[tuple[str, str | None, int]], source: str, options: some.Options, has_fields: bool
) -> None:
    destinations = [destination for destination, _, _ in rows]
    references = [reference for _, _, reference in rows]
    envelope = native.Envelope(**options)
    if has_fields:
        count = len(plain.Template(source).fields)
        values = [(value,) * count for _, value, _ in rows]
        ours = result(native.batch, destinations, native.Template(source), values, envelope, references)
        theirs = result(plain.batch, destinations, plain.Template(source), values, concatenation=references, **options)
    else:
        ours = result(native.batch, destinations, source, None, envelope, references)
        theirs = result(plain.batch, destinations, source, concatenation=references, **options)
    assert ours == theirs


def test_a_batch_names_the_row_that_is_wrong() -> None:
    with pytest.raises(CodecError) as refused:
        native.batch(["12345", "12345", "one"], "text")
    assert refused.value.field == "row 3: destination"


# Every character


@pytest.mark.parametrize("language", SINGLE_SHIFTS)
def test_every_character_of_a_language_is_written_alike(language: int) -> None:
    tables = [escaped_table(language), main_table(language) if language in LOCKING_SHIFTS else {}]
    for character in sorted({character for table in tables for character in table.values()}):
        for national in ("single", "all"):
            asked = {"national": national, "alphabet": "gsm7"}
            theirs = result(plain.encode, "12345", character, **asked)
            assert result(native.encode, "12345", character, **asked) == theirs, (character, national)


@pytest.mark.parametrize("locks", [False, True], ids=["default main table", "its own main table"])
@pytest.mark.parametrize("language", [0, *SINGLE_SHIFTS, 14, 255])
def test_every_septet_of_a_language_is_read_alike(language: int, locks: bool) -> None:
    """Alone and behind an escape, whether the tables have it or not."""
    front = header.join_elements([(0x24, bytes([language])), (0x25, bytes([language]))][: 1 + locks])
    skipped = -(-8 * len(front) // 7)
    for septets in [[code, 0x1B, code] for code in range(128)] + [[0x1B, 0x1B, 0x1B]]:
        octets = front + pack_septets(septets, 7 * skipped - 8 * len(front))
        tpdu = bytes.fromhex("40048110f20000" + "00" * 7) + bytes([skipped + 3]) + octets
        assert native.decode(tpdu).text == plain.decode(tpdu).text, septets
