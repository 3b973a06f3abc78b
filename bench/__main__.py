"""`python -m bench`: time what CASES of bench_*.py hold, each implementation against the others.

All implementations of all chosen cases must agree before any is timed.
"""

import argparse
import asyncio
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.case import Case
from bench.discovery import Bench, benches
from bench.machine import describe
from bench.timing import DEFAULT_ROUNDS, Figure, agree, measure

WIDTH = 44


def chosen(found: list[Bench], names: Sequence[str], *, every: bool) -> tuple[list[Case], list[Bench]]:
    """The cases and the whole flows that the names ask for: a file's name, or the beginning of a case's.

    Without names all cases, and no flow: it takes minutes.  Raises SystemExit for a name that fits nothing.
    """
    cases = [case for bench in found for case in bench.cases]
    flows = [bench for bench in found if bench.main is not None]
    if not names:
        return cases, flows if every else []
    for name in names:
        if not any(fits(case, name) for case in cases) and name not in {bench.name for bench in found}:
            known = ", ".join(bench.name for bench in found) or "none"
            raise SystemExit(f"no benchmark is called {name}; there are: {known}")
    of_files = [case for bench in found if bench.name in names for case in bench.cases]
    picked = [case for case in cases if case in of_files or any(fits(case, name) for name in names)]
    return picked, [bench for bench in flows if every or bench.name in names]


def fits(case: Case, name: str) -> bool:
    return case.name == name or case.name.startswith(name.rstrip("/") + "/")


def duration(ns: float) -> str:
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.3g} ns"


def rate(per_second: float) -> str:
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if per_second >= size:
            return f"{per_second / size:.3g} {unit}/s"
    return f"{per_second:.3g} /s"


def print_figures(case: Case, figures: dict[str, Figure]) -> None:
    """One line each, the fastest first; the ratio says how many times as long as the fastest it takes."""
    fastest = min(figure.median_ns for figure in figures.values())
    for implementation, figure in sorted(figures.items(), key=lambda item: item[1].median_ns):
        name = f"{case.name}/{implementation}"
        print(
            f"{name:<{WIDTH}} {duration(figure.median_ns):>9}  ±{figure.spread:>4.0%}"
            f" {rate(figure.per_second):>10} {figure.median_ns / fastest:>8.2f}x",
            flush=True,
        )


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", help="a file (ucs2) or the beginning of a case (ucs2/cut); default: all cases"
    )
    parser.add_argument("--rounds", type=int, default=DEFAULT_ROUNDS)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--all", action="store_true", help="the whole flows as well; takes minutes")
    parser.add_argument("--list", action="store_true", help="name the cases and flows, run nothing")
    options, rest = parser.parse_known_args(arguments)
    if options.rounds < 1:
        parser.error("--rounds must be 1 or more")
    cases, flows = chosen(benches(), options.names, every=options.all or options.list)
    if rest and not flows:
        parser.error(f"unknown options: {' '.join(rest)}")
    if options.list:
        print("\n".join([*(case.name for case in cases), *(f"{bench.name} (flow)" for bench in flows)]))
        return 0

    machine = describe()
    print("\n".join(f"{name:<19} {value}" for name, value in machine.items()) + "\n", flush=True)
    for case in cases:
        agree(case)
    results = {}
    for note in dict.fromkeys(case.note for case in cases if case.note):
        print(note + "\n", flush=True)
    if cases:
        title = f"median of {options.rounds} rounds"
        print(f"{title:<{WIDTH}} {'per unit':>9}  {'':>5} {'units':>10} {'ratio':>9}")
    for case in cases:
        figures = measure(case, options.rounds)
        print_figures(case, figures)
        results[case.name] = {name: dataclasses.asdict(figure) for name, figure in figures.items()}
    if options.json is not None:
        options.json.write_text(json.dumps({"machine": machine, "cases": results}, indent=1) + "\n", encoding="utf-8")
    for bench in flows:
        if bench.main is not None:
            print(f"\n{bench.name}", flush=True)
            asyncio.run(run_flow(bench, rest))
    return 0


async def run_flow(bench: Bench, rest: Sequence[str]) -> None:
    if bench.main is not None:
        await bench.main(rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
