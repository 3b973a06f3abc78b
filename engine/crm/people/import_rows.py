"""Rows of imports: cells as they stand in a file to what a customer's record holds, a column at a time.

What was mended is noted, what cannot be read is refused, each with its row.
"""

import re
from array import array
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import phonenumbers

from engine import _words, numbers
from engine.crm.people import cleaning, customers, dates, fields, regions, tags, words
from engine.crm.people.customer import Lifecycle
from engine.crm.people.fields import FieldDef
from engine.crm.people.imports import Import
from engine.errors import Invalid, InvalidParam
from engine.store.table import Txn

CELLS_KEPT: Final = 20_000  # whose meaning is remembered

# Those that a plain text column leads to.
_TEXTS: Final = (
    "name_sort", "language", "country", "time_zone", "email", "city", "street", "postcode", "source_code",
    "preferred_hours",
)  # fmt: skip
FIELDS: Final = ("number", "name", "lifecycle", "class", "region", "tags", "birthday", "gender", *_TEXTS)

# What columns are called in the lists that people have.
_CALLED: Final = {
    "number": ("number", "phone", "phone number", "telephone", "mobile", "tel", "手机", "手机号", "手机号码", "电话",
               "电话号码", "联系电话"),
    "name": ("name", "full name", "customer", "姓名", "名字", "客户", "客户姓名", "客户名称"),
    "tags": ("tags", "tag", "labels", "标签"),
    "region": ("region", "area", "地区", "区域"),
    "lifecycle": ("lifecycle", "stage", "阶段"),
    "class": ("class", "grade", "级别", "等级"),
    "birthday": ("birthday", "date of birth", "birth date", "生日", "出生日期"),
    "gender": ("gender", "sex", "性别"),
    "city": ("city", "城市"),
    "email": ("email", "e-mail", "mail", "邮箱", "电子邮件"),
    "street": ("street", "address", "地址"),
    "postcode": ("postcode", "zip", "postal code", "邮编"),
    "language": ("language", "语言"),
    "country": ("country", "国家"),
}  # fmt: skip
_BY_NAME: Final = {called: field for field, names in _CALLED.items() for called in names}

_SPACED: Final = re.compile("(?=(?:[0-9][ -]?){8,14}$)[1-9][0-9]*(?:[ -][0-9]+)*").fullmatch
_BETWEEN: Final = re.compile("[;,|；，、]")
_LIFECYCLES: Final = {step.name.lower(): step for step in Lifecycle} | {
    "潜在": Lifecycle.LEAD, "线索": Lifecycle.LEAD, "意向": Lifecycle.PROSPECT, "客户": Lifecycle.CUSTOMER,
    "流失": Lifecycle.LOST,
}  # fmt: skip
_GENDERS: Final = {"f": "female", "女": "female", "m": "male", "男": "male", "w": "female"}


class Known(msgspec.Struct):
    """What the house has, by the words that lists call it."""

    country: str | None
    own: dict[str, FieldDef]
    regions: dict[str, int]
    tags: dict[str, int]


def known(txn: Txn, country: str | None) -> Known:
    """What is known now.  A name that two regions have leads to neither."""
    found = regions.listed(txn)
    by_word: dict[str, int] = {}
    named = [words.spaced(region.name) for region in found]
    for region, name in zip(found, named, strict=True):
        by_word[name] = region.id if named.count(name) == 1 else 0
    by_word |= {words.spaced(region.code): region.id for region in found}
    return Known(country, fields.by_key(txn), by_word, {words.spaced(tag.name): tag.id for tag in tags.listed(txn)})


def mapped(record: Import, columns: Sequence[str], own: dict[str, FieldDef]) -> list[str]:
    """The field of each column, empty for none.  Raises Invalid where the file is not as the mapping says."""
    if not record.mapping:
        found = [_BY_NAME.get(words.spaced(column), "") for column in columns]
        found = [field or _own(column, own) for field, column in zip(found, columns, strict=True)]
        found = ["" if field in found[:at] else field for at, field in enumerate(found)]
    else:
        told = {words.spaced(column): field for column, field in record.mapping.items()}
        missing = told.keys() - {words.spaced(column) for column in columns}
        if missing:
            raise Invalid(InvalidParam("mapping", f"names a column that the file has not: {min(missing)!r}"))
        found = [told.get(words.spaced(column), "") for column in columns]
        found = ["" if field == "ignore" else field for field in found]
    wrong = [
        InvalidParam("mapping", f"{field!r} is not a field of customers")
        for field in found
        if field and field not in FIELDS and not _own(field, own)
    ]
    if wrong:
        raise Invalid(*wrong)
    if "number" not in found:
        seen = ", ".join(repr(column[:40]) for column in columns[:10])
        raise Invalid(InvalidParam("mapping", f"leads no column to number; the file has {seen}"))
    return found


def _own(name: str, own: dict[str, FieldDef]) -> str:
    key = name.strip().removeprefix("attrs.")
    return f"attrs.{key}" if key in own and name.startswith("attrs.") else ""


class Cleaned:
    """Rows that can be used, column beside column, and what is to be said of rows.

    `others` has, for each row, the fields beside those that have a list of their own; it is empty where no column leads
    to one.  An empty cell gives None, or 0, or no tags: it takes nothing away.
    """

    def __init__(self) -> None:
        self.rows = array("I")
        self.numbers = array("Q")
        self.names: list[str] = []
        self.lifecycles: list[Lifecycle | None] = []
        self.regions: list[int] = []
        self.tags: list[tuple[int, ...]] = []
        self.others: list[dict[str, Any]] = []
        self.faults: dict[int, tuple[str, str]] = {}
        self.notes: dict[int, tuple[str, str]] = {}


class Cleaner:
    """Reads the columns of one file.  `take` rows; where tags were met that nobody has, `unknown` names them first."""

    def __init__(self, record: Import, columns: Sequence[str], house: Known) -> None:
        self._known = house
        self._fields = mapped(record, columns, house.own)
        self._width = len(columns)
        self._places = {field: at for at, field in enumerate(self._fields) if field and field != "tags"}
        self._tag_places = [at for at, field in enumerate(self._fields) if field == "tags"]
        self._tags: dict[str, tuple[int, ...]] = {"": ()}
        self._regions: dict[str, int | str] = {"": 0}
        self._lifecycles: dict[str, Lifecycle | str | None] = {"": None}
        self._met: dict[tuple[str, str], tuple[int | str, Any, str]] = {}
        self._others = [field for field in self._places if field not in ("number", "name", "region", "lifecycle")]
        code = phonenumbers.country_code_for_region(house.country) if house.country else 0
        self._code = str(code) if code else ""
        self.is_rich = bool(self._others)

    # -- tags, which may have to be made

    def unknown(self, cells: list[list[str]]) -> set[str]:
        """Names of tags in these rows that are not known yet: `learn` their ids, then `take` the rows."""
        missing: set[str] = set()
        for place in self._tag_places:
            for cell in {row[place] for row in cells if len(row) > place} - self._tags.keys():
                names = _names(cell)
                if len(self._tags) > CELLS_KEPT:
                    self._tags = {"": ()}
                missing.update(name for name in names if words.spaced(name) not in self._known.tags)
        return {name for name in missing if len(name) <= tags.NAME_LONGEST}

    def learn(self, found: dict[str, int]) -> None:
        """Tags by their names."""
        self._known.tags |= {words.spaced(name): identifier for name, identifier in found.items()}

    def _tags_of(self, cell: str) -> tuple[int, ...]:
        found = {self._known.tags.get(words.spaced(name), 0) for name in _names(cell)}
        if 0 in found or len(found) > tags.ON_ONE_MOST:
            raise ValueError(f"a tag has more than {tags.NAME_LONGEST} characters, or there are too many")
        self._tags[cell] = sorted_ = tuple(sorted(found))
        return sorted_

    # -- rows

    def take(self, first: int, cells: list[list[str]]) -> Cleaned:
        """The rows from number `first` on, cleaned."""
        out = Cleaned()
        rows: Sequence[int] = range(first, first + len(cells))
        width = self._width
        if any(len(row) != width for row in cells):
            cells, rows = self._of_width(cells, rows, out)
        if not cells:
            return out
        columns = list(zip(*cells, strict=True))
        self._numbers(rows, columns[self._places["number"]], out)
        self._names(rows, columns, out)
        out.regions = self._cached(rows, columns, "region", self._regions, self._region, out) or [0] * len(rows)
        found = self._cached(rows, columns, "lifecycle", self._lifecycles, _lifecycle, out)
        out.lifecycles = found or [None] * len(rows)
        self._take_tags(rows, columns, out)
        if self._others:
            out.others = [self._of_others(row, line, out) for row, line in zip(rows, cells, strict=True)]
        out.rows = array("I", rows)
        if out.faults:
            drop_faulty(out)
        return out

    def _of_width(
        self, cells: list[list[str]], rows: Sequence[int], out: Cleaned
    ) -> tuple[list[list[str]], Sequence[int]]:
        good, kept = [], []
        for row, line in zip(rows, cells, strict=True):
            if len(line) == self._width or (len(line) > self._width and not any(line[self._width :])):
                good.append(line[: self._width])
                kept.append(row)
            else:
                out.faults[row] = "file", f"has {len(line)} columns, the header {self._width}"
        return good, kept

    def _numbers(self, rows: Sequence[int], column: Sequence[str], out: Cleaned) -> None:
        plain = numbers.plain_key
        out.numbers = found = numbers.plain_keys(column)
        if 0 not in found:
            return
        code = self._code
        for at, key in enumerate(found):
            if key:
                continue
            cell = column[at]
            # A national number as it stands, which the library would only put the country's code before.
            digits = cell.replace(" ", "").replace("-", "") if code and _SPACED(cell) else ""
            if digits and not digits.startswith(code) and (key := plain(f"+{code}{digits}")):
                found[at] = key
                if len(digits) != len(cell):
                    out.notes[rows[at]] = "number", "written otherwise"
                continue
            try:
                number, note = cleaning.number(cell, self._known.country)
            except ValueError as error:
                out.faults[rows[at]] = "number", str(error)
                continue
            found[at] = numbers.to_key(number)
            if note:
                out.notes[rows[at]] = "number", note

    def _names(self, rows: Sequence[int], columns: list[tuple[str, ...]], out: Cleaned) -> None:
        if "name" not in self._places:
            out.names = [""] * len(rows)
            return
        out.names = names = list(columns[self._places["name"]])
        for at in _words.unusual(names):
            names[at], note = cleaning.name(names[at])
            if note:
                _note(out, rows[at], "name", note)
            if len(names[at]) > customers.NAME_LONGEST:
                out.faults[rows[at]] = "name", f"is longer than {customers.NAME_LONGEST} characters"

    def _cached(
        self, rows: Sequence[int], columns: list[tuple[str, ...]], field: str, cache: dict[str, Any],
        read: Callable[[str], Any], out: Cleaned,
    ) -> list[Any]:  # fmt: skip
        if field not in self._places:
            return []
        column = columns[self._places[field]]
        met = set(column)
        for cell in met - cache.keys():
            if len(cache) > CELLS_KEPT:
                cache.clear()
                cache.update({cell: read(cell) for cell in met})
            cache[cell] = read(cell)
        found = [cache[cell] for cell in column]
        if any(type(cache[cell]) is str for cell in met):
            for at, value in enumerate(found):
                if type(value) is str:
                    out.faults[rows[at]] = field, value
        return found

    def _region(self, cell: str) -> int | str:
        said = words.spaced(cell)
        if not said:
            return 0
        found = self._known.regions.get(said)
        return found or ("two regions have this name" if found == 0 else f"there is no region {cell.strip()[:60]!r}")

    def _take_tags(self, rows: Sequence[int], columns: list[tuple[str, ...]], out: Cleaned) -> None:
        if not self._tag_places:
            out.tags = [()] * len(rows)
            return
        known_ = self._tags
        for place in self._tag_places:
            column = columns[place]
            if known_.keys() >= set(column):
                found = [known_[cell] for cell in column]
            else:
                found = [self._tags_or_fault(row, cell, out) for row, cell in zip(rows, column, strict=True)]
            both = zip(out.tags, found, strict=True)
            out.tags = [tuple(sorted({*one, *two})) for one, two in both] if out.tags else found

    def _tags_or_fault(self, row: int, cell: str, out: Cleaned) -> tuple[int, ...]:
        try:
            return self._tags[cell] if cell in self._tags else self._tags_of(cell)
        except ValueError as error:
            out.faults[row] = "tags", str(error)
            return ()

    def _of_others(self, row: int, line: list[str], out: Cleaned) -> dict[str, Any]:
        said: dict[str, Any] = {}
        attrs: dict[int, Any] = {}
        for field in self._others:
            cell = line[self._places[field]]
            if not cell or cell.isspace():
                continue
            try:
                name, value, note = self._met.get((field, cell)) or self._meet(field, cell)
            except ValueError as error:
                out.faults[row] = field, str(error)
                break
            if isinstance(name, int):
                attrs[name] = value
            else:
                said[name] = value
            if note:
                _note(out, row, field, note)
        if attrs:
            said["attrs"] = dict(sorted(attrs.items()))
        return said

    def _meet(self, field: str, cell: str) -> tuple[int | str, Any, str]:
        """(the number of an own field or the record's field, the value, a note).  Raises ValueError."""
        if len(self._met) > CELLS_KEPT:
            self._met.clear()
        if field.startswith("attrs."):
            own = self._known.own[field[6:]]
            self._met[field, cell] = found = own.id, *_own_value(own, cell)
            return found
        self._met[field, cell] = of_record = _value(field, cell)
        return of_record


def _note(out: Cleaned, row: int, field: str, note: str) -> None:
    """Add to what is said of a row."""
    before = out.notes.get(row)
    out.notes[row] = (field, note) if before is None else (before[0], f"{before[1]}; {field}: {note}")


def drop_faulty(out: Cleaned) -> None:
    """Take the rows out that are refused."""
    keep = [at for at, row in enumerate(out.rows) if row not in out.faults]
    for name in ("rows", "numbers", "names", "lifecycles", "regions", "tags", "others"):
        column = getattr(out, name)
        kept = [column[at] for at in keep] if column else column
        setattr(out, name, array(column.typecode, kept) if isinstance(column, array) else kept)
    for row in out.faults:
        out.notes.pop(row, None)


def _names(cell: str) -> list[str]:
    parts = (" ".join(part.split()) for part in _BETWEEN.split(cell))
    return [part for part in parts if part]


def _lifecycle(cell: str) -> Lifecycle | str | None:
    said = words.spaced(cell)
    return _LIFECYCLES.get(said, f"is none of {', '.join(step.name.lower() for step in Lifecycle)}") if said else None


def _own_value(own: FieldDef, cell: str) -> tuple[Any, str]:
    said, note = cleaning.text(cell)
    if own.kind in ("date", "day"):
        try:
            found, note = cleaning.day(cell)
        except ValueError:
            return fields.read(own, said), note
        return fields.read(own, found.isoformat()), note
    try:
        return fields.read(own, said), note
    except ValueError as error:
        reason = str(error)
        raise ValueError("is not a whole number" if reason.startswith("invalid literal") else reason) from error


def _value(field: str, cell: str) -> tuple[str, Any, str]:
    """(the record's field, its value, a note)."""
    said, note = cleaning.text(cell)
    if field == "birthday":
        return field, *_birthday(said)
    if field == "class":
        return "grade", said.upper(), note
    if field == "gender":
        return field, _GENDERS.get(said.casefold(), said.casefold()), note
    if field == "country":
        return field, said.upper(), note
    return field, said, note


def _birthday(said: str) -> tuple[Any, str]:
    try:
        if said.startswith("--"):
            return dates.parse(said, "birthday"), ""
        found, note = cleaning.day(said)
        return dates.parse(found.isoformat(), "birthday"), note
    except Invalid as error:
        raise ValueError(error.params[0].reason) from error
