"""engine/crm/marketing/campaigns.py: a campaign's life, and counters that sum to its rows at every moment."""

from collections.abc import Callable

import pytest

from engine.config import House
from engine.crm.marketing import campaigns, schedule, uploads
from engine.crm.marketing.campaigns import CAMPAIGNS, Campaign, Stage
from engine.crm.marketing.recipients import Row
from engine.crm.people import agreement, consent, customers, suppressions
from engine.crm.people.consent import Consent, Status
from engine.crm.people.customer import Customer
from engine.errors import Conflict, Invalid, NotFound
from engine.store.environment import Store
from engine.traffic import events, intents, messages
from engine.traffic.messages import GROUPS, SEND, Lane, OnUnknown, Pick, State
from engine.traffic.retry import Again
from engine.traffic.sheets import FED
from tests.engine.crm.stage import (
    FIRST,
    NOW_MS,
    PEPPER,
    campaign_of,
    counts,
    differences,
    draft,
    fed,
    feed,
    launch,
    row,
    running,
    upload,
)


def rows(count: int) -> list[Row]:
    return [row(FIRST + number) for number in range(count)]


def send_one(store: Store, identifier: int) -> None:
    store.write_now(intents.claim, [Pick(identifier, 1)], NOW_MS, lambda _txn, asked, _now: [SEND] * len(asked))
    store.write_now(intents.mark_sent, identifier, 0, 1, NOW_MS)


# -- drafts


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        pytest.param({"name": " "}, "name", id="no name"),
        pytest.param({"texts": {}}, "text", id="no text"),
        pytest.param({"texts": {"en": ""}}, "text.en", id="an empty text"),
        pytest.param({"texts": {"en": "x" * 10_001}}, "text.en", id="too long a text"),
        pytest.param({"texts": {"en": "ok", "zh": "{"}}, "text.zh", id="a brace"),
        pytest.param({"purpose": "legal"}, "purpose", id="legal is ours alone"),
        pytest.param({"purpose": "fun"}, "purpose", id="no such purpose"),
        pytest.param({"weight": 0}, "weight", id="no weight"),
        pytest.param({"weight": 101}, "weight", id="too heavy"),
        pytest.param({"expires_ms": NOW_MS}, "expires_at", id="over already"),
        pytest.param(
            {"purpose": "service", "consent_basis": "the order form"},
            "consent_basis",
            id="a basis for what needs none",
        ),
    ],
)
def test_a_wrong_draft_is_refused_by_the_name_of_its_field(store: Store, fields: dict[str, object], name: str) -> None:
    with pytest.raises(Invalid) as refused:
        draft(store, **{"purpose": "marketing", **fields})  # type: ignore[arg-type]
    assert refused.value.params[0].name == name
    with store.read() as txn:
        assert CAMPAIGNS.count(txn) == 0


# -- every step from every stage


STEPS: dict[str, Callable[..., Campaign]] = {
    "launch": campaigns.launch,
    "pause": campaigns.pause,
    "resume": campaigns.resume,
    "cancel": campaigns.cancel,
    "schedule": lambda txn, identifier, now_ms: schedule.put_down(txn, identifier, now_ms + 1, now_ms, House()),
    "unschedule": schedule.take_up,
}
ALLOWED = {
    (Stage.DRAFT, "launch"): Stage.RUNNING,
    (Stage.RUNNING, "pause"): Stage.PAUSED,
    (Stage.PAUSED, "resume"): Stage.RUNNING,
    (Stage.DRAFT, "cancel"): Stage.CANCELLED,
    (Stage.RUNNING, "cancel"): Stage.CANCELLED,
    (Stage.PAUSED, "cancel"): Stage.CANCELLED,
    (Stage.DRAFT, "schedule"): Stage.SCHEDULED,
    (Stage.SCHEDULED, "unschedule"): Stage.DRAFT,
    (Stage.SCHEDULED, "cancel"): Stage.CANCELLED,
}
WAY_TO = {
    Stage.DRAFT: (),
    Stage.SCHEDULED: ("schedule",),
    Stage.RUNNING: ("launch",),
    Stage.PAUSED: ("launch", "pause"),
    Stage.CANCELLED: ("cancel",),
    Stage.COMPLETED: ("launch", "feed", "feed"),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("stage", Stage)
def test_every_step_from_every_stage_is_taken_or_refused(store: Store, stage: Stage, step: str) -> None:
    campaign = draft(store, objective="to fill the house").id
    # Nobody who may be texted: it completes as soon as it is fed.
    store.write_now(suppressions.add, PEPPER, FIRST, "stop_all", NOW_MS)
    upload(store, campaign, [row()])
    for way in WAY_TO[stage]:
        if way == "feed":
            feed(store)
        else:
            store.write_now(STEPS[way], campaign, NOW_MS)
    before = campaign_of(store, campaign)
    assert before.stage is stage
    wanted = ALLOWED.get((stage, step))
    if wanted is None:
        with pytest.raises(Conflict):
            store.write_now(STEPS[step], campaign, NOW_MS)
        assert campaign_of(store, campaign) == before
    else:
        after = store.write_now(STEPS[step], campaign, NOW_MS)
        assert after.stage is campaign_of(store, campaign).stage is wanted
        assert after.version == before.version + 1
    assert differences(store) == []


@pytest.mark.parametrize("step", STEPS)
def test_no_step_is_taken_with_what_does_not_exist(store: Store, step: str) -> None:
    with pytest.raises(NotFound):
        store.write_now(STEPS[step], 4711, NOW_MS)


def test_what_is_being_uploaded_cannot_be_launched(store: Store) -> None:
    campaign = draft(store).id
    store.write_now(uploads.begin, campaign, NOW_MS)
    with pytest.raises(Conflict):
        launch(store, campaign)


def test_a_campaign_whose_window_is_over_cannot_be_launched(store: Store) -> None:
    campaign = draft(store, expires_ms=NOW_MS + 1000).id
    with pytest.raises(Conflict):
        launch(store, campaign, NOW_MS + 1000)


def test_the_life_of_a_campaign_is_told(store: Store) -> None:
    campaign = running(store, rows(1))
    for step in ("pause", "resume"):
        store.write_now(STEPS[step], campaign, NOW_MS)
    feed(store)
    send_one(store, fed(store)[0].id)
    feed(store)
    with store.read() as txn:
        kinds = [event.kind for _, event in events.after(txn, 0, 100) if event.kind.startswith("campaign")]
        assert GROUPS.find(txn, campaign) is None
    assert kinds == [f"campaign.{word}" for word in ("launched", "paused", "resumed", "completed")]
    assert campaign_of(store, campaign).ended_ms == NOW_MS


# -- feeding


def test_the_counts_sum_to_the_rows_at_every_moment(store: Store) -> None:
    campaign = running(store, rows(25))
    assert counts(store, campaign) == {"accepted": 25}
    while feed(store, 4):
        counts(store, campaign)
        assert differences(store) == []
    assert counts(store, campaign) == {"queued": 25}
    for message in fed(store):
        send_one(store, message.id)
        counts(store, campaign)
    feed(store)
    assert counts(store, campaign) == {"sent": 25}
    assert campaign_of(store, campaign).stage is Stage.COMPLETED
    assert differences(store) == []


def test_what_is_not_fed_when_a_campaign_is_cancelled_counts_as_cancelled(store: Store) -> None:
    campaign = running(store, rows(10))
    feed(store, 4)
    store.write_now(campaigns.cancel, campaign, NOW_MS)
    assert feed(store) == 0
    assert counts(store, campaign) == {"queued": 4, "cancelled": 6}
    waiting = [message.id for message in fed(store)]
    store.write_now(messages.cancel_all, waiting, "campaign_cancelled", NOW_MS)
    assert counts(store, campaign) == {"cancelled": 10}
    assert differences(store) == []


def test_a_paused_campaign_is_not_fed(store: Store) -> None:
    campaign = running(store, rows(10))
    store.write_now(campaigns.pause, campaign, NOW_MS)
    assert feed(store) == 0
    store.write_now(campaigns.resume, campaign, NOW_MS)
    assert feed(store) == 10


def test_feeding_is_shared_among_the_campaigns_that_run(store: Store) -> None:
    one, other = running(store, rows(50)), running(store, rows(50))
    assert feed(store, 20) == 20
    with store.read() as txn:
        assert FED.get(txn, one).cursor == FED.get(txn, other).cursor == 10


def test_a_feeding_is_counted_in_parts(store: Store) -> None:
    running(store, rows(50), text="a" * 400)
    assert feed(store, 30) == 10


def test_a_row_becomes_a_message_with_what_the_campaign_says(store: Store) -> None:
    campaign = running(
        store,
        [row(client_ref="r1", values={"name": "Li"})],
        text="Hi {name}",
        report_percent=100,
        on_unknown=OnUnknown.AWAIT_REPORT,
        weight=7,
        expires_ms=NOW_MS + 5000,
    )
    feed(store)
    (message,) = fed(store)
    assert (message.text, message.client_ref, message.group, message.lane) == (
        "Hi Li",
        "r1",
        campaign,
        Lane.BULK,
    )
    assert (message.wants_report, message.on_unknown, message.weight) == (True, OnUnknown.AWAIT_REPORT, 7)
    assert (message.expires_ms, message.source) == (NOW_MS + 5000, "campaign")


@pytest.mark.parametrize(
    ("of_row", "of_customer", "text"),
    [
        pytest.param("zh", "en", "zh", id="the row's own"),
        pytest.param("", "zh", "zh", id="the customer's"),
        pytest.param("", "", "en", id="the house's"),
        pytest.param("zh-Hant-TW", "", "zh", id="the nearest wider one"),
        pytest.param("fr", "", "en", id="the first where none fits"),
    ],
)
def test_a_row_is_texted_in_its_language(store: Store, of_row: str, of_customer: str, text: str) -> None:
    if of_customer:
        store.write_now(customers.add, Customer(0, FIRST, language=of_customer), NOW_MS)
    running(store, [row(language=of_row)], texts={"en": "en", "zh": "zh"})
    feed(store)
    assert fed(store)[0].text == text


def test_a_customers_name_fills_its_field_unless_the_row_has_one(store: Store) -> None:
    for number, name in ((FIRST, "Ann"), (FIRST + 1, "Ben"), (FIRST + 2, "")):
        store.write_now(customers.add, Customer(0, number, name=name), NOW_MS)
    running(store, [row(FIRST), row(FIRST + 1, values={"name": "B."}), row(FIRST + 2)], text="{name:you}")
    feed(store)
    assert [message.text for message in fed(store)] == ["Ann", "B.", "you"]


def test_a_row_without_a_value_fails_alone_and_names_it(store: Store) -> None:
    campaign = running(store, [row(FIRST), row(FIRST + 1, values={"code": "7"})], text="Your code: {code}")
    feed(store)
    assert counts(store, campaign) == {"failed": 1, "queued": 1}
    assert fed(store)[0].reason == "missing_value_code"
    assert differences(store) == []


def test_a_row_that_is_too_long_fails_alone(store: Store) -> None:
    values = {"a": "字" * 1000}
    campaign = running(store, [row(FIRST, values=values), row(FIRST + 1, values={"a": "b"})], text="{a}" * 30)
    feed(store)
    assert counts(store, campaign) == {"failed": 1, "queued": 1}
    assert fed(store)[0].reason.startswith("unencodable")
    assert differences(store) == []


@pytest.mark.parametrize("way", ["suppressed", "no consent", "over"])
def test_a_row_that_is_turned_away_may_be_too_long_as_well(store: Store, way: str) -> None:
    if way == "suppressed":
        store.write_now(suppressions.add, PEPPER, FIRST, "complaint", NOW_MS)
    purpose = "marketing" if way == "no consent" else "service"
    campaign = running(
        store, [row(values={"a": "字" * 1000})], text="{a}" * 30, purpose=purpose, expires_ms=NOW_MS + 1000
    )
    assert feed(store, now_ms=NOW_MS + (1000 if way == "over" else 0)) == 1
    assert sum(counts(store, campaign).values()) == 1
    assert differences(store) == []


@pytest.mark.parametrize("purpose", ["service", "transactional"])
def test_a_basis_of_consent_where_none_is_needed_does_no_harm(store: Store, purpose: str) -> None:
    campaign = draft(store, purpose=purpose).id
    store.write_now(lambda txn: campaigns.store(txn, CAMPAIGNS.get(txn, campaign), consent_basis="the order form"))
    upload(store, campaign, rows(1))
    launch(store, campaign)
    assert feed(store) == 1
    assert counts(store, campaign) == {"queued": 1}


def test_rows_after_the_window_expire_without_being_sent(store: Store) -> None:
    campaign = running(store, rows(3), expires_ms=NOW_MS + 1000)
    feed(store, now_ms=NOW_MS + 1000)
    assert counts(store, campaign) == {"expired": 3}
    feed(store, now_ms=NOW_MS + 1000)
    assert campaign_of(store, campaign).stage is Stage.COMPLETED
    assert differences(store) == []


# -- consent


def test_marketing_goes_only_to_those_who_agreed(store: Store) -> None:
    said = [Status.GRANTED, Status.PENDING, Status.WITHDRAWN, Status.EXPIRED]
    for number, status in enumerate(said):
        store.write_now(agreement.add, FIRST + number, "marketing", Consent(status, "web", "", NOW_MS))
    campaign = running(store, rows(5), purpose="marketing")
    feed(store)
    assert counts(store, campaign) == {"queued": 1, "suppressed": 4}
    assert {message.reason for message in fed(store)[1:]} == {"no_consent"}
    assert differences(store) == []


def test_a_basis_is_kept_as_evidence_of_those_who_said_nothing_and_moves_nobody_who_did(store: Store) -> None:
    store.write_now(agreement.add, FIRST, "marketing", Consent(Status.WITHDRAWN, "sms_keyword", "m", NOW_MS))
    campaign = running(store, rows(2), purpose="marketing", consent_basis="the fair of 2023")
    feed(store)
    assert counts(store, campaign) == {"suppressed": 1, "queued": 1}
    with store.read() as txn:
        row_ = consent.newest(txn, FIRST + 1, "marketing")
    assert row_ == Consent(Status.GRANTED, "import", "the fair of 2023", NOW_MS)
    assert differences(store) == []


# -- looking


def test_results_tell_of_every_row_fed_or_not(store: Store) -> None:
    campaign = running(store, rows(10))
    feed(store, 4)
    with store.read() as txn:
        record = CAMPAIGNS.get(txn, campaign)
        results = list(campaigns.results(txn, record, 2, 5))
        assert list(campaigns.results(txn, record, 10, 5)) == []
        assert list(campaigns.results(txn, record, 50, 5)) == []
    assert [result.row for result in results] == [2, 3, 4, 5, 6]
    assert [result.message.state for result in results] == [State.QUEUED] * 2 + [State.ACCEPTED] * 3


def test_results_leave_out_what_is_still_being_uploaded(store: Store) -> None:
    campaign = running(store, rows(2))
    begun = store.write_now(uploads.begin, campaign, NOW_MS)
    store.write_now(uploads.add_rows, begun, [(1, FIRST + 50, row(FIRST + 50))], {}, PEPPER, NOW_MS)
    with store.read() as txn:
        assert len(list(campaigns.results(txn, CAMPAIGNS.get(txn, campaign), 0, 50))) == 2
    assert feed(store) == 2
    assert sum(counts(store, campaign).values()) == 2


# -- what ends before its turn, or in the middle of it


def test_a_row_that_is_cancelled_before_it_was_fed_is_counted_once_and_never_fed(store: Store) -> None:
    campaign = running(store, rows(3))
    with store.read() as txn:
        second = next(campaigns.results(txn, campaign_of(store, campaign), 1, 1)).message.id
    store.write_now(messages.cancel, second, NOW_MS)
    assert counts(store, campaign) == {"accepted": 2, "cancelled": 1}
    assert differences(store) == []
    feed(store)
    assert counts(store, campaign) == {"queued": 2, "cancelled": 1}
    assert differences(store) == []
    for message in fed(store):
        if message.state is State.QUEUED:
            send_one(store, message.id)
    feed(store)
    assert campaign_of(store, campaign).stage is Stage.COMPLETED


def test_a_row_that_is_cancelled_before_the_whole_campaign_is_counted_once(store: Store) -> None:
    campaign = running(store, rows(3))
    with store.read() as txn:
        second = next(campaigns.results(txn, campaign_of(store, campaign), 1, 1)).message.id
    store.write_now(messages.cancel, second, NOW_MS)
    store.write_now(campaigns.cancel, campaign, NOW_MS)
    assert counts(store, campaign) == {"cancelled": 3}
    assert differences(store) == []


def test_what_is_left_of_a_message_ends_with_its_campaign(store: Store) -> None:
    """Its second part was refused and waits in the line, from which a cancelled campaign's messages are dropped."""
    campaign = running(store, rows(1), "x" * 200)
    feed(store)
    (message,) = fed(store)
    send_one(store, message.id)
    store.write_now(intents.claim, [Pick(message.id, 1)], NOW_MS, lambda _txn, asked, _now: [SEND] * len(asked))
    store.write_now(intents.mark_refused, message.id, 1, Again(200), 38, NOW_MS)
    store.write_now(campaigns.cancel, campaign, NOW_MS)
    assert store.write_now(messages.cancel_all, [message.id], "campaign_cancelled", NOW_MS) == 1
    assert counts(store, campaign) == {"failed": 1}
    assert differences(store) == []
