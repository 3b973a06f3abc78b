"""Own fields: what a house wants to know of its customers beside what every house does; declared before use.

A person's record keeps a value under the field's number, so that a field may be called otherwise one day.
"""

import re
from datetime import date
from typing import Any, Final, Literal

import msgspec

from engine.crm.people import dates
from engine.errors import Conflict, Invalid, InvalidParam, Stale
from engine.store.table import Table, Txn
from engine.traffic import events

FIELDS_MOST: Final = 200
CHOICES_MOST: Final = 200
TEXT_LONGEST: Final = 1000  # characters of a value
LIST_LONGEST: Final = 50  # entries of a value

_KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_INTEGER_MOST: Final = 1 << 62

Kind = Literal["text", "integer", "yes_no", "date", "day", "choice", "list"]
# A date is its day number (datetime.date.toordinal), a day that comes every year the fields of dates.Day: so native
# code can compare them.
Value = str | int | bool | list[str | int]


class FieldDef(msgspec.Struct, frozen=True, array_like=True):
    """`key` is its name in JSON, conditions and files, `label` what staff read, by language.

    A `required` one must be given for every new customer; a `sensitive` one is seen by those only who see everything.
    """

    id: int
    key: str
    kind: Kind
    label: dict[str, str] = {}
    choices: tuple[str, ...] = ()
    required: bool = False
    sensitive: bool = False
    created_ms: int = 0
    version: int = 1


FIELDS: Final = Table("fields", FieldDef, "H")

TABLES: Final = (FIELDS,)


def listed(txn: Txn) -> list[FieldDef]:
    """All fields, the oldest first."""
    return [field for _, field in FIELDS.scan(txn)]


def by_key(txn: Txn) -> dict[str, FieldDef]:
    """All fields by their keys."""
    return {field.key: field for field in listed(txn)}


def add(txn: Txn, field: FieldDef, taken: frozenset[str], now_ms: int) -> FieldDef:
    """Declare a field; `taken` are the keys of what every house knows.  Raises Invalid, Conflict."""
    known = listed(txn)
    if len(known) >= FIELDS_MOST:
        raise Conflict(f"there are {FIELDS_MOST} fields: no more")
    if not _KEY.fullmatch(field.key):
        raise Invalid(InvalidParam("key", "is not a small letter and up to 39 small letters, digits and _"))
    if field.key in taken or any(field.key == other.key for other in known):
        raise Conflict(f"there is a field {field.key}")
    _check(field)
    number = 1 if not known else known[-1].id + 1
    field = msgspec.structs.replace(field, id=number, created_ms=now_ms, version=1)
    FIELDS.put(txn, number, field)
    events.append(txn, "field.created", now_ms, f"fld_{number}", key=field.key)
    return field


def change(txn: Txn, field: FieldDef, version: int | None, now_ms: int) -> FieldDef:
    """Replace what may change of a field: not its key, nor its kind.

    Raises NotFound, Invalid, Conflict, and Stale where `version` is not the stored one.
    """
    old = FIELDS.get(txn, field.id)
    if version is not None and version != old.version:
        raise Stale(f"the field has version {old.version}, not {version}")
    if (field.key, field.kind) != (old.key, old.kind):
        raise Conflict("the key and the kind of a field stay as they are")
    if set(old.choices) - set(field.choices):
        raise Conflict("a choice that people may have made stays")
    _check(field)
    field = msgspec.structs.replace(field, version=old.version + 1, created_ms=old.created_ms)
    FIELDS.put(txn, field.id, field)
    events.append(txn, "field.changed", now_ms, f"fld_{field.id}", key=field.key)
    return field


def _check(field: FieldDef) -> None:
    if (field.kind == "choice") != bool(field.choices):
        raise Invalid(InvalidParam("choices", "are for fields of kind choice, which need them"))
    if len(field.choices) > CHOICES_MOST or len(set(field.choices)) != len(field.choices):
        raise Invalid(InvalidParam("choices", f"are more than {CHOICES_MOST}, or one stands twice"))


def parse(known: dict[str, FieldDef], said: dict[str, Any], where: str = "attrs") -> dict[int, Value | None]:
    """What a caller said of own fields, by number; None takes a value away.  Raises Invalid naming every wrong one."""
    values: dict[int, Value | None] = {}
    wrong: list[InvalidParam] = []
    for key, value in said.items():
        field = known.get(key)
        if field is None:
            wrong.append(InvalidParam(f"{where}.{key}", "is no field that was declared"))
            continue
        if value is None:
            values[field.id] = None
            continue
        try:
            values[field.id] = _value(field, value)
        except ValueError as error:
            wrong.append(InvalidParam(f"{where}.{key}", str(error)))
    if wrong:
        raise Invalid(*wrong)
    return values


def _value(field: FieldDef, value: Any) -> Value:
    match field.kind:
        case "text" if isinstance(value, str) and 0 < len(value) <= TEXT_LONGEST:
            return value
        case "integer" if type(value) is int and abs(value) < _INTEGER_MOST:
            return value
        case "yes_no" if isinstance(value, bool):
            return value
        case "date" if isinstance(value, str) and len(value) == 10:
            return date.fromisoformat(value).toordinal()
        case "day" if isinstance(value, str | dict):
            return _stored(_day(value))
        case "choice" if value in field.choices:
            return str(value)
        case "list" if isinstance(value, list) and len(value) <= LIST_LONGEST:
            if all(isinstance(entry, str) and 0 < len(entry) <= TEXT_LONGEST for entry in value):
                return list(value)
    raise ValueError(_WANTED[field.kind])


def _day(said: str | dict[str, Any]) -> dates.Day:
    try:
        return dates.parse(said, "")
    except Invalid as error:
        raise ValueError(error.params[0].reason) from error


def _stored(day: dates.Day) -> list[str | int]:
    return [day.calendar, day.month, day.day, day.year, int(day.leap)]


def read(field: FieldDef, said: str) -> Value:
    """A value as it stands in a cell of a file.  Raises ValueError with the reason."""
    said = said.strip()
    match field.kind:
        case "integer":
            return _value(field, int(said))
        case "yes_no":
            if said.casefold() in _YES:
                return True
            if said.casefold() in _NO:
                return False
            raise ValueError(_WANTED["yes_no"])
        case "list":
            return _value(field, [entry.strip() for entry in re.split(r"[;,;、]", said) if entry.strip()])
    return _value(field, said)


def write(field: FieldDef, value: Value) -> Any:
    """A stored value as JSON."""
    if field.kind == "day" and isinstance(value, list):
        calendar, month, day, year, leap = (int(part) for part in value)
        return dates.said(dates.Day(calendar, month, day, year, bool(leap)))
    return date.fromordinal(value).isoformat() if field.kind == "date" and isinstance(value, int) else value


_YES: Final = frozenset({"yes", "y", "true", "1", "是", "对"})
_NO: Final = frozenset({"no", "n", "false", "0", "否", "不"})
_WANTED: Final = {
    "text": f"is not a text of 1 to {TEXT_LONGEST} characters",
    "integer": "is not a whole number of at most 18 digits",
    "yes_no": "is not true or false",
    "date": "is not a date as 2026-09-25",
    "day": "is not a date as 1990-10-02 or --10-02, or one of the Chinese calendar",
    "choice": "is none of the field's choices",
    "list": f"is not a list of at most {LIST_LONGEST} texts",
}
