"""The cases of bench/ under pytest-benchmark: skipped unless --benchmark-only asks for them.

That their implementations agree is tested in every run.
"""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.case import Case
from bench.discovery import benches
from bench.timing import agree

CASES = [pytest.param(case, id=case.name) for bench in benches() for case in bench.cases]
RUNS = [
    pytest.param(case, implementation, id=f"{case.name}/{implementation}")
    for bench in benches()
    for case in bench.cases
    for implementation in case.run
]


@pytest.mark.parametrize("case", CASES)
def test_all_implementations_agree(case: Case) -> None:
    agree(case)


@pytest.mark.parametrize(("case", "implementation"), RUNS)
def test_time(benchmark: BenchmarkFixture, case: Case, implementation: str) -> None:
    benchmark.group = case.name
    benchmark(case.run[implementation])
