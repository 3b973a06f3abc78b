"""Counters: whether a campaign's counters are what a recount of its rows gives, at random moments of a run.

`python -m bench counters` sends 100,000 rows through modems that need no time.  Some are refused before the launch and
some behind it, some are where it is night, some cannot be written; the run is paused, gets more rows, reaches a cap, is
killed, and cancelled at the end.  At moments that a seed draws, another process takes a snapshot and keeps it; all are
recounted once the run is over, so that nothing waits for it.  Exit 1 where a counter differs.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

from bench.bench_utilisation import await_ready
from bench.rack.ground import Disk, Ground, ground
from bench.rack.zero import Zero, zero
from bench.recount import (
    ASLEEP,
    ENDLESS,
    GOING,
    LACKING,
    PURPOSE,
    REFUSED,
    REFUSING,
    TEXTS,
    Count,
    Kind,
    Person,
    crowd,
    ndjson,
    numbers_of,
    recount,
)
from engine.crm.marketing.campaigns import CAMPAIGNS
from engine.store import ids
from engine.store.environment import Store
from engine.store.table import Txn
from engine.wiring import TABLES

STALL_S: Final = 30.0
SETTLED_S: Final = 120.0
LONGEST_WAIT_S: Final = 0.05
AROUND_PERCENT: Final = 6  # of the moments, around each thing that is done to the campaign
LATER: Final = 5  # one row in so many comes behind the launch
CAP_LEFT: Final = 500  # parts that a cap leaves
DRAWN_BELOW: Final = 0.97  # of the parts: some become unknown, and some rows are refused
UNDER_WAY: Final = "under way"


class Moment(NamedTuple):
    """A snapshot, what was being done, and how many parts the rack had taken."""

    when: str
    parts: int
    txn: Txn


@dataclass
class Watch:
    """Takes snapshots of a store that another process writes, and keeps them."""

    store: Store
    rack: Zero
    random: Random
    kept: contextlib.ExitStack
    moments: list[Moment] = field(default_factory=list)

    def look(self, when: str) -> None:
        """One moment."""
        txn = self.kept.enter_context(self.store.read())
        self.moments.append(Moment(when, self.rack.parts, txn))

    def look_around(self, when: str, times: int) -> None:
        """So many, with waits between that are drawn."""
        for _ in range(times):
            time.sleep(self.random.uniform(0, LONGEST_WAIT_S))
            self.look(when)


class Run:
    """One campaign, and what is done to it."""

    def __init__(self, server: Ground, watch: Watch, chosen: argparse.Namespace) -> None:
        self._server = server
        self._watch = watch
        later = chosen.rows // LATER
        now_ms = time.time_ns() // 1_000_000
        self._first = crowd(watch.random, chosen.rows - later, now_ms)
        self._later = crowd(watch.random, later, now_ms, chosen.rows - later)
        self._steps: dict[float, Callable[[], None]] = {
            0.12: self._refuse_some,
            0.3: self._pause,
            0.45: self._add_rows,
            0.6: self._reach_cap,
            0.78: self._kill,
        }
        # Beside these the launch, the end and the cancellation.
        self._around = max(1, chosen.moments * AROUND_PERCENT // 100)
        self._drawn = max(0, chosen.moments - self._around * (len(self._steps) + 3) - 1)
        body = {"name": "counters", "text": TEXTS, "purpose": PURPOSE, "delivery_report": "sample:50%"}
        self.campaign = str(server.call("POST", "/v1/campaigns", body)["id"])

    def go(self) -> None:
        """From the upload to the cancellation.  Raises TimeoutError where nothing goes on."""
        self._uploaded(self._upload(self._first))
        self._refuse(self._first, REFUSED)
        self._server.launch(self.campaign)
        self._watch.look_around("the launch", self._around)
        wanted = sum(person.kind.parts for person in (*self._first, *self._later) if person.kind in GOING)
        drawn = [self._watch.random.uniform(0, DRAWN_BELOW) for _ in range(self._drawn)]
        for share in sorted([*self._steps, *drawn]):
            self._watch.rack.await_parts(int(wanted * share), STALL_S)
            step = self._steps.get(share)
            if step is None:
                self._watch.look(UNDER_WAY)
            else:
                step()
        self._await(lambda campaign: not still_going(campaign["counts"]))
        self._watch.look_around("the end", self._around)
        self._step("cancel")
        self._watch.look_around("the cancellation", self._around)
        self._await(lambda campaign: not campaign["counts"].get("held"))
        self._watch.look("all over")

    @property
    def expected(self) -> dict[str, int]:
        """What some counters must show in the end, whatever went when."""
        kinds = [person.kind for person in (*self._first, *self._later)]
        return {"failed": kinds.count(LACKING) + kinds.count(ENDLESS), "cancelled": kinds.count(ASLEEP)}

    # -- what is done to it

    def _refuse_some(self) -> None:
        self._refuse(self._first, REFUSING)
        self._watch.look_around("refusals", self._around)

    def _pause(self) -> None:
        self._step("pause")
        self._watch.look_around("the pause", self._around)
        self._step("resume")

    def _add_rows(self) -> None:
        upload = self._upload(self._later)
        self._watch.look_around("more rows", self._around)
        self._uploaded(upload)

    def _reach_cap(self) -> None:
        sent = self._shown()["parts_sent"]
        self._server.call("PATCH", self._path, {"parts_most": sent + CAP_LEFT})
        self._await(lambda campaign: campaign["reason"] == "budget")
        self._watch.look_around("the cap", self._around)
        self._server.call("PATCH", self._path, {"parts_most": 0})

    def _kill(self) -> None:
        self._server.kill_server()
        self._watch.look("the kill")
        self._server.start_server(ready=False)
        self._watch.look_around("the kill", self._around - 1)

    # -- calls

    @property
    def _path(self) -> str:
        return f"/v1/campaigns/{self.campaign}"

    def _step(self, name: str) -> None:
        self._server.call("POST", f"{self._path}/{name}")

    def _shown(self) -> dict[str, Any]:
        return dict(self._server.call("GET", self._path))

    def _await(self, holds: Callable[[dict[str, Any]], bool]) -> None:
        until = time.monotonic() + SETTLED_S
        while not holds(campaign := self._shown()):
            if time.monotonic() > until:
                raise TimeoutError(f"after {SETTLED_S:g} s: {campaign}")
            time.sleep(0.02)

    def _refuse(self, people: Sequence[Person], kind: Kind) -> None:
        octets = numbers_of(people, kind)
        self._server.call("POST", "/v1/suppressions", octets=octets, content_type="text/csv")

    def _upload(self, people: Sequence[Person]) -> "subprocess.Popen[bytes]":
        path = self._server.folder / "rows.ndjson"
        path.write_bytes(ndjson(people))
        command = self._server.curl_command(self.campaign, path, "application/x-ndjson")
        return subprocess.Popen(command, stdout=subprocess.DEVNULL)

    @staticmethod
    def _uploaded(upload: "subprocess.Popen[bytes]") -> None:
        if upload.wait(SETTLED_S):
            raise RuntimeError(f"an upload ended with {upload.returncode}")


def still_going(counts: dict[str, int]) -> int:
    """How many rows go on by themselves, without the night's end."""
    return sum(counts.get(state, 0) for state in ("accepted", "queued", "sending"))


def counted(moments: Sequence[Moment], campaign: str) -> list[Count]:
    """The recount of each."""
    identifier = ids.parse("cmp", campaign)
    return [recount(moment.txn, CAMPAIGNS.get(moment.txn, identifier)) for moment in moments]


def show(moments: Sequence[Moment], counts: Sequence[Count]) -> None:
    """A line for each thing that was done."""
    print(f"{'at':<18} {'moments':>8} {'parts gone':>20} {'open, fewest':>13} {'most':>9} {'differ':>7}", flush=True)
    for when in dict.fromkeys(moment.when for moment in moments):
        own = [(moment, count) for moment, count in zip(moments, counts, strict=True) if moment.when == when]
        parts = [moment.parts for moment, _ in own]
        open_ = [count.open for _, count in own]
        differ = sum(bool(count.differences) for _, count in own)
        span = f"{min(parts):,} - {max(parts):,}"
        print(f"{when:<18} {len(own):>8} {span:>20} {min(open_):>13,} {max(open_):>9,} {differ:>7}", flush=True)


async def main(arguments: Sequence[str]) -> None:
    """Run as the arguments ask; exit 1 where a counter differs, or the last ones are not what was sent."""
    parser = argparse.ArgumentParser(prog="python -m bench counters", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--moments", type=int, default=100)
    parser.add_argument("--modems", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--directory", help="where the data stands; default: the folder for temporary files")
    chosen = parser.parse_args(list(arguments))
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="carillon-counters-", dir=chosen.directory) as name:
        folder = Path(name)
        with contextlib.ExitStack() as kept:
            with ground(folder, Disk()) as server, zero(folder / "rack", chosen.modems, reports=True) as rack:
                server.start_server()
                await_ready(server, chosen.modems)
                store = Store(server.data, TABLES, read_only=True)
                kept.callback(store.close)
                watch = Watch(store, rack, Random(chosen.seed), kept)
                run = Run(server, watch, chosen)
                run.go()
                server.stop("server")
            sent_s = time.monotonic() - began_s
            counts = counted(watch.moments, run.campaign)
            print(
                f"\ncounters, {chosen.rows:,} rows, {chosen.modems} modems, seed {chosen.seed}; run in {sent_s:.0f} s"
            )
            show(watch.moments, counts)
    last = counts[-1].counters
    print("in the end: " + ", ".join(f"{units:,} {state}" for state, units in last.items()))
    found = [
        f"moment {at}, {watch.moments[at].when}: {line}"
        for at, count in enumerate(counts)
        for line in count.differences
    ]
    found += [
        f"in the end: {state} {last.get(state, 0):,}, not {units:,}"
        for state, units in run.expected.items()
        if last.get(state, 0) != units
    ]
    open_ = [count.open for count in counts]
    took_s = time.monotonic() - began_s
    print(
        f"{len(counts)} moments, {len(found)} differences; open rows from {min(open_):,} to {max(open_):,};"
        f" {took_s:.0f} s in all"
    )
    if found:
        print("\n".join(found), flush=True)
        sys.exit(1)
