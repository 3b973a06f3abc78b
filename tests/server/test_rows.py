"""Readers of uploads: the same rows wherever the octets are cut, and a word on every row that is none."""

import csv
import io
import itertools
import json
import time
from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.crm.marketing.recipients import Row
from engine.errors import Invalid, InvalidParam
from server.rows import LINE_LONGEST, READERS, Csv, Msgpack, Ndjson, Reader
from tests.server.conftest import Place

Rows = list[tuple[int, Row | InvalidParam]]


def read(reader: Reader, *pieces: bytes) -> Rows:
    return [row for piece in pieces for row in reader.feed(piece)] + list(reader.end())


def outcome(reader: Reader, *pieces: bytes) -> Rows | str:
    try:
        return read(reader, *pieces)
    except Invalid as refusal:
        return str(refusal)


def good(rows: Rows) -> list[Row]:
    return [row for _, row in rows if isinstance(row, Row)]


def bad(rows: Rows) -> list[tuple[int, str]]:
    return [(number, row.name) for number, row in rows if isinstance(row, InvalidParam)]


# -- what was written is what is read, wherever it is cut

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAME = st.text(st.sampled_from("abcÄ汉 -"), min_size=1, max_size=6).filter(
    lambda name: name.strip() == name and name not in ("to", "client_ref", "language")
)
ROWS = st.lists(st.builds(Row, TEXT, TEXT, TEXT, st.dictionaries(NAME, TEXT, max_size=3)), max_size=6)
CUTS = st.lists(st.integers(0, 10_000), max_size=8)


def cut(octets: bytes, places: list[int]) -> list[bytes]:
    borders = sorted({place % (len(octets) + 1) for place in places} | {0, len(octets)})
    return [octets[begin:end] for begin, end in itertools.pairwise(borders)]


@given(ROWS, CUTS, st.sampled_from([b"\n", b"\r\n", b"\n\n", b" \n"]))
def test_ndjson_is_read_wherever_it_is_cut(rows: list[Row], places: list[int], end: bytes) -> None:
    octets = b"".join(msgspec.json.encode(row) + end for row in rows)
    assert good(read(Ndjson(), *cut(octets, places))) == rows
    assert good(read(Ndjson(), *cut(octets.rstrip(), places))) == rows


@given(ROWS, CUTS)
def test_msgpack_is_read_wherever_it_is_cut(rows: list[Row], places: list[int]) -> None:
    octets = b"".join(msgspec.msgpack.encode(row) for row in rows)
    assert good(read(Msgpack(), *cut(octets, places))) == rows


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12) | st.sampled_from(
    ['"', '""', ",", "\n", "\r\n", '","', '"\n"', "汉", "\ufeff", "'"]
)


@given(st.lists(st.tuples(CELL, CELL, CELL), max_size=5), CUTS, st.sampled_from(["\n", "\r\n"]), st.booleans())
@example([("a", "\r\n", '"')], [1, 2, 3], "\r\n", True)
def test_csv_is_read_wherever_it_is_cut(
    cells: list[tuple[str, str, str]], places: list[int], end: str, has_mark: bool
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(("to", "client_ref", "name"))
    writer.writerows(cells)
    octets = (b"\xef\xbb\xbf" if has_mark else b"") + text.getvalue().encode()
    wanted = [Row(to, ref, "", {"name": name} if name else {}) for to, ref, name in cells]
    assert good(read(Csv(), *cut(octets, places))) == wanted


@pytest.mark.parametrize(
    "kind",
    [
        Ndjson,
        Csv,
        pytest.param(Msgpack),
    ],
)
@given(octets=st.binary(max_size=300), places=CUTS)
@example(octets=b'to\n"', places=[])
@example(octets=b"\xef\xbb\xbf", places=[1])
@example(octets=b'to\n"""x"\na\n', places=[])
@example(octets=b"\x81", places=[])
def test_nothing_but_a_word_comes_of_noise_wherever_it_is_cut(
    kind: type[Ndjson | Csv | Msgpack], octets: bytes, places: list[int]
) -> None:
    assert outcome(kind(), *cut(octets, places)) == outcome(kind(), octets)


@given(st.text(st.sampled_from('a,"\n\r\0 \ufeff'), max_size=30), CUTS)
def test_nothing_but_a_word_comes_of_quotes_out_of_place(text: str, places: list[int]) -> None:
    octets = b"to,b\n" + text.encode()
    assert outcome(Csv(), *cut(octets, places)) == outcome(Csv(), octets)


def test_every_octet_may_come_alone() -> None:
    octets = 'to,name\r\n+8613900000011,"李\r\n""娜"""\r\n'.encode()
    wanted = [Row("+8613900000011", "", "", {"name": '李\r\n"娜"'})]
    assert good(read(Csv(), *(octets[place : place + 1] for place in range(len(octets))))) == wanted


# -- NDJSON


@pytest.mark.parametrize(
    ("line", "name"),
    [
        pytest.param(b"{", "body", id="half an object"),
        pytest.param(b"to", "body", id="no JSON"),
        pytest.param(b"[]", "body", id="a list"),
        pytest.param(b"5", "body", id="a number"),
        pytest.param(b"{}", "to", id="nobody"),
        pytest.param(b'{"to":5}', "to", id="a number for a text"),
        pytest.param(b'{"to":"x","values":{"a":1}}', "values", id="a number for a value"),
        pytest.param(b'{"to":"x","colour":"red"}', "colour", id="an unknown field"),
        pytest.param(b'{"to":"\xff"}', "body", id="no UTF-8"),
        pytest.param(b'{"to":"\\ud83d"}', "body", id="half a surrogate pair"),
        pytest.param(b'{"to":"x"} {"to":"y"}', "body", id="two on a line"),
        pytest.param(
            b"[" * 5000, "body", id="very deep",
        ),
    ],
)  # fmt: skip
def test_a_wrong_line_is_told_by_its_row_and_the_others_are_read(line: bytes, name: str) -> None:
    rows = read(Ndjson(), b'{"to":"a"}\n' + line + b'\n{"to":"b"}')
    assert good(rows) == [Row("a"), Row("b")]
    assert [(number, name_.partition("[")[0]) for number, name_ in bad(rows)] == [(2, name)]


def test_ndjson_may_begin_with_a_byte_order_mark() -> None:
    assert good(read(Ndjson(), b'\xef\xbb\xbf{"to":"a"}\n')) == [Row("a")]


def test_empty_lines_are_no_rows() -> None:
    assert read(Ndjson(), b'\n\r\n  \n{"to":"a"}\n\n') == [(1, Row("a"))]


# -- CSV


@pytest.mark.parametrize(
    ("header", "name"),
    [
        pytest.param(b"", "body", id="nothing"),
        pytest.param(b"\n\n", "body", id="empty lines"),
        pytest.param(b"\xef\xbb\xbf", "to", id="a byte order mark alone"),
        pytest.param(b"number,name\n", "to", id="nobody"),
        pytest.param(b"TO\n", "to", id="capitals"),
        pytest.param(b"to,name,name\n", "body", id="a column twice"),
        pytest.param(b"to,,\n", "body", id="two columns without a name"),
        pytest.param(b"to;name\n", "to", id="semicolons"),
        pytest.param(b"to,\xff\n", "body", id="no UTF-8"),
        pytest.param("to,name\n".encode("utf-16"), "body", id="UTF-16"),
        pytest.param(b'to,"name\n', "body", id="a quote that stays open"),
        pytest.param(b"+8613900000011\n", "to", id="no header but a number"),
    ],
)
def test_a_header_that_is_none_refuses_the_file(header: bytes, name: str) -> None:
    with pytest.raises(Invalid) as refusal:
        read(Csv(), header)
    assert [param.name for param in refusal.value.params] == [name]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"a", id="a column too few"),
        pytest.param(b"a,b,c", id="a column too many"),
        pytest.param(b"a,\xff", id="no UTF-8"),
        pytest.param(b'a,"b"c', id="something behind a quote"),
        pytest.param(b"a,\0", id="a null", marks=pytest.mark.skipif("sys.version_info >= (3, 13)")),
    ],
)
def test_a_wrong_row_is_told_and_the_others_are_read(line: bytes) -> None:
    rows = read(Csv(), b"to,name\nx,1\n" + line + b"\ny,2\n")
    if line == b"a,\0":
        assert len(rows) == 3
        return
    assert good(rows) == [Row("x", "", "", {"name": "1"}), Row("y", "", "", {"name": "2"})]
    assert bad(rows) == [(2, "body")]


def test_columns_stand_in_any_order_and_empty_cells_are_no_values() -> None:
    rows = read(Csv(), b" name ,language, to,client_ref,code\nAda,en,+1,r,\n")
    assert good(rows) == [Row("+1", "r", "en", {"name": "Ada"})]


def test_a_quote_that_stays_open_is_told_at_the_end() -> None:
    rows = read(Csv(), b'to,name\na,b\nc,"d\ne,f\n')
    assert (good(rows), bad(rows)) == ([Row("a", "", "", {"name": "b"})], [(2, "body")])


def test_a_quote_inside_a_cell_without_quotes_costs_no_other_row() -> None:
    rows = read(Csv(), b'to,size\na,5" nail\nb,6" nail\nc,7\n')
    assert len(rows) == 3
    assert good(rows)[-1] == Row("c", "", "", {"size": "7"})


def test_rows_of_cr_alone_are_refused_whole() -> None:
    with pytest.raises(Invalid, match="header"):
        read(Csv(), b"to,name\ra,b\rc,d\r")


# -- msgpack


def test_msgpack_cut_off_anywhere_is_refused() -> None:
    one = msgpack.packb({"to": "+8613900000011", "values": {"a": "b"}})
    for size in range(1, len(one)):
        with pytest.raises(Invalid, match="inside row 2"):
            read(Msgpack(), one + one[:size])


@pytest.mark.parametrize(
    "value",
    [5, None, [], ["to", "x"], {"to": 5}, {}, {"to": "x", "colour": "red"}, {"to": b"x"}, msgpack.Timestamp(0)],
    ids=str,
)
def test_a_wrong_value_is_told_by_its_row_and_the_others_are_read(value: Any) -> None:
    one = msgpack.packb({"to": "a"})
    rows = read(Msgpack(), one + msgpack.packb(value) + one)
    assert good(rows) == [Row("a"), Row("a")]
    assert [number for number, _ in bad(rows)] == [2]


@pytest.mark.parametrize("octets", [b"\xc1", b"\x91" * 5000, b"\x81\x05\x05", b"\xa1\xff", b"\xdd\xff\xff\xff\xff"])
def test_what_is_no_msgpack_refuses_the_file(octets: bytes) -> None:
    with pytest.raises(Invalid):
        read(Msgpack(), msgpack.packb({"to": "a"}) + octets)


# -- bounds


@pytest.mark.parametrize("kind", [Ndjson, Csv])
@pytest.mark.parametrize("piece", [1000, 16_384])
def test_a_huge_line_is_refused_and_not_kept(kind: type[Ndjson | Csv], piece: int) -> None:
    reader = kind()
    list(reader.feed(b"to\n" if kind is Csv else b""))
    with pytest.raises(Invalid, match="line"):
        read(reader, *[b"x" * piece] * (LINE_LONGEST // piece + 2))


def test_a_huge_row_of_many_lines_is_refused() -> None:
    reader = Csv()
    with pytest.raises(Invalid, match="row"):
        read(reader, b'to\n"', *[b"x" * 999 + b"\n"] * 80)


@pytest.mark.parametrize("kind", [Ndjson, Csv])
def test_a_line_is_too_long_wherever_it_is_cut(kind: type[Ndjson | Csv]) -> None:
    line = json.dumps({"to": "x" * LINE_LONGEST}).encode() if kind is Ndjson else b"to\n" + b"x" * LINE_LONGEST + b"xx"
    whole = outcome(kind(), line + b"\n")
    assert whole == outcome(kind(), line, b"\n")


def test_a_row_of_ten_times_the_lines_costs_about_ten_times_as_much() -> None:
    """It was a hundred times once: each line was copied and counted again with those before it."""

    def seconds(lines: int) -> float:
        began = time.perf_counter()
        read(Csv(), b'to\n"' + b"\n" * lines + b'"\n')
        return time.perf_counter() - began

    many, few = (min(seconds(lines) for _ in range(5)) for lines in (60_000, 6_000))
    assert many < 40 * few


def test_media_types_are_those_the_document_names() -> None:
    assert set(READERS) == {
        "application/x-ndjson", "application/jsonl", "text/csv", "application/x-msgpack", "application/vnd.msgpack",
    }  # fmt: skip


# -- through HTTP


async def test_nothing_at_all_is_no_file_of_rows(desk: Place) -> None:
    campaign = await desk.draft()
    statuses = {kind: (await desk.upload(campaign, b"", kind)).status for kind in sorted(READERS)}
    assert statuses == dict.fromkeys(READERS, 422)
    assert ((await desk.call("GET", f"/v1/campaigns/{campaign}")).body["uploading"], desk.rows()) == (False, 0)
