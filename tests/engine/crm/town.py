"""What the walk over campaigns takes for the truth: plain lists, and the rules as the documents have them."""

from collections import Counter
from dataclasses import dataclass, field

from engine.config import House
from engine.crm.marketing.campaigns import Stage
from engine.traffic.messages import OPEN, WAITING, OnUnknown, State

ENDED = frozenset({State.SUPPRESSED, State.CANCELLED, State.EXPIRED, State.FAILED})
LADDER = (State.FAILED, State.UNKNOWN, State.SENDING, State.SENT, State.UNDELIVERED, State.DELIVERED)


@dataclass
class Part:
    """`tried` says whether the network had it, of a part nobody can prove anything of."""

    state: State = State.QUEUED
    attempt: int = 0
    sim: int = 0
    tried: bool = False
    outcome: int = -1


@dataclass
class Text:
    """A message; a row that was not fed yet has no text."""

    id: int
    number: int
    group: int
    purpose: str = "service"
    policy: OnUnknown = OnUnknown.HOLD
    wants_report: bool = False
    expires_ms: int = 0
    client_ref: str = ""
    language: str = ""
    values: dict[str, str] = field(default_factory=dict)
    text: str = ""
    is_fed: bool = False
    state: State = State.ACCEPTED
    reason: str = ""
    parts: list[Part] = field(default_factory=list)

    @property
    def waits(self) -> bool:
        """Whether a part of it still has to be claimed."""
        return self.is_fed and self.state not in ENDED and any(part.state is State.QUEUED for part in self.parts)

    @property
    def is_whole(self) -> bool:
        """Whether nothing of it was given to a modem, and it waits."""
        return self.state in WAITING

    @property
    def pinned_to(self) -> int:
        return next((part.sim for part in self.parts if part.state not in (State.QUEUED, State.FAILED)), 0)

    def end(self, state: State, reason: str) -> None:
        self.state, self.reason = state, reason

    def change(self, index: int, state: State, reason: str = "") -> None:
        self.parts[index].state = state
        self.follow(reason)

    def follow(self, reason: str = "") -> None:
        """Show what the parts are."""
        before = self.state
        self.state = rolled_up(self.parts)
        if self.state is not before or reason:
            self.reason = reason

    def fail(self, reason: str) -> None:
        """Nothing more of it goes."""
        for part in self.parts:
            if part.state is State.QUEUED:
                part.state = State.FAILED
        self.state, self.reason = rolled_up(self.parts), reason

    def stop(self, state: State, reason: str) -> None:
        """End it, or what is left of it."""
        if self.is_whole:
            self.end(state, reason)
        else:
            self.fail(reason)

    def requeue(self, index: int, *, counted: bool) -> None:
        if any(part.state is State.FAILED for part in self.parts):
            self.change(index, State.FAILED)
            return
        part = self.parts[index]
        self.parts[index] = Part(attempt=part.attempt if counted else part.attempt - 1)
        self.state = rolled_up(self.parts)


def rolled_up(parts: list[Part]) -> State:
    if all(part.state is State.QUEUED for part in parts):
        return State.QUEUED
    present = {State.SENDING if part.state is State.QUEUED else part.state for part in parts}
    return next(state for state in LADDER if state in present)


@dataclass
class Drive:
    """A campaign.  `staged` are the rows of an upload that is under way."""

    id: int
    texts: dict[str, str]
    purpose: str
    basis: bool
    policy: OnUnknown
    percent: int
    expires_ms: int
    stage: Stage = Stage.DRAFT
    rows: list[Text] = field(default_factory=list)
    cursor: int = 0
    staged: list[Text] | None = None

    def shown(self, row: Text) -> tuple[State, str]:
        """State and reason of one of its rows."""
        if not row.is_fed and row.state is State.ACCEPTED and self.stage is Stage.CANCELLED:
            return State.CANCELLED, "campaign_cancelled"
        return row.state, row.reason

    @property
    def counts(self) -> dict[str, int]:
        return dict(Counter(self.shown(row)[0].slug for row in self.rows))

    @property
    def is_through(self) -> bool:
        return not any(row.state in OPEN for row in self.rows)

    def has(self, number: int, client_ref: str) -> bool:
        """Whether a row of the key is there, or on its way."""
        every = [*self.rows, *(self.staged or ())]
        if client_ref:
            return any(row.client_ref == client_ref for row in every)
        return any(row.number == number and not row.client_ref for row in every)

    def said_in(self, language: str) -> str:
        """The text for people who read `language`."""
        for spoken in (language, House().language):
            parts = spoken.split("-") if spoken else []
            wider = ["-".join(parts[:count]) for count in range(len(parts), 0, -1)]
            others = [tag for tag in self.texts if parts and tag.split("-")[0] == parts[0]]
            for tag in [*(tag for tag in wider if tag in self.texts), *others]:
                return self.texts[tag]
        return next(iter(self.texts.values()))
