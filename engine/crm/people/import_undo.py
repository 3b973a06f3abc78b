"""Undoing imports: customers that they made go, those that they changed are as before, and so is what people agreed to.

Whoever something has happened to since stays, and is counted.  Tags that an import brought into being go with the last
one who had them; regions and organisations it only finds, and makes none.
"""

from itertools import islice
from typing import Any, Final

import msgspec

from engine.crm.people import agreement, consent, customers, imports, subscription, tags
from engine.crm.people.consent import CONSENTS
from engine.crm.people.customer import BY_NUMBER, CUSTOMERS, Customer, numbers_of
from engine.crm.people.customers import SOURCES
from engine.crm.people.happenings import HAPPENED
from engine.crm.people.import_stage import complete, unstage
from engine.crm.people.imports import BEFORE, CREATED, TAGGED, Before, Import, State
from engine.crm.people.member import MEMBERS
from engine.crm.people.timeline import TIMELINE
from engine.store.table import Txn

RESTORED: Final = 50  # customers in one step
REMOVED: Final = 80  # each is on a dozen pages of its own


def step(txn: Txn, identifier: int, now_ms: int) -> bool:
    """Undo a little of an import; whether there is more to do."""
    record = imports.IMPORTS.get(txn, identifier)
    if record.state is not State.UNDOING:
        return False
    changed = [(key, before) for (key, before), _ in zip(BEFORE.scan(txn, identifier), range(RESTORED), strict=False)]
    if changed:
        restored = sum(_restore(txn, record, key[1], before, now_ms) for key, before in changed)
        for key, _ in changed:
            BEFORE.remove(txn, key)
        kept = record.kept + len(changed) - restored
        imports.change(txn, record, now_ms, restored=record.restored + restored, kept=kept)
        return True
    found = created(txn, identifier, record.undone_after, REMOVED)
    if not found:
        if _withdraw_tags(txn, identifier, now_ms):
            return True
        imports.end(txn, record, State.UNDONE, now_ms, stage=None)
        return False
    gone = stayed = 0
    for customer in found:
        match take_back(txn, record, customer):
            case True:
                gone += 1
            case False:
                stayed += 1
    imports.change(
        txn, record, now_ms, undone_after=found[-1], removed=record.removed + gone, kept=record.kept + stayed
    )
    return True


def _withdraw_tags(txn: Txn, identifier: int, now_ms: int) -> bool:
    """Take some tags away that the import brought into being; whether there were any to look at.

    One that somebody has, or that was renamed, is the house's by now.
    """
    some = list(islice(TAGGED.scan(txn, identifier), REMOVED))
    for key, name in some:
        tags.withdraw(txn, key[1], name, now_ms)
        TAGGED.remove(txn, key)
    return bool(some)


def created(txn: Txn, identifier: int, after: int, limit: int) -> list[int]:
    """Ids above `after` that the import gave, whoever still has one."""
    found: list[int] = []
    for (_, first), count in CREATED.scan(txn, identifier):
        begin = max(first, after + 1)
        found += range(begin, min(first + count, begin + limit - len(found)))
        if len(found) >= limit:
            break
    return found


def take_back(txn: Txn, record: Import, identifier: int) -> bool | None:
    """Remove a customer that the import made, and what it says that he agreed to; False where he stays.

    None where he is no more, or became somebody else's.
    """
    customer = CUSTOMERS.find(txn, identifier)
    if customer is None:
        return None
    name = imports.name_of(record.id)
    owner = BY_NUMBER.find(txn, customer.number)
    is_whole = owner in (None, identifier)
    if is_whole:
        _withdraw(txn, customer.number, name)
    if is_whole and not _is_untouched(txn, customer, name):
        current = CUSTOMERS.get(txn, identifier)
        complete(txn, current)
        _stamp(txn, current)
        return False
    unstage(txn, identifier)
    SOURCES.remove(txn, identifier)
    return True if is_whole else None


def _withdraw(txn: Txn, number: int, name: str) -> None:
    """Remove what this import said that the holder of the number agreed to."""
    for key, row in list(CONSENTS.scan(txn, number)):
        if row.method == "import" and row.evidence == name:
            CONSENTS.remove(txn, key)


def _stamp(txn: Txn, customer: Customer) -> None:
    granted = consent.standing(txn, customer.number)
    if granted != customer.granted:
        CUSTOMERS.put(txn, customer.id, msgspec.structs.replace(customer, granted=granted))


def _is_untouched(txn: Txn, customer: Customer, name: str) -> bool:
    return (
        customer.version == 1
        and customer.created_by == name
        and not (customer.last_seen_ms or customer.last_order_ms or customer.next_contact_ms)
        and SOURCES.find(txn, customer.id) is None
        and MEMBERS.find(txn, customer.id) is None
        and next(HAPPENED.scan(txn, customer.id), None) is None
        and next(TIMELINE.scan(txn, customer.id), None) is None
        and not subscription.is_any(txn, customer.id)
        and not any(next(CONSENTS.scan(txn, number), None) for number in numbers_of(customer))
    )


def _restore(txn: Txn, record: Import, identifier: int, before: Before, now_ms: int) -> bool:
    """Whether the customer is as he was: not where he was changed since, or has gone."""
    customer = CUSTOMERS.find(txn, identifier)
    for purpose, row in before.consents:
        CONSENTS.remove(txn, (before.old.number, purpose, row))
    if customer is None:
        return False
    _stamp(txn, customer)
    if customer.version != before.version or not before.fields:
        return not before.fields
    old = before.old
    changes: dict[str, Any] = {field: getattr(old, field) for field in before.fields}
    if "attrs" in changes:
        # Those that are named are replaced: what was not there goes.
        changes["attrs"] = dict.fromkeys(customer.attrs.keys() - old.attrs.keys(), None) | old.attrs
    customers.change(txn, identifier, changes, None, now_ms, imports.name_of(record.id), "undo")
    return True


def rewind(txn: Txn, identifier: int, now_ms: int) -> bool:
    """Take back some of a stage that broke off; whether there may be more of it."""
    record = imports.IMPORTS.get(txn, identifier)
    stage = record.stage
    if stage is None:
        return False
    behind = stage.first + stage.count
    found = [key[0] for key in (CUSTOMERS.layout.unpack(octets) for octets in CUSTOMERS.keys(
        txn, CUSTOMERS.layout.pack(stage.first - 1), REMOVED))]  # fmt: skip
    stayed = 0
    last = stage.first - 1
    for customer in found:
        if customer >= behind:
            break
        last = customer
        stayed += take_back(txn, record, customer) is False
    if last < stage.first or len(found) < REMOVED or found[-1] >= behind:
        if not _any_left(txn, stage.first, behind):
            CREATED.remove(txn, (identifier, stage.first))
        imports.change(txn, record, now_ms, stage=None)
        return False
    # What stays keeps its place in the list of those that were made.
    imports.change(txn, record, now_ms, stage=imports.Stage(last + 1, behind - last - 1))
    if stayed:
        CREATED.put(txn, (identifier, stage.first), last + 1 - stage.first)
    else:
        CREATED.remove(txn, (identifier, stage.first))
    CREATED.put(txn, (identifier, last + 1), behind - last - 1)
    return True


def _any_left(txn: Txn, first: int, behind: int) -> bool:
    found = CUSTOMERS.keys(txn, CUSTOMERS.layout.pack(first - 1), 1)
    return bool(found) and CUSTOMERS.layout.unpack(found[0])[0] < behind


def consent_to(txn: Txn, record: Import, customer: Customer, now_ms: int) -> tuple[tuple[int, int], ...]:
    """Add what the import says that a customer agreed to, where he has not said yes or no; (purpose, id) of each."""
    added = []
    name = imports.name_of(record.id)
    status = consent.Status.PENDING if record.double_opt_in else consent.Status.GRANTED
    for purpose in record.purposes:
        newest = consent.newest(txn, customer.number, purpose)
        if newest is not None and newest.status in (consent.Status.GRANTED, consent.Status.WITHDRAWN):
            continue
        row = consent.Consent(status, "import", name, now_ms, record.wording, record.created_by)
        identifier = agreement.add(txn, customer.number, purpose, row)
        added.append((consent.PURPOSES.index(purpose), identifier))
    return tuple(added)
