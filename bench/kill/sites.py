"""Where a server may die: before and after every commit and every serial write.

Runs in the server's process and wraps the engine from outside: production code carries no hooks.  A site is named
by what is written; its passages are counted, and at the chosen one the process kills itself.
"""

import functools
import inspect
import json
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.rig import TOKEN
from engine import wiring
from engine.modem.port import Port
from engine.modem.submission import CTRL_Z
from engine.store.environment import Store
from engine.store.table import Keyed
from server import cli

# Long enough for the loop, on a busy machine too, to give a PDU to every line that has a prompt.
LATE_S: Final = 0.15
PLANTS: Final = ("outcome-first",)

# The rest is said while a modem starts, or about the weather.
_NAMED: Final = frozenset({"CMGS", "CMGL", "CMGR", "CMGD", "CNMA"})
_COMMAND: Final = re.compile(rb"AT[+^]([A-Z]+)")


class Kill(NamedTuple):
    """Where to die: at this passage of this site, 1 for the first."""

    site: str
    passage: int


class Trap:
    """Counts passages, and springs at the chosen one."""

    def __init__(self, kill: Kill | None) -> None:
        self.passed: Counter[str] = Counter()
        self._kill = kill

    def springs_next_at(self, site: str) -> bool:
        """Whether the next passage of `site` is the last."""
        return self._kill == Kill(site, self.passed[site] + 1)

    def passes(self, site: str) -> None:
        """Count one passage; at the chosen one nothing follows."""
        is_last = self.springs_next_at(site)
        self.passed[site] += 1
        if is_last:
            os.kill(os.getpid(), signal.SIGKILL)


def _replace(owner: Any, name: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Put `wrap(what was there)` in its place.  Raises AttributeError where the engine has no such part any more."""
    setattr(owner, name, wrap(getattr(owner, name)))


# -- the store


@functools.cache
def _list_places(change: Callable[..., Any]) -> tuple[tuple[int, str], ...]:
    names = list(inspect.signature(change).parameters.values())[1:]
    return tuple((place, one.name) for place, one in enumerate(names) if str(one.annotation).startswith("list"))


def change_name(change: Callable[..., Any], args: tuple[Any, ...]) -> str:
    """What a change is called: its module and name, and which of its lists hold something.

    One that is made together with another, as with its row in the audit log, is called as that one.
    """
    while isinstance(change, functools.partial):
        change = next((one for one in change.args if callable(one)), change.func)
    owner = getattr(change, "__self__", None)
    place = owner.name if isinstance(owner, Keyed) else change.__module__.rpartition(".")[2]
    name = f"{place}.{change.__name__}"
    lists = _list_places(change)
    if not lists:
        return name
    return f"{name}({', '.join(called for index, called in lists if args[index])})"


def _names(group: list[Any]) -> list[str]:
    return list(dict.fromkeys(change_name(job.change, job.args) for job in group))


def watch_store(trap: Trap) -> None:
    """Before the changes of a group are committed, and before anybody is told that they were."""

    def before(commit: Callable[..., None]) -> Callable[..., None]:
        def committing(self: Store, group: list[Any]) -> None:
            for name in _names(group):
                trap.passes(f"before commit of {name}")
            commit(self, group)

        return committing

    def after(tell: Callable[..., None]) -> Callable[..., None]:
        def telling(self: Store, group: list[Any], notes: list[Any]) -> None:
            for name in _names(group):
                trap.passes(f"after commit of {name}")
            tell(self, group, notes)

        return telling

    _replace(Store, "_commit", before)
    _replace(Store, "_tell", after)


def watch_flushes(trap: Trap) -> None:
    """Around every flush of a file that is not the store's, which is the key file's."""

    def around(flush: Callable[[int], None]) -> Callable[[int], None]:
        def flushing(descriptor: int) -> None:
            # A new file has another name each time until it is whole.
            name = re.sub(r"^\.(.+)-\w{8}$", r"\1", Path(f"/proc/self/fd/{descriptor}").resolve().name)
            trap.passes(f"before flush of {name}")
            flush(descriptor)
            trap.passes(f"after flush of {name}")

        return flushing

    _replace(os, "fsync", around)


# -- the lines


def written_name(octets: bytes) -> str:
    """What is written to a line, in a word or two."""
    if octets.endswith(CTRL_Z):
        return "PDU"
    found = _COMMAND.match(octets)
    if found is None:
        return "AT" if octets.startswith(b"AT") else "ESC"
    name = found[1].decode()
    return f"AT+{name}" if name in _NAMED else "AT and setting"


def watch_port(trap: Trap) -> None:
    """Before and after every write; a PDU may also break off in its middle or in front of its Ctrl-Z."""

    def around(write: Callable[..., None]) -> Callable[..., None]:
        def writing(self: Port, octets: bytes) -> None:
            name = written_name(octets)
            trap.passes(f"before {name}")
            if name == "PDU":
                for site, length in (("inside PDU", len(octets) // 2), ("before Ctrl-Z", len(octets) - 1)):
                    if trap.springs_next_at(site):
                        write(self, octets[:length])
                        self.push()
                    trap.passes(site)
            write(self, octets)
            # Not with those of the other modems, where they are gathered: this is its own site.
            self.push()
            trap.passes(f"after {name}")

        return writing

    _replace(Port, "write", around)


# -- a planted fault


def plant_outcome_first() -> None:
    """Let the engine go on before its intents are committed: the order that the whole design forbids."""

    def around(commit: Callable[..., None]) -> Callable[..., None]:
        def committing(self: Any, group: list[Any]) -> None:
            if not any(getattr(job.change, "__name__", "") == "settle" for job in group):
                commit(self, group)
                return
            notes: list[Any] = []
            parent = self._env.begin(write=True)
            for job in group:
                self._run(job, parent, notes)
            self._tell(group, notes)
            time.sleep(LATE_S)
            parent.commit()

        return committing

    _replace(Store, "_commit", around)


# -- the process


class Ways(NamedTuple):
    """How the server differs from a real one: a planted fault, and the silence it wants of a line at its start."""

    plant: str | None = None
    settle_s: float | None = None


def serve(arguments: list[str], kill: Kill | None, ways: Ways, folder: Path, passed: Path) -> None:
    """Be `carillon` with `arguments` in `folder` until killed; who ends in order leaves the counts in `passed`."""
    os.chdir(folder)
    os.environ["CARILLON_TOKEN"] = TOKEN
    log = os.open("server.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if ways.plant == "outcome-first":
        plant_outcome_first()
    if ways.settle_s is not None:
        _replace(wiring, "ModemSettings", lambda made: functools.partial(made, settle_s=ways.settle_s))
    trap = Trap(kill)
    watch_store(trap)
    watch_flushes(trap)
    watch_port(trap)
    sys.argv = ["carillon", *arguments]
    try:
        cli.main()
    finally:
        passed.write_text(json.dumps(trap.passed), encoding="utf-8")
