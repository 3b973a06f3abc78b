"""engine/apps: what STOP, TD, START and Y do, in two languages and however they are typed."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import proof, sms
from engine.apps.commands import wishes
from engine.apps.router import normal_form, router_of
from engine.config import House
from engine.crm.gate import gate_with
from engine.crm.people import agreement, consent, customers, suppressions
from engine.crm.people.consent import Consent, Status
from engine.crm.people.customer import Customer
from engine.store.environment import Store
from engine.traffic import inbound, inbox, intents, messages
from engine.traffic.inbox import RECEIVED, Received
from engine.traffic.messages import MESSAGES, Message, Pick, State

NOW_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
PEPPER = b"p" * 32
NUMBER = 8_613_800_138_000
HOUSE = House()
ROUTE = router_of(HOUSE, PEPPER)


def hear(store: Store, text: str, originator: str = f"+{NUMBER}", now_ms: int = NOW_MS) -> str:
    """A text comes in and is answered; who acted on it."""
    received = store.write_now(inbox.add, Received(0, originator, 1, text, now_ms), now_ms)
    store.write_now(inbound.answer, received.id, ROUTE, now_ms)
    with store.read() as txn:
        assert list(proof.differences(txn)) == []
        return RECEIVED.get(txn, received.id).routed_to


def replies(store: Store) -> list[Message]:
    with store.read() as txn:
        return [message for _, message in MESSAGES.scan(txn) if message.in_reply_to]


def is_suppressed(store: Store) -> bool:
    with store.read() as txn:
        return suppressions.find(txn, PEPPER, NUMBER) is not None


def statuses(store: Store) -> list[Status | None]:
    with store.read() as txn:
        rows = [consent.newest(txn, NUMBER, purpose) for purpose in consent.NEEDED]
    return [row and row.status for row in rows]


def grant(store: Store, purposes: Sequence[str] = consent.NEEDED) -> None:
    for purpose in purposes:
        store.write_now(agreement.add, NUMBER, purpose, Consent(Status.GRANTED, "web", "", NOW_MS))


def put(store: Store, purpose: str) -> int:
    return store.write_now(messages.enqueue, Message(0, NUMBER, "x", purpose=purpose), NOW_MS).id


def states(store: Store, ids: Sequence[int]) -> list[State]:
    with store.read() as txn:
        return [MESSAGES.get(txn, identifier).state for identifier in ids]


# -- words however typed


@pytest.mark.parametrize(
    ("typed", "routed"),
    [
        ("STOP", "command:stop"),
        ("stop", "command:stop"),
        (" Stop. ", "command:stop"),
        ("ＳＴＯＰ！", "command:stop"),
        ("stop   all", "command:stop"),
        ("“stop”", "command:stop"),
        ("Stop\r\n", "command:stop"),
        ("OPT\tOUT!!", "command:stop"),
        ("全部退订。", "command:stop"),
        ("停止", "command:stop"),
        ("td", "command:td"),
        ("ＴＤ", "command:td"),
        ("退订，", "command:td"),
        ("START", "command:start"),
        ("恢复!", "command:start"),
        ("please stop", "person:possible_optout"),
        ("Remove me!", "command:stop"),
        ("别发了", "command:stop"),
        ("T", "person"),
        ("stopp", "person"),
        ("", "person"),
        ("?", "person"),
        ("Y", "person"),
        pytest.param("【停止】", "command:stop"),
        pytest.param("ST\u200bOP", "command:stop"),
        pytest.param("stop\ufeff", "command:stop"),
        pytest.param("stop . ", "command:stop"),
        pytest.param("- stop -", "command:stop"),
    ],
)
def test_a_word_is_known_however_it_is_typed(store: Store, typed: str, routed: str) -> None:
    assert hear(store, typed) == routed


@given(st.text(max_size=40))
def test_a_normal_form_is_normal_and_raises_nothing(text: str) -> None:
    once = normal_form(text)
    assert once == once.strip()
    assert "  " not in once


@pytest.mark.parametrize("originator", ["10086", "106550001", "CARILLON", "", "+", "+12ab", "*100#"])
def test_who_has_no_number_is_ignored(store: Store, originator: str) -> None:
    assert hear(store, "STOP", originator) == "ignored"
    assert replies(store) == []


def test_a_stop_from_a_number_in_national_form_counts_where_the_country_is_set(store: Store) -> None:
    received = store.write_now(inbox.add, Received(0, "13800138000", 1, "TD", NOW_MS), NOW_MS)
    route = router_of(House(country="CN"), PEPPER)
    store.write_now(inbound.answer, received.id, route, NOW_MS)
    with store.read() as txn:
        assert RECEIVED.get(txn, received.id).routed_to == "command:td"


# -- STOP


def test_stop_ends_everything_at_once_and_confirms_once(store: Store) -> None:
    grant(store)
    ids = [put(store, purpose) for purpose in ("marketing", "service", "transactional", "legal")]
    for _ in range(3):
        assert hear(store, "STOP") == "command:stop"
    assert is_suppressed(store)
    assert statuses(store) == [Status.WITHDRAWN] * 3
    assert states(store, ids) == [State.SUPPRESSED] * 3 + [State.QUEUED]
    (confirmation,) = replies(store)
    assert (confirmation.purpose, confirmation.state) == ("legal", State.QUEUED)


def test_the_confirmation_of_a_stop_passes_the_block_and_nothing_else_does(store: Store) -> None:
    hear(store, "STOP")
    (confirmation,) = replies(store)
    later = put(store, "service")
    picks = [Pick(confirmation.id, 1), Pick(later, 2)]
    claims = store.write_now(intents.claim, picks, NOW_MS, gate_with(PEPPER))
    assert [claimed.verdict.state for claimed in claims] == [State.SENDING, State.SUPPRESSED]


def test_stop_start_stop_confirms_twice(store: Store) -> None:
    for word in ("stop", "start", "stop", "stop"):
        hear(store, word)
    texts = [reply.text for reply in replies(store)]
    assert len(texts) == 3
    assert texts[0] == texts[2]


# -- TD


def test_td_ends_marketing_and_leaves_service(store: Store) -> None:
    grant(store)
    ids = [put(store, purpose) for purpose in ("marketing", "survey", "service")]
    assert hear(store, "TD") == "command:td"
    assert statuses(store) == [Status.WITHDRAWN, Status.GRANTED, Status.GRANTED]
    assert states(store, ids) == [State.SUPPRESSED, State.QUEUED, State.QUEUED]
    assert not is_suppressed(store)


# -- START and Y


def test_start_lifts_the_stop_and_grants_nothing_by_itself(store: Store) -> None:
    hear(store, "STOP")
    assert hear(store, "START") == "command:start"
    assert not is_suppressed(store)
    assert statuses(store) == [Status.PENDING, Status.WITHDRAWN, Status.WITHDRAWN]
    with store.read() as txn:
        assert not consent.is_granted(txn, NUMBER, "marketing")


@pytest.mark.parametrize("yes", ["Y", "yes!", "是", "好的。", "Ｙ"])
def test_yes_within_a_day_of_the_question_grants_marketing(store: Store, yes: str) -> None:
    hear(store, "START")
    assert hear(store, yes, now_ms=NOW_MS + 24 * HOUR_MS) == "command:yes"
    assert statuses(store) == [Status.GRANTED, None, None]
    with store.read() as txn:
        row = consent.newest(txn, NUMBER, "marketing")
    assert row is not None
    assert len(row.evidence.split()) == 2


def test_yes_to_no_question_or_to_an_old_one_is_for_a_person(store: Store) -> None:
    assert hear(store, "Y") == "person"
    hear(store, "START")
    assert hear(store, "Y", now_ms=NOW_MS + 24 * HOUR_MS + 1) == "person"
    hear(store, "STOP", now_ms=NOW_MS + 25 * HOUR_MS)
    assert hear(store, "Y", now_ms=NOW_MS + 25 * HOUR_MS) == "person"
    assert statuses(store)[0] is Status.WITHDRAWN


def test_yes_is_said_once(store: Store) -> None:
    hear(store, "START")
    assert [hear(store, "Y"), hear(store, "Y")] == ["command:yes", "person"]


def test_start_lifts_no_other_suppression(store: Store) -> None:
    store.write_now(suppressions.add, PEPPER, NUMBER, "legal", NOW_MS)
    hear(store, "START")
    assert is_suppressed(store)


def test_start_of_somebody_who_gets_our_offers_changes_nothing(store: Store) -> None:
    grant(store)
    hear(store, "START")
    assert statuses(store) == [Status.GRANTED] * 3


# -- languages and lengths


@pytest.mark.parametrize(("word", "marker"), [("STOP", "no more messages"), ("停止", "已停止")])
def test_a_stranger_is_answered_in_the_language_he_wrote(store: Store, word: str, marker: str) -> None:
    hear(store, word)
    assert marker in replies(store)[0].text


def test_a_customer_is_answered_in_his_own(store: Store) -> None:
    store.write_now(customers.add, Customer(0, NUMBER, language="zh"), NOW_MS)
    hear(store, "STOP")
    assert "已停止" in replies(store)[0].text


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("text", wishes._TEXTS)
def test_every_reply_is_one_part(text: str, language: str) -> None:
    reply = wishes._reply(text, language, HOUSE, "service")
    measured = sms.measure(reply.text)
    assert measured.parts == 1
    assert measured.alphabet == (sms.Alphabet.UCS2 if language == "zh" else sms.Alphabet.GSM7)


def test_whoever_writes_was_seen_then(store: Store) -> None:
    ann = store.write_now(customers.add, Customer(0, NUMBER), NOW_MS)
    hear(store, "hello")
    with store.read() as txn:
        seen = customers.require(txn, ann.id)
    assert (seen.last_seen_ms >= NOW_MS, seen.version) == (True, ann.version)
