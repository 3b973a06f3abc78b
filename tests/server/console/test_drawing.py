import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.console import drawing
from server.console.tempo import GAP_S, TICK_S, TRACE_TICKS, WINDOW_S, Tempo


@given(st.lists(st.integers(0, 3_000_000), min_size=1, max_size=10))
def test_the_slices_of_a_bar_fill_it_without_a_gap(counts: list[int]) -> None:
    named = [(f"n{at}", count) for at, count in enumerate(counts)]
    slices = drawing.stacked(named, sum(counts))
    assert [(piece.name, piece.units) for piece in slices] == [(name, count) for name, count in named if count]
    end = 0
    for piece in slices:
        assert piece.x == end
        assert piece.width >= drawing.THINNEST
        end += piece.width
    assert end == (drawing.BAR_WIDE if sum(counts) else 0)


def test_a_bar_without_rows_has_no_slices() -> None:
    assert drawing.stacked([("sent", 0)], 0) == []


@pytest.mark.parametrize(
    ("signal_dbm", "lit"),
    [
        pytest.param(None, 0, id="not known"),
        pytest.param(-113, 0, id="the least"),
        pytest.param(-100, 1, id="weak"),
        pytest.param(-87, 3, id="good"),
        pytest.param(-51, 4, id="the most"),
    ],
)
def test_a_signal_lights_bars(signal_dbm: int | None, lit: int) -> None:
    assert drawing.bars(signal_dbm) == lit


def test_a_sparkline_ends_at_the_right_edge_and_stays_inside() -> None:
    line, area = drawing.sparkline([0, 50, 100], TRACE_TICKS)
    points = [tuple(map(float, point.split(","))) for point in line.split(" ")]
    assert points[-1] == (drawing.SPARK_WIDE, 2.0)
    assert points[0][1] == drawing.SPARK_HIGH - 2
    assert all(0 <= x <= drawing.SPARK_WIDE and 0 < y < drawing.SPARK_HIGH for x, y in points)
    assert line in area


@pytest.mark.parametrize("values", [[], [7]], ids=["nothing", "a single tick"])
def test_a_line_needs_two_points(values: list[int]) -> None:
    assert drawing.sparkline(values, TRACE_TICKS) == ("", "")


def _noted(sent_at: dict[float, int]) -> Tempo:
    tempo = Tempo()
    for at_s, sent in sent_at.items():
        tempo.note(at_s, sent)
    return tempo


def test_a_rate_is_told_once_there_is_enough_to_tell_it_from() -> None:
    assert _noted({0.0: 5, 1.0: 7}).per_minute is None
    assert _noted({0.0: 5, 1.0: 6, 2.0: 9}).per_minute == 120


def test_a_rate_is_that_of_the_last_seconds() -> None:
    ticks = {at * TICK_S: min(at, 20) for at in range(80)}
    tempo = _noted(ticks)
    assert tempo.per_minute == 0
    assert len(tempo.trace) == TRACE_TICKS
    assert max(tempo.trace) == 120


def test_a_modem_that_takes_its_counter_along_is_no_negative_rate() -> None:
    ticks = {0.0: 100, 1.0: 101, 2.0: 102, 3.0: 40, 4.0: 41, 5.0: 42}
    assert min(_noted(ticks).trace) >= 0


def test_a_gap_begins_a_new_trace() -> None:
    tempo = _noted({0.0: 0, 1.0: 1, 2.0: 2, 3.0: 3})
    tempo.note(3.0 + WINDOW_S + GAP_S, 500)
    assert (tempo.per_minute, tempo.trace) == (None, ())


def test_looking_more_often_than_once_a_tick_adds_nothing() -> None:
    tempo = _noted({0.0: 0, 1.0: 1, 2.0: 2})
    trace = tempo.trace
    tempo.note(2.1, 2)
    assert tempo.trace == trace
