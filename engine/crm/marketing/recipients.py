"""Recipients: the rows of campaigns, as they are submitted.

A row is unique in its campaign by `client_ref`, else by number.  How rows are kept is engine/traffic/sheets.py; those
of an upload stand behind the campaign's mark until the whole upload has come: one that breaks off leaves nothing.
"""

import secrets
from collections.abc import Iterable
from itertools import islice
from typing import Final

import msgspec

from engine import numbers
from engine._seen import Seen
from engine._sheet import Sheet, show
from engine.errors import Invalid, InvalidParam
from engine.store.table import Txn
from engine.traffic import sheets

VALUES_MOST: Final = 50
VALUE_LONGEST: Final = 1000  # characters
NAME_LONGEST: Final = 200  # characters
REF_LONGEST: Final = 200  # characters
LANGUAGE_LONGEST: Final = 35  # characters; BCP 47 allows for no longer ones (RFC 5646 §4.4.1)


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row as it is submitted."""

    to: str
    client_ref: str = ""
    language: str = ""
    values: dict[str, str] = {}


def check(row: Row, country: str | None) -> int:
    """The row's number as a key.  Raises Invalid naming the field."""
    if len(row.client_ref) > REF_LONGEST:
        raise Invalid(InvalidParam("client_ref", f"is longer than {REF_LONGEST} characters"))
    if len(row.language) > LANGUAGE_LONGEST:
        raise Invalid(InvalidParam("language", f"is longer than {LANGUAGE_LONGEST} characters"))
    if len(row.values) > VALUES_MOST:
        raise Invalid(InvalidParam("values", f"are more than {VALUES_MOST}"))
    for name, value in row.values.items():
        if len(name) > NAME_LONGEST:
            raise Invalid(InvalidParam("values", f"has a name that is longer than {NAME_LONGEST} characters"))
        if len(value) > VALUE_LONGEST:
            raise Invalid(InvalidParam(f"values.{name}", f"is longer than {VALUE_LONGEST} characters"))
    return numbers.to_key(numbers.parse(row.to, country))


def packed(rows: Iterable[tuple[int, Row]]) -> list[Sheet]:
    """Sheets of (number, row) pairs, in order."""
    made = [Sheet()]
    for number, row in rows:
        names = [name.encode() for name in row.values]
        values = [value.encode() for value in row.values.values()]
        whole = (number, row.client_ref.encode(), row.language.encode(), names, values)
        if not made[-1].put(*whole):
            made.append(Sheet())
            made[-1].put(*whole)
    return [sheet for sheet in made if sheet.rows]


def nothing_seen() -> Seen:
    """What makes rows unique, of a campaign that has none yet."""
    return Seen(secrets.token_bytes(16))


def see(txn: Txn, campaign: int, known: Seen, after: int, limit: int) -> int:
    """Let `known` know up to `limit` sheets behind the one that begins with row `after`; where the last of them begins.

    Those of an open upload are among them.  -1 stands before the first sheet, and is given back behind the last.
    """
    begin = None if after < 0 else (campaign, after)
    last = -1
    for (_, row), octets in islice(sheets.SHEETS.scan(txn, campaign, after=begin), limit):
        show(known, octets)
        last = row
    return last
