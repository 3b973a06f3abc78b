"""engine/crm/people/staff.py, roles.py and tries.py: who works here, what he may, and when he is kept out."""

import asyncio
from typing import Any

import msgspec
import pytest

from engine.access import passwords, pins
from engine.access.caller import SYSTEM, Caller
from engine.access.rights import EVERY, NUMBERS
from engine.crm.people import audit, roles, staff, tries
from engine.crm.people.audit import By
from engine.crm.people.roles import Role
from engine.crm.people.staff import STAFF, Estate, Staff, State, Team
from engine.crm.people.tries import TRIES, Way
from engine.errors import Conflict, Forbidden, Invalid, NotFound, Stale, TooMany
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import events

NOW_MS = 1_700_000_000_000
MINUTE_MS = 60_000
PEPPER = bytes(range(32))
BY = By(SYSTEM, "system", PEPPER)
WAY = Way(PEPPER, "sms", "rcv_0000000000001")
NUMBER = 8613912340001


def hire(store: Store, name: str = "Chen Jing", *held: str, by: By = BY, now_ms: int = NOW_MS, **fields: Any) -> Staff:
    def change(txn: Txn) -> Staff:
        roles.ship(txn, now_ms)
        number = fields.pop("number", None) or NUMBER + STAFF.count(txn)
        return staff.add(txn, by, Staff(0, number, name, roles.named(txn, held), **fields), now_ms)

    return store.write_now(change)


def as_caller(store: Store, person: Staff) -> By:
    with store.read() as txn:
        return By(staff.caller_of(txn, person.id), "web", PEPPER)


def kinds(store: Store) -> list[str]:
    with store.read() as txn:
        return [event.kind for _, event in events.after(txn, 0, 1000)]


def actions(store: Store) -> list[str]:
    with store.read() as txn:
        return [row.entry.action for row in audit.listed(txn, 1000)][::-1]


def is_whole(store: Store) -> bool:
    with store.read() as txn:
        assert list(staff.differences(txn)) == []
        assert list(audit.differences(txn)) == []
        return isinstance(audit.verify(txn, (), PEPPER), int)


# -- roles


def test_the_house_has_seven_roles_from_the_first_need_on(store: Store) -> None:
    with store.read() as txn:
        assert not roles.are_shipped(txn)
    store.write_now(roles.ship, NOW_MS)
    store.write_now(roles.ship, NOW_MS + 1)
    with store.read() as txn:
        shipped = roles.listed(txn)
    assert [role.name for role in shipped] == [
        "owner", "supervisor", "sales", "service", "engineer", "store", "reader",
    ]  # fmt: skip
    for role in shipped:
        assert set(role.rights) <= EVERY
        assert role.name == "owner" or (role.sight["number"] == "masked" and NUMBERS not in role.rights)


def test_rights_of_several_roles_add_up_and_the_clearer_sight_counts(store: Store) -> None:
    person = hire(store, "Chen Jing", "engineer", "store")
    caller = as_caller(store, person).caller
    assert caller.rights == {
        "customers:read", "messages:read", "messages:send", "coupons:redeem", "members:read", "members:write",
    }  # fmt: skip
    assert (caller.kind, caller.name, caller.id) == ("staff", "Chen Jing", person.id)
    assert caller.sight == {"number": "masked", "email": "none", "birthday": "masked", "address": "full"}


def test_who_has_no_role_may_nothing_and_sees_masks(store: Store) -> None:
    caller = as_caller(store, hire(store)).caller
    assert (caller.rights, set(caller.sight.values()), caller.reveals_a_day) == (frozenset(), {"masked"}, 0)


def test_a_field_that_a_role_does_not_name_is_masked(store: Store) -> None:
    store.write_now(roles.add, BY, Role(0, "till", ("coupons:redeem",), {"email": "full"}), NOW_MS)
    assert as_caller(store, hire(store, "Till", "till")).caller.sees("number") == "masked"


def test_to_see_numbers_in_full_and_to_have_the_right_to_is_one_and_the_same(store: Store) -> None:
    store.write_now(roles.add, BY, Role(0, "calling", (NUMBERS,)), NOW_MS)
    store.write_now(roles.add, BY, Role(0, "looking", ("customers:read",), {"number": "full"}), NOW_MS)
    for role in ("calling", "looking"):
        caller = as_caller(store, hire(store, role, role)).caller
        assert (caller.sees("number"), caller.may(NUMBERS)) == ("full", True)


def test_a_changed_role_counts_at_once(store: Store) -> None:
    person = hire(store, "Chen Jing", "reader")
    with store.read() as txn:
        (identifier,) = roles.named(txn, ["reader"])
    store.write_now(roles.change, BY, identifier, {"rights": ("coupons:redeem",)}, None, NOW_MS)
    assert as_caller(store, person).caller.rights == {"coupons:redeem"}
    with pytest.raises(Stale):
        store.write_now(roles.change, BY, identifier, {"rights": ()}, 1, NOW_MS)


@pytest.mark.parametrize(
    ("role", "error"),
    [
        pytest.param(Role(0, " "), Invalid, id="no name"),
        pytest.param(Role(0, "Sales"), Conflict, id="a name that is taken"),
        pytest.param(Role(0, "x", ("customers:steal",)), Invalid, id="no right"),
        pytest.param(Role(0, "x", (), {"shoe size": "full"}), Invalid, id="no field"),
        pytest.param(Role(0, "x", (), {}, -1), Invalid, id="fewer than no reveals"),
    ],
)
def test_a_role_that_cannot_be_is_refused(store: Store, role: Role, error: type[Exception]) -> None:
    with pytest.raises(error):
        store.write_now(roles.add, BY, role, NOW_MS)


def test_nobody_gives_what_he_has_not(store: Store) -> None:
    chief = as_caller(store, hire(store, "Wang", "supervisor"))
    clerk = hire(store, "Chen", "reader")
    owner = hire(store, "Li", "owner")
    with store.read() as txn:
        (owning,) = roles.named(txn, ["owner"])
    for change, *args in (
        (roles.add, chief, Role(0, "thief", ("tokens:write",)), NOW_MS),
        (roles.add, chief, Role(0, "spy", (), {"number": "full"}), NOW_MS),
        (roles.change, chief, owning, {"rights": ()}, None, NOW_MS),
        (staff.change, chief, clerk.id, {"roles": (owning,)}, None, NOW_MS),
        (staff.add, chief, Staff(0, 8613900000099, "Friend", (owning,)), NOW_MS),
        (staff.set_password, chief, owner.id, "x", NOW_MS),
        (staff.set_pin, chief, owner.id, "x", NOW_MS),
        (staff.lock, chief, owner.id, NOW_MS),
        (staff.deactivate, chief, owner.id, 0, NOW_MS),
    ):
        with pytest.raises(Forbidden) as refused:
            store.write_now(change, *args)
        assert refused.value.code == "no_right"
    store.write_now(staff.set_pin, chief, clerk.id, "x", NOW_MS)
    assert is_whole(store)


def test_only_who_may_write_staff_changes_staff(store: Store) -> None:
    clerk = as_caller(store, hire(store, "Chen", "sales"))
    other = hire(store, "Wang", "sales")
    for change, *args in (
        (staff.add, clerk, Staff(0, 8613900000099, "Friend"), NOW_MS),
        (staff.change, clerk, other.id, {"name": "x"}, None, NOW_MS),
        (staff.set_pin, clerk, other.id, "x", NOW_MS),
        (staff.add_team, clerk, Team(0, "Front"), NOW_MS),
        (roles.add, clerk, Role(0, "x"), NOW_MS),
    ):
        with pytest.raises(Forbidden):
            store.write_now(change, *args)
    store.write_now(staff.set_pin, clerk, clerk.caller.id, "x", NOW_MS)


# -- staff


def test_a_number_is_one_person_s(store: Store) -> None:
    person = hire(store)
    with pytest.raises(Conflict) as refused:
        hire(store, "Wang", number=person.number)
    assert str(person.number) not in str(refused.value)
    other = hire(store, "Wang")
    with pytest.raises(Conflict):
        store.write_now(staff.change, BY, other.id, {"number": person.number}, None, NOW_MS)
    store.write_now(staff.change, BY, person.id, {"number": 8613900000077}, None, NOW_MS)
    store.write_now(staff.change, BY, other.id, {"number": person.number}, None, NOW_MS)
    with store.read() as txn:
        found = staff.find_by_number(txn, person.number)
        assert found is not None
        assert found.id == other.id
    assert is_whole(store)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        pytest.param({"name": " "}, "name", id="no name"),
        pytest.param({"language": "de"}, "language", id="a language we do not speak"),
        pytest.param({"team": 7}, "team_id", id="no team"),
        pytest.param({"supervisor": 7}, "supervisor_id", id="nobody above"),
        pytest.param({"zones": ("",)}, "zones", id="an empty zone"),
        pytest.param({"skills": ("x",) * 51}, "skills", id="too many skills"),
        pytest.param({"working_hours": "x" * 201}, "working_hours", id="hours too long"),
        pytest.param({"state": State.INACTIVE}, "state", id="a state that is not set so"),
    ],
)
def test_a_wrong_field_is_named(store: Store, fields: dict[str, Any], name: str) -> None:
    person = hire(store)
    with pytest.raises(Invalid) as refused:
        store.write_now(staff.change, BY, person.id, fields, None, NOW_MS)
    assert [param.name for param in refused.value.params] == [name]


def test_nobody_is_below_himself(store: Store) -> None:
    first = hire(store, "Chen")
    second = hire(store, "Wang", supervisor=first.id)
    third = hire(store, "Li", supervisor=second.id)
    for above in (first.id, second.id, third.id):
        with pytest.raises(Invalid):
            store.write_now(staff.change, BY, first.id, {"supervisor": above}, None, NOW_MS)


def test_a_change_of_an_older_version_is_refused(store: Store) -> None:
    person = hire(store)
    changed = store.write_now(staff.change, BY, person.id, {"name": "Chen"}, 1, NOW_MS)
    assert changed.version == 2
    with pytest.raises(Stale):
        store.write_now(staff.change, BY, person.id, {"name": "Jing"}, 1, NOW_MS)


def test_what_was_before_and_after_a_change_is_kept_but_no_secret(store: Store) -> None:
    person = hire(store, "Chen Jing", "sales")
    store.write_now(staff.change, BY, person.id, {"name": "Chen", "zones": ("north",)}, None, NOW_MS)
    store.write_now(staff.set_pin, BY, person.id, pins.hashed(PEPPER, "4711"), NOW_MS)
    with store.read() as txn:
        pin, changed, created = audit.listed(txn, 10, target=staff.name_of(person.id))
    assert changed.values is not None
    assert changed.values.changes == {"name": ('"Chen Jing"', '"Chen"'), "zones": ("", '["north"]')}
    assert created.values is not None
    assert created.values.changes["roles"] == ("", '["sales"]')
    assert (pin.entry.action, pin.entry.changes, pin.values) == ("staff.pin_set", {}, None)


def test_who_is_locked_is_out_at_once_and_comes_back(store: Store) -> None:
    person = hire(store, "Chen", "sales")
    with store.read() as txn:
        assert staff.is_signed_in(txn, person.id, NOW_MS)
    store.write_now(staff.lock, BY, person.id, NOW_MS + 5)
    with store.read() as txn:
        assert not staff.is_signed_in(txn, person.id, NOW_MS + 9)
        with pytest.raises(Forbidden):
            staff.caller_of(txn, person.id)
    store.write_now(staff.change, BY, person.id, {"state": State.ACTIVE}, None, NOW_MS + 10)
    with store.read() as txn:
        assert staff.caller_of(txn, person.id).may("customers:read")
        assert not staff.is_signed_in(txn, person.id, NOW_MS + 9)
        assert staff.is_signed_in(txn, person.id, NOW_MS + 10)


def test_a_new_password_ends_what_the_old_one_opened(store: Store) -> None:
    person = hire(store)
    store.write_now(staff.set_password, BY, person.id, "kept", NOW_MS + 5)
    with store.read() as txn:
        assert not staff.is_signed_in(txn, person.id, NOW_MS + 4)
        assert staff.is_signed_in(txn, person.id, NOW_MS + 5)


def test_who_leaves_is_out_at_once_and_his_number_is_free(store: Store) -> None:
    person = hire(store, "Chen", "sales")
    store.write_now(staff.set_pin, BY, person.id, "kept", NOW_MS)
    left = store.write_now(staff.deactivate, BY, person.id, 0, NOW_MS + 1)
    assert (left.state, left.pin_hash, left.password_hash) == (State.INACTIVE, "", "")
    again = store.write_now(staff.deactivate, BY, person.id, 0, NOW_MS + 2)
    assert again == left
    with store.read() as txn:
        assert staff.find_by_number(txn, person.number) is None
        with pytest.raises(Forbidden):
            staff.caller_of(txn, person.id)
    for change, *args in (
        (staff.change, BY, person.id, {"state": State.ACTIVE}, None, NOW_MS),
        (staff.set_pin, BY, person.id, "kept", NOW_MS),
    ):
        with pytest.raises(Conflict):
            store.write_now(change, *args)
    hire(store, "Wang", number=person.number)
    assert is_whole(store)
    assert actions(store).count("staff.deactivated") == 1


def test_who_leaves_leaves_nothing_without_an_owner(store: Store) -> None:
    """B13: refused while he owns anything that is open, then handed over, and nothing is left."""
    person, successor = hire(store, "Chen"), hire(store, "Wang")
    below = hire(store, "Li", supervisor=person.id)
    team = store.write_now(staff.add_team, BY, Team(0, "Front", person.id), NOW_MS)
    owners = {"cus_1": person.id, "cus_2": person.id}

    def hand_over(_txn: Txn, old: int, new: int, _now_ms: int) -> None:
        owners.update({name: new for name, owner in owners.items() if owner == old})

    estate = Estate(lambda _txn, owner: list(owners.values()).count(owner), hand_over)
    with pytest.raises(Conflict) as refused:
        store.write_now(staff.deactivate, BY, person.id, 0, NOW_MS, (estate,))
    assert (refused.value.code, "4 open" in str(refused.value)) == ("owns_records", True)
    for nobody in (person.id, 7):
        with pytest.raises(Invalid):
            store.write_now(staff.deactivate, BY, person.id, nobody, NOW_MS, (estate,))
    store.write_now(staff.deactivate, BY, person.id, successor.id, NOW_MS, (estate,))
    with store.read() as txn:
        assert STAFF.get(txn, below.id).supervisor == successor.id
        assert staff.TEAMS.get(txn, team.id).supervisor == successor.id
    assert set(owners.values()) == {successor.id}


def test_a_team_has_a_name_of_its_own(store: Store) -> None:
    team = store.write_now(staff.add_team, BY, Team(0, "Front"), NOW_MS)
    assert team.version == 1
    with pytest.raises(Conflict):
        store.write_now(staff.add_team, BY, Team(0, "front"), NOW_MS)
    changed = store.write_now(staff.change_team, BY, team.id, {"name": "Desk"}, 1, NOW_MS)
    assert (changed.name, changed.version) == ("Desk", 2)
    with pytest.raises(Stale):
        store.write_now(staff.change_team, BY, team.id, {"name": "Hall"}, 1, NOW_MS)


# -- tries


class Clock:
    """A time that stands until it is moved."""

    def __init__(self) -> None:
        self.at_ms = NOW_MS

    def __call__(self) -> int:
        return self.at_ms


def with_pin(store: Store, pin: str = "4711", **fields: Any) -> Staff:
    person = hire(store, "Chen Jing", **fields)
    return store.write_now(staff.set_pin, BY, person.id, pins.hashed(PEPPER, pin), NOW_MS)


async def test_a_right_pin_is_right(store: Store) -> None:
    person, clock = with_pin(store), Clock()
    assert await tries.check(store, WAY, person.id, "pin", "4711", clock)
    assert not await tries.check(store, WAY, person.id, "pin", "4712", clock)
    assert not await tries.check(store, WAY, person.id, "password", "4711", clock)
    assert actions(store)[-3:] == ["staff.pin_right", "staff.pin_wrong", "staff.password_wrong"]
    with store.read() as txn:
        (newest, *_) = audit.listed(txn, 1)
    assert (newest.entry.via, newest.entry.source, newest.entry.actor_name) == ("sms", WAY.source, "Chen Jing")


async def test_three_wrong_in_ten_minutes_lock_for_fifteen_and_the_supervisor_is_told(store: Store) -> None:
    above = hire(store, "Wang")
    person, clock = with_pin(store, supervisor=above.id), Clock()
    for _ in range(3):
        assert not await tries.check(store, WAY, person.id, "pin", "0000", clock)
        clock.at_ms += MINUTE_MS
    locked_ms = clock.at_ms - MINUTE_MS
    with pytest.raises(TooMany) as refused:
        await tries.check(store, WAY, person.id, "pin", "4711", clock)
    assert (refused.value.code, refused.value.retry_after_s) == ("locked", 14 * 60)
    with store.read() as txn:
        found = [event for _, event in events.after(txn, 0, 100) if event.kind == "staff.pin_locked"]
    assert [(event.subject, event.detail) for event in found] == [
        (staff.name_of(person.id), {"supervisor_id": staff.name_of(above.id), "minutes": 15})
    ]
    clock.at_ms = locked_ms + 15 * MINUTE_MS - 1
    with pytest.raises(TooMany):
        await tries.check(store, WAY, person.id, "pin", "4711", clock)
    clock.at_ms += 1
    assert await tries.check(store, WAY, person.id, "pin", "4711", clock)
    assert is_whole(store)


async def test_wrong_ones_further_apart_do_not_lock(store: Store) -> None:
    person, clock = with_pin(store), Clock()
    for _ in range(4):
        assert not await tries.check(store, WAY, person.id, "pin", "0000", clock)
        clock.at_ms += 5 * MINUTE_MS
    assert "staff.pin_locked" not in kinds(store)


async def test_a_right_one_begins_the_count_anew(store: Store) -> None:
    person, clock = with_pin(store), Clock()
    for pin in ("0000", "0000", "4711", "0000", "0000"):
        await tries.check(store, WAY, person.id, "pin", pin, clock)
    assert "staff.pin_locked" not in kinds(store)


async def test_many_tries_at_once_are_no_more_than_three(store: Store) -> None:
    person, clock = with_pin(store), Clock()
    crowd = [tries.check(store, WAY, person.id, "pin", f"{pin:04}", clock) for pin in range(20)]
    found = await asyncio.gather(*crowd, return_exceptions=True)
    assert found.count(False) == 3
    assert sum(isinstance(one, TooMany) for one in found) == 17
    assert kinds(store).count("staff.pin_locked") == 1


def test_tries_that_a_crash_broke_off_count(store: Store) -> None:
    person = with_pin(store)
    for _ in range(3):
        store.write_now(tries.begin, person.id, "pin", NOW_MS)
    with pytest.raises(TooMany) as refused:
        store.write_now(tries.begin, person.id, "pin", NOW_MS + MINUTE_MS)
    assert refused.value.retry_after_s == 9 * 60
    store.write_now(tries.begin, person.id, "pin", NOW_MS + 10 * MINUTE_MS)


async def test_who_is_not_here_has_no_tries(store: Store) -> None:
    person, clock = with_pin(store), Clock()
    store.write_now(staff.deactivate, BY, person.id, 0, NOW_MS)
    for identifier in (person.id, 7):
        with pytest.raises(Forbidden):
            await tries.check(store, WAY, identifier, "pin", "4711", clock)
    with store.read() as txn:
        assert not TRIES.any(txn)


async def test_signing_in_needs_number_and_password(store: Store) -> None:
    person, clock = hire(store), Clock()
    assert await tries.sign_in(store, WAY, person.number, "", clock) is None
    kept = passwords.hashed(PEPPER, "a heron in the reeds")
    store.write_now(staff.set_password, BY, person.id, kept, NOW_MS)
    assert await tries.sign_in(store, WAY, person.number, "a heron in the reeds", clock) == person.id
    assert await tries.sign_in(store, WAY, person.number, "a stork in the reeds", clock) is None
    assert await tries.sign_in(store, WAY, 8613900000055, "a heron in the reeds", clock) is None
    store.write_now(staff.lock, BY, person.id, NOW_MS)
    assert await tries.sign_in(store, WAY, person.number, "a heron in the reeds", clock) is None


def test_a_stolen_directory_shows_no_pin_and_no_password(store: Store) -> None:
    person = with_pin(store, "80274613")
    kept = passwords.hashed(PEPPER, "a heron in the reeds")
    store.write_now(staff.set_password, BY, person.id, kept, NOW_MS)
    octets = (store.directory / "data.mdb").read_bytes()
    assert b"80274613" not in octets
    assert b"a heron in the reeds" not in octets
    assert kept.encode() in octets


def test_records_of_before_read_with_what_was_added(store: Store) -> None:
    """Fields are only added at the end: an older, shorter record still reads."""
    old = msgspec.msgpack.encode([7, NUMBER, "Chen"])
    assert msgspec.msgpack.decode(old, type=Staff) == Staff(7, NUMBER, "Chen")


def test_nobody_is_not_found(store: Store) -> None:
    for change, *args in (
        (staff.change, BY, 7, {"name": "x"}, None, NOW_MS),
        (staff.deactivate, BY, 7, 0, NOW_MS),
        (staff.change_team, BY, 7, {"name": "x"}, None, NOW_MS),
    ):
        with pytest.raises(NotFound):
            store.write_now(change, *args)
    with store.read() as txn, pytest.raises(Forbidden):
        staff.caller_of(txn, 7)


def test_a_program_with_few_rights_hires_nobody_above_them(store: Store) -> None:
    program = By(Caller("token", "hr", rights=frozenset({"staff:write"})), "api", PEPPER)
    hire(store, "Chen", by=program)
    with pytest.raises(Forbidden):
        hire(store, "Wang", "reader", by=program)
