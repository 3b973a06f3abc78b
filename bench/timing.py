"""Compares, then times: interleaved in rounds, so that a slow minute of the machine falls on all alike."""

import gc
import statistics
import time
from dataclasses import dataclass

from bench.case import Case

# One round of one implementation lasts at least this long, far above the clock's grain and a call's overhead.
ROUND_S = 0.02
DEFAULT_ROUNDS = 15


@dataclass(frozen=True)
class Figure:
    """How long one unit took, over all rounds."""

    median_ns: float
    fastest_ns: float
    # Half of the rounds lie within this share of the median.
    spread: float

    @property
    def per_second(self) -> float:
        return 1e9 / self.median_ns


def agree(case: Case) -> None:
    """Run every implementation once.  Raises AssertionError if two results differ."""
    results = {implementation: call() for implementation, call in case.run.items()}
    if case.check is not None:
        case.check(results)
        return
    first, *others = results
    for other in others:
        if results[first] != results[other]:
            said = f"{first} gives {results[first]!r:.200}, {other} gives {results[other]!r:.200}"
            raise AssertionError(f"{case.name}: {said}")


def elapsed_ns(case: Case, implementation: str, calls: int) -> int:
    call = case.run[implementation]
    begun = time.perf_counter_ns()
    for _ in range(calls):
        call()
    return time.perf_counter_ns() - begun


def calls_per_round(case: Case, implementation: str) -> int:
    """Doubled until a round is long enough; this warms up as well."""
    calls = 1
    while (taken := elapsed_ns(case, implementation, calls)) < ROUND_S * 1e9:
        calls = max(calls * 2, int(calls * ROUND_S * 1e9 / max(taken, 1)))
    return calls


def measure(case: Case, rounds: int) -> dict[str, Figure]:
    """Nanoseconds per unit of each implementation.  Garbage is collected between rounds, not in them."""
    calls = {implementation: calls_per_round(case, implementation) for implementation in case.run}
    times: dict[str, list[float]] = {implementation: [] for implementation in case.run}
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        for number in range(rounds):
            order = list(case.run)
            # Forward and back in turn: none always follows the same neighbour's caches.
            for implementation in order if number % 2 == 0 else reversed(order):
                gc.collect(0)
                taken = elapsed_ns(case, implementation, calls[implementation])
                times[implementation].append(taken / calls[implementation] / case.per)
    finally:
        if was_enabled:
            gc.enable()
    return {implementation: figure(values) for implementation, values in times.items()}


def figure(times_ns: list[float]) -> Figure:
    median = statistics.median(times_ns)
    low, _, high = statistics.quantiles(times_ns, n=4) if len(times_ns) > 1 else (median, median, median)
    return Figure(median, min(times_ns), (high - low) / 2 / median)
