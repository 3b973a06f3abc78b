"""engine/_intake.pyx: what a body holds, in any pieces; against bench/intake_baseline.py, which reads every line."""

import itertools
import json
from collections.abc import Callable, Iterable

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.intake_baseline import Outcome
from engine import _sheet
from engine._intake import Intake
from engine._seen import Seen
from engine._suppressed import Suppressed
from engine.crm.marketing import recipients
from engine.errors import Invalid, InvalidParam
from tests.engine.intake_bodies import (
    COLUMNS,
    LISTED,
    NOT_UTF8,
    NUMBERS,
    PEPPER,
    SECRET,
    SPACED,
    WRITTEN,
    Upload,
    bodies,
    csv_lines,
    expected,
    json_lines,
    mangled,
    pieces_of,
)


def feed_all(upload: Upload, pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        upload.intake.feed(piece)


def taken(body: bytes, columns: tuple[str, ...] | None = None) -> Outcome:
    upload = Upload(columns)
    upload.intake.feed(body)
    upload.intake.end()
    return upload.outcome()


def number_of(text: str) -> int:
    return int(text[1:])


# -- plain lines

PLAIN_JSON = [
    pytest.param('{"to":"+4917012345678"}', id="only a number"),
    pytest.param('{"to":"+4917012345678","client_ref":"a-1","language":"de","values":{"name":"Jo"}}', id="everything"),
    pytest.param('{"values":{},"language":"","client_ref":"","to":"+4917012345678"}', id="any order, nothing in it"),
    pytest.param(' { "to" :\t"+4917012345678" , "values" : { "a" : "b" , "c" : "" } } \r', id="space"),
    pytest.param('{"to":"+4917012345678","values":{"name":"Zoë 李 🚚","":"x"}}', id="more than ASCII"),
    pytest.param('{"to":"+4917012345678","client_ref":"' + "r" * 200 + '"}', id="the longest reference"),
    pytest.param('{"to":"+4917012345678","values":{"a":"' + "v" * 1000 + '"}}', id="the longest value"),
]


@pytest.mark.parametrize("line", PLAIN_JSON)
def test_a_plain_object_is_read_without_asking(line: str) -> None:
    upload = Upload()
    upload.intake.feed(line.encode() + b"\n")
    row = json.loads(line)
    assert upload.strange == []
    assert upload.outcome().accepted == [
        (4917012345678, row.get("client_ref", ""), row.get("language", ""), row.get("values", {}))
    ]


PLAIN_CSV = [
    pytest.param("a-1,+4917012345678,Jo,de,Ulm", ("a-1", "de", {"name": "Jo", "city": "Ulm"}), id="everything"),
    pytest.param(",+4917012345678,,,", ("", "", {}), id="an empty cell is no value"),
    pytest.param("a-1,+4917012345678,李,de,Zürich 🚚\r", ("a-1", "de", {"name": "李", "city": "Zürich 🚚"}), id="CRLF"),
    pytest.param(",+4917012345678,,,\r", ("", "", {}), id="CRLF behind an empty cell"),
    pytest.param("r,+4917012345678, {\\} , de,'x'", ("r", " de", {"name": " {\\} ", "city": "'x'"}), id="as it stands"),
]


@pytest.mark.parametrize(("line", "found"), PLAIN_CSV)
def test_a_plain_record_is_read_without_asking(line: str, found: tuple[str, str, dict[str, str]]) -> None:
    upload = Upload(COLUMNS)
    upload.intake.feed(line.encode() + b"\n")
    assert upload.strange == []
    assert upload.outcome().accepted == [(4917012345678, *found)]


# -- strange lines

TO = b'{"to":"+4917012345678"'
MOST = recipients.VALUES_MOST

STRANGE_JSON = [
    pytest.param(b"x", id="no JSON"),
    pytest.param(b"{}", id="no number"),
    pytest.param(b"{", id="a brace"),
    pytest.param(b'{"', id="a quote"),
    pytest.param(TO, id="no closing brace"),
    pytest.param(TO + b",}", id="a comma too many"),
    pytest.param(TO + b"}}", id="a brace too many"),
    pytest.param(TO + b"} x", id="something behind it"),
    pytest.param(TO + b',"to":"+4917012345678"}', id="a key twice"),
    pytest.param(TO + b',"client_ref":"","client_ref":"x"}', id="a key twice, first empty"),
    pytest.param(TO + b',"values":{},"values":{}}', id="values twice"),
    pytest.param(TO + b',"values":{"a":"1","a":"2"}}', id="a value twice"),
    pytest.param(TO + b',"values":{"a":"1",}}', id="a comma behind the last value"),
    pytest.param(TO + b',"values":{"a":1}}', id="a number for a value"),
    pytest.param(TO + b',"values":null}', id="null"),
    pytest.param(TO + b',"values":', id="ends before a value"),
    pytest.param(TO + b',"values":{', id="ends in the values"),
    pytest.param(TO + b',"values":{"a"', id="ends behind a name"),
    pytest.param(TO + b',"values":{"a":"b"', id="ends behind a value"),
    pytest.param(TO + b',"more":"x"}', id="an unknown key"),
    pytest.param(TO + b',"language":"d\\u0065"}', id="an escape"),
    pytest.param(TO + b',"language":"d\te"}', id="a tab in a string"),
    pytest.param(TO + b',"language":"\x00"}', id="a NUL in a string"),
    pytest.param(b'{"to":"0049 170 12345678"}', id="a number of another form"),
    pytest.param(b'{"to":"+999"}', id="no number there is"),
    pytest.param(TO + b',"client_ref":"' + b"r" * 201 + b'"}', id="a reference too long"),
    pytest.param(TO + b',"client_ref":"' + "ä".encode() * 200 + b'"}', id="a reference longer in octets only"),
    pytest.param(TO + b',"values":{"a":"' + b"v" * 1001 + b'"}}', id="a value too long"),
    pytest.param(
        TO + b',"values":{' + b",".join(b'"%d":"x"' % place for place in range(MOST + 1)) + b"}}", id="too many values"
    ),
]


@pytest.mark.parametrize("line", STRANGE_JSON)
def test_a_line_that_is_not_plain_json_is_asked_about_whole(line: bytes) -> None:
    upload = Upload()
    upload.intake.feed(line + b"\n")
    assert upload.strange == [(1, line)]
    assert upload.outcome() == expected(line)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"a,+4917012345678,Jo,de", id="a cell too few"),
        pytest.param(b"a,+4917012345678,Jo,de,Ulm,", id="a cell too many"),
        pytest.param(b'a,+4917012345678,"Jo",de,Ulm', id="quotes"),
        pytest.param(b'a,+4917012345678,J"o,de,Ulm', id="a quote inside"),
        pytest.param(b"a,+4917012345678,J\ro,de,Ulm", id="a CR inside"),
        pytest.param(b"a,+4917012345678,Jo,de,Ulm\r\r", id="two CR"),
        pytest.param(b"a,0170 12345678,Jo,de,Ulm", id="a national number"),
        pytest.param(b"r" * 201 + b",+4917012345678,,,", id="a reference too long"),
        pytest.param(b",+4917012345678," + b"v" * 1001 + b",,", id="a value too long"),
        pytest.param(b",+4917012345678,\x00,,", id="a NUL"),
        pytest.param(b",", id="a comma"),
    ],
)
def test_a_line_that_is_not_a_plain_record_is_asked_about_whole(line: bytes) -> None:
    upload = Upload(COLUMNS)
    upload.intake.feed(line + b"\n")
    assert upload.strange == [(1, line)]
    assert upload.outcome() == expected(line, COLUMNS)


@pytest.mark.parametrize("piece", NOT_UTF8)
@pytest.mark.parametrize("ahead", range(10))
def test_what_is_not_utf8_is_never_plain(piece: bytes, ahead: int) -> None:
    """Wherever in a word of eight octets it stands, and where it ends with its line."""
    for line, columns in (
        (TO + b',"language":"' + b"x" * ahead + piece + b'"}', None),
        (TO + b',"language":"' + b"x" * ahead + piece, None),
        (b",+4917012345678,,," + b"x" * ahead + piece, COLUMNS),
        (b",+4917012345678,,," + b"x" * ahead + piece + b"\r", COLUMNS),
    ):
        upload = Upload(columns)
        upload.intake.feed(line + b"\n\x80\x80\x80")
        assert upload.strange == [(1, line)]
        assert upload.outcome() == expected(line, columns)


def test_a_row_of_more_values_than_are_allowed_is_asked_about() -> None:
    columns = ("to", *(f"c{place}" for place in range(MOST + 1)))
    upload = Upload(columns)
    upload.intake.feed(b"+4917012345678" + b",x" * MOST + b",\n")
    assert not upload.strange
    upload.intake.feed(b"+4917012345679" + b",x" * (MOST + 1) + b"\n")
    assert len(upload.strange) == 1
    assert [row for row, _ in upload.outcome().invalid] == [2]


def test_a_quoted_cell_may_go_on_for_lines_and_counts_as_one_row() -> None:
    body = b'a,+4917012345678,"Jo\n\n,+4917012345679,x,y,z\n""end",de,Ulm\nb,+4917012345670,,,\n'
    upload = Upload(COLUMNS)
    upload.intake.feed(body)
    assert [row for row, _ in upload.strange] == [1, 1, 1, 1]
    outcome = upload.outcome()
    assert outcome == expected(body, COLUMNS)
    assert outcome.accepted[0][3]["name"] == 'Jo\n\n,+4917012345679,x,y,z\n"end'
    assert [row[1] for row in outcome.accepted] == ["a", "b"]


def test_a_quote_that_is_never_closed_is_still_open_at_the_end() -> None:
    upload = Upload(COLUMNS)
    upload.intake.feed(b'a,+4917012345678,"Jo')
    upload.intake.end()
    assert upload.intake.open
    assert upload.intake.row == 0
    upload.intake.add(InvalidParam("body", "a quote is opened and never closed", 1))
    assert upload.outcome().invalid == [(1, InvalidParam("body", "a quote is opened and never closed", 1))]


@given(st.lists(st.one_of(WRITTEN, SPACED), max_size=40))
def test_a_number_that_is_read_without_asking_is_what_the_library_reads(written: list[str]) -> None:
    for text in written:
        upload = Upload()
        upload.intake.feed(json.dumps({"to": text}, ensure_ascii=False).encode() + b"\n")
        if not upload.strange:
            number = phonenumbers.parse(text)
            assert phonenumbers.is_possible_number(number)
            read = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
            assert [number_of(read)] == [row[0] for row in upload.outcome().accepted]


@pytest.mark.parametrize("written", ["+44 20 7946 0958", "+49 (170) 123-45-67", "+1.202.555.0123", "+49/170/1234567"])
def test_separators_in_a_number_are_no_reason_to_ask(written: str) -> None:
    upload = Upload(("to",))
    upload.intake.feed(written.encode() + b"\n")
    assert upload.strange == []
    assert upload.outcome() == expected(written.encode(), ("to",))


# -- keys


def test_the_first_of_a_key_wins_and_the_others_are_told_in_stretches() -> None:
    first, second = NUMBERS[:2]
    lines = [first, second, first, first, "x", first, second]
    body = "".join(f'{{"to":"{line}"}}\n' for line in lines).encode()
    outcome = taken(body)
    assert [row[0] for row in outcome.accepted] == [number_of(first), number_of(second)]
    assert outcome.duplicates == [(3, 2), (6, 2)]
    assert [row for row, _ in outcome.invalid] == [5]


def test_a_stretch_does_not_go_on_over_a_cut() -> None:
    upload = Upload()
    upload.intake.feed(b'{"to":"+4917012345678"}\n' * 3)
    upload.takes.append(upload.intake.cut())
    upload.intake.feed(b'{"to":"+4917012345678"}\n' * 2)
    assert upload.outcome().duplicates == [(2, 2), (4, 2)]


def test_a_reference_is_the_key_where_there_is_one() -> None:
    body = b"a,+4917012345678,,,\nb,+4917012345678,,,\na,+4917012345679,,,\n,+4917012345678,,,\n,+4917012345678,,,\n"
    outcome = taken(body, COLUMNS)
    assert [row[1] for row in outcome.accepted] == ["a", "b", ""]
    assert outcome.duplicates == [(3, 1), (5, 1)]


def test_a_key_is_the_same_however_the_line_was_read() -> None:
    body = b'{"to":"+4917012345678"}\n{"to":"+49 170 12345678"}\n{"to":"+4917012345679","client_ref":"a"}\n'
    body += b'{"to":"+4917012345670","client_ref":"\\u0061"}\n'
    assert taken(body).duplicates == [(2, 1), (4, 1)]


def test_a_suppressed_number_is_accepted_and_told() -> None:
    body = b'{"to":"+491701234567"}\n{"to":"+491701234568"}\n{"to":"+49 170 1234567"}\n'
    outcome = taken(body)
    assert [row[0] for row in outcome.accepted] == [LISTED, 491701234568]
    assert outcome.suppressed == [(1, LISTED)]
    assert outcome.duplicates == [(3, 1)]


# -- lines and pieces


def test_lines_of_white_space_are_no_rows() -> None:
    body = b'\n \t\r\n\x0b\x0c\n{"to":"+4917012345678"}\r\n\n\r\n{"to":"+4917012345679"}'
    outcome = taken(body)
    assert outcome == expected(body)
    assert outcome.rows == 2


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\xef\xbb\xbf" + TO + b"}\n", id="before the first row"),
        pytest.param(b"\xef\xbb\xbf\n\xef\xbb\xbf" + TO + b"}\n", id="on a line of its own"),
        pytest.param(TO + b"}\n\xef\xbb\xbf" + TO + b"}\n", id="later: a fault"),
        pytest.param(b"\xef\xbb\xbfx\n", id="before a strange line"),
        pytest.param(b"\xef\xbb\xbf" * 2 + TO + b"}", id="twice: a fault"),
        pytest.param(b"\xef\xbb\xbf", id="alone"),
        pytest.param(b"\xef\xbb", id="a part of it"),
    ],
)
def test_a_byte_order_mark_is_taken_off_the_first_row(body: bytes) -> None:
    assert taken(body) == expected(body)


def test_a_line_may_have_65536_octets_and_no_more() -> None:
    begin = b'{"to":"+4917012345678"'
    line = begin + b" " * (65_536 - len(begin) - 1) + b"}"
    assert len(line) == 65_536
    for pieces in ([line + b"\n"], [line, b"\n"], [line[:1], line[1:-1], line[-1:] + b"\n"], [line]):
        upload = Upload()
        for piece in pieces:
            upload.intake.feed(piece)
        upload.intake.end()
        assert not upload.strange
        assert upload.intake.row == 1
    for pieces in ([b" " + line + b"\n"], [b" " + line], [line, b" "], [line, b" \n"], [b" ", line]):
        with pytest.raises(Invalid, match="line of more than 65536 octets"):
            feed_all(Upload(), pieces)


def test_a_last_line_without_an_end_counts_at_the_end_and_only_once() -> None:
    upload = Upload()
    upload.intake.feed(b'{"to":"+4917012345678"}')
    assert upload.intake.row == 0
    upload.intake.end()
    upload.intake.end()
    assert upload.intake.row == 1
    assert upload.outcome().duplicates == []


def test_a_cut_takes_what_came_since_the_last_and_leaves_half_a_line() -> None:
    upload = Upload()
    upload.intake.feed(b'{"to":"+4917012345678"}\n{"to":"+49170')
    assert upload.intake.taken == 1
    first = upload.intake.cut()
    assert (first.rows, first.accepted, upload.intake.taken, upload.intake.row) == (1, 1, 0, 1)
    upload.intake.feed(b'12345679"}\n')
    second = upload.intake.cut()
    assert [row[0] for row in _sheet.rows(second.sheets[0].closed(1))] == [4917012345679]
    third = upload.intake.cut()
    assert (third.sheets, third.numbers, third.rows) == ([], b"", 0)


def test_sheets_follow_one_another_where_one_is_full() -> None:
    body = b"".join(b'{"to":"+491701%06d"}\n' % place for place in range(5_000))
    upload = Upload()
    upload.intake.feed(body)
    take = upload.intake.cut()
    assert len(take.sheets) > 1
    assert sum(sheet.rows for sheet in take.sheets) == take.accepted == 5_000
    found = itertools.chain.from_iterable(_sheet.rows(sheet.closed(1)) for sheet in take.sheets)
    assert [row[0] for row in found] == [491701 * 10**6 + place for place in range(5_000)]


# -- the callback


def test_a_row_that_was_read_elsewhere_is_counted_like_one_of_a_line() -> None:
    upload = Upload()
    upload.intake.add((LISTED, "", "de", {"name": "Zoë"}))
    upload.intake.add((LISTED, "", "", {}))
    upload.intake.add(InvalidParam("to", "is wrong", 3))
    outcome = upload.outcome()
    assert outcome.accepted == [(LISTED, "", "de", {"name": "Zoë"})]
    assert outcome.suppressed == [(1, LISTED)]
    assert outcome.duplicates == [(2, 1)]
    assert outcome.invalid == [(3, InvalidParam("to", "is wrong", 3))]


def test_what_no_sheet_can_hold_is_invalid() -> None:
    """A library finds numbers of 19 digits possible, and a name in msgpack may be of any length."""
    upload = Upload()
    upload.intake.add((1 << 56, "", "", {}))
    upload.intake.add((1, "", "", {"n" * 65_536: "x"}))
    upload.intake.add(((1 << 56) - 1, "", "", {"n" * 65_535: "x"}))
    outcome = upload.outcome()
    assert [(row, param.name, param.row) for row, param in outcome.invalid] == [(1, "to", 1), (2, "values", 2)]
    assert outcome.accepted == [((1 << 56) - 1, "", "", {"n" * 65_535: "x"})]


@pytest.mark.parametrize(
    "found",
    [
        pytest.param("text", id="a text"),
        pytest.param((1, "", ""), id="too few"),
        pytest.param((0, "", "", {}), id="no number"),
        pytest.param((-1, "", "", {}), id="a negative number"),
        pytest.param((1 << 64, "", "", {}), id="a number too large"),
        pytest.param((1, None, "", {}), id="no reference"),
        pytest.param((1, "", b"de", {}), id="octets"),
        pytest.param((1, "", "", None), id="no values"),
        pytest.param((1, "", "", {"a": 1}), id="a value that is no text"),
        pytest.param((1, "", "", {1: "a"}), id="a name that is no text"),
        pytest.param((1, "\ud800", "", {}), id="half of a pair"),
        pytest.param((1, "", "", {str(place): "" for place in range(MOST + 1)}), id="too many values"),
    ],
)
def test_what_no_callback_may_give_is_refused_and_not_counted(found: object) -> None:
    upload = Upload()
    with pytest.raises((TypeError, ValueError, OverflowError)):
        upload.intake.add(found)  # type: ignore[arg-type]
    assert upload.intake.row == 0
    assert upload.outcome() == Outcome()


def test_an_error_of_the_callback_comes_out_of_feed() -> None:
    def judge(row: int, line: bytes) -> None:
        raise KeyError(line)

    intake = Intake(Seen(SECRET), Suppressed(PEPPER), None, judge)
    with pytest.raises(KeyError):
        intake.feed(b"x\n")
    intake.feed(b'{"to":"+4917012345678"}\n')
    assert intake.cut().accepted == 1


@pytest.mark.parametrize("misuse", [lambda intake: intake.feed(b"x"), lambda intake: intake.end()])
def test_the_callback_cannot_feed_the_intake_that_asks_it(misuse: Callable[[Intake], None]) -> None:
    intake: Intake

    def judge(row: int, line: bytes) -> None:
        misuse(intake)

    intake = Intake(Seen(SECRET), Suppressed(PEPPER), None, judge)
    intake.feed(b"half a ")
    with pytest.raises(RuntimeError):
        intake.feed(b"line\n")


def test_the_callback_may_cut_and_add() -> None:
    upload = Upload()

    def judge(row: int, line: bytes) -> tuple[int, str, str, dict[str, str]]:
        upload.takes.append(intake.cut())
        intake.add((number_of(NUMBERS[1]), "", "", {}))
        return number_of(NUMBERS[2]), "", "", {}

    intake = upload.intake = Intake(Seen(SECRET), Suppressed(PEPPER), None, judge)
    intake.feed(b'{"to":"+491701234560"}\nx\n{"to":"+491701234563"}\n')
    assert [row[0] for row in upload.outcome().accepted] == [number_of(NUMBERS[place]) for place in (0, 1, 2, 3)]


@pytest.mark.parametrize("columns", [(), ("name",), ("to", "to"), ("to", "a", "a"), ("to", "n" * 65_536)])
def test_columns_must_hold_the_number_and_none_twice(columns: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="column"):
        Intake(Seen(SECRET), Suppressed(PEPPER), columns, Upload().judge)


# -- any bytes


def agrees(body: bytes, columns: tuple[str, ...] | None, seed: int) -> None:
    upload = Upload(columns)
    for piece in pieces_of(body, seed):
        upload.intake.feed(piece)
        if seed & 1:
            upload.takes.append(upload.intake.cut())
    upload.intake.end()
    outcome = upload.outcome()
    wanted = expected(body, columns)
    if seed & 1:
        # A stretch ends where a cut is.
        outcome.duplicates = singles(outcome)
        wanted.duplicates = singles(wanted)
    assert outcome == wanted


def singles(outcome: Outcome) -> list[tuple[int, int]]:
    return [(row, 1) for first, count in outcome.duplicates for row in range(first, first + count)]


@given(bodies(json_lines()), st.integers(0, 1 << 30))
def test_json_in_any_pieces_is_what_plain_python_reads(body: bytes, seed: int) -> None:
    agrees(body, None, seed)


@given(bodies(csv_lines()), st.integers(0, 1 << 30))
def test_csv_in_any_pieces_is_what_plain_python_reads(body: bytes, seed: int) -> None:
    agrees(body, COLUMNS, seed)


@given(bodies(json_lines()), bodies(csv_lines()), st.integers(0, 1 << 30))
def test_mangled_octets_are_what_plain_python_reads(lines: bytes, records: bytes, seed: int) -> None:
    agrees(mangled(lines, seed), None, seed)
    agrees(mangled(records, seed), COLUMNS, seed)
