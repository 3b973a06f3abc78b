"""What an `otp` message waits for while a campaign keeps every modem busy: the rest of one part, no more.

`python -m bench otp` posts messages of that lane one at a time, at random moments that are drawn before, and counts
from each 202 to the AT+CMGS of that message, by the clock of the rack that hears it.  The first result after the 202,
of any modem, is the first moment at which one could have gone: what it waits beyond that is the server's own.
"""

import argparse
import json
import math
import socket
import statistics
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any, Final

from bench.bench_dispatch import TEXT, write_rows
from bench.bench_flow import flush_ms
from bench.bench_utilisation import await_ready
from bench.rack.ground import Disk, Ground, ground
from bench.rack.zero import Taken, zero
from bench.rig import TOKEN
from bench.targets import Target, disks, parser_of, report

STALL_S: Final = 30.0
# Behind the longest wait that is due: with it no two wait at once, unless the server is late.
MARGIN_S: Final = 0.025
SPARE_ROWS: Final = 1.5
MISSED_MS: Final = 10.0  # beyond the first free modem: it went to another one
FIRST_PLACE: Final = 900_000_000  # of the numbers of the otp messages; the rows' begin at 0


@dataclass(frozen=True, slots=True)
class Posted:
    """An otp message: its number, and when its 202 came, by CLOCK_MONOTONIC."""

    number: str
    answered_s: float


@dataclass(frozen=True, slots=True)
class Wait:
    """From the 202 to its AT+CMGS; 0 where that came before whoever had posted it had read the 202."""

    whole_ms: float
    free_ms: float  # to the first result after the 202

    @property
    def beyond_ms(self) -> float:
        """What it waited although a modem was free."""
        return max(0.0, self.whole_ms - self.free_ms)


def targets(chosen: argparse.Namespace, *, slow: bool) -> list[Target]:
    """What must be reached; on a slow disk nothing binds."""
    found = [
        Target("wait, p99", "ms", at_most=chosen.latency_ms + 20),
        Target("wait, most", "ms"),
        Target("wait, median", "ms"),
        Target("beyond the first free modem, p99", "ms", at_most=10),
        Target("beyond the first free modem, most", "ms"),
        Target("beyond the first free modem, median", "ms"),
        Target("that missed the first free modem", ""),
        Target("heard before the 202 was read", ""),
        Target("bulk parts meanwhile", ""),
        Target("share of the air that was left to them", "", at_least=0.9),
        Target("OK to the next AT+CMGS, p99", "ms"),
        Target("the 202, p99", "ms"),
    ]
    return [target.free() for target in found] if slow else found


def moments(chosen: argparse.Namespace, random: Random) -> list[float]:
    """When each is posted, in seconds from the first one's earliest moment on."""
    part_s = chosen.latency_ms / 1000
    least_s = part_s / (1 if chosen.in_step else chosen.modems) + MARGIN_S
    # A single modem sends nothing but otp messages where they come as fast as it sends.
    most_s = least_s + part_s * (2 / 3 if chosen.modems > 1 else 1)
    return list(accumulate(random.uniform(least_s, most_s) for _ in range(chosen.messages)))


class Poster:
    """One kept-alive connection; the time of an answer is that of its first octets, before anything is read in them."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def post(self, number: str) -> float:
        """Post one; when its 202 came.  Raises RuntimeError where it is refused."""
        message = {"to": number, "text": TEXT, "lane": "otp", "purpose": "transactional"}
        body = json.dumps(message).encode()
        head = (
            f"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._socket.sendall(head.encode() + body)
        heard = self._socket.recv(65536)
        answered_s = time.monotonic()
        while heard and not _is_whole(heard):
            heard += self._socket.recv(65536)
        if not heard.startswith(b"HTTP/1.1 202"):
            raise RuntimeError(f"a message was refused: {heard!r}")
        return answered_s

    def close(self) -> None:
        self._socket.close()


def _is_whole(heard: bytes) -> bool:
    head, separator, body = heard.partition(b"\r\n\r\n")
    if not separator:
        return False
    lines = head.lower().split(b"\r\n")
    length = next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:"))
    return len(body) >= length


def post_all(server: Ground, planned_s: Sequence[float]) -> tuple[list[Posted], list[float]]:
    """Post them at their moments, whatever has become of those before; and how long each took to its 202, in ms."""
    poster = Poster(server.port)
    posted, took_ms = [], []
    began_s = time.monotonic()
    try:
        for place, at_s in enumerate(planned_s):
            time.sleep(max(0.0, began_s + at_s - time.monotonic()))
            number = f"+8613{FIRST_PLACE + place:09d}"
            asked_s = time.monotonic()
            answered_s = poster.post(number)
            took_ms.append((answered_s - asked_s) * 1000)
            posted.append(Posted(number, answered_s))
    finally:
        poster.close()
    return posted, took_ms


def waits(posted: Sequence[Posted], taken: Sequence[Taken]) -> list[Wait]:
    """What each waited.  Raises RuntimeError where one did not go, or the rack gave no result after its 202."""
    asked_s = {part.destination: part.asked_s for part in taken}
    landed_s = sorted(part.landed_s for part in taken)
    found = []
    for one in posted:
        place = bisect_left(landed_s, one.answered_s)
        if one.number not in asked_s or place == len(landed_s):
            raise RuntimeError(f"{one.number} did not go, or nothing landed behind it")
        whole_ms = max(0.0, asked_s[one.number] - one.answered_s) * 1000
        found.append(Wait(whole_ms, (landed_s[place] - one.answered_s) * 1000))
    return found


def p99(values: Sequence[float]) -> float:
    return sorted(values)[math.ceil(len(values) * 0.99) - 1]


def figures_of(posted: Sequence[Posted], taken: Sequence[Taken], modems: int, latency_ms: float) -> dict[str, float]:
    """The figures in what was posted and what the rack took."""
    found = waits(posted, taken)
    whole, beyond = [wait.whole_ms for wait in found], [wait.beyond_ms for wait in found]
    numbers = {one.number for one in posted}
    began_s, ended_s = posted[0].answered_s, posted[-1].answered_s
    meanwhile = [part for part in taken if began_s <= part.given_s < ended_s]
    bulk = sum(part.destination not in numbers for part in meanwhile)
    room = modems * (ended_s - began_s) * 1000 / latency_ms - (len(meanwhile) - bulk)
    return {
        "wait, p99": p99(whole),
        "wait, most": max(whole),
        "wait, median": statistics.median(whole),
        "beyond the first free modem, p99": p99(beyond),
        "beyond the first free modem, most": max(beyond),
        "beyond the first free modem, median": statistics.median(beyond),
        "that missed the first free modem": sum(late_ms > MISSED_MS for late_ms in beyond),
        "heard before the 202 was read": sum(not wait_ms for wait_ms in whole),
        "bulk parts meanwhile": bulk,
        "share of the air that was left to them": bulk / room,
    }


def run(folder: Path, disk: Disk, chosen: argparse.Namespace, seed: int) -> dict[str, float]:
    """One run on an empty store: its figures by name.  Raises RuntimeError where a part went twice or was refused."""
    planned_s = moments(chosen, Random(seed))
    part_s = chosen.latency_ms / 1000
    rows = math.ceil(SPARE_ROWS * chosen.modems * (planned_s[-1] / part_s + 10))
    path = folder / "rows.csv"
    write_rows(path, rows)
    with (
        ground(folder, disk) as server,
        zero(
            folder / "rack", chosen.modems, latency_ms=chosen.latency_ms, ledger=folder / "taken",
            spread=not chosen.in_step,
        ) as rack,
    ):  # fmt: skip
        server.start_server()
        await_ready(server, chosen.modems)
        campaign = server.draft("otp", TEXT)
        server.curl(campaign, path, "text/csv")
        server.launch(campaign)
        # Every modem has one behind it, one in the air and one ahead.
        rack.await_parts(2 * chosen.modems, STALL_S)
        rack.measured()
        posted, took_ms = post_all(server, planned_s)
        # The last is heard, and something lands behind its 202.
        rack.await_parts(rack.parts + 3 * chosen.modems, STALL_S)
        found = rack.measured()
        taken = rack.taken()
    judge(taken, found, rows + len(posted))
    figures = figures_of(posted, taken, chosen.modems, chosen.latency_ms)
    return figures | {"OK to the next AT+CMGS, p99": found["gap_ms"]["p99"], "the 202, p99": p99(took_ms)}


def judge(taken: Sequence[Taken], found: dict[str, Any], most: int) -> None:
    """Raise RuntimeError where a part was refused or went twice, or the campaign was at its end too early."""
    if found["refused"]:
        raise RuntimeError(f"{found['refused']} parts were refused")
    if len({part.destination for part in taken}) < len(taken):
        raise RuntimeError("a message went twice")
    if len(taken) >= most:
        raise RuntimeError("the campaign ended before the last message")


async def main(arguments: Sequence[str]) -> None:
    """Measure as the arguments ask; exit 1 where a target is missed."""
    parser = parser_of("otp", __doc__)
    parser.add_argument("--messages", type=int, default=250, help="of the lane otp")
    parser.add_argument("--modems", type=int, default=8)
    parser.add_argument("--latency-ms", type=float, default=300.0, help="a part's time in the air")
    parser.add_argument("--in-step", action="store_true", help="the parts of all modems land at once, not in turn")
    parser.add_argument("--seed", type=int, default=1, help="of the first run's moments; the next has the next")
    chosen = parser.parse_args(list(arguments))
    missed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="carillon-otp-", dir=chosen.directory) as name:
        root = Path(name)
        for disk in disks(chosen):
            told = disk.told(flush_ms(root))
            runs = []
            for place in range(chosen.runs):
                with tempfile.TemporaryDirectory(dir=root) as folder:
                    runs.append(run(Path(folder), disk, chosen, chosen.seed + place))
            order = "in step" if chosen.in_step else "in turn"
            busy = f"{chosen.modems} modems busy {order}" if chosen.modems > 1 else "one modem busy"
            title = f"otp, {chosen.messages} messages, {busy}, {chosen.latency_ms:g} ms in the air"
            missed += report(f"{title}; {told}", targets(chosen, slow=bool(disk.slow_ms)), runs)
    if missed:
        print("\n" + "\n".join(f"missed: {line}" for line in missed), flush=True)
        sys.exit(1)
