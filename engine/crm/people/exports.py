"""Exports: customers as lines of CSV, for spreadsheets and other programs.

No cell is taken for a formula by a spreadsheet, and telephone numbers keep their plus sign and all their digits.  What
the caller may not see is masked by whoever gives the cells.
"""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from engine.crm.people import customers, dates, fields, organisations, references, regions, tags
from engine.crm.people.customer import Customer, PhoneState
from engine.errors import Invalid, InvalidParam
from engine.store.table import Txn
from engine.traffic import events

BOM: Final = "\ufeff"  # without it a spreadsheet takes UTF-8 for what the country had before
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

# How the sensitive ones are shown: a field's name, and what is to be told of it.
Show = Callable[[str, str], str]


def _said(one: Customer) -> str:
    if one.birthday is None:
        return ""
    said = dates.said(one.birthday)
    if isinstance(said, str):
        return said
    leap = " leap" if one.birthday.leap else ""
    return f"chinese {one.birthday.month}-{one.birthday.day}{leap}"


_PLAIN: Final[dict[str, Callable[[Customer], str]]] = {
    "id": lambda one: customers.name_of(one.id),
    "reference": lambda one: references.render(references.CUSTOMER, one.reference),
    "number": lambda one: f"+{one.number}",
    "name": lambda one: one.name,
    "lifecycle": lambda one: one.lifecycle.name.lower(),
    "class": lambda one: one.grade,
    "birthday": _said,
    "gender": lambda one: one.gender,
    "language": lambda one: one.language,
    "country": lambda one: one.country,
    "time_zone": lambda one: one.time_zone,
    "email": lambda one: one.email,
    "city": lambda one: one.city,
    "street": lambda one: one.street,
    "postcode": lambda one: one.postcode,
    "source": lambda one: one.source,
    "source_code": lambda one: one.source_code,
    "phone_state": lambda one: PhoneState(one.phone_state).name.lower(),
}
_ASKED: Final[dict[str, Callable[[Txn, Customer], str]]] = {
    "region": lambda txn, one: regions.code_of(txn, one.region),
    "tags": lambda txn, one: ";".join(tags.names(txn, one.tags)),
    "organisation": lambda _, one: organisations.name_of(one.organisation) if one.organisation else "",
}
COLUMNS: Final = (*_PLAIN, *_ASKED)
USUAL: Final = ("id", "reference", "number", "name", "lifecycle", "class", "region", "tags", "city", "birthday")
# Of which parts a policy speaks under another name.
_OF_POLICY: Final = {"street": "address", "postcode": "address"}
SENSITIVE: Final = frozenset({"number", "email", "birthday", *_OF_POLICY})


def columns_of(txn: Txn, said: Sequence[str]) -> tuple[str, ...]:
    """The columns that are asked for; own fields are `attrs.` and their key.  Raises Invalid naming `columns`."""
    own = fields.by_key(txn)
    for name in said:
        if name not in COLUMNS and name.removeprefix("attrs.") not in own:
            raise Invalid(InvalidParam("columns", f"{name!r} is not a column"))
        if name not in COLUMNS and not name.startswith("attrs."):
            raise Invalid(InvalidParam("columns", f"{name!r} is an own field: write attrs.{name}"))
    if len(set(said)) != len(said):
        raise Invalid(InvalidParam("columns", "name one twice"))
    return tuple(said) or USUAL


def header(columns: Sequence[str], *, bom: bool) -> bytes:
    """The first line."""
    return ((BOM if bom else "") + ",".join(columns) + "\r\n").encode()


def lines(txn: Txn, some: Iterable[Customer], columns: Sequence[str], show: Show) -> bytes:
    """A line for each customer.  `show` is asked for what is in SENSITIVE and for own fields that are sensitive."""
    own = {f"attrs.{field.key}": field for field in fields.listed(txn)}
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for one in some:
        cells = []
        for column in columns:
            if column in _PLAIN:
                told = _PLAIN[column](one)
            elif column in _ASKED:
                told = _ASKED[column](txn, one)
            else:
                value = one.attrs.get(own[column].id)
                told = "" if value is None else str(fields.write(own[column], value))
                if told and own[column].sensitive:
                    told = show(column, told)
            if told and column in SENSITIVE:
                told = show(_OF_POLICY.get(column, column), told)
            cells.append(cell(told))
        writer.writerow(cells)
    return text.getvalue().encode()


def trailer(by: str, at: str, rows: int) -> bytes:
    """The last line: who took the file, and when."""
    text = io.StringIO(newline="")
    csv.writer(text).writerow([cell(f"exported by {by} at {at}: {rows} customers")])
    return text.getvalue().encode()


def cell(told: str) -> str:
    """A text that no spreadsheet takes for a formula, nor a telephone number for a quantity."""
    return f"'{told}" if told.lstrip(" ").startswith(_FORMULA) else told


def tell(txn: Txn, by: str, columns: Sequence[str], rows: int, now_ms: int, *, whole: bool) -> None:
    """Keep that somebody took customers out of the house."""
    events.append(txn, "customers.exported", now_ms, by, columns=list(columns), rows=rows, whole=whole)
