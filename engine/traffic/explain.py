"""Why a message has not gone yet, in one sentence, and what must happen first."""

from datetime import UTC, datetime
from typing import Final

from engine.traffic.messages import WAITING, Message, Sending, State

_ENDED: Final = {
    State.SENT: "The network has taken every part.",
    State.DELIVERED: "It was delivered.",
    State.UNDELIVERED: "The network gave up delivering it ({reason}).",
    State.SUPPRESSED: "It was not sent: {reason}.",
    State.CANCELLED: "It was cancelled before it could go ({reason}).",
    State.EXPIRED: "Its deadline passed before it could go.",
    State.FAILED: "It was refused for good ({reason}).",
}


def explain(
    message: Message, sending: str | None, ready_modems: int, parts_before: int, rate_per_s: float, now_ms: int
) -> str:
    """One sentence about `message`; `parts_before` is an upper bound of what is in the line with it.

    `sending` is what GROUPS says of its campaign, if it has one.
    """
    if message.state in WAITING and sending == Sending.PAUSED:
        return "Its campaign is paused: it goes when somebody resumes it."
    match message.state:
        case State.ACCEPTED | State.HELD if message.due_ms > now_ms:
            why = f" ({message.reason})" if message.reason else ""
            return f"It waits until {_at(message.due_ms)}{why}."
        case State.ACCEPTED | State.QUEUED | State.HELD:
            if message.due_ms > now_ms:
                return f"An earlier attempt was refused; it is tried again at {_at(message.due_ms)}."
            if not ready_modems:
                return "No modem is ready: it goes when one is."
            minutes = parts_before / rate_per_s / 60 if rate_per_s else 0
            return f"It is in the line with {parts_before} parts, about {minutes:.0f} min at the present rate."
        case State.SENDING:
            return "A modem is sending it, or its next part waits for the same SIM."
        case State.UNKNOWN:
            return (
                f"Nobody can prove whether it went ({message.reason}): under {message.on_unknown.name.lower()} "
                "it waits for a report or for somebody to resolve it."
            )
        case _:
            return _ENDED[message.state].format(reason=message.reason or "no reason given")


def _at(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
