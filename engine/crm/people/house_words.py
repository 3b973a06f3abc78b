"""The words that conditions of this house may use: what every house knows of people, and the fields it declared."""

from typing import Final, NamedTuple

from engine.crm.people import happenings
from engine.crm.people.customer import Customer
from engine.crm.people.fields import FieldDef
from engine.crm.people.happenings import KINDS
from engine.crm.people.member import Member
from engine.crm.people.vocabulary import Kind

_RECORD: Final = {name: place for place, name in enumerate(Customer.__struct_fields__)}
_MEMBER: Final = {name: place for place, name in enumerate(Member.__struct_fields__)}


class Place(NamedTuple):
    """Where a value stands: a field of a record by position, and the number of an entry if that is a map."""

    field: int
    key: int = -1
    source: str = "record"


class HouseWord(NamedTuple):
    """`name` is the record's for the field; `zero_is_none` where 0 stands for no value."""

    name: str
    kind: Kind
    place: Place
    zero_is_none: bool = False


def _of_record(name: str, kind: Kind, *, zero_is_none: bool = False) -> HouseWord:
    return HouseWord(name, kind, Place(_RECORD[name]), zero_is_none)


def _of_member(name: str, kind: Kind) -> HouseWord:
    return HouseWord(name, kind, Place(_MEMBER[name], source="member"))


PERSON: Final = {
    "birthday": _of_record("birthday", Kind.DAY),
    "city": _of_record("city", Kind.TEXT),
    "class": _of_record("grade", Kind.CHOICE),
    "country": _of_record("country", Kind.TEXT),
    "created": _of_record("created_ms", Kind.TIME, zero_is_none=True),
    "email": _of_record("email", Kind.TEXT),
    "gender": _of_record("gender", Kind.CHOICE),
    "granted": _of_record("granted", Kind.INTEGER),
    "language": _of_record("language", Kind.TEXT),
    "last_order": _of_record("last_order_ms", Kind.TIME, zero_is_none=True),
    "last_seen": _of_record("last_seen_ms", Kind.TIME, zero_is_none=True),
    "lifecycle": _of_record("lifecycle", Kind.CHOICE),
    "name": _of_record("name", Kind.TEXT),
    "next_contact": _of_record("next_contact_ms", Kind.TIME, zero_is_none=True),
    "phone_state": _of_record("phone_state", Kind.CHOICE),
    "points.balance": _of_member("balance", Kind.INTEGER),
    "postcode": _of_record("postcode", Kind.TEXT),
    "preferred_channel": _of_record("preferred_channel", Kind.CHOICE),
    "region": _of_record("region", Kind.REGION, zero_is_none=True),
    "source": _of_record("source", Kind.TEXT),
    "source_code": _of_record("source_code", Kind.TEXT),
    "street": _of_record("street", Kind.TEXT),
    "tags": _of_record("tags", Kind.LIST),
    "tier": _of_member("tier", Kind.CHOICE),
    "time_zone": _of_record("time_zone", Kind.TEXT),
}
# Not to be asked by name: `tag:` and `consent:` do.
_UNSPOKEN: Final = frozenset({"granted", "tags"})

_PROPERTIES: Final = {
    "amount": Kind.INTEGER,
    "currency": Kind.TEXT,
    "id": Kind.TEXT,
    "rating": Kind.INTEGER,
    "ref": Kind.TEXT,
    "sku": Kind.TEXT,
}

# Kinds of happenings that are not kept, but read from the messages when a condition asks for them.
COUNTED: Final = frozenset({KINDS.index("sms_in"), KINDS.index("sms_out"), KINDS.index("campaign")})

_KINDS: Final = {
    "text": Kind.TEXT,
    "integer": Kind.INTEGER,
    "yes_no": Kind.YES_NO,
    "date": Kind.DATE,
    "day": Kind.DAY,
    "choice": Kind.CHOICE,
    "list": Kind.LIST,
}


class HouseWords:
    """A vocabulary, of the fields that are declared now."""

    def __init__(self, declared: dict[str, FieldDef]) -> None:
        place = _RECORD["attrs"]
        self._own = {
            key: HouseWord("attrs", _KINDS[field.kind], Place(place, field.id)) for key, field in declared.items()
        }

    def _find(self, path: str) -> HouseWord | None:
        if path in _UNSPOKEN:
            return None
        return PERSON.get(path) or self._own.get(path.removeprefix("attrs."))

    def find(self, path: str) -> HouseWord:
        """The word.  Raises KeyError where there is none, which `checked` has seen before."""
        found = self._find(path)
        if found is None:
            raise KeyError(path)
        return found

    def kind_of(self, path: str) -> Kind | None:
        """What a field holds, or None where there is no such field."""
        found = self._find(path)
        return None if found is None else found.kind

    def event_property(self, event: str, path: str) -> Kind | None:
        """What a property of a happening holds, or None where there is none."""
        return _PROPERTIES.get(path) if event in KINDS else None

    def property_of(self, event: str, path: str) -> HouseWord:
        """The word.  Raises KeyError where there is none, which `checked` has seen before."""
        if event not in KINDS:
            raise KeyError(event)
        return HouseWord(path, _PROPERTIES[path], Place(happenings.PROPERTIES[path], source="event"))
