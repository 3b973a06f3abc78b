"""Imports: what a file becomes, what is refused and why."""

import asyncio
from pathlib import Path

import pytest

from engine import numbers
from engine.crm.people import (
    agreement,
    cleaning,
    consent,
    customers,
    import_rows,
    imports,
    regions,
    suppressions,
    tags,
)
from engine.crm.people import fields as own_fields
from engine.crm.people.consent import Consent, Status
from engine.crm.people.customer import CUSTOMERS, Customer, Lifecycle
from engine.crm.people.import_work import Imports
from engine.crm.people.imports import Counts, Import, State
from engine.crm.people.regions import Region
from engine.crm.people.suppressions import Suppressions
from engine.errors import Invalid
from engine.store.environment import Store
from engine.wiring import TABLES
from tests.engine.crm.people.import_desk import NOW_MS, PEPPER, PROVEN, Desk


@pytest.fixture
def desk(store: Store) -> Desk:
    store.write_now(regions.add, Region(0, "Jiangsu", "JS"), NOW_MS)
    return Desk(store)


async def test_rows_become_customers_with_all_that_leads_to_them(desk: Desk) -> None:
    file = (
        "姓名,手机号,tags,region,lifecycle\n李娜,13912345678,gold;vip,JS,customer\nAnn Bell,+447700900123,,jiangsu,\n"
    )
    done = await desk.bring(file.encode(), **PROVEN, tags=("fair",))
    assert (done.state, done.counts) == (State.DONE, Counts(new=2))
    found = desk.customer(8613912345678)
    assert found is not None
    assert (found.name, found.lifecycle, found.region, found.granted) == ("李娜", Lifecycle.CUSTOMER, 1, 1)
    with desk.store.read() as txn:
        assert tags.names(txn, found.tags) == ["fair", "gold", "vip"]
        assert consent.is_granted(txn, found.number, "marketing")
        assert [one.name for one in customers.search(txn, customers.Sought("bell"), 0, 10)[0]] == ["Ann Bell"]
    assert desk.rows(done) == [(1, "new", "", ""), (2, "new", "", "")]
    assert desk.is_whole() == []


async def test_ten_dirty_rows_are_seven_clean_two_mended_and_one_refused(desk: Desk) -> None:
    rows = [
        "王伟,13800000001,1990-05-01,JS",
        "李娜,13800000002,1990-05-02,JS",
        "Ann,+8613800000003,,",
        "Bob,13800000004,,Jiangsu",
        "Carl,13800000005,--05-03,",
        "Dora,13800000006,,",
        "Emil,13800000007,1980-01-31,js",
        "Ｆａｙ,１３８ ００００ ０００８,1990/5/8,JS",  # full width, spaces, a date of one kind
        "Gus,86-138-0000-0009,25.12.1990,JS",  # the country's code without its plus sign, a date of another
        "Hal,1.38E+10,,",
    ]
    file = "name,phone,birthday,region\n" + "\n".join(rows) + "\n"
    checked = await desk.check(await desk.upload(file.encode()))
    assert checked.state is State.CHECKED
    assert checked.checked == Counts(new=9, refused=1, fixed=2)
    said = [row for row in desk.rows(checked, ran=False) if row[3]]
    assert [(row, status, field) for row, status, field, _ in said] == [
        (8, "new", "number"), (9, "new", "number"), (10, "refused", "number"),
    ]  # fmt: skip
    assert "rounded" in said[2][3]
    assert desk.counts()["customers"] == 0
    done = await desk.run(checked)
    assert done.counts == Counts(new=9, refused=1, fixed=2)
    fay, gus = desk.customer(8613800000008), desk.customer(8613800000009)
    assert fay is not None
    assert gus is not None
    assert fay.birthday is not None
    assert gus.birthday is not None
    assert (fay.name, fay.birthday.month, fay.birthday.day, fay.region) == ("Fay", 5, 8, 1)
    assert (gus.birthday.month, gus.birthday.day) == (12, 25)
    assert desk.is_whole() == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("between", [",", ";", "\t"])
async def test_files_are_read_as_spreadsheets_write_them(desk: Desk, encoding: str, between: str) -> None:
    file = between.join(["姓名", "手机", "城市"]) + "\r\n" + between.join(["李娜", "13912345678", '"南\n京"']) + "\r\n"
    done = await desk.bring(file.encode(encoding))
    found = desk.customer(8613912345678)
    assert done.counts == Counts(new=1, fixed=1)
    assert found is not None
    assert (found.name, found.city) == ("李娜", "南 京")


async def test_a_file_in_no_encoding_that_we_know_is_refused_with_its_row(desk: Desk) -> None:
    with pytest.raises(Invalid) as refused:
        await desk.upload(b"number,name\n+8613912345678,Ann\n+8613912345679," + b"\xff\xff\xff\n")
    assert refused.value.params[0].row == 2


async def test_who_is_known_is_changed_filled_or_left_alone(desk: Desk) -> None:
    old = desk.store.write_now(customers.add, Customer(0, 8613912345678, "Ann", city="Wuxi"), NOW_MS)
    file = b"number,name,city,email\n13912345678,Anna,Nanjing,ann@example.org\n"
    skipped = await desk.bring(file, on_existing="skip")
    assert skipped.counts == Counts(same=1)
    filled = await desk.bring(file, on_existing="fill")
    now = desk.customer(old.number)
    assert (filled.counts, now and (now.name, now.city, now.email)) == (
        Counts(updated=1), ("Ann", "Wuxi", "ann@example.org"),
    )  # fmt: skip
    updated = await desk.bring(file)
    now = desk.customer(old.number)
    assert (updated.counts, now and (now.name, now.city)) == (Counts(updated=1), ("Anna", "Nanjing"))
    again = await desk.bring(file)
    assert again.counts == Counts(same=1)
    assert desk.is_whole() == []


async def test_each_further_field_of_each_row_is_judged(desk: Desk) -> None:
    """Also where the same words stood in a row before, beside others."""
    desk.store.write_now(customers.add, Customer(0, 8613912345670, "Ann"), NOW_MS)
    plan = own_fields.FieldDef(0, "plan", "choice", choices=("a", "b"), required=True)
    desk.store.write_now(own_fields.add, plan, frozenset(), NOW_MS)
    rows = [
        "13912345671,Wuxi,en,a", "13912345672,Wuxi,en,", "13912345673,Wuxi,en,b", "13912345674,Wuxi,English,a",
        "13912345675,,en,a", "13912345676,Wuxi,English,a", "13912345677,Wuxi,en,c", "13912345678,,,",
        "13912345670,Wuxi,en,", "13912345679,Wuxi,en,a",
    ]  # fmt: skip
    done = await desk.bring(("number,city,language,attrs.plan\n" + "\n".join(rows) + "\n").encode())
    told = [(row, status, field) for row, status, field, _ in desk.rows(done) if status != "new"]
    assert told == [
        (2, "refused", "attrs.plan"), (4, "refused", "language"), (6, "refused", "language"),
        (7, "refused", "attrs.plan"), (8, "refused", "attrs.plan"), (9, "updated", ""),
    ]  # fmt: skip
    found = [desk.customer(8613912345670 + at) for at in (1, 3, 5, 9)]
    assert [one and (one.city, one.language, one.attrs) for one in found] == [
        ("Wuxi", "en", {1: "a"}), ("Wuxi", "en", {1: "b"}), ("", "en", {1: "a"}), ("Wuxi", "en", {1: "a"}),
    ]  # fmt: skip
    assert desk.is_whole() == []


async def test_a_file_does_not_overrule_who_said_no(desk: Desk) -> None:
    no = Consent(Status.WITHDRAWN, "sms_keyword", "in_1", NOW_MS)
    desk.store.write_now(agreement.add, 8613912345678, "marketing", no)
    done = await desk.bring(b"number,name\n13912345678,Ann\n13912345679,Bob\n", **PROVEN)
    ann, bob = desk.customer(8613912345678), desk.customer(8613912345679)
    assert done.counts == Counts(new=2)
    assert ann is not None
    assert bob is not None
    assert (ann.granted, bob.granted) == (0, 1)
    assert desk.is_whole() == []


async def test_who_was_erased_does_not_come_back(desk: Desk) -> None:
    desk.store.write_now(suppressions.add, PEPPER, 8613912345678, "erased", NOW_MS)
    desk.store.write_now(suppressions.add, PEPPER, 8613912345679, "stop_all", NOW_MS)
    done = await desk.bring(b"number\n13912345678\n13912345679\n")
    assert done.counts == Counts(new=1, refused=1)
    assert desk.customer(8613912345678) is None


async def test_without_proof_nothing_is_granted_and_proof_must_be_told(desk: Desk) -> None:
    done = await desk.bring(b"number\n13912345678\n", origin="purchase")
    found = desk.customer(8613912345678)
    assert (done.counts, found and found.granted) == (Counts(new=1), 0)
    for fields in (
        {"basis": "consent", "purposes": ("marketing",)},
        {"basis": "consent", "evidence": "x"},
        {"purposes": ("marketing",)},
        {"origin": "rent"},
        {"licence_until": 740_000},
    ):
        with pytest.raises(Invalid):
            await desk.store.write(imports.begin, Import(0, "x", **fields), NOW_MS)


@pytest.mark.parametrize("asked_again", [False, True])
async def test_two_purposes_are_two_rows_and_an_opt_in_may_be_asked_for_again(desk: Desk, asked_again: bool) -> None:
    proof_of = {**PROVEN, "purposes": ("survey", "marketing"), "double_opt_in": asked_again}
    done = await desk.bring(b"number\n13912345678\n13912345679\n", **proof_of)
    found = desk.customer(8613912345679)
    assert found is not None
    assert found.granted == (0 if asked_again else 3)
    with desk.store.read() as txn:
        said = [(purpose, row.status.value, row.evidence) for purpose, _, row in consent.history(txn, found.number)]
    word, name = "pending" if asked_again else "granted", imports.name_of(done.id)
    assert said == [("marketing", word, name), ("survey", word, name)]
    assert desk.is_whole() == []
    await desk.undo(done)
    assert desk.counts()["consents"] == 0


async def test_a_rented_list_goes_when_its_licence_ends(desk: Desk) -> None:
    day = 739_500
    desk.now_ms = (day - 719_163) * 86_400_000
    done = await desk.bring(b"number\n13912345678\n", origin="rent", licence_until=day, **PROVEN)
    await desk.works.once()
    assert desk.found(done).state is State.DONE
    desk.now_ms += 86_400_000
    await desk.works.once()
    ended = desk.found(done)
    assert (ended.state, ended.ended_by, ended.removed, ended.counts) == (State.UNDONE, "licence", 1, Counts(new=1))
    assert desk.customer(8613912345678) is None
    assert desk.rows(ended) == [(1, "new", "", "")]
    with desk.store.read() as txn:
        assert not consent.is_granted(txn, 8613912345678, "marketing")


async def test_a_number_that_stands_twice_counts_once_also_in_another_stage(desk: Desk) -> None:
    desk.works.stage_rows = 3
    file = b"number\n" + b"".join(b"+86139000000%02d\n" % (at % 5) for at in range(12))
    checked = await desk.check(await desk.upload(file))
    assert checked.checked == Counts(new=5, same=7)
    done = await desk.run(checked)
    assert done.counts == Counts(new=5, same=7)
    assert desk.is_whole() == []


@pytest.mark.parametrize("is_pressed", [True, False])
async def test_an_import_takes_a_third_of_the_time_while_somebody_sends(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, is_pressed: bool
) -> None:
    works = Imports(desk.store, Suppressions(PEPPER), lambda: NOW_MS, "CN", "Asia/Shanghai", lambda: is_pressed)
    desk.works = works
    record = await desk.upload(b"number,name\n" + b"".join(b"+86138%08d,A B\n" % at for at in range(500)))
    rests_s: list[float] = []
    sleep = asyncio.sleep

    async def noted(pause_s: float) -> None:
        if pause_s:
            rests_s.append(pause_s)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", noted)
    assert (await desk.run(record)).counts == Counts(new=500)
    assert len(rests_s) == (6 if is_pressed else 0)  # two turns of reading, four changes
    assert all(rest_s <= 0.04 for rest_s in rests_s)


async def test_raw_files_go_after_thirty_days(desk: Desk) -> None:
    done = await desk.bring(b"number\n13912345678\n")
    desk.now_ms += 31 * 86_400_000
    await desk.works.once()
    assert desk.found(done).file_gone
    with desk.store.read() as txn:
        assert not imports.FILES.any(txn)


async def test_a_number_that_is_taken_while_the_list_comes_in_is_its_holders(desk: Desk) -> None:
    people = [8613800000000 + at for at in range(3000)]
    file = b"number,name\n" + b"".join(b"+%d,Person Listed\n" % number for number in people)
    record = await desk.upload(file, **PROVEN, on_existing="fill")
    await desk.store.write(imports.ask_run, record.id, NOW_MS)
    working = asyncio.create_task(desk.works.once())
    taken = []
    while not working.done():
        with desk.store.read() as txn:
            stage = imports.IMPORTS.get(txn, record.id).stage
            last = people[-1 - len(taken)]
            is_free = customers.find_by_number(txn, last) is None
        if stage is not None and is_free and len(taken) < 40:
            met = await desk.store.write(customers.meet, last, "", NOW_MS)
            if met.source == "sms":
                taken.append(met)
        await asyncio.sleep(0)
    await working
    done = desk.found(record)
    assert taken
    assert (done.counts.new, done.counts.updated) == (3000 - len(taken), len(taken))
    for customer in taken:
        with desk.store.read() as txn:
            now = CUSTOMERS.get(txn, customer.id)
        assert (now.name, now.granted) == ("Person Listed", 1)
    assert desk.is_whole() == []


@pytest.mark.parametrize("after", range(1, 12, 2))
async def test_an_import_goes_on_where_it_was(tmp_path: Path, after: int) -> None:
    """The store refuses everything behind some change, as if the power had failed there."""
    store = Store(tmp_path / "data", TABLES)
    desk = Desk(store)
    desk.works.stage_rows = 1000
    file = b"number,name\n" + b"".join(b"+%d,Person %d\n" % (8613800000000 + at, at % 7) for at in range(2500))
    record = await desk.upload(file, **PROVEN)
    await store.write(imports.ask_run, record.id, NOW_MS)
    working = asyncio.create_task(desk.works.once())
    begun = store.commits
    while store.commits < begun + after and not working.done():  # noqa: ASYNC110
        await asyncio.sleep(0)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    store.close()
    store = Store(tmp_path / "data", TABLES)
    again = Desk(store)
    again.works.stage_rows = 1000
    await again.works.once()
    assert again.found(record).counts == Counts(new=2500)
    assert again.counts()["customers"] == 2500
    assert again.is_whole() == []
    undone = await again.undo(record)
    assert (undone.removed, again.counts()["customers"], again.counts()["consents"]) == (2500, 0, 0)
    assert again.is_whole() == []
    store.close()


@pytest.mark.parametrize(
    ("country", "cells"),
    [
        (
            "CN",
            [
                "13912345678",
                "8613912345678",
                "01065529988",
                "02088889999",
                "4008123123",
                "1391234567",
                "95588",
                "139 1234 5678",
                "139-1234-5678",
                "1 39 1234 5678 ",
                "139  12345678",
                "010-65529988",
                "86 139 1234 5678",
                "8-6139-1234-5678",
                "400 812 3123",
                "139 1234 567",
                "-13912345678",
                "139.1234.5678",
            ],
        ),
        ("US", ["2015550123", "12015550123", "5550123", "201-555-0123", "1-201-555-0123", "555-0123", "201 555 01 23"]),
        (
            "DE",
            [
                "15112345678",
                "4915112345678",
                "015112345678",
                "3012345678",
                "30 12345678",
                "151 1234-5678",
                "49 151 12345678",
                "0151 12345678",
            ],
        ),
        ("GB", ["7700900123", "07700900123", "447700900123"]),
    ],
)
def test_a_national_number_is_read_as_the_library_reads_it(store: Store, country: str, cells: list[str]) -> None:
    with store.read() as txn:
        house = import_rows.known(txn, country)
    found = import_rows.Cleaner(Import(0, "x"), ["number"], house).take(1, [[cell] for cell in cells])
    by_row = dict(zip(found.rows, found.numbers, strict=True))
    for row, cell in enumerate(cells, 1):
        try:
            number, note = cleaning.number(cell, country)
        except ValueError:
            assert row in found.faults
            continue
        assert by_row[row] == numbers.to_key(number), cell
        assert found.notes.get(row, ("number", "")) == ("number", note), cell
