"""The rig: a simulated rack and a server as two processes, and the ledger between them as the judge.

Flows and tests share it.  Everything stands in one folder; the ports are free ones of loopback.
"""

import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import IO, Any, Final, NamedTuple

from bench import baseline
from engine import proof
from engine.store.environment import Store
from engine.wiring import TABLES

ROOT: Final = Path(__file__).resolve().parent.parent
TOKEN: Final = "a-token-for-the-rig-of-no-other-use"  # noqa: S105
READY_S: Final = 30.0

_NAMES: Final = ("Ada", "Zoë", "Søren", "José", "李娜", "王伟", "Ночка", "Ὀδυσσεύς", "{brace}", "€uro")
_EMOJI: Final = ("😀", "🚚", "🎉", "👩‍👩‍👧", "🇨🇳")
_LONG_EN: Final = " Please bring your card and this message, and tell the desk your room number when you arrive."
_LONG_ZH: Final = "请携带会员卡并向前台出示本短信，办理入住时请告知您的预订编号，谢谢您的光临，祝您旅途愉快。"


class Person(NamedTuple):
    """A row, and the text it must get."""

    number: str
    client_ref: str
    language: str
    name: str
    code: str
    note: str

    @property
    def text(self) -> str:
        """What the template gives for this row."""
        if self.language == "zh":
            return f"【荷花】{self.name}您好，您的编号{self.code}。{self.note}"
        return f"Lotus: dear {self.name}, your code is {self.code}.{self.note}"


TEXTS: Final = {
    "en": "Lotus: dear {name}, your code is {code}.{note}",
    "zh": "【荷花】{name}您好，您的编号{code}。{note}",
}


def crowd(count: int, seed: int = 1) -> list[Person]:
    """People of whom a third read Chinese, some with emoji, some with texts of more than one part."""
    random = Random(seed)
    people = []
    for place in range(count):
        is_chinese = place % 3 == 2
        note = ""
        if place % 10 == 4:
            note = f" {random.choice(_EMOJI)}"
        if place % 7 == 3:
            note += (_LONG_ZH if is_chinese else _LONG_EN) * random.randint(1, 3)
        number = f"+8613{place:09d}"
        name = random.choice(_NAMES)
        code = f"{random.randrange(16**6):06X}"
        people.append(Person(number, f"row-{place}", "zh" if is_chinese else "en", name, code, note or "."))
    return people


def write_csv(path: Path, people: Iterable[Person]) -> None:
    """The rows as a CSV file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("to", "client_ref", "language", "name", "code", "note"))
        writer.writerows(people)


class Submitted(NamedTuple):
    """A line of the ledger, read by the plain decoder."""

    destination: str
    text: str
    header: tuple[int, int, int] | None
    tpdu: str


class Rig:
    """One folder with a rack and a server."""

    def __init__(self, folder: Path, modems: int = 8) -> None:
        self.folder = folder
        self.modems = modems
        self.ledger = folder / "ledger.jsonl"
        self.data = folder / "data"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    # -- processes

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "CARILLON_TOKEN": TOKEN, "PYTHONPATH": str(ROOT)}

    def _start(self, name: str, *arguments: str) -> None:
        log: IO[bytes]
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", "server", *arguments],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def start_rack(self, latency_ms: str = "0", report_delay_ms: int = 0) -> None:
        """Start the simulated modems and wait for their links."""
        self._start(
            "rack", "simulate", "--modems", str(self.modems), "--dir", "rack", "--latency-ms", latency_ms,
            "--report-delay-ms", str(report_delay_ms), "--ledger", str(self.ledger),
        )  # fmt: skip
        self._await("rack", (self.folder / "rack" / "rack.json").exists)

    def start_server(self, *more: str, ready: bool = True) -> None:
        """Start the server on the rack; wait until a modem is ready, or only until it answers."""
        self._start(
            "server", "serve", "--data", str(self.data), "--port", str(self.port),
            "--modem", "rack/modem-*", "--command-gap-ms", "0", *more,
        )  # fmt: skip
        self._await("server", lambda: self._answers("/readyz" if ready else "/healthz"))

    def start_server_with_rack(self, latency_ms: str) -> None:
        """Start one process that holds both, with the routes of the laboratory."""
        self._start(
            "server", "serve", "--data", str(self.data), "--port", str(self.port), "--simulate", str(self.modems),
            "--latency-ms", latency_ms, "--ledger", str(self.ledger), "--command-gap-ms", "0",
        )  # fmt: skip
        self._await("server", lambda: self._answers("/readyz"))

    def _answers(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError:
            return False

    def _await(self, name: str, condition: Any) -> None:
        until = time.monotonic() + READY_S
        while not condition():
            if self._processes[name].poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the {name} did not start:\n{(self.folder / f'{name}.log').read_text()}")
            time.sleep(0.02)

    def kill_server(self) -> None:
        """kill -9."""
        self._processes["server"].send_signal(signal.SIGKILL)
        self._processes["server"].wait()

    def stop(self, name: str) -> int:
        """SIGTERM, and the exit code."""
        process = self._processes.pop(name)
        process.terminate()
        return process.wait(timeout=30)

    def close(self) -> None:
        """End what still runs."""
        for process in self._processes.values():
            process.kill()
            process.wait()

    # -- calls

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        octets: bytes | None = None,
        content_type: str = "application/json",
    ) -> Any:
        """A call with a body as JSON, or with `octets` as they are; the answer's body.

        Raises RuntimeError with the problem where it is refused.
        """
        if body is not None:
            octets = json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, octets, method=method)  # noqa: S310
        request.add_header("Authorization", f"Bearer {TOKEN}")
        request.add_header("Content-Type", content_type)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{error.code} {error.read().decode()}") from error

    def upload(self, campaign_id: str, path: Path) -> Any:
        """Stream a CSV file in: with curl, as a stranger would, else from here."""
        url = f"{self.url}/v1/campaigns/{campaign_id}/recipients"
        headers = {"Content-Type": "text/csv", "Authorization": f"Bearer {TOKEN}"}
        curl = shutil.which("curl")
        if curl is not None:
            named = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
            done = subprocess.run(
                [curl, "-sS", "--fail-with-body", "-X", "POST", "-T", str(path), *named, url],
                check=True,
                capture_output=True,
            )
            return json.loads(done.stdout)
        with path.open("rb") as file:
            headers["Content-Length"] = str(path.stat().st_size)
            request = urllib.request.Request(url, file, headers, method="POST")  # noqa: S310
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return json.load(answer)

    def campaign(self, name: str, people: list[Person], **fields: Any) -> str:
        """A launched campaign for `people`; its id."""
        body = {"name": name, "text": TEXTS, "purpose": "transactional", "delivery_report": "all", **fields}
        campaign_id = str(self.call("POST", "/v1/campaigns", body)["id"])
        path = self.folder / f"{name}.csv"
        write_csv(path, people)
        taken = self.upload(campaign_id, path)
        if taken["accepted"] + taken["suppressed"] != len(people):
            raise RuntimeError(f"not every row was taken: {taken}")
        self.call("POST", f"/v1/campaigns/{campaign_id}/launch")
        return campaign_id

    def counts(self, campaign_id: str) -> Counter[str]:
        """Rows by state."""
        return Counter(self.call("GET", f"/v1/campaigns/{campaign_id}")["counts"])

    def wait_until(self, campaign_id: str, done: Any, timeout_s: float) -> Counter[str]:
        """The counters once `done(counts)` holds.  Raises TimeoutError with those it had."""
        until = time.monotonic() + timeout_s
        while True:
            counts = self.counts(campaign_id)
            if done(counts):
                return counts
            if time.monotonic() > until:
                raise TimeoutError(f"after {timeout_s} s: {dict(counts)}")
            time.sleep(0.02)

    def results(self, campaign_id: str) -> Iterator[dict[str, Any]]:
        """Every row's result."""
        cursor = "0"
        while cursor is not None:
            page = self.call("GET", f"/v1/campaigns/{campaign_id}/results?limit=1000&cursor={cursor}")
            yield from page["items"]
            cursor = page["next"]

    # -- the judge

    def ledger_octets(self) -> int:
        """How long the ledger is by now."""
        return self.ledger.stat().st_size if self.ledger.exists() else 0

    def submitted(self, begin: int = 0) -> list[Submitted]:
        """Every SMS-SUBMIT that the network took since the ledger was `begin` octets long."""
        octets = self.ledger.read_bytes() if self.ledger.exists() else b""
        found = []
        for line in octets[begin:].splitlines():
            tpdu = json.loads(line)["tpdu"]
            read = baseline.decode_submit(bytes.fromhex(tpdu))
            found.append(Submitted(read.destination, read.text, read.concatenation, tpdu))
        return found

    def check(self) -> None:
        """What `carillon check` does, without another process.  Raises AssertionError at the first difference."""
        store = Store(self.data, TABLES, read_only=True)
        try:
            with store.read() as txn:
                found = next(proof.differences(txn), None)
        finally:
            store.close()
        assert found is None, f"check: {found}"


def joined(parts: list[Submitted]) -> dict[str, str]:
    """The text that each destination's phone shows; raises ValueError where a part is missing or came twice."""
    texts: dict[str, dict[int, str]] = {}
    totals: dict[str, int] = {}
    for part in parts:
        _, total, sequence = part.header or (0, 1, 1)
        pieces = texts.setdefault(part.destination, {})
        if sequence in pieces:
            raise ValueError(f"part {sequence} went twice")
        pieces[sequence] = part.text
        totals[part.destination] = total
    for destination, pieces in texts.items():
        if len(pieces) != totals[destination]:
            raise ValueError(f"{len(pieces)} of {totals[destination]} parts")
    return {destination: "".join(pieces[place] for place in sorted(pieces)) for destination, pieces in texts.items()}


def twice(parts: list[Submitted]) -> int:
    """How many SUBMITs had the same destination and user data as another before them."""
    seen = Counter((part.destination, part.text, part.header) for part in parts)
    return sum(times - 1 for times in seen.values())


@contextmanager
def rig(folder: Path, modems: int = 8) -> Iterator[Rig]:
    """A rig that is cleared away at the end, whatever happens."""
    made = Rig(folder, modems)
    try:
        yield made
    finally:
        made.close()
