"""The data directory of the version before: one is kept as it was written, and must open, be read and be whole.

`tests/vectors/data-1.mdb.gz` has entries in every table of schema 1.  It is never written again: a record that gains a
field must read it still.  What changes more than that raises the schema, and adds a file of its own:
`PYTHONPATH=. python tests/engine/store/test_environment_before.py tests/vectors/data-2.mdb.gz`.
"""

import gzip
import sys
import tempfile
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest

from engine import proof
from engine.access import budgets, deliveries, replays, tokens, webhooks
from engine.access.caller import SYSTEM, Caller
from engine.access.deliveries import Outcome
from engine.config import Caps, House, Limits
from engine.crm import erasure, merging
from engine.crm.marketing import (
    campaigns,
    feeding,
    festivals,
    greetings,
    house_days,
    links,
    loyalty,
    pace,
    points,
    responses,
    rewards,
    schedule,
    tiers,
    till_codes,
    topics,
    uploads,
)
from engine.crm.marketing.campaigns import Campaign
from engine.crm.marketing.coupons import Terms
from engine.crm.marketing.greetings import MARKS, Rule
from engine.crm.marketing.loyalty import EarnRule, Programme
from engine.crm.marketing.recipients import Row
from engine.crm.marketing.rewards import Reward
from engine.crm.marketing.tiers import Tier
from engine.crm.marketing.topics import Topic
from engine.crm.marketing.uploads import Fault
from engine.crm.people import (
    agreement,
    customers,
    deny_lists,
    fields,
    frequency,
    happenings,
    imports,
    organisations,
    pauses,
    reach,
    regions,
    reveals,
    roles,
    segments,
    staff,
    suppressions,
    tags,
    tries,
    wordings,
)
from engine.crm.people.audit import By
from engine.crm.people.consent import Consent, Status
from engine.crm.people.customer import Customer, SpecialDay
from engine.crm.people.dates import Day
from engine.crm.people.fields import FieldDef
from engine.crm.people.happenings import Happening
from engine.crm.people.imports import Before, Import, Stretch
from engine.crm.people.organisations import Organisation
from engine.crm.people.regions import Region
from engine.crm.people.subscription import Frequency
from engine.migration import MIGRATIONS
from engine.store import backup
from engine.store.backup import DATA_FILE
from engine.store.environment import SCHEMA_VERSION, Store
from engine.store.table import Index, Octets, Table, Txn, Unique
from engine.traffic import costs, inbound, intents, messages, quotas, receipts, retention, routes, sheets, sticky
from engine.traffic.intents import REFERENCES
from engine.traffic.messages import Message, Pick, State, Verdict
from engine.traffic.receipts import Early
from engine.traffic.routes import Route, Sender
from engine.wiring import TABLES
from tests.engine.traffic.tpdus import deliver

VECTORS = Path(__file__).resolve().parents[2] / "vectors"
KEPT = sorted(VECTORS.glob("data-*.mdb.gz"))
NOW_MS = 1_770_000_000_000
SIM = 460000000000001
PEPPER = bytes(range(32))
ZONE = "Asia/Shanghai"
PEOPLE = tuple(8613900000000 + place for place in range(8))


def send_all(_txn: Txn, claims: list[Message], _now_ms: int) -> list[Verdict]:
    return [Verdict(State.SENDING)] * len(claims)


def fill(txn: Txn) -> None:
    """Something of everything: sent, unknown, in the air, waiting, cancelled, a campaign half fed, texts in parts.

    And a campaign that ended, whose rows are gone.
    """
    over = campaigns.add(txn, Campaign(0, "Winter", {"en": "Dear"}, "transactional"), NOW_MS)
    upload = uploads.begin(txn, over.id, NOW_MS)
    upload = uploads.add_rows(txn, upload, [(1, PEOPLE[0], Row(f"+{PEOPLE[0]}"))], {}, PEPPER, NOW_MS)
    uploads.finish(txn, upload, NOW_MS)
    campaigns.cancel(txn, over.id, NOW_MS + 5)
    retention.forget_rows(txn, 0, NOW_MS + 6, campaigns.has_ended)
    pace.note(txn, over.id, 60, 5, NOW_MS)
    costs.move(txn, over.id, 50)
    costs.note(txn, 5, 50, NOW_MS)
    tokens.add(txn, "a-token-of-the-tests-and-of-no-other-use", "till", NOW_MS)
    limited = tokens.add(txn, "another-token-of-the-tests", "desk", NOW_MS, ("messages:send",), 60, 5, 100)
    budgets.spend(txn, limited.number, 7, NOW_MS, ZoneInfo("UTC"))
    claim = replays.claim(PEPPER, "token 1", "key", b"POST", b"/v1/messages", b"{}")
    replays.keep(txn, claim, replays.Answer(202, "application/json", {}, b"{}"), NOW_MS)
    for place, number in enumerate(PEOPLE[:3]):
        spoken = ("en", "zh", "")[place]
        customers.add(
            txn, Customer(0, number, "Zoë", language=spoken, tags=tags.require(txn, ["gold"], NOW_MS)), NOW_MS
        )
    fields.add(txn, FieldDef(0, "room", "text"), frozenset(), NOW_MS)
    region = regions.add(txn, Region(0, "Jiangsu", "JS"), NOW_MS)
    firm = organisations.add(txn, Organisation(0, "Lotus Hotel", region=region.id), NOW_MS)
    rich = Customer(
        0,
        PEOPLE[3],
        "李娜",
        region=region.id,
        organisation=firm.id,
        owner=1,
        birthday=Day(1, 8, 15),
        special_days=(SpecialDay("wedding", Day(0, 5, 20, 2019)),),
        attrs={1: "302"},
    )
    rich = customers.add(txn, rich, NOW_MS)
    customers.change(txn, rich.id, {"city": "Nanjing"}, None, NOW_MS + 1)
    happenings.add(txn, rich.id, "order", Happening(NOW_MS, 6800, "T10", "O1"), NOW_MS)
    segments.add(txn, "Guests", "tag:gold", NOW_MS)
    fill_imports(txn, rich)
    fill_club(txn, rich.id)
    fill_hooks(txn)
    fill_greetings(txn, rich.id)
    agreement.add(txn, PEOPLE[0], "marketing", Consent(Status.GRANTED, "form", "page 7", NOW_MS))
    suppressions.add(txn, PEPPER, PEOPLE[7], "stop_all", NOW_MS)
    made = [
        messages.enqueue(txn, Message(0, number, f"Dear €{number} {{}} " * 12, wants_report=True), NOW_MS + number % 10)
        for number in PEOPLE[:5]
    ]
    picks = [Pick(message.id, SIM + place) for place, message in enumerate(made[:3])]
    intents.claim(txn, picks, NOW_MS + 10, send_all)
    intents.mark_sent(txn, made[0].id, 0, 41, NOW_MS + 20)
    intents.mark_unknown(txn, made[1].id, 0, "the line fell silent", NOW_MS + 20)
    receipts.take(txn, SIM + 2, Early(42, f"+{PEOPLE[2]}", 0, NOW_MS + 30), NOW_MS + 30)
    messages.cancel(txn, made[3].id, NOW_MS + 30)
    campaign = campaigns.add(
        txn, Campaign(0, "Spring", {"en": "Dear {name}", "zh": "{name}您好"}, "transactional"), NOW_MS
    )
    upload = uploads.begin(txn, campaign.id, NOW_MS)
    rows = [(place + 1, number, Row(f"+{number}", f"row-{place}", "zh", {"name": "王伟"}))
            for place, number in enumerate(PEOPLE)]  # fmt: skip
    upload = uploads.add_rows(txn, upload, rows, {9: Fault("invalid", "to", "is no number")}, PEPPER, NOW_MS)
    uploads.finish(txn, upload, NOW_MS)
    campaigns.launch(txn, campaign.id, NOW_MS + 40)
    feeding.feed(txn, NOW_MS + 50, 8, House(), PEPPER)
    for _, row in sheets.read_rows(txn, campaign.id, 0, 1):
        intents.claim(txn, [Pick(row.id, SIM + 5)], NOW_MS + 55, send_all)
    planned = campaigns.add(txn, Campaign(0, "Autumn", {"en": "Dear"}, "service", objective="news"), NOW_MS)
    upload = uploads.begin(txn, planned.id, NOW_MS)
    upload = uploads.add_rows(txn, upload, [(1, PEOPLE[0], Row(f"+{PEOPLE[0]}"))], {}, PEPPER, NOW_MS)
    uploads.finish(txn, upload, NOW_MS)
    schedule.put_down(txn, planned.id, NOW_MS + 86_400_000, NOW_MS, House())
    links.add(txn, planned.id, "https://example.org/")
    responses.hear(txn, PEPPER, PEOPLE[0], NOW_MS + 58, refuses=False)
    routes.add(txn, Route(0, "China", countries=("CN",), senders=(Sender(SIM),)), {}, NOW_MS)
    sticky.note(txn, PEOPLE[0], SIM, NOW_MS)
    quotas.spend(txn, SIM, PEOPLE[0], NOW_MS, Limits(day=10, day_recipients=5))
    quotas.prune(txn, NOW_MS, 1)
    inbound.take(txn, SIM, deliver("hello"), None, NOW_MS + 60)
    inbound.take(txn, SIM, deliver("half of ", concatenation=(9, 2, 1)), None, NOW_MS + 60)
    inbound.take(txn, SIM, "00", None, NOW_MS + 60)
    refuse(txn)
    employ(txn)
    part_from(txn)


def part_from(txn: Txn) -> None:
    """Two who were one, and one who is on the way out."""
    by = By(SYSTEM, "system", PEPPER)
    kept, gone, erased = (customers.add(txn, Customer(0, 8613911110000 + place), NOW_MS).id for place in range(3))
    merging.merge(txn, kept, gone, NOW_MS, by, ZONE)
    _, challenge = erasure.ask(txn, erased, NOW_MS, by)
    erasure.confirm(txn, erased, challenge, NOW_MS, by)


def refuse(txn: Txn) -> None:
    """Words to ask in, somebody who got an offer and whose marketing is paused, a number that texts do not reach, and
    one that shall come off a deny list."""
    wordings.usual(txn, NOW_MS)
    counted = frequency.Frequency(txn, Caps(), PEPPER, ZONE, NOW_MS)
    counted.note(Message(1, PEOPLE[0], "An offer", "marketing"))
    counted.save()
    pauses.pause(txn, PEOPLE[0], 1, NOW_MS)
    reach.failed(txn, PEPPER, PEOPLE[1], NOW_MS)
    clerk = Caller("staff", "Chen Jing", 7, frozenset({deny_lists.RIGHT}))
    deny_lists.ask(txn, By(clerk, "web", PEPPER), PEOPLE[7], "asked by letter", NOW_MS)


def employ(txn: Txn) -> None:
    """Somebody in a team, who has tried a PIN and seen a number."""
    by = By(SYSTEM, "system", PEPPER)
    roles.ship(txn, NOW_MS)
    person = staff.add(txn, by, staff.Staff(0, PEOPLE[6], "Chen Jing", roles.named(txn, ["sales"])), NOW_MS)
    staff.add_team(txn, by, staff.Team(0, "Front", person.id), NOW_MS)
    tries.begin(txn, person.id, "pin", NOW_MS)
    seen = By(staff.caller_of(txn, person.id), "web", PEPPER)
    customer = customers.find_by_number(txn, PEOPLE[0])
    assert customer is not None
    reveals.reveal(txn, seen, customer.id, "number", "calls back", ZoneInfo("UTC"), NOW_MS)


def fill_hooks(txn: Txn) -> None:
    """A webhook that failed for two days, and one that failed once."""
    hooks = [webhooks.add(txn, f"https://example.org/{place}", ("customer.*",), NOW_MS) for place in range(2)]
    for hook, at_ms in ((hooks[0], NOW_MS), (hooks[0], NOW_MS + 49 * 3_600_000), (hooks[1], NOW_MS)):
        webhooks.ring(txn, hook.id, NOW_MS)
        turn = deliveries.take(txn, hook.id, 0, (), 10, 10, at_ms)
        assert turn is not None
        failed = [Outcome(one, at_ms, 5, 500, "http_500") for one in (*turn.due, *turn.retries)]
        deliveries.settle(txn, hook.id, turn.read_to, failed, (), at_ms, Random(1))


def fill_imports(txn: Txn, known: Customer) -> None:
    """A list that changed somebody, and a mapping that is kept."""
    record = imports.begin(txn, Import(0, "Fair"), NOW_MS)
    imports.FILES.put(txn, (record.id, 0), b"number\n")
    imports.TAGGED.put(txn, (record.id, 1), "gold")
    imports.CREATED.put(txn, (record.id, known.id + 1), 1)
    imports.BEFORE.put(txn, (record.id, known.id), Before(1, known, ("city",), known.version + 1))
    imports.write_stretches(txn, record.id, True, [Stretch(1, 1, "updated", known.id)])
    imports.save_preset(txn, "Fair", {"Phone": "number"}, NOW_MS)


def fill_club(txn: Txn, customer: int) -> None:
    """A member with points, some of which became a coupon, at the till."""
    loyalty.replace(
        txn, Programme((EarnRule("amount", 1, per_minor=1_000, currency="CNY"),), to_year_end=True), None, NOW_MS
    )
    tiers.replace(txn, (Tier("silver", {"en": "Silver"}, 100),), None, NOW_MS)
    points.enrol(txn, customer, "till", NOW_MS, ZONE)
    points.earn(txn, customer, 400, "O1", "till", NOW_MS, ZONE)
    terms = Terms("amount", 2_000, "CNY")
    rewards.add(txn, Reward("C20", {"en": "20 off"}, 200, terms, valid_days=30), NOW_MS)
    rewards.redeem(txn, PEPPER, customer, "C20", "till", NOW_MS, ZONE)
    till_codes.give(txn, PEPPER, customer, NOW_MS)
    topics.add(txn, Topic(0, "NEWS", {"en": "News"}), NOW_MS)
    topics.subscribe(txn, customer, "news", NOW_MS, frequency=Frequency.WEEKLY)


def fill_greetings(txn: Txn, customer: int) -> None:
    """A rule by which somebody was greeted, on a day that the house keeps; and public holidays of its own."""
    (own,) = festivals.parse(
        b'[{"id": "own", "name": {"en": "Own"}, "kind": "chinese", "spec": {"month": 8, "day": 16}}]'
    ).values()
    house_days.put_festivals(txn, {own.id: own}, NOW_MS)
    house_days.put_holidays(txn, b'{"country": "CN", "year": 2027, "holidays": []}', "CN", 2027, NOW_MS)
    terms = Terms("gift", gift="Tea")
    rule = Rule(0, "Wish", "festival:own", {"en": "{coupon}"}, segment={"tag": "gold"}, coupon=terms)
    rule = greetings.add(txn, rule, NOW_MS, ZONE)
    greetings.activate(txn, rule.id, None, NOW_MS, ZONE)
    MARKS.add(txn, (rule.id, customer, 2026), 1)


def entries(txn: Txn) -> dict[str, int]:
    """How many of each table could be read, every record of it."""
    counted = {}
    for table in TABLES:
        if isinstance(table, Table | Unique | Index | Octets):
            counted[table.name] = len(list(table.scan(txn)))
    counted["row_numbers"] = len(list(messages.NUMBERS.scan(txn)))
    return counted


def test_what_is_kept_for_later_versions_has_entries_in_every_table(tmp_path: Path) -> None:
    store = Store(tmp_path / "data", TABLES)
    store.write_now(fill)
    with store.read() as txn:
        assert list(proof.differences(txn)) == []
        empty = [name for name, count in entries(txn).items() if not count]
    store.close()
    assert empty == []


@pytest.mark.parametrize("kept", KEPT, ids=lambda path: path.name)
def test_a_directory_of_before_opens_is_read_to_its_last_record_and_is_whole(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / DATA_FILE).write_bytes(gzip.decompress(kept.read_bytes()))
    store = Store(tmp_path / "data", TABLES, migrations=MIGRATIONS)
    with store.read() as txn:
        assert list(proof.differences(txn)) == []
        found = entries(txn)
        everything = list(messages.listed(txn, None, 0, 100))
        texts = [message.text for message in everything]
        (reference,) = [key[1] for key, _ in REFERENCES.scan(txn)]
        token = tokens.find(txn, "a-token-of-the-tests-and-of-no-other-use")
        customer = customers.find_by_number(txn, PEOPLE[0])
    # One of schema 2 has a pair more in the number index, of a row that is gone; one of schema 3 a campaign more.
    counts = {"data-1.mdb.gz": (13, 8, 3), "data-2.mdb.gz": (13, 9, 3), "data-3.mdb.gz": (14, 10, 5)}
    assert (len(everything), found["row_numbers"], found["customers"]) == counts[kept.name]
    assert "recipients" not in found
    assert f"Dear €{PEOPLE[0]} {{}} " * 12 in texts
    assert "王伟您好" in texts
    assert (reference, token and token.name) == (41, "till")
    assert customer is not None
    assert (customer.name, customer.tags, customer.reference) == ("Zoë", (1,), 1)
    # It is worked on as any other.
    store.write_now(messages.enqueue, Message(0, PEOPLE[6], "x"), NOW_MS + 1_000)
    with store.read() as txn:
        assert list(proof.differences(txn)) == []
    store.close()


def test_every_schema_until_now_is_kept() -> None:

    assert [path.name for path in KEPT] == [f"data-{schema}.mdb.gz" for schema in range(1, SCHEMA_VERSION + 1)]


def main(target: Path) -> None:
    """Write a directory of today to be kept."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "data", TABLES)
        store.write_now(fill)
        store.close()
        backup.take(Path(folder) / "data", Path(folder) / "b", NOW_MS)
        target.write_bytes(gzip.compress((Path(folder) / "b" / DATA_FILE).read_bytes(), mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
