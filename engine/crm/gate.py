"""The gate: may this message go now?

One function, asked when a row is fed and again inside the transaction that claims its parts, so that a STOP, a pause
or a cancellation is exact: what was not on a line when it committed never will be.
"""

from engine.crm.marketing.campaigns import CAMPAIGNS, Stage
from engine.crm.people.permission import may_text
from engine.store.table import Txn
from engine.traffic.messages import SEND, Gate, Message, State, Verdict

_STAGES: dict[Stage, Verdict] = {
    Stage.PAUSED: Verdict(State.QUEUED, "campaign_paused"),
    Stage.CANCELLED: Verdict(State.CANCELLED, "campaign_cancelled"),
}


def gate_with(pepper: bytes) -> Gate:
    """The gate of a house whose suppressions are keyed with `pepper`."""

    def gate(txn: Txn, messages: list[Message], _now_ms: int) -> list[Verdict]:
        stages: dict[int, Verdict] = {}
        verdicts = []
        for message in messages:
            verdict = SEND
            if message.group:
                if message.group not in stages:
                    stages[message.group] = _STAGES.get(CAMPAIGNS.get(txn, message.group).stage, SEND)
                verdict = stages[message.group]
            verdicts.append(may_text(txn, message, pepper) if verdict.sends else verdict)
        return verdicts

    return gate
