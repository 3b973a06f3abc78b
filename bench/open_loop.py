"""GETs at a steady rate from a process of their own, whatever becomes of those before them.

`python -m bench.open_loop URL RATE PATH...` asks for the paths in turn until SIGTERM, and prints [planned, ms, status]
of each as JSON: the time is CLOCK_MONOTONIC in seconds, and the milliseconds count from when it was planned, so that a
server which stands still is charged with everybody who had to wait.  An answer that never came has null for ms.
"""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from urllib.parse import urlsplit

import uvloop

from bench.rig import ROOT, TOKEN

_AFTERWARDS_S = 5.0  # for answers that are still to come


@dataclass(frozen=True, slots=True)
class Asked:
    """One GET: when it was planned, how long it took from then on, and with which status it ended."""

    planned_s: float
    took_ms: float | None
    status: int


class _Connections:
    """Kept-alive connections, as many as are needed at once."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def get(self, path: str) -> int:
        """The status of the answer, once all of it has come."""
        if self._idle:
            reader, writer = self._idle.pop()
        else:
            reader, writer = await asyncio.open_connection(self._host, self._port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").lower().split("\r\n")
        length = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
        await reader.readexactly(length)
        self._idle.append((reader, writer))
        return int(lines[0].split()[1])


async def ask(url: str, rate: float, paths: Sequence[str]) -> list[Asked]:
    """Ask until SIGTERM."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    address = urlsplit(url)
    connections = _Connections(address.hostname or "", address.port or 80)
    asked: list[Asked] = []
    waiting: set[asyncio.Task[None]] = set()

    async def one(planned_s: float, path: str) -> None:
        try:
            status = await connections.get(path)
        except (OSError, EOFError):
            asked.append(Asked(planned_s, None, 0))
        else:
            asked.append(Asked(planned_s, (time.monotonic() - planned_s) * 1000, status))

    planned_s = time.monotonic()
    for path in cycle(paths):
        if stop.is_set():
            break
        if (early_s := planned_s - time.monotonic()) > 0:
            await asyncio.sleep(early_s)
        task = asyncio.ensure_future(one(planned_s, path))
        waiting.add(task)
        task.add_done_callback(waiting.discard)
        planned_s += 1 / rate
    if waiting:
        await asyncio.wait(waiting, timeout=_AFTERWARDS_S)
    return asked


class OpenLoop:
    """The process; `asked` holds what it found once it has ended."""

    def __init__(self, url: str, rate: float, paths: Sequence[str]) -> None:
        command = [sys.executable, "-m", "bench.open_loop", url, str(rate), *paths]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.asked: list[Asked] = []

    def end(self) -> None:
        self._process.terminate()
        said, _ = self._process.communicate()
        self.asked = [Asked(*one) for one in json.loads(said)]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def asking(url: str, rate: float, paths: Sequence[str]) -> Iterator[OpenLoop]:
    """GETs beside what the block does; what was asked is known behind it."""
    loop = OpenLoop(url, rate, paths)
    try:
        yield loop
        loop.end()
    finally:
        loop.close()


def main(arguments: Sequence[str]) -> None:
    url, rate, *paths = arguments
    asked = uvloop.run(ask(url, float(rate), paths))
    print(json.dumps([(one.planned_s, one.took_ms, one.status) for one in asked]))


if __name__ == "__main__":
    main(sys.argv[1:])
