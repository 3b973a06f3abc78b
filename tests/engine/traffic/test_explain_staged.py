"""engine/traffic/explain.py: every reason to wait, staged one by one, and what is told where several hold at once."""

import msgspec
import pytest

from engine.config import SimSettings
from engine.traffic.explain import Facts, explain
from engine.traffic.messages import Lane, Message, OnUnknown, Part, State, Verdict
from engine.traffic.quotas import Quota
from tests.engine.traffic.stage import NOW_MS, SIM, text

# NOW_MS is 2023-11-14T22:13:20Z.
LATER_MS, LATER = NOW_MS + 3_600_000, "2023-11-14T23:13:20Z"
END_MS, END = NOW_MS + 86_400_000, "2023-11-15T22:13:20Z"
NOW = "2023-11-14T22:13:20Z"
READY = Facts(NOW_MS, modems_ready=8, parts_beside=5, rate_per_s=0.5)


def waiting(**fields: object) -> Message:
    return msgspec.structs.replace(text(id=1, group=7, expires_ms=END_MS, updated_ms=NOW_MS), **fields)


def facts(**changed: object) -> Facts:
    return Facts(**{**{name: getattr(READY, name) for name in READY.__slots__}, **changed})


PAUSED = Verdict(State.QUEUED, "campaign_paused")
EVENING = Verdict(State.HELD, "quiet_hours", LATER_MS)
SPENT = Quota("hour", 30, 30, LATER_MS)

CASES = [
    pytest.param(waiting(), facts(modems_ready=0), ("No modem is ready", END), id="no modem"),
    pytest.param(
        waiting(due_ms=LATER_MS, reason="no_route", state=State.HELD),
        facts(verdict=Verdict(State.HELD, "no_route", LATER_MS)),
        ("No route takes it", "adds one that does", END),
        id="no route",
    ),
    pytest.param(
        waiting(),
        facts(routes=("China", "all else"), is_sender_here=False),
        ("No SIM of its routes (China, all else) is here", END),
        id="no SIM of its routes",
    ),
    pytest.param(
        waiting(sim=SIM),
        facts(is_sender_here=False),
        ("It is to go by SIM ···0001, which is not here", END),
        id="its SIM",
    ),
    pytest.param(waiting(), facts(quota=SPENT), ("quota", "30 parts an hour", LATER), id="quota"),
    pytest.param(
        waiting(), facts(verdict=Verdict(State.ACCEPTED, "window", LATER_MS)), ("window is closed", LATER), id="window"
    ),
    pytest.param(waiting(), facts(verdict=EVENING), ("quiet hours", LATER), id="quiet hours"),
    pytest.param(waiting(), facts(verdict=PAUSED), ("campaign is paused", "resumes it", END), id="paused"),
    pytest.param(
        waiting(), facts(verdict=Verdict(State.HELD, "cost_cap")), ("cost cap", "raises the cap", END), id="cap"
    ),
    pytest.param(
        waiting(state=State.ACCEPTED),
        facts(verdict=Verdict(State.HELD, "approval")),
        ("second person's approval", END),
        id="approval",
    ),
    pytest.param(
        waiting(due_ms=LATER_MS, parts=(Part(attempt=2),)),
        READY,
        ("Attempt 2 was refused", "tried again at", LATER),
        id="retry back-off",
    ),
    pytest.param(
        waiting(
            state=State.UNKNOWN,
            reason="no_outcome",
            on_unknown=OnUnknown.AWAIT_REPORT,
            parts=(Part(State.UNKNOWN, SIM, attempt=1),),
        ),
        READY,
        ("Nobody can prove", "no_outcome", NOW, "await_report", "resolve it"),
        id="unknown",
    ),
    pytest.param(
        waiting(lane=Lane.BULK),
        facts(parts_above=1_000, parts_beside=800),
        ("1,000 parts in higher lanes", "800 in lane bulk", LATER, "60 min"),
        id="lane behind",
    ),
]


@pytest.mark.parametrize(("message", "known", "told"), CASES)
def test_each_case_names_its_reason_and_its_time_in_one_sentence(
    message: Message, known: Facts, told: tuple[str, ...]
) -> None:
    sentence = explain(message, known)
    for words in told:
        assert words in sentence
    assert sentence.endswith(".")
    assert sentence.count(". ") == 0


def test_no_two_cases_say_the_same() -> None:
    assert len({explain(case.values[0], case.values[1]) for case in CASES}) == len(CASES) == 13  # type: ignore[arg-type]


def test_what_a_person_must_do_is_told_before_what_time_or_the_rack_will_do() -> None:
    everything = facts(verdict=PAUSED, modems_ready=0, quota=SPENT)
    held = waiting(state=State.HELD, reason="quiet_hours", due_ms=LATER_MS)
    assert "campaign is paused" in explain(held, everything)
    assert "quiet hours" in explain(held, facts(modems_ready=0, quota=SPENT))
    assert "No modem" in explain(waiting(), facts(modems_ready=0, quota=SPENT))
    assert "quota" in explain(waiting(), facts(quota=SPENT))


def test_what_is_held_says_why_though_the_gate_is_not_asked_before_its_time() -> None:
    assert explain(waiting(state=State.HELD, reason="quiet_hours", due_ms=LATER_MS), READY) == (
        f"It is quiet hours where its recipient lives: it waits until {LATER}."
    )
    assert LATER in explain(waiting(state=State.QUEUED, reason="quota", due_ms=LATER_MS), READY)
    assert explain(waiting(state=State.ACCEPTED, due_ms=LATER_MS), READY) == f"It may not go before {LATER}."


def test_what_will_end_is_not_promised_to_go() -> None:
    assert "no_consent" in explain(waiting(), facts(verdict=Verdict(State.SUPPRESSED, "no_consent")))
    assert END in explain(waiting(), facts(now_ms=END_MS, verdict=PAUSED))


def test_a_message_of_which_a_part_went_waits_for_its_own_sim() -> None:
    begun = waiting(state=State.SENDING, parts=(Part(State.SENT, SIM, 3, 1, NOW_MS), Part()))
    assert f"SIM ···{SIM % 10_000:04d}" in explain(begun, facts(is_sim_here=False))
    assert END in explain(begun, facts(is_sim_here=False))
    assert "same SIM" in explain(begun, READY)
    assert "sending it." in explain(waiting(state=State.SENDING, parts=(Part(State.SENDING, SIM),)), READY)
    refused = msgspec.structs.replace(begun, due_ms=LATER_MS, parts=(begun.parts[0], Part(attempt=1)))
    assert explain(refused, READY) == f"Attempt 1 was refused: it is tried again at {LATER}."


@pytest.mark.parametrize("name", SimSettings.__struct_fields__)
def test_every_quota_has_words(name: str) -> None:
    assert "(9 " in explain(waiting(), facts(quota=Quota(name, 9, 9, LATER_MS)))


@pytest.mark.parametrize("state", [state for state in State if state >= State.SENT])
def test_what_has_gone_or_ended_has_a_sentence(state: State) -> None:
    assert explain(waiting(state=state), READY).endswith(".")


def test_without_a_rate_no_time_is_made_up() -> None:
    assert explain(waiting(), facts(rate_per_s=0.0)) == "It is in the line: 5 in lane normal may go before it."
