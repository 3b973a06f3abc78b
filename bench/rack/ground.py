"""The ground that a whole server is measured on: a rig whose disk may be slowed, and what /proc says of the process."""

import contextlib
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.rack import building
from bench.rig import TOKEN, Rig

_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")
_SAMPLED_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Disk:
    """How the disk flushes: `slow_ms` longer than it would; `and_writes` also behind O_DSYNC writes."""

    slow_ms: float = 0.0
    and_writes: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """What a process must be started with."""
        if not self.slow_ms:
            return {}
        return {
            "LD_PRELOAD": str(building.library("slow_flush")),
            "SLOW_FLUSH_MS": str(self.slow_ms),
            "SLOW_FLUSH_WRITES": str(int(self.and_writes)),
        }

    def told(self, flush_ms: float) -> str:
        """In words, with what a flush takes here."""
        here = f"a flush takes {flush_ms:.2f} ms here"
        if not self.slow_ms:
            return here
        slowed = "fsync, fdatasync, msync and each O_DSYNC write" if self.and_writes else "fsync, fdatasync and msync"
        return f"{here}, and {slowed} {self.slow_ms:g} ms longer"


class Ground(Rig):
    """A rig whose rack is not its own, and whose server's disk is `disk`."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        super().__init__(folder)
        self.disk = disk

    @property
    def _environment(self) -> dict[str, str]:
        return {**super()._environment, **self.disk.environment}

    @property
    def pid(self) -> int:
        """The server's."""
        return self._processes["server"].pid

    def cpu_s(self) -> float:
        """CPU that the server's threads have used since it began, with the kernel's share."""
        return sum(thread_cpu_s(self.pid).values())

    def draft(self, name: str, text: str, **fields: Any) -> str:
        """A campaign without recipients, and its id."""
        body = {"name": name, "text": text, "purpose": "transactional", "delivery_report": "none", **fields}
        return str(self.call("POST", "/v1/campaigns", body)["id"])

    def launch(self, campaign_id: str) -> None:
        self.call("POST", f"/v1/campaigns/{campaign_id}/launch")

    def curl(self, campaign_id: str, path: Path, content_type: str) -> "Uploaded":
        """Upload with curl, from the file.  Raises RuntimeError where it is refused, or there is no curl."""
        command = self.curl_command(campaign_id, path, content_type)
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"curl ended with {done.returncode}: {done.stderr} {done.stdout}")
        answer, _, times = done.stdout.rpartition("\n")
        began_s, ended_s = (float(word) for word in times.split())
        return Uploaded(dict(json.loads(answer)), ended_s - began_s)

    def curl_command(self, campaign_id: str, path: Path, content_type: str) -> list[str]:
        """curl's words: it says when it sent the first octet and when it had the answer."""
        curl = shutil.which("curl")
        if curl is None:
            raise RuntimeError("there is no curl")
        headers = {"Content-Type": content_type, "Authorization": f"Bearer {TOKEN}", "Expect": ""}
        named = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}".rstrip())]
        written = "\n%{time_pretransfer} %{time_total}"
        url = f"{self.url}/v1/campaigns/{campaign_id}/recipients"
        return [curl, "-sS", "--fail-with-body", "-X", "POST", "-T", str(path), *named, "-w", written, url]


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What an upload was answered, and how long it took from its first octet on."""

    answer: dict[str, Any]
    took_s: float


@contextmanager
def ground(folder: Path, disk: Disk) -> Iterator[Ground]:
    """A ground that is cleared away at the end, whatever happens; the folder is made."""
    folder.mkdir(exist_ok=True)
    made = Ground(folder, disk)
    try:
        yield made
    finally:
        made.close()


def thread_cpu_s(pid: int) -> dict[str, float]:
    """CPU of each living thread of a process by its name and id, user and kernel together."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            # The name may hold blanks and brackets: what follows its last one is numbers.
            before, _, after = (task / "stat").read_text().rpartition(")")
            words = after.split()
            name = before.partition("(")[2]
            found[f"{name}-{task.name}"] = (int(words[11]) + int(words[12])) * _TICK_S
    return found


@dataclass
class Memory:
    """The most anonymous memory that a process had while it was watched."""

    pid: int
    most_octets: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Sample until `stop`."""
        while not self._stop.is_set():
            self.most_octets = max(self.most_octets, rss_anon_octets(self.pid))
            time.sleep(_SAMPLED_S)

    @contextmanager
    def watched(self) -> Iterator["Memory"]:
        """Watched in a thread of this process."""
        thread = threading.Thread(target=self.watch, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()


def rss_anon_octets(pid: int) -> int:
    """RssAnon of a process; 0 where it has gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0
