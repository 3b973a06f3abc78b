"""Figures beside their targets: the median decides."""

import pytest

from bench.targets import Target, report


def test_the_median_decides_and_not_the_worst(capsys: pytest.CaptureFixture[str]) -> None:
    runs = [{"rate": 10.0}, {"rate": 900.0}, {"rate": 1000.0}]
    assert report("a bench", [Target("rate", "1/s", at_least=900)], runs) == []
    assert "≥ 900" in capsys.readouterr().out
    assert report("a bench", [Target("rate", "1/s", at_least=901)], runs) == ["a bench: rate, 1/s: 900, ≥ 901"]


def test_a_figure_without_a_bound_is_only_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert report("a bench", [Target("time", "ms", at_most=1).free()], [{"time": 5.0}]) == []
    assert "time, ms" in capsys.readouterr().out


def test_a_figure_that_no_run_has_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert report("a bench", [Target("time", "ms", at_most=1)], [{}]) == []
    assert "time" not in capsys.readouterr().out
