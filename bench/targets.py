"""Figures beside what they must reach: the median of several runs, and whether it does."""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.rack.ground import Disk
from bench.rig import ROOT

WIDTH: Final = 46


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure must be at least or at most; without either it is only printed."""

    figure: str
    unit: str
    at_least: float | None = None
    at_most: float | None = None

    def is_met(self, value: float) -> bool:
        if self.at_least is not None and value < self.at_least:
            return False
        return self.at_most is None or value <= self.at_most

    @property
    def told(self) -> str:
        """The bound in words."""
        if self.at_least is not None:
            return f"≥ {number(self.at_least)}"
        return "" if self.at_most is None else f"≤ {number(self.at_most)}"

    def free(self) -> "Target":
        """The same, only printed."""
        return Target(self.figure, self.unit)


def number(value: float) -> str:
    """Three digits or more, with commas where there are thousands."""
    if abs(value) >= 1000 or (value == int(value) and abs(value) >= 10):
        return f"{value:,.0f}"
    return f"{value:.4f}" if 0.9 < abs(value) < 1 else f"{value:.3g}"


def report(title: str, targets: Sequence[Target], runs: Sequence[Mapping[str, float]]) -> list[str]:
    """Print a line for each figure; those that miss their target.  A figure that no run has is left out."""
    print(f"\n{title}; median of {len(runs)} runs", flush=True)
    print(f"{'':<{WIDTH}} {'figure':>12} {'target':>12}  {'least':>10} {'most':>10}")
    missed = []
    for target in targets:
        values = [run[target.figure] for run in runs if target.figure in run]
        if not values:
            continue
        median = statistics.median(values)
        name = f"{target.figure}, {target.unit}" if target.unit else target.figure
        verdict = "" if target.is_met(median) else "missed"
        if verdict:
            missed.append(f"{title}: {name}: {number(median)}, {target.told}")
        least, most = number(min(values)), number(max(values))
        print(f"{name:<{WIDTH}} {number(median):>12} {target.told:>12}  {least:>10} {most:>10}  {verdict}", flush=True)
    return missed


def parser_of(name: str, about: str | None) -> argparse.ArgumentParser:
    """A parser with what all of these benches take."""
    parser = argparse.ArgumentParser(prog=f"python -m bench {name}", description=about)
    parser.add_argument("--runs", type=int, default=5, help="the median of so many")
    parser.add_argument("--slow-flush-ms", type=float, default=5.0, help="repeat with slower flushes; 0: do not")
    parser.add_argument("--slow-writes", action="store_true", help="slow O_DSYNC writes, LMDB's meta page, as well")
    parser.add_argument("--only-slow", action="store_true", help="only with slower flushes")
    parser.add_argument("--directory", help="where the data stands; default: the folder for temporary files")
    return parser


def disks(chosen: argparse.Namespace) -> list[Disk]:
    """The disks that the arguments ask for."""
    slow = [Disk(chosen.slow_flush_ms, chosen.slow_writes)] if chosen.slow_flush_ms else []
    return slow if chosen.only_slow else [Disk(), *slow]


def child(
    module: str, folder: Path, disk: Disk, arguments: Sequence[str], environment: Mapping[str, str] | None = None
) -> dict[str, float]:
    """The figures of one run of a bench in `folder`, in a process of its own whose disk is `disk`."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments, "--in", str(folder)],
        cwd=ROOT,
        env={**os.environ, **(environment or {}), **disk.environment},
        check=False,
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"the run ended with exit code {done.returncode}")
    return dict(json.loads(done.stdout))
