"""What a benchmark is: one piece of work, done by several implementations that must agree."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the table.

    `run` maps an implementation's name ("cython", "python", "peer") to a call without arguments.  Before
    timing, all results must be equal or, where there is one, `check`, given the results by name, must not
    raise.  `per` is how many units of work (messages, rows) one call does; `note` is said before the table.
    """

    name: str
    run: dict[str, Callable[[], object]]
    check: Callable[[dict[str, object]], None] | None = None
    per: int = 1
    note: str = ""
