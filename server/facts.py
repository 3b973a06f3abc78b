"""Facts: what a thing is, field by field, for rows that tell what was otherwise before a change and after it.

Of a person everything is told that can be changed; whoever reads the row sees of it as much as he sees of the person.
Of other things nothing of anybody stands in their records, and no secret is told: those are octets.
"""

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, Final

import msgspec

from engine import numbers
from engine.access import tokens
from engine.access.webhooks import SUBSCRIPTIONS
from engine.crm.marketing import loyalty, tiers
from engine.crm.marketing.campaigns import CAMPAIGNS
from engine.crm.marketing.coupons import COUPONS
from engine.crm.marketing.greetings import RULES
from engine.crm.marketing.rewards import REWARDS
from engine.crm.marketing.topics import TOPICS
from engine.crm.people import dates, fields, organisations, regions, tags
from engine.crm.people.customer import CUSTOMERS, Customer
from engine.crm.people.fields import FIELDS
from engine.crm.people.member import MEMBERS
from engine.crm.people.organisations import ORGANISATIONS
from engine.crm.people.regions import REGIONS
from engine.crm.people.segments import SEGMENTS
from engine.crm.people.tags import TAGS
from engine.errors import Invalid, NotFound
from engine.store import ids
from engine.store.table import Table, Txn
from engine.traffic import messages
from engine.traffic.routes import ROUTES
from server import sight

Facts = dict[str, Any]

# Of the record and not of the thing, or counted at every turn; a `number` that is none of a telephone.
_UNTOLD: Final = frozenset(
    {"id", "version", "created_ms", "created_by", "updated_ms", "updated_by", "last_ms", "last_count", "rows", "fed",
     "last_digits", "moved_ms", "moved_by", "rotated_ms", "number"}
)  # fmt: skip
_OF_PERSON: Final = _UNTOLD - {"number"} | {
    "reference",
    "granted",
    "last_order_ms",
    "last_seen_ms",
    "street",
    "postcode",
    "city",
}
_TABLES: Final[dict[str, Table[Any]]] = {
    "cmp": CAMPAIGNS,
    "mem": MEMBERS,
    "cpn": COUPONS,
    "grt": RULES,
    "rwd": REWARDS,
    "seg": SEGMENTS,
    "org": ORGANISATIONS,
    "rte": ROUTES,
    "top": TOPICS,
    "whk": SUBSCRIPTIONS,
}
_NUMBERED: Final[dict[str, Table[Any]]] = {"reg": REGIONS, "tag": TAGS, "fld": FIELDS}


def named(txn: Txn, noun: str, said: str) -> str:
    """What a path names, as the log calls it: an id is itself; empty where it names nothing, or nothing that is."""
    if "_" in said and len(said) == 17:
        return said
    match noun:
        case "regions":
            found = regions.find(txn, said) if said else None
            return f"reg_{found}" if found is not None else ""
        case "fields":
            own = fields.by_key(txn).get(said)
            return f"fld_{own.id}" if own is not None else ""
        case "tags":
            return f"tag_{said}" if said else ""
        case "loyalty" | "tiers":
            return noun
    return f"{noun}/{said}" if said else ""


def of(txn: Txn, name: str) -> Facts:
    """The fields of what the log calls so that have a value; nothing where there is no such thing, or none is told."""
    prefix, _, rest = name.partition("_")
    try:
        if prefix == "cus":
            customer = CUSTOMERS.find(txn, ids.parse(prefix, name))
            return {} if customer is None else _person(txn, customer)
        if prefix == "msg":
            message = messages.find(txn, ids.parse(prefix, name))
            return {} if message is None else {"state": message.state.slug, "parts": len(message.parts)}
        if prefix in _TABLES:
            return _plain(_TABLES[prefix].find(txn, ids.parse(prefix, name)))
        if prefix in _NUMBERED and rest.isdigit():
            return _plain(_NUMBERED[prefix].find(txn, int(rest)))
        if name.startswith("tokens/"):
            return _plain(tokens.get(txn, int(name.removeprefix("tokens/"))))
    except (Invalid, NotFound):
        return {}
    return _plain(_SINGLE[name](txn)) if name in _SINGLE else {}


_SINGLE: Final[dict[str, Callable[[Txn], Any]]] = {"loyalty": loyalty.current, "tiers": tiers.ladder}


def differences(before: Facts, after: Facts) -> Mapping[str, tuple[Any, Any]]:
    """The fields that are otherwise."""
    names = dict.fromkeys((*before, *after))
    return {
        name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)
    }  # fmt: skip


def _plain(record: msgspec.Struct | None) -> Facts:
    if record is None:
        return {}
    told = {name: getattr(record, name) for name in record.__struct_fields__ if name not in _UNTOLD}
    return {name: _builtin(value) for name, value in told.items() if value and not isinstance(value, bytes)}


def _builtin(value: Any) -> Any:
    return value.name.lower() if isinstance(value, IntEnum) else msgspec.to_builtins(value)


def _person(txn: Txn, record: Customer) -> Facts:
    told: Facts = {}
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if name not in _OF_PERSON and name != "attrs" and (value or name == "lifecycle"):
            told[_NAMED.get(name, name)] = _value(txn, name, value)
    address = {part: line for part in ("street", "postcode", "city") if (line := getattr(record, part))}
    if address:
        told["address"] = address
    own = {field.id: field for field in fields.listed(txn)} if record.attrs else {}
    hidden = {}
    for number, value in record.attrs.items():
        if own[number].sensitive:
            hidden[own[number].key] = fields.write(own[number], value)
        else:
            told[f"attrs.{own[number].key}"] = fields.write(own[number], value)
    return {**told, sight.OWN: hidden} if hidden else told


_NAMED: Final = {"grade": "class"}


def _value(txn: Txn, name: str, value: Any) -> Any:
    match name:
        case "number":
            return numbers.from_key(value)
        case "numbers":
            return [numbers.from_key(key) for key in value]
        case "region":
            return regions.code_of(txn, value)
        case "organisation":
            return organisations.name_of(value)
        case "owner":
            return ids.render("stf", value)
        case "tags":
            return tags.names(txn, value)
        case "birthday":
            return dates.said(value)
        case "special_days":
            return [{"name": one.name, "date": dates.said(one.day)} for one in value]
    return _builtin(value)
