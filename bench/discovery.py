"""Finds the benchmarks: every bench/bench_*.py, its CASES, or its main for a whole flow."""

import importlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.case import Case

Main = Callable[[Sequence[str]], Awaitable[None]]


@dataclass(frozen=True)
class Bench:
    """One file: `bench_ucs2.py` is called ucs2."""

    name: str
    cases: list[Case] = field(default_factory=list)
    main: Main | None = None


def benches() -> list[Bench]:
    """All of them, by name.  Imports each file; one that cannot be imported stops the run."""
    found = []
    for path in sorted(Path(__file__).parent.glob("bench_*.py")):
        module = importlib.import_module(f"bench.{path.stem}")
        name = path.stem.removeprefix("bench_")
        found.append(Bench(name, list(getattr(module, "CASES", [])), getattr(module, "main", None)))
    return found
