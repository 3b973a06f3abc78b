"""The benchmark runner: what it refuses, and what it prints."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

import bench.__main__ as runner
from bench.case import Case
from bench.discovery import Bench
from bench.timing import agree, measure


def test_implementations_that_differ_are_not_timed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = Case("toy/add/wrong", {"python": lambda: 3, "cython": lambda: 4})
    monkeypatch.setattr(runner, "benches", lambda: [Bench("toy", [wrong])])
    with pytest.raises(AssertionError, match="python gives 3, cython gives 4"):
        runner.main(["--rounds", "1"])
    assert "median" not in capsys.readouterr().out


def test_a_check_decides_where_results_may_differ() -> None:
    def both_even(results: dict[str, object]) -> None:
        assert all(isinstance(result, int) and result % 2 == 0 for result in results.values())

    agree(Case("toy/even/differs", {"a": lambda: 2, "b": lambda: 4}, both_even))
    with pytest.raises(AssertionError):
        agree(Case("toy/even/odd", {"a": lambda: 2, "b": lambda: 5}, both_even))


def test_figures_are_per_unit() -> None:
    work = range(20_000)
    one, ten = (
        measure(Case("toy/sum/units", {"python": lambda: sum(work)}, per=per), rounds=3)["python"] for per in (1, 10)
    )
    assert 4 < one.median_ns / ten.median_ns < 25


def test_prints_the_machine_and_writes_the_figures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    case = Case("toy/add/plain", {"python": lambda: 3, "cython": lambda: 3})
    monkeypatch.setattr(runner, "benches", lambda: [Bench("toy", [case])])
    assert runner.main(["toy", "--rounds", "2", "--json", str(tmp_path / "figures.json")]) == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("processor", "cores", "Cython", "commit", "toy/add/plain/cython"))
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert set(figures["cases"]["toy/add/plain"]) == {"python", "cython"}


def test_a_flow_runs_only_when_it_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    given: list[list[str]] = []

    async def main(args: Sequence[str]) -> None:
        given.append(list(args))

    monkeypatch.setattr(runner, "benches", lambda: [Bench("flow", [], main)])
    runner.main([])
    assert given == []
    runner.main(["flow", "--modems", "8"])
    runner.main(["--all"])
    assert given == [["--modems", "8"], []]


def test_a_name_that_fits_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "benches", list)
    with pytest.raises(SystemExit, match="no benchmark is called warp"):
        runner.main(["warp"])
