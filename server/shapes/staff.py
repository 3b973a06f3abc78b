"""Staff, roles and teams as JSON."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from engine.access import passwords, pins
from engine.access.caller import Caller, Sight
from engine.crm.people import roles, staff
from engine.crm.people.roles import Role
from engine.crm.people.staff import Staff, Team
from engine.store.table import Txn
from server import sight, views, wire

Name = Annotated[str, Meta(min_length=1, max_length=staff.NAME_LONGEST)]
Word = Annotated[str, Meta(min_length=1, max_length=staff.WORD_LONGEST)]
Words = Annotated[list[Word], Meta(max_length=staff.WORDS_MOST)]
WorkingHours = Annotated[str, Meta(max_length=staff.HOURS_LONGEST)]
RoleName = Annotated[str, Meta(min_length=1, max_length=roles.NAME_LONGEST)]
RoleNames = Annotated[list[RoleName], Meta(max_length=staff.WORDS_MOST)]
Rights = Annotated[list[str], Meta(max_length=100)]
RevealsADay = Annotated[int, Meta(ge=0, le=roles.REVEALS_MOST)]
StaffLanguage = Literal["en", "zh"]
Pin = Annotated[str, Meta(min_length=pins.SHORTEST, max_length=pins.LONGEST)]
Password = Annotated[str, Meta(min_length=passwords.SHORTEST, max_length=passwords.LONGEST)]
Current = Annotated[str, Meta(max_length=passwords.LONGEST)]


class NewStaff(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody who begins to work here.  `roles` are names of roles."""

    number: str
    name: Name
    roles: RoleNames = []
    team_id: str | None = None
    supervisor_id: str | None = None
    zones: Words = []
    skills: Words = []
    working_hours: WorkingHours = ""
    language: StaffLanguage | None = None


class StaffChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fields to replace; those left out stay.  Who is `locked` is out at once."""

    number: str | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    roles: RoleNames | UnsetType = UNSET
    state: Literal["active", "locked"] | UnsetType = UNSET
    team_id: str | UnsetType | None = UNSET
    supervisor_id: str | UnsetType | None = UNSET
    zones: Words | UnsetType = UNSET
    skills: Words | UnsetType = UNSET
    working_hours: WorkingHours | UnsetType = UNSET
    language: StaffLanguage | UnsetType | None = UNSET


class NewPin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A PIN of 4 to 8 digits.  Who changes his own gives the `current` one too."""

    pin: Pin
    current: Current = ""


class NewPassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A password.  Who changes his own gives the `current` one too."""

    password: Password
    current: Current = ""


class Deactivation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody leaves: `successor_id` is who has his customers, tasks and people from now on."""

    successor_id: str | None = None
    reason: Annotated[str, Meta(max_length=500)] = ""


class NewRole(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What its holders may do, and how much they see of a person; a field that is not named is masked."""

    name: RoleName
    rights: Rights = []
    sight: dict[str, Sight] = {}
    reveals_a_day: RevealsADay = roles.REVEALS_A_DAY


class RoleChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fields to replace; those left out stay."""

    name: RoleName | UnsetType = UNSET
    rights: Rights | UnsetType = UNSET
    sight: dict[str, Sight] | UnsetType = UNSET
    reveals_a_day: RevealsADay | UnsetType = UNSET


class NewTeam(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """People who work together."""

    name: Name
    supervisor_id: str | None = None


class TeamChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fields to replace; those left out stay."""

    name: Name | UnsetType = UNSET
    supervisor_id: str | UnsetType | None = UNSET


class StaffView(msgspec.Struct, frozen=True):
    """A member of the staff; nothing of a PIN or a password but whether there is one."""

    id: str
    number: views.Phone | None
    name: str
    roles: list[str]
    state: str
    team_id: str | None
    supervisor_id: str | None
    zones: list[str]
    skills: list[str]
    working_hours: str
    language: str | None
    has_pin: bool
    has_password: bool
    created_at: str | None
    updated_at: str | None
    version: int


class StaffPage(msgspec.Struct, frozen=True):
    """A page of staff, newest first."""

    items: list[StaffView]
    next: str | None


class RoleView(msgspec.Struct, frozen=True):
    """A role."""

    id: str
    name: str
    rights: list[str]
    sight: dict[str, Sight]
    reveals_a_day: int
    created_at: str | None
    updated_at: str | None
    version: int


class RolePage(msgspec.Struct, frozen=True):
    """All roles."""

    items: list[RoleView]
    next: str | None


class TeamView(msgspec.Struct, frozen=True):
    """A team."""

    id: str
    name: str
    supervisor_id: str | None
    created_at: str | None
    updated_at: str | None
    version: int


class TeamPage(msgspec.Struct, frozen=True):
    """All teams."""

    items: list[TeamView]
    next: str | None


def staff_view(txn: Txn, caller: Caller, record: Staff, *, whole: bool = False) -> StaffView:
    """A member of the staff as JSON, as the caller sees him; in a list, which is not `whole`, as masks."""
    return StaffView(
        id=staff.name_of(record.id),
        number=sight.number(caller, record.number, whole=whole),
        name=record.name,
        roles=roles.names(txn, record.roles),
        state=record.state.value,
        team_id=staff.team_name_of(record.team) if record.team else None,
        supervisor_id=staff.name_of(record.supervisor) if record.supervisor else None,
        zones=list(record.zones),
        skills=list(record.skills),
        working_hours=record.working_hours,
        language=record.language or None,
        has_pin=bool(record.pin_hash),
        has_password=bool(record.password_hash),
        created_at=wire.time(record.created_ms),
        updated_at=wire.time(record.updated_ms),
        version=record.version,
    )


def role_view(record: Role) -> RoleView:
    """A role as JSON."""
    return RoleView(
        id=roles.name_of(record.id),
        name=record.name,
        rights=list(record.rights),
        sight=record.sight,
        reveals_a_day=record.reveals_a_day,
        created_at=wire.time(record.created_ms),
        updated_at=wire.time(record.updated_ms),
        version=record.version,
    )


def team_view(record: Team) -> TeamView:
    """A team as JSON."""
    return TeamView(
        id=staff.team_name_of(record.id),
        name=record.name,
        supervisor_id=staff.name_of(record.supervisor) if record.supervisor else None,
        created_at=wire.time(record.created_ms),
        updated_at=wire.time(record.updated_ms),
        version=record.version,
    )
