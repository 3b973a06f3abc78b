"""One thing worth timing, and every way that we know to do it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """The same work by several implementations.

    `name` is module/operation/case (`ucs2/cut/3-parts`); `run` maps an implementation (`cython`, `python`,
    `peer`) to a call of it.  All must give equal results, or results that `check` accepts by raising nothing.
    `per` is how many units (messages, records) one call handles: figures are given per unit.
    """

    name: str
    run: dict[str, Callable[[], object]]
    check: Callable[[dict[str, object]], None] | None = None
    per: int = 1
