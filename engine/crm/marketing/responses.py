"""Responses: what people did about a campaign's text: they answered, opened its link, or wished for no more.

    RESPONSES   (campaign, row) -> when they first did, and how often the link was opened
    COUNTED     campaign -> how many people did, those of rows that are kept no more among them

A text is a reply to the campaign whose row is the last that went to its sender in the 7 days before; what we answer
ourselves, as the confirmation of a STOP, is no part of that order.  A word of refusal is an opt-out and no reply.
People count once, however often they write or click.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec

from engine.crm.marketing import campaigns
from engine.crm.marketing.links import Led
from engine.crm.people import customers, happenings, suppressions
from engine.crm.people.happenings import Happening
from engine.store.table import Table, Txn
from engine.traffic import events, messages, sheets
from engine.traffic.messages import Message, State
from engine.traffic.sheets import FED

ANSWERED_MS: Final = 7 * 86_400_000  # how long after a text went another one answers it
LOOKED_AT: Final = 10  # messages of a number, the newest: those that wait for their turn are among them

_NOBODY: Final = Message(0, 0, "")  # who texted whom we did not
_WENT: Final = frozenset({State.SENDING, State.SENT, State.DELIVERED, State.UNDELIVERED, State.UNKNOWN})


class Response(msgspec.Struct, frozen=True, array_like=True):
    """What somebody did, each the first time, 0 for never; `clicks` are all that opened the link."""

    replied_ms: int = 0
    clicked_ms: int = 0
    opted_out_ms: int = 0
    clicks: int = 0


class Counted(msgspec.Struct, frozen=True, array_like=True):
    """People who replied, clicked and opted out, and clicks in all; the others are those whose rows went."""

    replied: int = 0
    clicked: int = 0
    opted_out: int = 0
    clicks: int = 0
    replied_gone: int = 0
    clicked_gone: int = 0
    opted_out_gone: int = 0
    clicks_gone: int = 0


NOTHING: Final = Response()

RESPONSES: Final = Table("responses", Response, "QI")  # campaign, row
COUNTED: Final = Table("responses_counted", Counted)  # campaign

TABLES: Final = (RESPONSES, COUNTED)


# -- coming in


def hear(txn: Txn, pepper: bytes, number: int, now_ms: int, *, refuses: bool) -> None:
    """A text came from a number, by which its sender `refuses` more or not."""
    answered = _answered(txn, number, now_ms)
    place = sheets.place_of(txn, answered.id) if answered.group else None
    if place is None or _is_erased(txn, pepper, number):
        return
    known = RESPONSES.find(txn, place) or NOTHING
    if known.opted_out_ms if refuses else known.replied_ms:
        return
    if refuses:
        _note(txn, place, known, msgspec.structs.replace(known, opted_out_ms=now_ms))
    else:
        _note(txn, place, known, msgspec.structs.replace(known, replied_ms=now_ms))
    _tell(txn, "opted_out" if refuses else "replied", place[0], answered.id, now_ms)


def _tell(txn: Txn, did: str, campaign: int, message: int, now_ms: int) -> None:
    events.append(txn, f"campaign.{did}", now_ms, campaigns.name_of(campaign), message_id=messages.name(message))


def _answered(txn: Txn, number: int, now_ms: int) -> Message:
    """The text that a number answers now, one of no campaign where it answers none."""
    last_ms, last = now_ms - ANSWERED_MS, _NOBODY
    for identifier in islice(messages.of_number(txn, number), LOOKED_AT):
        message = messages.find(txn, identifier)
        if message is None or message.state not in _WENT or message.in_reply_to:
            continue
        went_ms = _went_ms(message, now_ms)
        if went_ms > last_ms:
            last_ms, last = went_ms, message
    return last


def _went_ms(message: Message, now_ms: int) -> int:
    return message.on_line_ms(now_ms) or message.updated_ms


def click(txn: Txn, pepper: bytes, led: Led, now_ms: int) -> None:
    """Somebody opened the link of a row.  What is known of nobody any more stays so."""
    place = led.campaign, led.row
    fed = FED.find(txn, led.campaign)
    if fed is None or not fed.gone <= led.row < fed.rows:
        return
    row = next((row for _, row in sheets.read_rows(txn, *place, 1)), None)
    if row is None or not row.number or _is_erased(txn, pepper, row.number):
        return
    known = RESPONSES.find(txn, place) or NOTHING
    first_ms = known.clicked_ms or now_ms
    _note(txn, place, known, msgspec.structs.replace(known, clicked_ms=first_ms, clicks=known.clicks + 1))
    if known.clicked_ms:
        return
    _tell(txn, "clicked", led.campaign, row.id, now_ms)
    customer = customers.find_by_number(txn, row.number)
    if customer is not None:
        happening = Happening(now_ms, ref=campaigns.name_of(led.campaign))
        happenings.add(txn, customer.id, "click", happening, now_ms)


def _is_erased(txn: Txn, pepper: bytes, number: int) -> bool:
    """Whether the number's holder was erased: until the last of his rows is blank, nothing may be noted of them."""
    found = suppressions.find(txn, pepper, number)
    return found is not None and suppressions.ERASED in suppressions.reasons_of(found)


def _note(txn: Txn, place: tuple[int, int], old: Response, new: Response) -> None:
    RESPONSES.put(txn, place, new)
    counted = counted_of(txn, place[0])
    COUNTED.put(
        txn,
        place[0],
        msgspec.structs.replace(
            counted,
            replied=counted.replied + bool(new.replied_ms) - bool(old.replied_ms),
            clicked=counted.clicked + bool(new.clicked_ms) - bool(old.clicked_ms),
            opted_out=counted.opted_out + bool(new.opted_out_ms) - bool(old.opted_out_ms),
            clicks=counted.clicks + new.clicks - old.clicks,
        ),
    )


# -- going


def forget(txn: Txn, campaign: int, row: int) -> None:
    """Keep nothing of a row but that somebody did what he did."""
    known = RESPONSES.find(txn, (campaign, row))
    if known is None:
        return
    RESPONSES.remove(txn, (campaign, row))
    counted = counted_of(txn, campaign)
    COUNTED.put(
        txn,
        campaign,
        msgspec.structs.replace(
            counted,
            replied_gone=counted.replied_gone + bool(known.replied_ms),
            clicked_gone=counted.clicked_gone + bool(known.clicked_ms),
            opted_out_gone=counted.opted_out_gone + bool(known.opted_out_ms),
            clicks_gone=counted.clicks_gone + known.clicks,
        ),
    )


def forget_person(txn: Txn, number: int, before: int, limit: int) -> None:
    """The same for the rows among the newest `limit` messages to a number that are older than id `before`."""
    for identifier in list(islice(messages.of_number(txn, number, before), limit)):
        place = sheets.place_of(txn, identifier)
        if place is not None:
            forget(txn, *place)


def forget_gone(txn: Txn, after: int, limit: int) -> int | None:
    """The same for rows that are kept no more, about `limit` of them, of the campaigns behind id `after`: where to go
    on, None at the end.
    """
    left = limit
    for (campaign,), _ in list(islice(COUNTED.scan(txn, after=after or None), limit)):
        fed = FED.find(txn, campaign)
        gone = 0 if fed is None else fed.gone
        rows = [key[1] for key, _ in islice(RESPONSES.scan(txn, campaign), left) if key[1] < gone]
        for row in rows:
            forget(txn, campaign, row)
        has_more = len(rows) == left
        left -= 1 + len(rows)
        if left <= 0:
            return int(campaign) - has_more
    return None


# -- looking up


def counted_of(txn: Txn, campaign: int) -> Counted:
    """What came of a campaign."""
    return COUNTED.find(txn, campaign) or Counted()


def of_rows(txn: Txn, campaign: int, first: int, last: int) -> dict[int, Response]:
    """What people did by row, of the rows from `first` to `last`; who did nothing is left out."""
    found: dict[int, Response] = {}
    for (_, row), response in RESPONSES.scan(txn, campaign, after=(campaign, first - 1) if first else None):
        if row > last:
            break
        found[row] = response
    return found


def of_messages(txn: Txn, identifiers: list[int]) -> list[tuple[int, Response]]:
    """(campaign, what somebody did about it) of those of the messages about which anything was done."""
    found = []
    for identifier in identifiers:
        place = sheets.place_of(txn, identifier)
        response = None if place is None else RESPONSES.find(txn, place)
        if place is not None and response is not None:
            found.append((place[0], response))
    return found


def differences(txn: Txn) -> Iterator[str]:
    """What of the counters is not as a rebuild would make it."""
    made: dict[int, list[int]] = {campaign: _gone(counted) for (campaign,), counted in COUNTED.scan(txn)}
    for (campaign, row), response in RESPONSES.scan(txn):
        fed = FED.find(txn, campaign)
        if fed is None or row >= fed.rows:
            yield f"{RESPONSES.name}: row {row} of campaign {campaign} is none"
        did = (response.replied_ms, response.clicked_ms, response.opted_out_ms)
        own = [*(int(bool(at_ms)) for at_ms in did), response.clicks]
        made[campaign] = [a + b for a, b in zip(made.get(campaign, [0] * 4), own, strict=True)]
        if bool(response.clicked_ms) != bool(response.clicks) or not any(did):
            yield f"{RESPONSES.name}: row {row} of campaign {campaign} says {response}"
    for campaign, wanted in sorted(made.items()):
        counted = counted_of(txn, campaign)
        found = [counted.replied, counted.clicked, counted.opted_out, counted.clicks]
        if found != wanted:
            yield f"{COUNTED.name}: campaign {campaign} says {found}, a rebuild {wanted}"


def _gone(counted: Counted) -> list[int]:
    return [counted.replied_gone, counted.clicked_gone, counted.opted_out_gone, counted.clicks_gone]
