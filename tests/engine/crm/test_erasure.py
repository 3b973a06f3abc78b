"""engine/crm/erasure.py: a person goes out of every table and, with the next compaction, out of the file."""

from pathlib import Path

import pytest

from engine.access.caller import SYSTEM, Caller
from engine.config import Limits
from engine.crm import erasure, merging
from engine.crm.erasure import BACKUPS_DAYS, CHALLENGE_MS, DAY_MS, State
from engine.crm.marketing import coupons, members, points, responses
from engine.crm.marketing.campaigns import CAMPAIGNS
from engine.crm.marketing.coupons import Terms
from engine.crm.marketing.links import Led
from engine.crm.people import (
    agreement,
    audit,
    consent,
    customers,
    happenings,
    suppressions,
    timeline,
)
from engine.crm.people.audit import By
from engine.crm.people.consent import Consent, Status
from engine.crm.people.customer import CUSTOMERS, Customer
from engine.crm.people.happenings import Happening
from engine.crm.people.member import MEMBERS
from engine.errors import Conflict, Forbidden
from engine.store.compaction import compact
from engine.store.disk import DATA_FILE
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import inbound, inbox, intents, messages, quotas, receipts, sheets, sticky
from engine.traffic.events import EVENTS
from engine.traffic.inbox import RECEIVED, Received
from engine.traffic.messages import MESSAGES, Resolution
from engine.traffic.receipts import Early
from engine.traffic.traces import Left
from engine.wiring import TABLES
from tests.engine.crm import stage
from tests.engine.crm.stage import PEPPER
from tests.engine.traffic import stage as traffic
from tests.engine.traffic.tpdus import deliver

NOW_MS = stage.NOW_MS
SIM = traffic.SIM
ZONE = "Asia/Shanghai"
ANN, ANN_TWO = 8613911223344, 8613955667788  # who is erased
BOB, BOB_TWO = 8613799887766, 8613744332211  # who is not
BY = By(SYSTEM, "system", PEPPER)


def live(store: Store, number: int, second: int, name: str, reference: int) -> int:
    """All that can be known of a person, in every table there is for it; the id."""

    def change(txn: Txn) -> int:
        person = customers.add(
            txn, Customer(0, number, f"{name} Quill", numbers=(second,), email=f"{name}@example.org"), NOW_MS
        )
        customers.change(txn, person.id, {"city": f"{name}ville"}, None, NOW_MS + 1, "desk", "web")
        agreement.add(txn, number, "marketing", Consent(Status.GRANTED, "web", f"page of {name}", NOW_MS))
        agreement.add(txn, second, "survey", Consent(Status.GRANTED, "web", f"page of {name}", NOW_MS))
        happenings.add(txn, person.id, "order", Happening(NOW_MS, 6800, "T10", f"order of {name}"), NOW_MS)
        timeline.add(txn, person.id, "note", "", f"met {name}", NOW_MS, NOW_MS)
        points.enrol(txn, person.id, "till", NOW_MS, ZONE)
        points.earn(txn, person.id, 400, f"O{reference}", "till", NOW_MS, ZONE, reason=f"sorry, {name}")
        coupons.issue(txn, PEPPER, Terms("amount", 2_000, "CNY"), "till", NOW_MS, customers=(person.id,))
        changes = {"number": (None, f"+{number}")}
        audit.append(txn, BY, "customer.changed", customers.name_of(person.id), NOW_MS, changes, f"{name} asked")
        sticky.note(txn, number, SIM, NOW_MS)
        quotas.spend(txn, SIM, number, NOW_MS, Limits(day=10, day_recipients=5))
        quotas.prune(txn, NOW_MS, 1)
        inbound.take(txn, SIM, deliver(f"I am {name}", str(number)), None, NOW_MS)
        inbound.take(txn, SIM, deliver("half of ", str(number), concatenation=(9, 2, 1)), None, NOW_MS)
        return person.id

    identifier = store.write_now(change)
    sent = traffic.put(store, number=number, wants_report=True, client_ref=f"row of {name}")
    traffic.send(store, sent, reference)
    traffic.put(store, number=second)
    lost = traffic.put(store, number=number)
    traffic.lose(store, lost)
    store.write_now(receipts.take, SIM, Early(200 + reference, f"+{number}", 0, NOW_MS), NOW_MS)
    return identifier


def fill(store: Store) -> tuple[int, int, int]:
    """Ann, Bob, and the id of a campaign to both, of whose rows one of each was fed and one was not."""
    ann, bob = live(store, ANN, ANN_TWO, "annabel", 41), live(store, BOB, BOB_TWO, "roberto", 42)
    rows = [
        stage.row(number, values={"name": name, "room": str(place)})
        for place, (number, name) in enumerate(
            [(ANN, "annabel"), (BOB, "roberto"), (4915100000000, "eve"), (ANN_TWO, "annabel"), (BOB_TWO, "roberto")]
        )
    ]
    campaign = stage.running(store, rows, "Dear {name} of {room}")
    stage.feed(store, 2)
    for place in (0, 1):
        store.write_now(responses.click, PEPPER, Led(campaign, place, "https://example.org/"), NOW_MS)
    return ann, bob, campaign


def ask(store: Store, customer: int, now_ms: int = NOW_MS) -> str:
    return store.write_now(erasure.ask, customer, now_ms, BY)[1]


def erased(store: Store, customer: int, rows: int = 3) -> int:
    """Erase somebody in small steps, the store whole after each; the erasure's id."""
    challenge = ask(store, customer)
    found = store.write_now(erasure.confirm, customer, challenge, NOW_MS + 5, BY).erasure
    assert found.state is State.RUNNING
    left = Left.MORE
    while left is Left.MORE:
        assert stage.differences(store) == []
        left = store.write_now(erasure.step, found.id, NOW_MS + 6, rows)
    assert left is Left.NOTHING
    assert stage.differences(store) == []
    return found.id


def forms(number: int) -> dict[str, bytes]:
    """The number in every form in which anything here might write it."""
    digits = str(number)
    padded = digits + "F" * (len(digits) % 2)
    return {
        "digits": digits.encode(),
        "E.164": f"+{digits}".encode(),
        "UTF-16": digits.encode("utf-16-be"),
        "u64 big-endian": number.to_bytes(8, "big"),
        "u64 little-endian": number.to_bytes(8, "little"),
        "msgpack": b"\xcf" + number.to_bytes(8, "big"),
        "seven octets": number.to_bytes(7, "little"),
        "semi-octets": bytes.fromhex("".join(padded[at + 1] + padded[at] for at in range(0, len(padded), 2))),
    }


def found_in(path: Path, number: int) -> set[str]:
    octets = path.read_bytes()
    return {form for form, sought in forms(number).items() if sought in octets}


def test_77_9_no_form_of_an_erased_number_is_in_the_file_after_compaction(tmp_path: Path) -> None:
    store = Store(tmp_path / "data", TABLES)
    ann, _, _ = fill(store)
    file = tmp_path / "data" / DATA_FILE
    before = found_in(file, ANN)
    erased(store, ann)
    store.close()
    compact(tmp_path / "data", now_ms=NOW_MS + 10)
    assert found_in(file, ANN) == set()
    assert found_in(file, ANN_TWO) == set()
    octets = file.read_bytes()
    assert b"annabel" not in octets
    # The same search finds who was not erased, in all the forms in which it found her.
    assert found_in(file, BOB) == before
    assert found_in(file, BOB_TWO)
    # Nothing here writes the other two.
    assert before == set(forms(ANN)) - {"UTF-16", "u64 little-endian"}
    assert b"robertoville" in octets


def test_what_was_erased_leads_nowhere_and_what_must_stay_is_nobodys(store: Store) -> None:
    ann, _, campaign = fill(store)
    with store.read() as txn:
        coupon_id, _ = next(coupons.listed(txn, 0, 1, ann))
        texts, sent = RECEIVED.count(txn), MESSAGES.count(txn)
        tally = sum(messages.tally(txn, campaign).values())
    erased(store, ann)
    with store.read() as txn:
        assert CUSTOMERS.find(txn, ann) is None
        assert customers.find_by_number(txn, ANN) is None
        assert (consent.history(txn, ANN), consent.history(txn, ANN_TWO)) == ([], [])
        assert happenings.of(txn, ann, "order") == []
        assert list(messages.listed(txn, f"+{ANN}", 0, 10)) == []
        # Her card is closed, its points are where they were, and nobody's words are with them.
        member = MEMBERS.get(txn, ann)
        assert (member.state.slug, member.balance, member.last_digits) == ("closed", 400, 0)
        assert [row.reason for key, row in points.POINTS.scan(txn, ann)] == [""]
        assert coupons.get(txn, coupon_id).customer == 0
        # Messages and texts are counted as before; rows keep their places.
        assert (RECEIVED.count(txn), MESSAGES.count(txn)) == (texts, sent)
        assert sum(messages.tally(txn, campaign).values()) == tally
        assert [row.number for _, row in sheets.read_rows(txn, campaign, 0, 10)] == [0, BOB, 4915100000000, 0, BOB_TWO]
        (_, row), *_ = sheets.read_rows(txn, campaign, 1, 1)
        assert row.values == {"name": "roberto", "room": "1"}
        assert CAMPAIGNS.get(txn, campaign).rows == 5
        # The log says that she was there, and no more.
        rows = audit.listed(txn, 10, target=customers.name_of(ann))
        assert [row.entry.action for row in rows] == ["customer.erased", "erasure.asked", "customer.changed"]
        assert [row.values for row in rows] == [None, None, None]
        assert audit.verify(txn, (), PEPPER) == audit.AUDIT.count(txn)
        kinds = [event.kind for _, event in EVENTS.scan(txn)]
        (told,) = [event for _, event in EVENTS.scan(txn) if event.kind == "customer.erased"]
    assert kinds[-1] == "customer.erased"
    assert told.subject == customers.name_of(ann)


def test_what_waits_for_her_is_suppressed_as_erased_whether_it_was_fed_or_not(store: Store) -> None:
    ann, _, campaign = fill(store)
    alone = traffic.put(store, number=ANN_TWO)
    erased(store, ann)
    assert (traffic.message(store, alone).state.slug, traffic.message(store, alone).reason) == ("suppressed", "erased")
    stage.feed(store)
    assert stage.differences(store) == []
    assert stage.counts(store, campaign) == {"suppressed": 2, "queued": 3}
    with store.read() as txn:
        reasons = {found.message.reason for found in campaigns_results(txn, campaign) if found.message.number == 0}
    assert reasons == {"erased"}


def campaigns_results(txn: Txn, campaign: int) -> list[object]:
    from engine.crm.marketing import campaigns

    return list(campaigns.results(txn, CAMPAIGNS.get(txn, campaign), 0, 10))


def test_what_is_in_the_air_is_waited_for(store: Store) -> None:
    person = store.write_now(customers.add, Customer(0, ANN), NOW_MS)
    flying = traffic.put(store, number=ANN)
    assert traffic.claim(store, flying).verdict.sends
    challenge = ask(store, person.id)
    found = store.write_now(erasure.confirm, person.id, challenge, NOW_MS, BY).erasure
    assert store.write_now(erasure.step, found.id, NOW_MS) is Left.LATER
    assert traffic.message(store, flying).number == ANN
    store.write_now(intents.mark_sent, flying, 0, 41, NOW_MS)
    while store.write_now(erasure.step, found.id, NOW_MS) is not Left.NOTHING:
        pass
    assert traffic.message(store, flying).number == 0
    with store.read() as txn:
        assert (erasure.get(txn, found.id).numbers, erasure.get(txn, found.id).owned) == ((), ())


def test_texts_that_the_network_wrote_under_a_national_number_go_too(store: Store) -> None:
    person = store.write_now(customers.add, Customer(0, ANN), NOW_MS)
    texts = {}
    for sender in ("13911223344", "013911223344", "13799887766", "10086", "CARRIER"):
        text = Received(0, sender, SIM, f"from {sender}", NOW_MS)
        texts[sender] = store.write_now(inbox.add, text, NOW_MS).id
    erased(store, person.id, rows=1)
    with store.read() as txn:
        left = {sender for sender, identifier in texts.items() if RECEIVED.get(txn, identifier).text}
    assert left == {"13799887766", "10086", "CARRIER"}


def test_while_one_number_has_to_wait_the_others_go_on(store: Store) -> None:
    person = store.write_now(customers.add, Customer(0, ANN, numbers=(ANN_TWO,)), NOW_MS)
    flying, other = traffic.put(store, number=ANN), traffic.put(store, number=ANN_TWO)
    assert traffic.claim(store, flying).verdict.sends
    challenge = ask(store, person.id)
    found = store.write_now(erasure.confirm, person.id, challenge, NOW_MS, BY).erasure
    steps = [store.write_now(erasure.step, found.id, NOW_MS) for _ in range(3)]
    assert steps == [Left.LATER, Left.MORE, Left.LATER]
    assert traffic.message(store, other).number == 0
    store.write_now(intents.put_back, flying, 0, NOW_MS)
    while store.write_now(erasure.step, found.id, NOW_MS) is not Left.NOTHING:
        pass
    assert (traffic.message(store, flying).number, traffic.message(store, flying).reason) == (0, "erased")
    assert stage.differences(store) == []


def test_an_unknown_text_is_given_up_since_it_must_not_go_again(store: Store) -> None:
    person = store.write_now(customers.add, Customer(0, ANN), NOW_MS)
    lost = traffic.put(store, number=ANN)
    traffic.lose(store, lost)
    erased(store, person.id)
    assert traffic.message(store, lost).state.slug == "failed"
    with pytest.raises(Conflict):
        store.write_now(intents.resolve, lost, Resolution.RESEND, NOW_MS)


def test_nothing_is_done_without_the_right_challenge(store: Store) -> None:
    person = store.write_now(customers.add, Customer(0, ANN), NOW_MS)
    challenge = ask(store, person.id)
    wrong = f"{(int(challenge) + 1) % 10_000:04d}"
    for _ in range(3):
        outcome = store.write_now(erasure.confirm, person.id, wrong, NOW_MS, BY)
        with pytest.raises(Forbidden) as refused:
            _ = outcome.erasure
        assert refused.value.code == "wrong_challenge"
    # Three times wrong, or too late, is as if nobody had asked.
    for late_ms in (0, CHALLENGE_MS):
        with pytest.raises(Conflict) as over:
            _ = store.write_now(erasure.confirm, person.id, challenge, NOW_MS + late_ms, BY).erasure
        assert over.value.code == "no_challenge"
        challenge = ask(store, person.id)
    with store.read() as txn:
        assert CUSTOMERS.find(txn, person.id) is not None
    nobody = By(Caller("token", "till"), "api", PEPPER)
    with pytest.raises(Forbidden):
        store.write_now(erasure.ask, person.id, NOW_MS, nobody)
    assert stage.differences(store) == []


def test_only_a_text_of_his_own_brings_somebody_back(store: Store) -> None:
    person = store.write_now(customers.add, Customer(0, ANN), NOW_MS)
    store.write_now(suppressions.add, PEPPER, ANN, "stop_all", NOW_MS)
    erased(store, person.id)
    with store.read() as txn:
        found = suppressions.find(txn, PEPPER, ANN)
        assert found is not None
        assert found.reason == "erased"
        with pytest.raises(Conflict) as refused:
            suppressions.refuse_erased(txn, PEPPER, ANN)
        assert refused.value.code == "erased"
    assert store.write_now(suppressions.lift, PEPPER, ANN)


def test_who_was_merged_goes_with_whom_it_became(store: Store) -> None:
    ann, bob, _ = fill(store)
    store.write_now(merging.merge, ann, bob, NOW_MS, BY, ZONE)
    erased(store, ann)
    with store.read() as txn:
        for number in (ANN, ANN_TWO, BOB, BOB_TWO):
            assert list(messages.listed(txn, f"+{number}", 0, 10)) == []
        assert all(row.values is None for row in audit.listed(txn, 50, target=customers.name_of(bob)))
        assert {member.state.slug for _, member in members.listed(txn, 0, 10)} == {"closed"}


def test_an_erasure_tells_until_when_files_may_hold_the_person(tmp_path: Path) -> None:
    store = Store(tmp_path / "data", TABLES)
    person = store.write_now(customers.add, Customer(0, ANN), NOW_MS)
    identifier = erased(store, person.id)
    with store.read() as txn:
        assert erasure.wants_compaction(txn, store.compacted_ms())
        found = erasure.get(txn, identifier)
    assert not erasure.is_compacted(found, store.compacted_ms())
    assert erasure.backups_gone_ms(found, 0, NOW_MS + 7) == NOW_MS + 7 + BACKUPS_DAYS * DAY_MS
    store.close()
    compact(tmp_path / "data", now_ms=NOW_MS + DAY_MS)
    store = Store(tmp_path / "data", TABLES)
    with store.read() as txn:
        assert not erasure.wants_compaction(txn, store.compacted_ms())
    assert store.compacted_ms() == NOW_MS + DAY_MS
    assert erasure.is_compacted(found, store.compacted_ms())
    gone_ms = erasure.backups_gone_ms(found, store.compacted_ms(), NOW_MS + 9 * DAY_MS)
    assert gone_ms == NOW_MS + (1 + BACKUPS_DAYS) * DAY_MS
    store.close()


def test_in_big_campaigns_all_of_a_number_go_and_the_others_stay(store: Store) -> None:
    """Pairs of one number in several runs, of pages that are rewritten: the index finds all others as before."""
    person = store.write_now(customers.add, Customer(0, ANN), NOW_MS)
    for turn in range(4):
        rows = [stage.row(ANN - 300 + place, client_ref=f"{turn}-{place}") for place in range(600)]
        stage.upload(store, stage.draft(store, name=f"{turn}").id, rows, chunk=300)
    erased(store, person.id, rows=100)
    with store.read() as txn:
        assert list(messages.of_number(txn, ANN)) == []
        assert len(list(messages.of_number(txn, ANN - 1))) == 4
        assert len(list(messages.of_number(txn, ANN + 1))) == 4
        assert messages.NUMBERS.count(txn) == 4 * 599
