"""Why a message has not gone yet, in one sentence: the reason, the time, and what must happen first.

Pure: whoever asks brings the facts.  What a person must do comes before what time will do, and that before the rack:
of several reasons the one is told that would still hold if the others were gone.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from engine.traffic.messages import SEND, Lane, Message, State, Verdict, pinned_to
from engine.traffic.quotas import Quota


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is to know at `now_ms` beside the message itself.

    `verdict` is what the gate says now; `quota` is the one that frees first, where one binds every SIM by which it may
    go; `parts_above` and `parts_beside` wait in higher lanes and in its own, and may go now.
    """

    now_ms: int
    verdict: Verdict = SEND
    modems_ready: int = 0
    is_sim_here: bool = True  # of a message of which a part went: the SIM that the others must follow by
    routes: tuple[str, ...] = ()  # the names of those it may go by, the first one first
    is_sender_here: bool = True  # any SIM of these, or the one that its sender asked for
    quota: Quota | None = None
    parts_above: int = 0
    parts_beside: int = 0
    rate_per_s: float = 0.0


_ENDED: Final = {
    State.SENT: "The network has taken every part.",
    State.DELIVERED: "It was delivered.",
    State.UNDELIVERED: "The network gave up delivering it ({reason}).",
    State.SUPPRESSED: "It was not sent: {reason}.",
    State.CANCELLED: "It was cancelled before it could go ({reason}).",
    State.EXPIRED: "Its deadline passed before it could go.",
    State.FAILED: "It was refused for good ({reason}).",
}

# Reasons of a verdict that no time ends.
_PERSON: Final = {
    "campaign_paused": "Its campaign is paused: it goes when somebody resumes it",
    "cost_cap": "Its campaign has reached its cost cap: it goes when somebody raises the cap",
    "rate": "Its campaign has begun what it may for now: it goes when its turn comes, at the rate that was set",
    "possible_optout": "Its recipient may have refused marketing: it goes when a person decides that he has not",
    "approval": "Its campaign waits for a second person's approval: it goes when that is given",
    "no_route": "No route takes it: it goes when somebody adds one that does",
    "not_launched": "Its campaign has not been launched: it goes when somebody launches it",
}

# Reasons for which a message waits until a time.
_UNTIL: Final = {
    "quiet_hours": "It is quiet hours where its recipient lives: it waits until {at}",
    "cap": "Its recipient had as many marketing texts as he may get: it waits until {at}",
    "window": "Its window is closed where its recipient lives: it waits until {at}",
    "quota": "Every SIM that may take it has used up its quota: it waits until {at}",
}

_QUOTAS: Final = {
    "minute": ("part", "a minute"),
    "hour": ("part", "an hour"),
    "day": ("part", "a day"),
    "month": ("part", "in 30 days"),
    "day_recipients": ("recipient", "a day"),
    "month_recipients": ("recipient", "in 30 days"),
}


def explain(message: Message, facts: Facts) -> str:
    """One sentence about `message`."""
    match message.state:
        case State.ACCEPTED | State.QUEUED | State.HELD | State.SENDING:
            return _waiting(message, facts)
        case State.UNKNOWN:
            return (
                f"Nobody can prove whether it went ({message.reason}, since {_at(message.updated_ms)}): under "
                f"{message.on_unknown.name.lower()} it waits for a report or for somebody to resolve it."
            )
        case _:
            return _ENDED[message.state].format(reason=message.reason or "no reason given")


def _waiting(message: Message, facts: Facts) -> str:
    verdict = facts.verdict
    if all(part.state is not State.QUEUED for part in message.parts):
        return "A modem is sending it."
    if verdict.state in (State.SUPPRESSED, State.CANCELLED, State.EXPIRED):
        return f"It will not go, and ends when its turn comes: {verdict.reason}."
    if message.expires_ms and message.expires_ms <= facts.now_ms:
        return f"Its deadline passed at {_at(message.expires_ms)}: it ends when its turn comes."
    if not verdict.sends and verdict.reason in _PERSON:
        return f"{_PERSON[verdict.reason]}{_or_expires(message)}."
    if message.due_ms > facts.now_ms:
        return _until(message.reason, message.due_ms, message)
    if not verdict.sends and verdict.until_ms:
        return _until(verdict.reason, verdict.until_ms, message)
    if not facts.modems_ready:
        return f"No modem is ready: it goes when one is{_or_expires(message)}."
    if not facts.is_sim_here:
        sim = f"···{pinned_to(message) % 10_000:04d}"
        return f"A part of it went by SIM {sim}, which is not here: it goes when that is back{_or_expires(message)}."
    if not facts.is_sender_here:
        if message.sim:
            sim = f"SIM ···{message.sim % 10_000:04d}"
            return f"It is to go by {sim}, which is not here: it goes when that is{_or_expires(message)}."
        named = ", ".join(facts.routes)
        return f"No SIM of its routes ({named}) is here: it goes when one is{_or_expires(message)}."
    if facts.quota is not None:
        noun, window = _QUOTAS[facts.quota.name]
        limit = f"{facts.quota.limit:,} {noun}{'' if facts.quota.limit == 1 else 's'} {window}"
        at = _at(facts.quota.free_ms)
        return f"Every SIM that may take it has used up its quota ({limit}): the first has room at {at}."
    if message.state is State.SENDING:
        return "A modem is sending it, or its next part waits for the same SIM."
    return _in_line(message, facts)


def _until(reason: str, until_ms: int, message: Message) -> str:
    at = _at(until_ms)
    if reason in _UNTIL:
        return f"{_UNTIL[reason].format(at=at)}."
    attempt = max(part.attempt for part in message.parts)
    if message.state is not State.ACCEPTED and attempt:
        return f"Attempt {attempt} was refused: it is tried again at {at}."
    why = f" ({reason})" if reason else ""
    return f"It may not go before {at}{why}."


def _in_line(message: Message, facts: Facts) -> str:
    lane = message.lane.name.lower()
    above = f"{facts.parts_above:,} parts in higher lanes and " if facts.parts_above and message.lane > Lane.OTP else ""
    line = f"{above}{facts.parts_beside:,} in lane {lane}"
    if not facts.rate_per_s:
        return f"It is in the line: {line} may go before it."
    wait_s = (facts.parts_above + facts.parts_beside) / facts.rate_per_s
    at = _at(facts.now_ms + round(wait_s * 1000))
    return f"It is in the line: {line} may go before it, so by about {at} ({wait_s / 60:.0f} min) at the present rate."


def _or_expires(message: Message) -> str:
    return f", or expires at {_at(message.expires_ms)}" if message.expires_ms else ""


def _at(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
