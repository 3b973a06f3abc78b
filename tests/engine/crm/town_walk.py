"""What may happen to campaigns, to the rows in them and to the people they are for: one half of a walk's steps.

The other half, what becomes of parts, and what is so after every step, is in test_rows_walk.py.
"""

import re
import tempfile
from collections.abc import Callable
from math import ceil
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from engine.crm.marketing import campaigns, feeding, uploads
from engine.crm.marketing.campaigns import Campaign, Stage
from engine.crm.marketing.recipients import Row
from engine.crm.marketing.uploads import Fault, Upload
from engine.crm.people import agreement, customers, suppressions
from engine.crm.people.consent import Consent, Status
from engine.crm.people.customer import Customer
from engine.errors import Conflict
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import messages, sheets
from engine.traffic.messages import DUE, GROUPS, Message, OnUnknown, State
from engine.wiring import TABLES
from tests.engine.crm.stage import FIRST, HOUSE, NOW_MS, PEPPER, numbered
from tests.engine.crm.town import Drive, Part, Text

SIMS = (262_010_000_000_001, 262_010_000_000_002)
PEOPLE = tuple(FIRST + person for person in range(5))
TEXTS = (
    {"en": "Hi {name}"},
    {"en": "Dear {name:guest}", "zh": "{name:您}好"},
    {"zh": "您好", "en": "x" * 150 + "{code:-}"},
    {"en": "x" * 155 + "{code:y}{name:guest}"},
)
VALUES: tuple[dict[str, str], ...] = (
    {},
    {},
    {"name": "Ada"},
    {"name": ""},
    {"code": "y" * 30},
    {"name": "Bo", "code": "z" * 200},
)
NAMES = ("", "Ada", "李娜")
WINDOW_MS = 20_000
OUTCOMES = ("later", "sent", "sent", "sent", "put back", "refused", "for good", "unknown, tried", "unknown, untried")

PLACE = st.integers(0, 1_000_000)
PERSON = st.sampled_from(PEOPLE)
ROWS = st.builds(
    Row,
    PERSON.map(lambda number: f"+{number}"),
    st.sampled_from(["", "", "", "a", "b", "c"]),
    st.sampled_from(["", "", "en", "zh", "zh-Hans", "fr"]),
    st.sampled_from(VALUES),
)


def rendered(template: str, values: dict[str, str]) -> str | None:
    """The text, or None where a value is missing without other words for it."""
    missing = []

    def value(found: re.Match[str]) -> str:
        name, colon, otherwise = found[1].partition(":")
        if not values.get(name) and not colon:
            missing.append(name)
        return values.get(name) or otherwise

    text = re.sub(r"{([^}]*)}", value, template)
    return None if missing else text


def parts_of(text: str) -> int:
    alone, joined = (160, 153) if text.isascii() else (70, 67)
    return 1 if len(text) <= alone else ceil(len(text) / joined)


class Town(RuleBasedStateMachine):
    """`line` are the ids that the scheduler may pick, `flying` those with a modem: part and SIM."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.now_ms = NOW_MS
        self.drives: list[Drive] = []
        self.texts: dict[int, Text] = {}  # those that count, rows among them
        self.uploads: dict[int, Upload] = {}  # by campaign
        self.suppressed: dict[int, str] = {}
        self.consents: dict[int, bool] = {}  # to marketing
        self.customers: dict[int, Customer] = {}
        self.line: set[int] = set()
        self.dropped: list[int] = []  # of cancelled campaigns, not told to the store yet
        self.flying: dict[int, tuple[int, int]] = {}
        self.counter = dict.fromkeys(SIMS, 0)
        self.accepted: list[tuple[int, int, int, int]] = []  # SIM, reference, message, part
        self.open()

    def open(self) -> None:
        self.store = Store(Path(self.directory.name) / "data", TABLES)

    def reopen(self) -> None:
        """Close and open again, as after a kill."""
        raise NotImplementedError

    def teardown(self) -> None:
        self.store.close()
        self.directory.cleanup()

    def do(self, change: Callable[..., Any], *args: Any) -> Any:
        """A change, and what the scheduler hears of it."""
        told = []

        def noted(txn: Txn) -> Any:
            result = change(txn, *args)
            told.extend(txn.notes)
            return result

        result = self.store.write_now(noted)
        for line, key, value in told:
            if line == DUE.name and value is None:
                self.line.discard(key[2])
            elif line == DUE.name and key[2] not in self.flying:
                self.line.add(key[2])
            elif line == sheets.FEEDING:
                self.line.update(waiting.row.id for waiting in value.rows)
            elif line == GROUPS.name and value == "cancelled":
                self.drop(key[0])
        return result

    def drop(self, group: int) -> None:
        gone = [identifier for identifier in self.line if self.texts[identifier].group == group]
        self.line.difference_update(gone)
        self.dropped += gone

    def drive_of(self, text: Text) -> Drive | None:
        return next((drive for drive in self.drives if drive.id == text.group), None)

    def one_of(self, which: int, wanted: Callable[[Drive], bool]) -> Drive | None:
        """A campaign, one that is `wanted` if there is any, except now and then."""
        found = [drive for drive in self.drives if wanted(drive) or which % 10 == 0]
        return found[which // 10 % len(found)] if found else None

    # -- campaigns and their rows

    @precondition(lambda self: len(self.drives) < 2)
    @rule(
        texts=st.sampled_from(TEXTS),
        purpose=st.sampled_from(["service", "service", "marketing"]),
        basis=st.booleans(),
        policy=st.sampled_from(OnUnknown),
        percent=st.sampled_from([0, 50, 100, 100]),
        window_ms=st.sampled_from([0, 0, WINDOW_MS]),
    )
    def is_drafted(
        self, texts: dict[str, str], purpose: str, basis: bool, policy: OnUnknown, percent: int, window_ms: int
    ) -> None:
        basis = basis and purpose == "marketing"
        expires_ms = self.now_ms + window_ms if window_ms else 0
        draft = Campaign(
            0, "walk", texts, purpose, report_percent=percent, on_unknown=policy, expires_ms=expires_ms,
            consent_basis="cards" if basis else "",
        )  # fmt: skip
        made = self.do(campaigns.add, draft, self.now_ms)
        self.drives.append(Drive(made.id, texts, purpose, basis, policy, percent, expires_ms))

    @precondition(lambda self: len(self.drives) < 4)
    @rule(
        texts=st.sampled_from(TEXTS),
        purpose=st.sampled_from(["service", "service", "marketing"]),
        policy=st.sampled_from(OnUnknown),
        rows=st.lists(ROWS, min_size=3, max_size=12),
        crowd=st.sampled_from([0] * 5 + [180]),
        parts=st.sampled_from([0, 1, 3, 100]),
    )
    def is_launched_at_once(
        self, texts: dict[str, str], purpose: str, policy: OnUnknown, rows: list[Row], crowd: int, parts: int
    ) -> None:
        """All that comes before the first text, so that walks get beyond it."""
        self.is_drafted(texts, purpose, True, policy, 100, 0)
        drive, others = self.drives[-1], self.drives[:-1]
        begun = self.do(uploads.begin, drive.id, self.now_ms)
        self.uploads[drive.id], drive.staged = begun, []
        self.chunk_for(drive, rows, crowd, 1)
        self.upload_ends_for(drive)
        self.do(campaigns.launch, drive.id, self.now_ms)
        drive.stage, drive.expires_ms = Stage.RUNNING, self.now_ms + campaigns.WINDOW_MS
        if parts:
            self.rows_are_fed(parts * (1 + len(others)))

    @precondition(lambda self: self.drives)
    @rule(which=PLACE)
    def upload_begins(self, which: int) -> None:
        drive = self.one_of(which, lambda drive: drive.staged is None and drive.stage in ("draft", "running", "paused"))
        if drive is None:
            return
        refused = drive.staged is not None or drive.stage in (Stage.COMPLETED, Stage.CANCELLED)
        try:
            begun = self.do(uploads.begin, drive.id, self.now_ms)
        except Conflict:
            assert refused
            return
        assert not refused
        self.uploads[drive.id], drive.staged = begun, []

    @precondition(lambda self: self.uploads)
    @rule(which=PLACE, rows=st.lists(ROWS, min_size=1, max_size=6), crowd=st.sampled_from([0] * 9 + [180]))
    def chunk_comes(self, which: int, rows: list[Row], crowd: int) -> None:
        self.chunk_for(self.uploading(which), rows, crowd, which)

    def chunk_for(self, drive: Drive, rows: list[Row], crowd: int, which: int) -> None:
        rows = [*rows, *(Row(f"+{FIRST + 100 + which % 5000 + at}") for at in range(crowd))]
        upload = self.uploads[drive.id]
        faults = {upload.rows + len(rows) + 1: Fault("invalid", "to", "is nobody's")} if which % 3 == 0 else {}
        staged = self.staged(drive)
        wanted = [upload.rows + len(rows) + len(faults), upload.accepted, upload.duplicate, upload.suppressed]
        keys = []
        for row in rows:
            number = int(row.to[1:])
            if drive.has(number, row.client_ref):
                wanted[2] += 1
                continue
            wanted[3 if number in self.suppressed else 1] += 1
            keys.append((number, row.client_ref))
            staged.append(
                Text(
                    0, number, drive.id, drive.purpose, drive.policy, client_ref=row.client_ref, language=row.language,
                    values=row.values,
                )
            )  # fmt: skip
        places = numbered(rows, upload.rows + 1)
        upload = self.do(uploads.add_rows, upload, places, faults, PEPPER, self.now_ms)
        assert [upload.rows, upload.accepted, upload.duplicate, upload.suppressed] == wanted
        self.uploads[drive.id] = upload

    def uploading(self, which: int) -> Drive:
        found = [drive for drive in self.drives if drive.staged is not None]
        return found[which % len(found)]

    @staticmethod
    def staged(drive: Drive) -> list[Text]:
        assert drive.staged is not None
        return drive.staged

    @precondition(lambda self: self.uploads)
    @rule(which=PLACE)
    def upload_ends(self, which: int) -> None:
        self.upload_ends_for(self.uploading(which))

    def upload_ends_for(self, drive: Drive) -> None:
        done = self.do(uploads.finish, self.uploads.pop(drive.id), self.now_ms)
        staged, drive.staged = self.staged(drive), None
        assert done.done
        with self.store.read() as txn:
            numbered_rows = list(sheets.read_rows(txn, drive.id, len(drive.rows), 1_000_000))
        assert [place for place, _ in numbered_rows] == list(range(len(drive.rows), len(drive.rows) + len(staged)))
        for (_, row), text in zip(numbered_rows, staged, strict=True):
            text.id = row.id
            text.wants_report = row.id % 100 < drive.percent
            self.texts[row.id] = text
        drive.rows += staged

    @precondition(lambda self: self.uploads)
    @rule(which=PLACE, steps=st.sampled_from([1, 100]))
    def upload_breaks_off(self, which: int, steps: int) -> None:
        drive = self.uploading(which)
        while self.do(uploads.discard, drive.id):
            steps -= 1
            if not steps and which % 2:
                self.reopen()  # in the middle of it
                return
        del self.uploads[drive.id]
        drive.staged = None
        assert self.do(uploads.discard, drive.id) is False

    @precondition(lambda self: self.drives)
    @rule(which=PLACE, step=st.sampled_from(["launch", "launch", "pause", "resume", "cancel"]))
    def campaign_steps(self, which: int, step: str) -> None:
        ways = {
            "launch": (campaigns.launch, ("draft",), Stage.RUNNING),
            "pause": (campaigns.pause, ("running",), Stage.PAUSED),
            "resume": (campaigns.resume, ("paused",), Stage.RUNNING),
            "cancel": (campaigns.cancel, ("draft", "running", "paused"), Stage.CANCELLED),
        }
        change, stages, stage = ways[step]
        drive = self.one_of(which, lambda drive: drive.stage in stages and (step != "cancel" or which % 3 == 0))
        if drive is None:
            return
        allowed = drive.stage in stages
        if step == "launch":
            is_late = 0 < drive.expires_ms <= self.now_ms
            allowed = allowed and drive.staged is None and bool(drive.rows) and not is_late
        try:
            self.do(change, drive.id, self.now_ms)
        except Conflict:
            assert not allowed
            return
        assert allowed
        drive.stage = stage
        if step == "launch":
            drive.expires_ms = drive.expires_ms or self.now_ms + campaigns.WINDOW_MS

    @precondition(lambda self: any(drive.stage is Stage.RUNNING for drive in self.drives))
    @rule(parts=st.sampled_from([1, 2, 3, 7, 100, 1000]))
    def rows_are_fed(self, parts: int) -> None:
        running = [drive for drive in self.drives if drive.stage is Stage.RUNNING]
        fed = 0
        for drive in running:
            if drive.cursor == len(drive.rows):
                if drive.staged is None and drive.is_through:
                    drive.stage = Stage.COMPLETED
                continue
            room = max(1, parts // len(running))
            while drive.cursor < len(drive.rows) and room > 0:
                row = drive.rows[drive.cursor]
                room -= self.is_fed(drive, row) if row.state is State.ACCEPTED else 1
                row.is_fed = True
                drive.cursor += 1
                fed += 1
        assert self.do(feeding.feed, self.now_ms, parts, HOUSE, PEPPER) == fed

    def is_fed(self, drive: Drive, row: Text) -> int:
        """What becomes of a row whose turn has come; how many parts it has."""
        known = self.customers.get(row.number)
        values = {**({"name": known.name} if known and known.name else {}), **row.values}
        text = rendered(drive.said_in(row.language or (known.language if known else "") or HOUSE.language), values)
        row.expires_ms = drive.expires_ms
        if drive.basis and row.number not in self.consents:
            self.consents[row.number] = True
        refusal = self.refusal(row)
        if drive.expires_ms <= self.now_ms:
            row.end(State.EXPIRED, "deadline_passed")
        elif text is None:
            row.end(State.FAILED, "missing_value_name")
        elif refusal:
            row.end(State.SUPPRESSED, refusal)
        else:
            row.text = text
            row.parts = [Part() for _ in range(parts_of(text))]
            row.end(State.QUEUED, "")
            return len(row.parts)
        return 1

    def refusal(self, text: Text) -> str:
        """Why the person must not get it, or nothing."""
        if text.number in self.suppressed:
            return self.suppressed[text.number]
        return "no_consent" if text.purpose == "marketing" and not self.consents.get(text.number) else ""

    @precondition(lambda self: len(self.texts) % 3 == 0)
    @rule(number=PERSON)
    def single_text_comes(self, number: int) -> None:
        """Of no campaign, to one of the same people."""
        message = self.do(messages.enqueue, Message(0, number, "hello"), self.now_ms)
        self.texts[message.id] = Text(
            message.id, number, 0, expires_ms=message.expires_ms, text="hello", is_fed=True, state=State.QUEUED,
            parts=[Part()],
        )  # fmt: skip

    # -- people

    @rule(number=PERSON, name=st.sampled_from(NAMES), language=st.sampled_from(["", "en", "zh"]))
    def customer_is_named(self, number: int, name: str, language: str) -> None:
        known = self.customers.get(number)
        if known is None:
            customer = Customer(0, number, name, language=language)
            self.customers[number] = self.do(customers.add, customer, self.now_ms)
        else:
            changes = {"name": name, "language": language}
            self.customers[number] = self.do(customers.change, known.id, changes, None, self.now_ms)

    @rule(number=PERSON, word=st.sampled_from(["stop", "no marketing", "yes", "start"]))
    def person_speaks(self, number: int, word: str) -> None:
        if word == "stop":
            self.do(suppressions.add, PEPPER, number, "stop_all", self.now_ms)
            self.suppressed.setdefault(number, "stop_all")
            self.is_withdrawn(number, lambda _: True, "stop_all")
        elif word == "no marketing":
            self.do(agreement.withdraw, number, "marketing", "sms_keyword", "", self.now_ms)
            self.consents[number] = False
            self.is_withdrawn(number, lambda text: text.purpose == "marketing", "no_consent")
        elif word == "yes":
            granted = Consent(Status.GRANTED, "sms_keyword", "", self.now_ms)
            self.do(agreement.add, number, "marketing", granted)
            self.consents[number] = True
        else:
            assert self.do(suppressions.lift, PEPPER, number) == (number in self.suppressed)
            self.suppressed.pop(number, None)

    def is_withdrawn(self, number: int, wanted: Callable[[Text | Message], bool], reason: str) -> None:
        gone = [
            text
            for text in self.texts.values()
            if text.number == number and text.is_fed and text.is_whole and wanted(text)
        ]
        assert self.do(messages.withdraw, number, wanted, reason, self.now_ms) == len(gone)
        for text in gone:
            text.end(State.SUPPRESSED, reason)

    @precondition(lambda self: self.texts)
    @rule(which=PLACE)
    def text_is_cancelled(self, which: int) -> None:
        waiting = [text for text in self.texts.values() if text.is_whole or which % 7 == 0]
        if not waiting:
            return
        text = waiting[which // 7 % len(waiting)]
        drive = self.drive_of(text)
        state = drive.shown(text)[0] if drive else text.state
        try:
            shown = self.do(messages.cancel, text.id, self.now_ms)
        except Conflict:
            assert not text.is_whole
            assert state is not State.CANCELLED
            return
        assert shown.state is State.CANCELLED
        if state is not State.CANCELLED:
            text.end(State.CANCELLED, "by_request")

    @precondition(lambda self: self.dropped)
    @rule(which=PLACE)
    def dropped_are_cancelled(self, which: int) -> None:
        """What the scheduler tells of a cancelled campaign's messages, behind the cancellation."""
        told, self.dropped = self.dropped[: 1 + which % 50], self.dropped[1 + which % 50 :]
        gone = [self.texts[identifier] for identifier in told if self.texts[identifier].waits]
        assert self.do(messages.cancel_all, told, "campaign_cancelled", self.now_ms) == len(gone)
        for text in gone:
            text.stop(State.CANCELLED, "campaign_cancelled")
