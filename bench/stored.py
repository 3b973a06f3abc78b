"""Stores for the benches of a start: one that is full and was killed with parts in the air, and one that is empty.

The full one comes about as a user's does: messages are sent one by one, others wait for tomorrow, campaigns are
uploaded and launched, and the server is killed with SIGKILL.  Making ten million takes minutes, so it can be kept.
"""

import json
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from bench.bench_dispatch import STALL_S, TEXT, write_rows
from bench.machine import commit
from bench.rack.ground import Disk, Ground, ground
from bench.rack.zero import zero
from engine.store.environment import SCHEMA_VERSION
from engine.traffic.page import boot_of_this_machine

FILE_ROWS: Final = 1_000_000
BATCH: Final = 1_000  # messages of a call
SENDING_MODEMS: Final = 64
FLYING_S: Final = 120.0
FOR_EVER_MS: Final = 3_600_000.0  # in the air: nothing ends while starts are timed

FIRST_NUMBER: Final = 8_613_000_000_000  # that of the first row of write_rows
CROWDED_NUMBER: Final = 8_613_999_999_999  # has one in ten of the single messages to itself
CROWD: Final = 10


class Filling(NamedTuple):
    """What a full store holds: of `messages`, `singles` were sent one by one and `waiting` go tomorrow.

    The others are rows of launched campaigns, `flying` of which were in the air when the server was killed.
    """

    messages: int
    singles: int
    waiting: int
    flying: int

    @property
    def rows(self) -> int:
        """Rows of campaigns."""
        return self.messages - self.singles - self.waiting

    @property
    def campaigns(self) -> int:
        """How many campaigns those are."""
        return -(-self.rows // FILE_ROWS)

    @property
    def told(self) -> str:
        """In words."""
        return (
            f"{self.messages:,} messages ({self.singles:,} sent one by one, {self.waiting:,} for tomorrow, the others "
            f"of campaigns), {self.flying:,} in flight"
        )


def prepare(folder: Path, filling: Filling) -> tuple[Path, Path]:
    """The folders of a full and of an empty store in `folder`, where they may stand already from another time.

    Raises RuntimeError where something is refused, TimeoutError where nothing goes on.
    """
    full, empty, note = folder / "full", folder / "empty", folder / "stored.json"
    # What was in the air is known by the page, which is believed until the machine is started again.
    wanted = {**filling._asdict(), "schema": SCHEMA_VERSION, "boot": boot_of_this_machine().decode()}
    found = json.loads(note.read_text("utf-8")) if note.exists() else {}
    if {name: found.get(name) for name in wanted} == wanted:
        print(f"\nthe stores of commit {found['commit']} are taken again", flush=True)
        return full, empty
    note.unlink(missing_ok=True)
    for place in (full, empty):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
    with ground(empty, Disk()) as server:
        server.start_server(ready=False)
        server.stop("server")
    began = time.monotonic()
    _fill(full, filling)
    print(f"\nthe full store was made in {time.monotonic() - began:.0f} s", flush=True)
    note.write_text(json.dumps({**wanted, "commit": commit()}), "utf-8")
    return full, empty


def _fill(folder: Path, filling: Filling) -> None:
    with ground(folder, Disk()) as server:
        server.start_server(ready=False)
        with zero(folder / "rack", SENDING_MODEMS) as rack:
            send(server, filling.singles)
            rack.await_parts(filling.singles, STALL_S)
        tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds")
        send(server, filling.waiting, not_before=tomorrow)
        for campaign in upload(server, filling.rows):
            server.launch(campaign)
        with zero(folder / "rack", filling.flying, latency_ms=FOR_EVER_MS) as rack:
            until = time.monotonic() + FLYING_S
            while rack.flying < filling.flying:
                if time.monotonic() > until:
                    raise TimeoutError(f"{rack.flying} of {filling.flying} are in flight")
                time.sleep(0.01)
            server.kill_server()


def _recipients(messages: int) -> Iterator[int]:
    for place in range(messages):
        yield FIRST_NUMBER + place if place % CROWD else CROWDED_NUMBER


def send(server: Ground, messages: int, **fields: str) -> None:
    """Send so many messages, in calls of a thousand."""
    batch = []
    for place, number in enumerate(_recipients(messages), 1):
        batch.append({"to": f"+{number}", "text": TEXT, "purpose": "transactional", **fields})
        if len(batch) == BATCH or place == messages:
            server.call("POST", "/v1/messages", {"messages": batch})
            batch = []


def upload(server: Ground, rows: int, file_rows: int = FILE_ROWS) -> list[str]:
    """Upload so many recipients in files of `file_rows`, to a campaign each; the campaigns, which are drafts."""
    path = server.folder / "rows.csv"
    made = []
    for begin in range(0, rows, file_rows):
        count = min(file_rows, rows - begin)
        write_rows(path, count, begin)
        campaign = server.draft(f"stored-{begin}", TEXT)
        taken = server.curl(campaign, path, "text/csv")
        if taken.answer["accepted"] != count:
            raise RuntimeError(f"not every row was taken: {taken.answer}")
        made.append(campaign)
    path.unlink(missing_ok=True)
    return made
