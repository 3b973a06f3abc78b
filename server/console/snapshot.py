"""A snapshot: what there is to see at one moment, in no language yet.

Every reading is bounded: the newest campaigns, the newest events, the newest counters.  Two snapshots of an idle
engine are equal, so that nothing is drawn or sent for nothing.  A subscriber's number never gets in here.
"""

import os
from dataclasses import dataclass
from itertools import islice
from typing import Final
from zlib import crc32

from engine import sms
from engine.crm.marketing import campaigns
from engine.crm.marketing.campaigns import Campaign, Stage
from engine.errors import CodecError, Invalid
from engine.rack import ModemView
from engine.store import ids
from engine.store.table import Txn
from engine.traffic import events, inbox, messages
from engine.traffic.events import Event
from engine.traffic.messages import State
from engine.wiring import Engine
from server.console import drawing
from server.console.tempo import Tempo

CAMPAIGNS_SHOWN: Final = 5
LINES_SHOWN: Final = 12
EVENTS_READ: Final = 120  # like ones of one second become one line
MODEMS_SHOWN: Final = 96
TALLIES_READ: Final = 1200
MINUTE_MS: Final = 60_000
SPOKEN_EVERY_S: Final = 30.0  # a voice that reads the totals out must come to an end

# The counters of a campaign as its bar shows them, in this order: it fills from the left.
TALLIES: Final[tuple[tuple[str, tuple[State, ...]], ...]] = (
    ("delivered", (State.DELIVERED,)),
    ("sent", (State.SENT,)),
    ("sending", (State.SENDING,)),
    ("unknown", (State.UNKNOWN,)),
    ("undelivered", (State.UNDELIVERED,)),
    ("failed", (State.FAILED,)),
    ("suppressed", (State.SUPPRESSED,)),
    ("cancelled", (State.CANCELLED,)),
    ("expired", (State.EXPIRED,)),
    ("waiting", (State.ACCEPTED, State.QUEUED, State.HELD)),
)
_HEARD: Final = ("searching", "ready", "sending")
_OPEN: Final = ("sending", "waiting")
_MOVABLE: Final = (Stage.DRAFT, Stage.SCHEDULED, Stage.RUNNING, Stage.PAUSED)


@dataclass(frozen=True, slots=True)
class Tile:
    """A modem: `port` is its device's last name, `sim_end` the last four digits of the IMSI."""

    key: str
    port: str
    path: str
    state: str
    detail: str
    operator: str
    sim_end: str
    signal_dbm: int | None
    bars: int
    sent: int
    refused: int
    received: int
    is_busy: bool


@dataclass(frozen=True, slots=True)
class Card:
    """A campaign: `finish_ms` is an estimate to the minute, 0 where there is none.

    `halted_by` is `approval` or `cap`, where a person must do something before it goes on.
    """

    key: str
    name: str
    purpose: str
    stage: str
    rows: int
    tallies: tuple[tuple[str, int], ...]
    percent: int
    finish_ms: int
    is_uploading: bool
    lacks_modem: bool
    can_pause: bool
    can_resume: bool
    can_cancel: bool
    halted_by: str


@dataclass(frozen=True, slots=True)
class Line:
    """Something that happened, `count` times in one second."""

    key: str
    kind: str
    at_ms: int
    about: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Totals:
    """`unknown_is_least` says that there may be more than the newest groups told; `spoken` is what is read out."""

    ready: int
    modems: int
    waiting: int
    per_minute: int | None
    trace: tuple[int, ...]
    received: int
    unknown: int
    unknown_is_least: bool
    spoken: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of it; `hidden` is how many modems the rack has beyond those shown, `at_ms` when it was, to the minute."""

    at_ms: int
    totals: Totals
    rack: tuple[Tile, ...]
    hidden: int
    campaigns: tuple[Card, ...]
    log: tuple[Line, ...]


class Observer:
    """Takes snapshots of one engine; remembers what the last one saw of every modem, to tell who is busy."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tempo = Tempo()
        self._sent: dict[str, int] = {}
        self._spoken = (0, 0, 0, 0)
        self._spoken_s = -SPOKEN_EVERY_S

    def look(self, at_s: float) -> Snapshot:
        """What there is to see at `at_s` of the monotonic clock.  Raises StoreError."""
        views = self._engine.rack()
        at_ms = self._engine.now_ms() // MINUTE_MS * MINUTE_MS
        self._tempo.note(at_s, sum(view.sent for view in views))
        rack = tuple(self._tile(view) for view in views[:MODEMS_SHOWN])
        self._sent = {view.port: view.sent for view in views}
        ready = sum(view.state in ("ready", "sending") for view in views)
        with self._engine.store.read() as txn:
            cards = tuple(self._card(txn, campaign) for campaign in campaigns.listed(txn, 0, CAMPAIGNS_SHOWN))
            unknown, is_least = _unknown(txn)
            waiting, received = self._engine.scheduler.waiting_parts, inbox.RECEIVED.count(txn)
            if at_s - self._spoken_s >= SPOKEN_EVERY_S:
                self._spoken, self._spoken_s = (ready, len(views), waiting, received), at_s
            totals = Totals(
                ready, len(views), waiting, self._tempo.per_minute, self._tempo.trace, received, unknown, is_least,
                self._spoken,
            )  # fmt: skip
            return Snapshot(at_ms, totals, rack, max(0, len(views) - MODEMS_SHOWN), cards, _log(txn))

    def _tile(self, view: ModemView) -> Tile:
        # What a modem last said of its signal is nothing to go by once it says nothing more.
        signal_dbm = view.signal_dbm if view.state in _HEARD else None
        return Tile(
            key=f"modem-{view.port.encode().hex()}",
            port=os.path.basename(view.port) or view.port,
            path=view.port,
            state=view.state,
            detail=view.detail,
            operator=view.operator,
            sim_end=view.imsi[-4:],
            signal_dbm=signal_dbm,
            bars=drawing.bars(signal_dbm),
            sent=view.sent,
            refused=view.refused,
            received=view.received,
            is_busy=view.state == "sending" or view.sent > self._sent.get(view.port, view.sent),
        )

    def _card(self, txn: Txn, campaign: Campaign) -> Card:
        counts = campaigns.counts(txn, campaign)
        tallies = tuple((name, sum(counts.get(state.slug, 0) for state in states)) for name, states in TALLIES)
        still_open = sum(count for name, count in tallies if name in _OPEN)
        finish_ms, lacks_modem = 0, False
        if campaign.stage is Stage.RUNNING and still_open:
            left_s = self._engine.estimate_s(campaigns.unfed(txn, campaign) * _parts_each(campaign))
            lacks_modem = left_s is None
            if left_s is not None:
                finish_ms = -(-int(self._engine.now_ms() + left_s * 1000) // MINUTE_MS) * MINUTE_MS
        return Card(
            key=campaigns.name_of(campaign.id),
            name=campaign.name,
            purpose=campaign.purpose,
            stage=campaign.stage.value,
            rows=campaign.rows,
            tallies=tallies,
            percent=100 * (campaign.rows - still_open) // campaign.rows if campaign.rows else 0,
            finish_ms=finish_ms,
            is_uploading=campaign.uploading,
            lacks_modem=lacks_modem,
            can_pause=campaign.stage is Stage.RUNNING,
            can_resume=campaign.stage is Stage.PAUSED,
            can_cancel=campaign.stage in _MOVABLE,
            halted_by=self._halted_by(campaign),
        )

    def _halted_by(self, campaign: Campaign) -> str:
        if campaign.stage not in _MOVABLE:
            return ""
        if campaigns.cleared(campaign, self._engine.settings.house.approval_over) < campaign.rows:
            return "approval"
        return "cap" if campaign.capped else ""


def _parts_each(campaign: Campaign) -> int:
    """About how many parts one recipient's text takes: merge values are not in it yet."""
    try:
        return max(sms.measure(text).parts for text in campaigns.texts_of(campaign))
    except (CodecError, ValueError):
        return 1


def _unknown(txn: Txn) -> tuple[int, bool]:
    """Messages in doubt, and whether there may be more: groups are read newest first, single messages always."""
    unknown, read = messages.TALLY.find(txn, (0, State.UNKNOWN)) or 0, 0
    for (group, state), units in islice(messages.TALLY.scan(txn, reverse=True), TALLIES_READ):
        read += 1
        if group and state == State.UNKNOWN:
            unknown += units
    return unknown, read == TALLIES_READ


def _log(txn: Txn) -> tuple[Line, ...]:
    newest = events.newest(txn)
    lines: dict[tuple[str, int, str, str], int] = {}
    for _, event in reversed(list(events.after(txn, max(0, newest - EVENTS_READ), EVENTS_READ))):
        reason = str(event.detail.get("reason") or event.detail.get("why") or "")
        key = (event.kind, event.at_ms // 1000, _about(event), reason)
        if key not in lines and len(lines) == LINES_SHOWN:
            break
        lines[key] = lines.get(key, 0) + 1
    return tuple(
        Line(_line_key(*key), key[0], key[1] * 1000, _named(txn, key[2]), key[3], count) for key, count in lines.items()
    )


def _line_key(kind: str, at_s: int, about: str, reason: str) -> str:
    return f"line-{at_s}-{crc32(f'{kind} {about} {reason}'.encode()):08x}"


def _about(event: Event) -> str:
    """What a line names: the campaign, or the modem; nothing of a single message."""
    if event.kind.startswith("campaign."):
        return event.subject
    if event.kind.startswith("modem."):
        return os.path.basename(event.subject)
    return str(event.detail.get("campaign_id", ""))


def _named(txn: Txn, about: str) -> str:
    if not about.startswith("cmp_"):
        return about
    try:
        campaign = campaigns.CAMPAIGNS.find(txn, ids.parse("cmp", about))
    except Invalid:
        return about
    return campaign.name if campaign else about
