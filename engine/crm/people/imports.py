"""Imports: lists of customers that somebody brings in: where they come from, what may be done with them, what became
of every row.

The file is kept in pieces, so that an import goes on where it was when the power failed, and for 30 days.  The work
itself is done by import_work.py.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any, Final, Literal, NamedTuple

import msgspec

from engine.crm.people import words
from engine.crm.people.consent import PURPOSES
from engine.crm.people.customer import Customer, Lifecycle
from engine.errors import Conflict, Invalid, InvalidParam
from engine.store import ids
from engine.store.table import Keyed, Octets, Table, Txn
from engine.traffic import events

NAME_LONGEST: Final = 200  # characters
EVIDENCE_LONGEST: Final = 1000
PRESETS_MOST: Final = 200
COLUMNS_MOST: Final = 200
PIECE_OCTETS: Final = 65_536
PIECES_DROPPED: Final = 100
KEPT_DAYS: Final = 30
DAY_MS: Final = 86_400_000

Origin = Literal["own", "purchase", "rent"]
# `none`: there is no proof, so people are known and looked up, and nothing that needs a consent is sent to them.
Basis = Literal["none", "consent", "contract"]
OnExisting = Literal["update", "fill", "skip"]
Status = Literal["new", "updated", "same", "refused"]
STATUSES: Final[tuple[Status, ...]] = ("new", "updated", "same", "refused")


class State(StrEnum):
    """How far an import is: `new` until its file has come."""

    NEW = "new"
    UPLOADED = "uploaded"
    CHECKING = "checking"
    CHECKED = "checked"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    UNDOING = "undoing"
    UNDONE = "undone"


# In these somebody works on it.
WORKING: Final = frozenset({State.CHECKING, State.RUNNING, State.UNDOING})


class Counts(msgspec.Struct, frozen=True, array_like=True):
    """Rows by what became of them; `fixed` are those of the others in which something was mended."""

    new: int = 0
    updated: int = 0
    same: int = 0
    refused: int = 0
    fixed: int = 0

    @property
    def rows(self) -> int:
        """All of them."""
        return self.new + self.updated + self.same + self.refused


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where reading goes on: behind `lines` lines from the octet `octet`; `row` rows were read."""

    octet: int = 0
    lines: int = 0
    row: int = 0


class Stage(msgspec.Struct, frozen=True, array_like=True):
    """New customers that are on their way in: `count` ids from `first` on."""

    first: int
    count: int


class Import(msgspec.Struct, frozen=True, array_like=True):
    """A list of customers.  `licence_until` is a date's ordinal, 0 for none.

    `purposes` are what `evidence` proves that the people agreed to; with `double_opt_in` they must say so again.
    `mapping` leads from a column to a field; `tags` (by name), `region` (its code) and `lifecycle` are given to whoever
    is new.  `kept` customers stayed at the undo, since something had happened to them.
    """

    id: int
    name: str
    origin: Origin = "own"
    basis: Basis = "none"
    licence_until: int = 0
    purposes: tuple[str, ...] = ()
    evidence: str = ""
    wording: str = ""
    double_opt_in: bool = False
    mapping: dict[str, str] = {}
    on_existing: OnExisting = "update"
    tags: tuple[str, ...] = ()
    region: str = ""
    lifecycle: Lifecycle = Lifecycle.LEAD
    state: State = State.NEW
    counts: Counts = Counts()
    checked: Counts | None = None
    octets: int = 0
    encoding: str = ""
    file_gone: bool = False
    place: Place = Place()
    stage: Stage | None = None
    error: str = ""
    undone_after: int = 0
    removed: int = 0
    restored: int = 0
    kept: int = 0
    ended_by: str = ""
    created_by: str = ""
    created_ms: int = 0
    updated_ms: int = 0
    started_ms: int = 0
    ended_ms: int = 0


class Stretch(NamedTuple):
    """Neighbouring rows with the same fate: from row `first`, `rows` of them.

    Their customers' ids step by one from `customer`; `field` and `reason` say what was mended, or why it was refused.
    """

    first: int
    rows: int
    status: Status
    customer: int = 0
    field: str = ""
    reason: str = ""


class Before(msgspec.Struct, frozen=True, array_like=True):
    """A customer as he was before row `row` changed `fields` of him, and the rows of consent (purpose, id) it added."""

    row: int
    old: Customer
    fields: tuple[str, ...]
    version: int
    consents: tuple[tuple[int, int], ...] = ()


class Preset(msgspec.Struct, frozen=True, array_like=True):
    """A mapping that is kept by a name."""

    name: str
    mapping: dict[str, str]
    created_ms: int = 0


IMPORTS: Final = Table("imports", Import)
FILES: Final = Octets("import_files", "QI")  # import, piece
STRETCHES: Final = Table("import_stretches", list[Stretch], "QBI")  # import, 1 if it ran, first row from 1
CREATED: Final = Table("import_created", int, "QQ")  # import, first id -> how many
BEFORE: Final = Table("import_before", Before, "QQ")  # import, customer
PRESETS: Final = Table("import_presets", Preset, "16s")
TAGGED: Final = Table("import_tags", str, "QI")  # import, a tag that it brought into being -> its name then

TABLES: Final[tuple[Keyed, ...]] = (IMPORTS, FILES, STRETCHES, CREATED, BEFORE, PRESETS, TAGGED)

_STRETCHES_TOGETHER: Final = 200


def name_of(identifier: int) -> str:
    """The id on the wire."""
    return ids.render("imp", identifier)


def begin(txn: Txn, record: Import, now_ms: int) -> Import:
    """Store a new import, whose file is still to come.  Raises Invalid naming the field."""
    _check(record)
    record = msgspec.structs.replace(record, id=ids.take(txn, now_ms), created_ms=now_ms, updated_ms=now_ms)
    IMPORTS.put(txn, record.id, record)
    events.append(txn, "import.created", now_ms, name_of(record.id), origin=record.origin, legal_basis=record.basis)
    return record


def _check(record: Import) -> None:
    wrong = []
    if not 0 < len(record.name) <= NAME_LONGEST:
        wrong.append(InvalidParam("name", f"is not 1 to {NAME_LONGEST} characters"))
    if len(record.evidence) > EVIDENCE_LONGEST or len(record.wording) > NAME_LONGEST:
        wrong.append(InvalidParam("evidence", f"is longer than {EVIDENCE_LONGEST} characters, or the wording is"))
    if (record.origin == "rent") != bool(record.licence_until):
        wrong.append(InvalidParam("licence_until", "is for rented lists, which need it"))
    if any(purpose not in PURPOSES for purpose in record.purposes):
        wrong.append(InvalidParam("purposes", f"are none of {', '.join(PURPOSES)}"))
    if (record.basis == "consent") != bool(record.purposes):
        wrong.append(InvalidParam("purposes", "are for the legal basis consent, which needs one or more"))
    if record.basis != "none" and not record.evidence.strip():
        wrong.append(InvalidParam("evidence", "is missing: say how it is known, or let the legal basis be none"))
    wrong += wrong_of_mapping(record.mapping)
    if wrong:
        raise Invalid(*wrong)


def wrong_of_mapping(mapping: dict[str, str]) -> list[InvalidParam]:
    """What is wrong with a mapping, as far as it can be told without the file."""
    told = [field for field in mapping.values() if field not in ("ignore", "tags")]
    if len(mapping) > COLUMNS_MOST:
        return [InvalidParam("mapping", f"has more than {COLUMNS_MOST} columns")]
    if mapping and "number" not in told:
        return [InvalidParam("mapping", "leads no column to number")]
    if len(set(told)) != len(told):
        return [InvalidParam("mapping", "leads two columns to one field")]
    return []


def change(txn: Txn, record: Import, now_ms: int, **fields: Any) -> Import:
    """Replace fields of what is stored."""
    record = msgspec.structs.replace(record, updated_ms=now_ms, **fields)
    IMPORTS.put(txn, record.id, record)
    return record


def require(txn: Txn, identifier: int, *states: State) -> Import:
    """The import, which must be in one of `states`.  Raises NotFound, Conflict."""
    record = IMPORTS.get(txn, identifier)
    if record.state not in states:
        raise Conflict(f"the import is {record.state.value}, not {' or '.join(state.value for state in states)}")
    return record


def listed(txn: Txn, before: int, limit: int) -> Iterator[Import]:
    """Imports newest first, older than id `before` (0: from the newest)."""
    for _, record in IMPORTS.scan(txn, after=before or None, reverse=True):
        if limit <= 0:
            return
        limit -= 1
        yield record


# -- what is asked of it

Ask = Callable[[Txn, int, int], "Import"]


def expect_file(txn: Txn, identifier: int, now_ms: int) -> Import:
    """A file is about to come, in place of one that may be there.  Raises NotFound, Conflict where it has begun."""
    record = require(txn, identifier, State.NEW, State.UPLOADED, State.CHECKED)
    return change(txn, record, now_ms, state=State.NEW, checked=None, error="")


def ask_check(txn: Txn, identifier: int, now_ms: int) -> Import:
    """Let the file be read without an effect.  Raises NotFound, Conflict."""
    record = require(txn, identifier, State.UPLOADED, State.CHECKED)
    return change(txn, record, now_ms, state=State.CHECKING, checked=None, error="")


def ask_run(txn: Txn, identifier: int, now_ms: int) -> Import:
    """Let the rows become customers.  Raises NotFound, Conflict."""
    record = require(txn, identifier, State.UPLOADED, State.CHECKED)
    _require_licence(record, now_ms)
    events.append(txn, "import.started", now_ms, name_of(identifier))
    return change(txn, record, now_ms, state=State.RUNNING, started_ms=now_ms, error="")


def _require_licence(record: Import, now_ms: int) -> None:
    # A day of grace for whoever is west of us: the nightly sweep knows the house's zone.
    if record.licence_until and (record.licence_until + 2 - _EPOCH) * DAY_MS <= now_ms:
        raise Conflict("the licence of the list has ended")


_EPOCH: Final = 719_163  # the ordinal of 1970-01-01


def ask_undo(txn: Txn, identifier: int, now_ms: int, ended_by: str = "") -> Import:
    """Let everything be as it was before.  Raises NotFound, Conflict."""
    record = require(txn, identifier, State.DONE, State.FAILED)
    return change(txn, record, now_ms, state=State.UNDOING, ended_by=ended_by)


def waiting(txn: Txn) -> list[int]:
    """Imports that wait for somebody to work on them, the oldest first."""
    return [record.id for _, record in IMPORTS.scan(txn) if record.state in WORKING]


def lapsed(txn: Txn, today: int) -> list[int]:
    """Rented lists that were brought in and whose licence ended before the day `today`, an ordinal."""
    return [
        record.id
        for _, record in IMPORTS.scan(txn)
        if record.licence_until and record.licence_until < today and record.state in (State.DONE, State.FAILED)
    ]


def end(txn: Txn, record: Import, state: State, now_ms: int, **fields: Any) -> Import:
    """The import is at its end for now; whoever waits is told."""
    counts = msgspec.to_builtins(fields.get("counts", record.counts))
    names = Counts.__struct_fields__
    told = dict(zip(names, counts, strict=True)) if isinstance(counts, list) else counts
    kind = {State.DONE: "import.completed", State.UNDONE: "import.undone", State.FAILED: "import.failed"}.get(state)
    if kind:
        events.append(txn, kind, now_ms, name_of(record.id), **told)
    return change(txn, record, now_ms, state=state, ended_ms=now_ms, **fields)


# -- what became of the rows


def write_stretches(txn: Txn, identifier: int, ran: bool, stretches: list[Stretch]) -> None:
    """Keep what became of rows; they are in order."""
    for at in range(0, len(stretches), _STRETCHES_TOGETHER):
        some = stretches[at : at + _STRETCHES_TOGETHER]
        STRETCHES.put(txn, (identifier, int(ran), some[0].first), some)


def forget_stretches(txn: Txn, identifier: int, ran: bool, after_row: int, entries: int) -> bool:
    """Remove what is kept of rows behind `after_row`; whether there may be more."""
    found = []
    for key, _ in STRETCHES.scan(txn, identifier, int(ran), after=(identifier, int(ran), after_row)):
        found.append(key)
        if len(found) == entries:
            break
    for key in found:
        STRETCHES.remove(txn, key)
    return len(found) == entries


def rows(
    txn: Txn, identifier: int, ran: bool, after: int, limit: int, status: str = ""
) -> tuple[list[tuple[int, Stretch]], int]:
    """((row, its fate) behind row `after`, at most `limit`; the row to go on behind, 0 at the end).

    With `status` only such rows; "fixed" are those in which something was mended, "told" those and the refused ones.
    """
    begun = STRETCHES.at_or_before(txn, (identifier, int(ran), after + 1))
    is_ours = begun is not None and begun[0][:2] == (identifier, int(ran))
    from_row = begun[0][2] - 1 if is_ours and begun is not None else 0
    found: list[tuple[int, Stretch]] = []
    looked = 0
    for _, stretches in STRETCHES.scan(txn, identifier, int(ran), after=(identifier, int(ran), from_row)):
        for stretch in stretches:
            looked += 1
            last = stretch.first + stretch.rows - 1
            if last <= after or not _is_sought(stretch, status):
                continue
            for row in range(max(stretch.first, after + 1), last + 1):
                if len(found) == limit:
                    return found, found[-1][0]
                found.append((row, stretch))
        if looked > _LOOKED_MOST:
            return found, max(stretches[-1].first + stretches[-1].rows - 1, after)
    return found, 0


_LOOKED_MOST: Final = 20_000


def _is_sought(stretch: Stretch, status: str) -> bool:
    if status == "told":
        return bool(stretch.reason) and stretch.status != "same"
    if status == "fixed":
        return bool(stretch.reason) and stretch.status in ("new", "updated")
    return not status or stretch.status == status


# -- presets


def save_preset(txn: Txn, name: str, mapping: dict[str, str], now_ms: int) -> Preset:
    """Keep a mapping by a name, in place of what had it.  Raises Invalid, Conflict."""
    name = " ".join(name.split())
    if not 0 < len(name) <= NAME_LONGEST:
        raise Invalid(InvalidParam("name", f"is not 1 to {NAME_LONGEST} characters"))
    if wrong := wrong_of_mapping(mapping):
        raise Invalid(*wrong)
    key = words.digest(name)
    if PRESETS.find(txn, key) is None and PRESETS.count(txn) >= PRESETS_MOST:
        raise Conflict(f"there are {PRESETS_MOST} presets: no more")
    preset = Preset(name, mapping, now_ms)
    PRESETS.put(txn, key, preset)
    return preset


def preset(txn: Txn, name: str) -> Preset:
    """The preset of that name.  Raises Invalid naming `preset`."""
    found = PRESETS.find(txn, words.digest(name))
    if found is None:
        raise Invalid(InvalidParam("preset", f"there is no preset {name!r}"))
    return found


def presets(txn: Txn) -> list[Preset]:
    """All of them, by name."""
    return sorted((found for _, found in PRESETS.scan(txn)), key=lambda found: found.name)


# -- the raw file


def drop_file(txn: Txn, identifier: int, now_ms: int) -> bool:
    """Remove some of the file's pieces; whether there may be more."""
    keys = []
    for key, _ in FILES.scan(txn, identifier):
        keys.append(key)
        if len(keys) == PIECES_DROPPED:
            return _drop(txn, keys)
    _drop(txn, keys)
    record = IMPORTS.find(txn, identifier)
    if record is not None:
        change(txn, record, now_ms, file_gone=True)
    return False


def _drop(txn: Txn, keys: list[tuple[Any, ...]]) -> bool:
    for key in keys:
        FILES.remove(txn, key)
    return True


def old_files(txn: Txn, horizon_ms: int) -> list[int]:
    """Imports before the horizon whose file is still there, and on which nobody works."""
    return [
        record.id
        for _, record in IMPORTS.scan(txn)
        if record.created_ms < horizon_ms and not record.file_gone and record.state not in WORKING
    ]


def uploaded(txn: Txn, identifier: int, octets: int, encoding: str, now_ms: int) -> Import:
    """The file has come.  Raises NotFound, Conflict where the import has begun."""
    record = require(txn, identifier, State.NEW, State.UPLOADED, State.CHECKED)
    return change(txn, record, now_ms, state=State.UPLOADED, octets=octets, encoding=encoding, checked=None, error="")
