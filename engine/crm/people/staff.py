"""Staff: who works here, in which team, with which roles; and what that lets them do.

Rules of this file:

1. A number is one person's.  It is free again once that person has left.
2. Who has left, or is locked, may nothing from that moment on: whoever asks who calls asks `caller_of` each time.
3. Who leaves, leaves nothing without an owner: what was his goes to a successor in the same change.
4. Nobody reaches above himself: to give a role, or to change, lock or give a new PIN to somebody, one must have all the
   rights of that role or person.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

from engine import numbers
from engine.access.caller import Caller
from engine.config import LANGUAGES
from engine.crm.people import audit, roles
from engine.crm.people.audit import By
from engine.crm.people.roles import ROLES
from engine.errors import Conflict, Forbidden, Invalid, InvalidParam, NotFound, Stale
from engine.store import ids
from engine.store.table import Keyed, Table, Txn, Unique
from engine.traffic import events

NAME_LONGEST: Final = 200  # characters
HOURS_LONGEST: Final = 200
WORD_LONGEST: Final = 100
WORDS_MOST: Final = 50
_LEVELS_MOST: Final = 20  # of supervisors above one another


class State(StrEnum):
    """Whether somebody may come in: those who left never again."""

    ACTIVE = "active"
    LOCKED = "locked"
    INACTIVE = "inactive"


class Staff(msgspec.Struct, frozen=True, array_like=True):
    """A member of the staff.  `number` is E.164 as an integer; `zones` and `skills` are the house's own words.

    `signed_out_ms`: whatever this person signed in to before that time has ended.
    """

    id: int
    number: int
    name: str
    roles: tuple[int, ...] = ()
    state: State = State.ACTIVE
    team: int = 0
    supervisor: int = 0
    zones: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    working_hours: str = ""
    language: str = ""
    pin_hash: str = ""
    password_hash: str = ""
    signed_out_ms: int = 0
    created_ms: int = 0
    updated_ms: int = 0
    version: int = 1


class Team(msgspec.Struct, frozen=True, array_like=True):
    """People who work together, and who tells them what to do."""

    id: int
    name: str
    supervisor: int = 0
    created_ms: int = 0
    updated_ms: int = 0
    version: int = 1


class Estate(NamedTuple):
    """What people own elsewhere: how much of it is open, and how it goes from one to another at a time."""

    open_of: Callable[[Txn, int], int]
    hand_over: Callable[[Txn, int, int, int], None]


STAFF: Final = Table("staff", Staff)
BY_NUMBER: Final = Unique("staff_by_number", "Q")
TEAMS: Final = Table("teams", Team)

TABLES: Final[tuple[Keyed, ...]] = (STAFF, BY_NUMBER, TEAMS)

TEAMS_MOST: Final = 1_000


def name_of(identifier: int) -> str:
    """The id on the wire."""
    return ids.render("stf", identifier)


def team_name_of(identifier: int) -> str:
    """A team's id on the wire."""
    return ids.render("tea", identifier)


# -- who calls


def caller_of(txn: Txn, identifier: int) -> Caller:
    """Who this person is, and what he may and sees by all his roles.  Raises Forbidden where he may not come in."""
    staff = STAFF.find(txn, identifier)
    if staff is None or staff.state is not State.ACTIVE:
        raise Forbidden("this person has no access", code="no_access")
    held = [role for role in (ROLES.find(txn, one) for one in staff.roles) if role is not None]
    granted, sight, reveals_a_day = roles.together(held)
    return Caller("staff", staff.name, staff.id, granted, sight, reveals_a_day)


def is_signed_in(txn: Txn, identifier: int, since_ms: int) -> bool:
    """Whether somebody who signed in at that time still is."""
    staff = STAFF.find(txn, identifier)
    return staff is not None and staff.state is State.ACTIVE and since_ms >= staff.signed_out_ms


def find_by_number(txn: Txn, number: int) -> Staff | None:
    """Who has that number and has not left, or None."""
    identifier = BY_NUMBER.find(txn, number)
    return None if identifier is None else STAFF.get(txn, identifier)


def supervisor_of(txn: Txn, staff: Staff) -> int:
    """Who is to be told about this person: his own supervisor, else his team's; 0 for nobody."""
    team = TEAMS.find(txn, staff.team) if staff.team and not staff.supervisor else None
    told = staff.supervisor if team is None else team.supervisor
    return 0 if told == staff.id else told


def listed(txn: Txn, before: int, limit: int) -> Iterator[Staff]:
    """Staff newest first, older than id `before` (0: from the newest)."""
    for _, staff in STAFF.scan(txn, after=before or None, reverse=True):
        if limit <= 0:
            return
        limit -= 1
        yield staff


# -- changes


def add(txn: Txn, by: By, staff: Staff, now_ms: int) -> Staff:
    """Somebody begins to work here.  Raises Invalid naming the field, Conflict where the number is taken, Forbidden."""
    by.caller.require("staff:write")
    identifier = ids.take(txn, now_ms)
    staff = msgspec.structs.replace(
        staff, id=identifier, state=State.ACTIVE, created_ms=now_ms, updated_ms=now_ms, signed_out_ms=now_ms
    )
    staff = _checked(txn, by, staff)
    if not BY_NUMBER.add(txn, staff.number, identifier):
        raise _taken(staff.number)
    STAFF.put(txn, identifier, staff)
    told = {field: (None, _shown(txn, staff, field)) for field in _TOLD}
    events.append(txn, "staff.created", now_ms, name_of(identifier))
    audit.append(txn, by, "staff.created", name_of(identifier), now_ms, _different(told))
    return staff


def change(txn: Txn, by: By, identifier: int, changes: Mapping[str, Any], version: int | None, now_ms: int) -> Staff:
    """Replace fields, `state` by active or locked among them.

    Raises NotFound, Invalid, Conflict, Forbidden, and Stale where `version` is given and is not the stored one.
    """
    old = _within_reach(txn, by, identifier)
    if version is not None and version != old.version:
        raise Stale(f"this member of the staff has version {old.version}, not {version}")
    if old.state is State.INACTIVE:
        raise Conflict("this member of the staff has left")
    if changes.get("state") == State.INACTIVE:
        raise Invalid(InvalidParam("state", "is set by …/deactivate"))
    new = _checked(txn, by, msgspec.structs.replace(old, **changes))
    if new.number != old.number:
        if not BY_NUMBER.add(txn, new.number, identifier):
            raise _taken(new.number)
        BY_NUMBER.remove(txn, old.number)
    if new.state is not old.state:
        new = msgspec.structs.replace(new, signed_out_ms=now_ms)
    told = {field: (_shown(txn, old, field), _shown(txn, new, field)) for field in _TOLD if field in changes}
    return _put(txn, by, new, "staff.changed", now_ms, _different(told))


def lock(txn: Txn, by: By, identifier: int, now_ms: int) -> Staff:
    """Keep somebody out until `change` makes him active.  Raises NotFound, Conflict, Forbidden."""
    return change(txn, by, identifier, {"state": State.LOCKED}, None, now_ms)


def set_pin(txn: Txn, by: By, identifier: int, pin_hash: str, now_ms: int) -> Staff:
    """Keep a new PIN: what engine/access/pins.py made of it.  Raises NotFound, Conflict, Forbidden."""
    return _set_secret(txn, by, identifier, "pin", pin_hash, now_ms)


def set_password(txn: Txn, by: By, identifier: int, password_hash: str, now_ms: int) -> Staff:
    """Keep a new password, and end what the old one opened.  Raises NotFound, Conflict, Forbidden."""
    return _set_secret(txn, by, identifier, "password", password_hash, now_ms)


def _set_secret(txn: Txn, by: By, identifier: int, kind: str, kept: str, now_ms: int) -> Staff:
    is_own = by.caller.kind == "staff" and by.caller.id == identifier
    old = STAFF.get(txn, identifier) if is_own else _within_reach(txn, by, identifier)
    if old.state is State.INACTIVE:
        raise Conflict("this member of the staff has left")
    fields: dict[str, Any] = {f"{kind}_hash": kept}
    if kind == "password":
        fields["signed_out_ms"] = now_ms
    return _put(txn, by, msgspec.structs.replace(old, **fields), f"staff.{kind}_set", now_ms)


def deactivate(
    txn: Txn, by: By, identifier: int, successor: int, now_ms: int, estates: Sequence[Estate] = (), reason: str = ""
) -> Staff:
    """Somebody leaves: out at once, PIN and password gone, the number free.  A second time changes nothing.

    What is his goes to `successor`; without one, 0, raises Conflict of code `owns_records` where he owns anything that
    is open.  Raises NotFound, Invalid, Forbidden.
    """
    old = _within_reach(txn, by, identifier)
    if old.state is State.INACTIVE:
        return old
    everything = (*estates, SUPERVISED)
    owned = sum(estate.open_of(txn, identifier) for estate in everything)
    if owned and not successor:
        raise Conflict(f"owns {owned} open records or people: name a successor", code="owns_records")
    if successor:
        _require_active(txn, successor, "successor_id", identifier)
        for estate in everything:
            estate.hand_over(txn, identifier, successor, now_ms)
    BY_NUMBER.remove(txn, old.number)
    new = msgspec.structs.replace(
        old, state=State.INACTIVE, pin_hash="", password_hash="", signed_out_ms=now_ms, team=0, supervisor=0
    )
    told = {"state": (old.state, new.state), "successor": (None, name_of(successor) if successor else None)}
    return _put(txn, by, new, "staff.deactivated", now_ms, _different(told), reason)


def _put(
    txn: Txn, by: By, staff: Staff, action: str, now_ms: int, told: audit.Changes | None = None, reason: str = ""
) -> Staff:
    """The changed person, as the next version."""
    staff = msgspec.structs.replace(staff, updated_ms=now_ms, version=staff.version + 1)
    STAFF.put(txn, staff.id, staff)
    events.append(txn, action, now_ms, name_of(staff.id), fields=sorted(told or ()))
    audit.append(txn, by, action, name_of(staff.id), now_ms, told, reason)
    return staff


# -- what a supervisor leaves


def _supervised(txn: Txn, supervisor: int) -> tuple[list[Staff], list[Team]]:
    return (
        [one for _, one in STAFF.scan(txn) if one.supervisor == supervisor and one.state is not State.INACTIVE],
        [team for _, team in TEAMS.scan(txn) if team.supervisor == supervisor],
    )


def _count_supervised(txn: Txn, supervisor: int) -> int:
    people, teams = _supervised(txn, supervisor)
    return len(people) + len(teams)


def _hand_over_supervised(txn: Txn, old: int, new: int, now_ms: int) -> None:
    people, teams = _supervised(txn, old)
    for one in people:
        above = 0 if one.id == new else new
        moved = msgspec.structs.replace(one, supervisor=above, updated_ms=now_ms, version=one.version + 1)
        STAFF.put(txn, one.id, moved)
    for team in teams:
        kept = msgspec.structs.replace(team, supervisor=new, updated_ms=now_ms, version=team.version + 1)
        TEAMS.put(txn, team.id, kept)


SUPERVISED: Final = Estate(_count_supervised, _hand_over_supervised)


# -- teams


def add_team(txn: Txn, by: By, team: Team, now_ms: int) -> Team:
    """A new team.  Raises Invalid naming the field, Conflict where the name is taken, Forbidden."""
    by.caller.require("staff:write")
    if TEAMS.count(txn) >= TEAMS_MOST:
        raise Conflict(f"there are {TEAMS_MOST} teams already")
    team = msgspec.structs.replace(_checked_team(txn, team), id=ids.take(txn, now_ms), created_ms=now_ms)
    return _put_team(txn, by, None, msgspec.structs.replace(team, version=0), "team.created", now_ms)


def change_team(
    txn: Txn, by: By, identifier: int, changes: Mapping[str, Any], version: int | None, now_ms: int
) -> Team:
    """Replace fields.  Raises NotFound, Invalid, Conflict, Forbidden, Stale."""
    by.caller.require("staff:write")
    old = TEAMS.get(txn, identifier)
    if version is not None and version != old.version:
        raise Stale(f"the team has version {old.version}, not {version}")
    new = _checked_team(txn, msgspec.structs.replace(old, **changes))
    return _put_team(txn, by, old, new, "team.changed", now_ms)


def _put_team(txn: Txn, by: By, old: Team | None, new: Team, action: str, now_ms: int) -> Team:
    new = msgspec.structs.replace(new, updated_ms=now_ms, version=new.version + 1)
    TEAMS.put(txn, new.id, new)
    told = {
        "name": (old.name if old else None, new.name),
        "supervisor": (_name_or_none(old.supervisor) if old else None, _name_or_none(new.supervisor)),
    }
    events.append(txn, action, now_ms, team_name_of(new.id), name=new.name)
    audit.append(txn, by, action, team_name_of(new.id), now_ms, _different(told))
    return new


def listed_teams(txn: Txn) -> list[Team]:
    """All teams, the oldest first."""
    return [team for _, team in TEAMS.scan(txn)]


def _checked_team(txn: Txn, team: Team) -> Team:
    if not 1 <= len(team.name) <= NAME_LONGEST:
        raise Invalid(InvalidParam("name", f"is not 1 to {NAME_LONGEST} characters"))
    if team.supervisor:
        _require_active(txn, team.supervisor, "supervisor_id", 0)
    for other in listed_teams(txn):
        if other.name.casefold() == team.name.casefold() and other.id != team.id:
            raise Conflict(f"there is a team with the name {other.name!r}")
    return team


# -- rules

_TOLD: Final = (
    "number", "name", "roles", "state", "team", "supervisor", "zones", "skills", "working_hours", "language",
)  # fmt: skip


def _taken(number: int) -> Conflict:
    return Conflict(f"somebody of the staff has the number {numbers.mask(numbers.from_key(number))}")


def _name_or_none(identifier: int) -> str | None:
    return name_of(identifier) if identifier else None


def _shown(txn: Txn, staff: Staff, field: str) -> Any:
    """A field as the audit log tells it."""
    value = getattr(staff, field)
    match field:
        case "number":
            return numbers.from_key(value)
        case "roles":
            return roles.names(txn, value) or None
        case "team":
            return team_name_of(value) if value else None
        case "supervisor":
            return _name_or_none(value)
    return value or None


def _different(told: Mapping[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
    return {field: pair for field, pair in told.items() if pair[0] != pair[1]}


def _within_reach(txn: Txn, by: By, identifier: int) -> Staff:
    """The person, whom the caller may change.  Raises NotFound, Forbidden."""
    by.caller.require("staff:write")
    staff = STAFF.find(txn, identifier)
    if staff is None:
        raise NotFound("there is no such member of the staff")
    held = [role for role in (ROLES.find(txn, one) for one in staff.roles) if role is not None]
    roles.require_no_less(by.caller, roles.together(held)[0])
    return staff


def _require_active(txn: Txn, identifier: int, field: str, but: int) -> None:
    staff = STAFF.find(txn, identifier)
    if staff is None or staff.state is State.INACTIVE or identifier == but:
        raise Invalid(InvalidParam(field, "is nobody else who works here"))


def _checked(txn: Txn, by: By, staff: Staff) -> Staff:
    """The person, if every field is possible.  Raises Invalid, Forbidden."""
    wrong = []
    if not 1 <= len(staff.name.strip()) <= NAME_LONGEST:
        wrong.append(InvalidParam("name", f"is not 1 to {NAME_LONGEST} characters"))
    if len(staff.working_hours) > HOURS_LONGEST:
        wrong.append(InvalidParam("working_hours", f"is longer than {HOURS_LONGEST} characters"))
    if staff.language and staff.language not in LANGUAGES:
        wrong.append(InvalidParam("language", f"is none of {', '.join(LANGUAGES)}"))
    for field in ("zones", "skills"):
        words: tuple[str, ...] = getattr(staff, field)
        if len(words) > WORDS_MOST or any(not 1 <= len(word) <= WORD_LONGEST for word in words):
            wrong.append(InvalidParam(field, f"is not up to {WORDS_MOST} words of 1 to {WORD_LONGEST} characters"))
    if staff.team and TEAMS.find(txn, staff.team) is None:
        wrong.append(InvalidParam("team_id", "is no team"))
    if wrong:
        raise Invalid(*wrong)
    if staff.supervisor:
        _require_active(txn, staff.supervisor, "supervisor_id", staff.id)
        _require_no_circle(txn, staff)
    held = [ROLES.get(txn, identifier) for identifier in staff.roles]
    roles.require_no_less(by.caller, roles.together(held)[0])
    return staff


def _require_no_circle(txn: Txn, staff: Staff) -> None:
    above = staff.supervisor
    for _ in range(_LEVELS_MOST):
        if not above:
            return
        if above == staff.id:
            break
        found = STAFF.find(txn, above)
        above = 0 if found is None else found.supervisor
    raise Invalid(InvalidParam("supervisor_id", "is below this person"))


def differences(txn: Txn) -> Iterator[str]:
    """What the index by number is not, as a rebuild would make it."""
    here = {(one.number, one.id) for _, one in STAFF.scan(txn) if one.state is not State.INACTIVE}
    found = {(number, identifier) for (number,), identifier in BY_NUMBER.scan(txn)}
    for missing in sorted(here - found):
        yield f"{BY_NUMBER.name}: {missing[1]} is missing"
    for stray in sorted(found - here):
        yield f"{BY_NUMBER.name}: {stray[1]} leads nowhere"
