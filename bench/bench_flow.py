"""The flow that users care about: a CSV over HTTP, through eight modems, and every report back.

`python -m bench flow` sends 10,000 recipients; `--kill` also kills the server at 30 % and at 60 % under each policy
that promises never to send twice; `--stop` has the person in the last row say STOP.  The ledger is the judge: it
must hold one SMS-SUBMIT for each part with the right text, whatever happened.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from bench.rig import Person, Rig, crowd, joined, rig, twice

MODEMS: Final = 8
TIMEOUT_S: Final = 240.0
REPORTS_S: Final = 10.0  # for the modems to be read after a restart
OPEN: Final = ("accepted", "queued", "held", "sending", "sent")


def say(line: str) -> None:
    """Print at once: a flow takes a while."""
    print(line, flush=True)


def flush_ms(folder: Path, times: int = 200) -> float:
    """The median of what one flush of 8 KiB takes here: every figure of a flow depends on it."""
    took: list[float] = []
    with (folder / "flush").open("wb", buffering=0) as file:
        for _ in range(times):
            file.write(bytes(8192))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


def verify(judge: Rig, people: list[Person], missing: int = 0) -> int:
    """Check the ledger; how many parts it holds.  Raises AssertionError where it is not as promised."""
    parts = judge.submitted()
    assert twice(parts) == 0, f"{twice(parts)} parts were sent twice"
    texts = joined(parts)
    wanted = {person.number: person.text for person in people}
    wrong = [number for number, text in texts.items() if wanted.get(number) != text]
    assert not wrong, f"{len(wrong)} texts are not what they should be, first {texts[wrong[0]]!r}"
    assert len(wanted) - len(texts) == missing, f"{len(wanted) - len(texts)} of {len(wanted)} texts are missing"
    return len(parts)


def straight(folder: Path, count: int) -> None:
    """From the CSV to the last report, undisturbed."""
    people = crowd(count)
    with rig(folder, MODEMS) as stand:
        stand.start_rack()
        stand.start_server()
        began = time.monotonic()
        campaign = stand.campaign("straight", people)
        accepted_s = time.monotonic() - began
        stand.wait_until(campaign, lambda counts: counts["delivered"] == count, TIMEOUT_S)
        took_s = time.monotonic() - began
        parts = verify(stand, people)
        stand.stop("server")
        stand.check()
    say(
        f"flow/straight: {count} recipients, {parts} parts, uploaded in {accepted_s:.2f} s, all delivered in "
        f"{took_s:.2f} s ({parts / took_s:.0f} parts/s); sent twice 0; check is whole"
    )


def killed(folder: Path, count: int, policy: str) -> None:
    """The same with kill -9 at 30 % and 60 %."""
    people = crowd(count)
    after_kills = []
    with rig(folder, MODEMS) as stand:
        stand.start_rack()
        stand.start_server()
        began = time.monotonic()
        campaign = stand.campaign(f"killed-{policy}", people, on_unknown=policy)
        for share in (0.3, 0.6):
            stand.wait_until(campaign, lambda counts, at=share: _gone(counts) >= at * count, TIMEOUT_S)
            stand.kill_server()
            stand.start_server()
            after_kills.append(stand.counts(campaign)["unknown"])
        counts = stand.wait_until(campaign, lambda counts: not sum(counts[state] for state in OPEN), TIMEOUT_S)
        took_s = time.monotonic() - began
        parts = stand.submitted()
        in_ledger = {part.destination for part in parts}
        numbers = {person.client_ref: person.number for person in people}
        until = time.monotonic() + REPORTS_S
        while True:
            unknown = [row for row in stand.results(campaign) if row["state"] == "unknown"]
            went = sum(numbers[row["client_ref"]] in in_ledger for row in unknown)
            # The others may have sent all that was left before the last modem was up and its reports were read.
            if policy != "await_report" or not went or time.monotonic() > until:
                break
            time.sleep(0.05)
        assert twice(parts) == 0, f"{twice(parts)} parts were sent twice"
        lost = count - len(in_ledger | {numbers[row["client_ref"]] for row in unknown})
        assert lost == 0, f"{lost} recipients are neither in the ledger nor unknown"
        assert len(unknown) <= 2 * MODEMS, f"{len(unknown)} are unknown after two kills"
        if policy == "await_report":
            assert went == 0, f"{went} unknown messages stand in the ledger"
            verify(stand, people, missing=len(unknown))
        assert sum(counts.values()) == count
        stand.stop("server")
        stand.check()
    say(
        f"flow/killed/{policy}: {count} recipients, {len(parts)} parts, {took_s:.1f} s; lost 0, sent twice 0, unknown "
        f"after each restart {after_kills}, at the end {len(unknown)} ({went} of them in the ledger); "
        f"{dict(counts)}; check is whole"
    )


def _gone(counts: Counter[str]) -> int:
    return counts["sent"] + counts["delivered"] + counts["unknown"]


def stopped(folder: Path, count: int) -> None:
    """The person in the last row of one campaign stands in a second running one, and says STOP."""
    people = crowd(count)
    last = people[-1]
    with rig(folder, MODEMS) as stand:
        # No latency would let the campaign end before anybody could answer.
        stand.start_server_with_rack("20")
        first = stand.campaign("stopped-1", people)
        second = stand.campaign("stopped-2", [*crowd(count // 2, seed=2)[:-1], last])
        stand.wait_until(first, lambda counts: _gone(counts) > count // 50, TIMEOUT_S)
        stand.wait_until(second, lambda counts: _gone(counts) > count // 50, TIMEOUT_S)
        stand.call("POST", "/v1/sim/inbound", {"from": last.number, "text": "STOP"})
        for campaign in (first, second):
            stand.wait_until(campaign, lambda counts: not sum(counts[state] for state in OPEN), TIMEOUT_S)
        suppressed = [stand.counts(campaign)["suppressed"] for campaign in (first, second)]
        assert suppressed == [1, 1], suppressed
        to_last = [part.text for part in stand.submitted() if part.destination == last.number]
        assert len(to_last) == 1, f"{len(to_last)} parts to the person who said STOP"
        assert "START" in to_last[0], to_last[0]
        stand.stop("server")
        stand.check()
    say(
        f"flow/stopped: {count} and {count // 2} recipients; to the person who said STOP one part: {to_last[0]!r}; "
        f"suppressed {suppressed}; check is whole"
    )


async def main(arguments: Sequence[str]) -> None:
    """Run the flows that the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m bench flow", description=__doc__)
    parser.add_argument("--recipients", type=int, default=10_000)
    parser.add_argument("--kill", action="store_true", help="also kill the server twice, under hold and await_report")
    parser.add_argument("--stop", action="store_true", help="also let somebody say STOP in the middle")
    chosen = parser.parse_args(list(arguments))
    with tempfile.TemporaryDirectory(prefix="carillon-flow-") as name:
        root = Path(name)
        say(f"a flush takes {flush_ms(root):.2f} ms")
        runs: list[tuple[str, Callable[[Path], None]]] = [
            ("straight", lambda folder: straight(folder, chosen.recipients))
        ]
        if chosen.kill:
            runs.append(("hold", lambda folder: killed(folder, chosen.recipients, "hold")))
            runs.append(("await_report", lambda folder: killed(folder, chosen.recipients, "await_report")))
        if chosen.stop:
            runs.append(("stop", lambda folder: stopped(folder, chosen.recipients // 2)))
        for title, run in runs:
            folder = root / title
            folder.mkdir()
            try:
                run(folder)
            except AssertionError as error:
                say(f"flow/{title}: {error}")
                sys.exit(1)
