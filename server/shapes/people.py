"""What people are sorted by, as JSON: tags, regions, organisations, own fields."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from engine.crm.people import fields, organisations, regions, tags
from engine.crm.people.fields import FieldDef
from engine.crm.people.organisations import Organisation
from engine.crm.people.regions import Region
from engine.crm.people.tags import Tag
from engine.store import ids
from engine.store.table import Txn
from server import wire

TagName = Annotated[str, Meta(min_length=1, max_length=tags.NAME_LONGEST)]
RegionName = Annotated[str, Meta(min_length=1, max_length=regions.NAME_LONGEST)]
RegionCode = Annotated[str, Meta(min_length=1, max_length=regions.CODE_LONGEST)]
OrganisationName = Annotated[str, Meta(min_length=1, max_length=organisations.NAME_LONGEST)]
OrganisationKind = Literal["customer", "partner", "supplier", "competitor", "public", "store"]
FieldKind = Literal["text", "integer", "yes_no", "date", "day", "choice", "list"]
Label = dict[str, Annotated[str, Meta(max_length=100)]]
Choices = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=100)]], Meta(max_length=fields.CHOICES_MOST)
]  # fmt: skip


class NewTag(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A word that staff put on people."""

    name: TagName


class TagView(msgspec.Struct, frozen=True):
    """A tag."""

    id: int
    name: str
    created_at: str | None


class TagPage(msgspec.Struct, frozen=True):
    """All tags, the oldest first."""

    items: list[TagView]
    next: str | None


class NewRegion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place; `parent` is the code of the one that it lies in, `time_zone` an IANA name if it has one of its own."""

    name: RegionName
    code: RegionCode
    parent: RegionCode | None = None
    time_zone: Annotated[str, Meta(max_length=64)] = ""


class RegionChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fields to replace; those left out stay."""

    name: RegionName | UnsetType = UNSET
    code: RegionCode | UnsetType = UNSET
    parent: RegionCode | UnsetType | None = UNSET
    time_zone: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET


class RegionView(msgspec.Struct, frozen=True):
    """A place."""

    id: int
    name: str
    code: str
    parent: str | None
    time_zone: str | None
    version: int


class RegionPage(msgspec.Struct, frozen=True):
    """All regions, the oldest first."""

    items: list[RegionView]
    next: str | None


class NewOrganisation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A firm or a shop; `region` is a code, `parent` the id of the organisation that it belongs to."""

    name: OrganisationName
    kind: OrganisationKind = "customer"
    region: RegionCode | None = None
    parent: str | None = None
    active: bool = True


class OrganisationChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fields to replace; those left out stay."""

    name: OrganisationName | UnsetType = UNSET
    kind: OrganisationKind | UnsetType = UNSET
    region: RegionCode | UnsetType | None = UNSET
    parent: str | UnsetType | None = UNSET
    active: bool | UnsetType = UNSET


class OrganisationView(msgspec.Struct, frozen=True):
    """A firm or a shop."""

    id: str
    name: str
    kind: str
    region: str | None
    parent: str | None
    active: bool
    created_at: str | None
    updated_at: str | None
    version: int


class OrganisationPage(msgspec.Struct, frozen=True):
    """Organisations; `next` is the cursor of the following page, or null."""

    items: list[OrganisationView]
    next: str | None


class NewField(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A field of the house's own.  `key` is its name in JSON, conditions and files, `label` what staff read."""

    key: Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,39}$")]
    kind: FieldKind
    label: Label = {}
    choices: Choices = []
    required: bool = False
    sensitive: bool = False


class FieldChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fields to replace; those left out stay.  Choices that were there stay too."""

    label: Label | UnsetType = UNSET
    choices: Choices | UnsetType = UNSET
    required: bool | UnsetType = UNSET
    sensitive: bool | UnsetType = UNSET


class FieldView(msgspec.Struct, frozen=True):
    """A field of the house's own."""

    id: int
    key: str
    kind: str
    label: dict[str, str]
    choices: list[str]
    required: bool
    sensitive: bool
    created_at: str | None
    version: int


class FieldPage(msgspec.Struct, frozen=True):
    """All fields, the oldest first."""

    items: list[FieldView]
    next: str | None


def tag(record: Tag) -> TagView:
    """A tag as JSON."""
    return TagView(record.id, record.name, wire.time(record.created_ms))


def region(txn: Txn, record: Region) -> RegionView:
    """A region as JSON."""
    parent = regions.code_of(txn, record.parent) or None
    return RegionView(record.id, record.name, record.code, parent, record.time_zone or None, record.version)


def region_of(txn: Txn, said: NewRegion) -> Region:
    """What a caller said, as a record.  Raises Invalid naming `parent`."""
    parent = regions.require(txn, said.parent, "parent") if said.parent else 0
    return Region(0, said.name, said.code, parent, said.time_zone)


def region_changed(txn: Txn, old: Region, said: RegionChange) -> Region:
    """The record with what a caller said.  Raises Invalid naming `parent`."""
    parent = old.parent
    if said.parent is not UNSET:
        parent = regions.require(txn, said.parent, "parent") if said.parent else 0
    return msgspec.structs.replace(
        old,
        name=old.name if said.name is UNSET else said.name,
        code=old.code if said.code is UNSET else said.code,
        time_zone=old.time_zone if said.time_zone is UNSET else said.time_zone,
        parent=parent,
    )


def organisation(txn: Txn, record: Organisation) -> OrganisationView:
    """An organisation as JSON."""
    return OrganisationView(
        organisations.name_of(record.id),
        record.name,
        record.kind,
        regions.code_of(txn, record.region) or None,
        organisations.name_of(record.parent) if record.parent else None,
        record.is_active,
        wire.time(record.created_ms),
        wire.time(record.updated_ms),
        record.version,
    )


def organisation_of(txn: Txn, said: NewOrganisation) -> Organisation:
    """What a caller said, as a record.  Raises Invalid naming the field."""
    region_id = regions.require(txn, said.region) if said.region else 0
    parent = ids.parse("org", said.parent, "parent") if said.parent else 0
    return Organisation(0, said.name, said.kind, region_id, parent, said.active)


def organisation_changed(txn: Txn, old: Organisation, said: OrganisationChange) -> Organisation:
    """The record with what a caller said.  Raises Invalid naming the field."""
    region_id, parent = old.region, old.parent
    if said.region is not UNSET:
        region_id = regions.require(txn, said.region) if said.region else 0
    if said.parent is not UNSET:
        parent = ids.parse("org", said.parent, "parent") if said.parent else 0
    return msgspec.structs.replace(
        old,
        name=old.name if said.name is UNSET else said.name,
        kind=old.kind if said.kind is UNSET else said.kind,
        is_active=old.is_active if said.active is UNSET else said.active,
        region=region_id,
        parent=parent,
    )


def field(record: FieldDef) -> FieldView:
    """A field as JSON."""
    return FieldView(
        record.id,
        record.key,
        record.kind,
        record.label,
        list(record.choices),
        record.required,
        record.sensitive,
        wire.time(record.created_ms),
        record.version,
    )


def field_of(said: NewField) -> FieldDef:
    """What a caller said, as a record."""
    return FieldDef(0, said.key, said.kind, said.label, tuple(said.choices), said.required, said.sensitive)


def field_changed(old: FieldDef, said: FieldChange) -> FieldDef:
    """The record with what a caller said."""
    return msgspec.structs.replace(
        old,
        label=old.label if said.label is UNSET else said.label,
        choices=old.choices if said.choices is UNSET else tuple(said.choices),
        required=old.required if said.required is UNSET else said.required,
        sensitive=old.sensitive if said.sensitive is UNSET else said.sensitive,
    )
