"""Uploads: recipients on their way into a campaign, all of an upload or none of it.

Rows are staged behind the campaign's mark and count together when the last has come.  What was not taken is kept
with its row number and the reason.
"""

import sys
from array import array
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

import msgspec

from engine._sheet import Sheet
from engine.crm.marketing import campaigns, recipients
from engine.crm.marketing.campaigns import CAMPAIGNS, Campaign, Stage
from engine.crm.marketing.recipients import Row
from engine.crm.people import suppressions
from engine.errors import Conflict, InvalidParam
from engine.store import ids
from engine.store.table import Table, Txn
from engine.traffic import events, sheets
from engine.traffic.messages import GROUPS, NUMBERS, Sending

DISCARD_PAGES: Final = 50
LAST_ROW: Final = (1 << 32) - 1


class Upload(msgspec.Struct, frozen=True, array_like=True):
    """Counts of rows by what became of them; `done` once they count."""

    id: int
    campaign: int
    rows: int = 0
    accepted: int = 0
    duplicate: int = 0
    suppressed: int = 0
    invalid: int = 0
    done: bool = False
    runs: tuple[int, ...] = ()  # of the number index, which nobody reads until the upload is done
    faults_gone: bool = False  # what was not taken is kept no more


class Fault(msgspec.Struct, frozen=True, array_like=True):
    """A row that will not be texted: `status` is "invalid", "duplicate" or "suppressed"."""

    status: str
    name: str = ""
    reason: str = ""


class Stretch(NamedTuple):
    """Neighbouring rows with the same fault: from row `first`, `rows` of them."""

    first: int
    rows: int
    status: str
    name: str = ""
    reason: str = ""


UPLOADS: Final = Table("uploads", Upload)
STRETCHES: Final = Table("upload_stretches", list[Stretch], "QI")  # upload, first row from 1

TABLES: Final = (UPLOADS, STRETCHES)


def name_of(identifier: int) -> str:
    """The id on the wire."""
    return ids.render("upl", identifier)


def begin(txn: Txn, campaign_id: int, now_ms: int) -> Upload:
    """Open the campaign for rows.  Raises NotFound, Conflict where it has ended or another upload is under way."""
    campaign = CAMPAIGNS.get(txn, campaign_id)
    if campaign.stage in (Stage.COMPLETED, Stage.CANCELLED):
        raise Conflict(f"the campaign is {campaign.stage}")
    if campaign.uploading:
        raise Conflict("another upload to this campaign is under way")
    upload = Upload(ids.take(txn, now_ms), campaign_id)
    campaigns.store(txn, campaign, uploading=True, upload=upload.id)
    UPLOADS.put(txn, upload.id, upload)
    return upload


class Chunk(NamedTuple):
    """Rows of an upload that are stored together: `first` is the first one's number in the upload, from 1."""

    first: int
    rows: int
    accepted: int
    sheets: list[Sheet]
    numbers: bytes  # of the accepted rows, 8 octets each, the lowest first
    suppressed: list[tuple[int, int]]  # row, number: they are accepted too, and texted by nobody
    duplicates: list[tuple[int, int]]  # first row, rows
    invalid: list[tuple[int, InvalidParam]]


def add(txn: Txn, upload: Upload, chunk: Chunk, pepper: bytes, now_ms: int) -> Upload:
    """Stage a chunk behind the campaign's mark; the upload so far.  Raises Conflict where it was given up."""
    campaign = _campaign_of(txn, upload)
    first = campaign.rows + upload.accepted + upload.suppressed
    runs = upload.runs
    if chunk.accepted:
        placed = sheets.add(txn, campaign.id, first, chunk.sheets, now_ms)
        run = placed[0][0]
        NUMBERS.write(txn, run, pairs(chunk.numbers, run))
        runs = (*runs, run)
    faults = [Stretch(first_row, count, "duplicate") for first_row, count in chunk.duplicates]
    for row, number in chunk.suppressed:
        found = suppressions.find(txn, pepper, number)
        faults.append(Stretch(row, 1, "suppressed", "to", found.reason if found else ""))
    faults += [Stretch(row, 1, "invalid", fault.name, fault.reason) for row, fault in chunk.invalid]
    if faults:
        STRETCHES.put(txn, (upload.id, chunk.first), sorted(faults))
    duplicate = sum(count for _, count in chunk.duplicates)
    upload = msgspec.structs.replace(
        upload,
        rows=upload.rows + chunk.rows,
        accepted=upload.accepted + chunk.accepted - len(chunk.suppressed),
        duplicate=upload.duplicate + duplicate,
        suppressed=upload.suppressed + len(chunk.suppressed),
        invalid=upload.invalid + len(chunk.invalid),
        runs=runs,
    )
    UPLOADS.put(txn, upload.id, upload)
    return upload


def _campaign_of(txn: Txn, upload: Upload) -> Campaign:
    """The upload's campaign, which must be open for this upload and no other."""
    campaign = CAMPAIGNS.get(txn, upload.campaign)
    if not campaign.uploading or campaign.upload != upload.id:
        raise Conflict("the upload has ended")
    return campaign


def pairs(numbers: bytes, first: int) -> bytes:
    """(number, id) of each, 8 octets each, where ids step by one from `first`."""
    keys = array("Q", numbers)
    both = array("Q", bytes(2 * len(numbers)))
    both[::2] = keys
    both[1::2] = array("Q", range(first, first + len(keys)))
    return both.tobytes()


def add_rows(
    txn: Txn, upload: Upload, rows: list[tuple[int, int, Row]], faults: dict[int, Fault], pepper: bytes, now_ms: int
) -> Upload:
    """`add` for a few rows at once: (row number, telephone number, row); `faults` are rows that could not be read."""
    known = recipients.nothing_seen()
    recipients.see(txn, upload.campaign, known, -1, sys.maxsize)
    fresh, duplicates, suppressed = [], [], []
    for position, number, row in rows:
        if not known.add(number, row.client_ref):
            duplicates.append((position, 1))
            continue
        fresh.append((number, row))
        if suppressions.find(txn, pepper, number) is not None:
            suppressed.append((position, number))
    chunk = Chunk(
        min([position for position, _, _ in rows] + list(faults), default=1),
        len(rows) + len(faults),
        len(fresh),
        recipients.packed(fresh),
        array("Q", [number for number, _ in fresh]).tobytes(),
        suppressed,
        duplicates,
        [(row, InvalidParam(fault.name, fault.reason, row)) for row, fault in faults.items()],
    )
    return add(txn, upload, chunk, pepper, now_ms)


def finish(txn: Txn, upload: Upload, now_ms: int) -> Upload:
    """Let the staged rows count, all at once.  Raises Conflict where the upload was given up."""
    campaign = _campaign_of(txn, upload)
    rows = campaign.rows + upload.accepted + upload.suppressed
    campaigns.store(txn, campaign, rows=rows, uploading=False, upload=0)
    sheets.reveal(txn, campaign.id, rows)
    NUMBERS.publish(txn, upload.runs)
    upload = msgspec.structs.replace(upload, done=True, runs=())
    UPLOADS.put(txn, upload.id, upload)
    counts = {name: getattr(upload, name) for name in ("rows", "accepted", "duplicate", "suppressed", "invalid")}
    events.append(
        txn, "upload.completed", now_ms, name_of(upload.id), campaign_id=campaigns.name_of(campaign.id), **counts
    )
    if campaign.stage is Stage.RUNNING:
        # A running campaign that had run dry is fed again.
        GROUPS.put(txn, campaign.id, Sending.RUNNING.value)
    return upload


def discard(txn: Txn, campaign_id: int, upload_id: int = 0) -> bool:
    """Remove a chunk of an upload that broke off; whether there may be more of it.

    Another upload than `upload_id`, where one is given, is left alone.
    """
    campaign = CAMPAIGNS.get(txn, campaign_id)
    if not campaign.uploading or (upload_id and campaign.upload != upload_id):
        return False
    upload = UPLOADS.find(txn, campaign.upload)
    if upload is not None and upload.runs:
        if not NUMBERS.discard(txn, upload.runs[-1], DISCARD_PAGES):
            UPLOADS.put(txn, upload.id, msgspec.structs.replace(upload, runs=upload.runs[:-1]))
        return True
    if sheets.discard(txn, campaign_id, campaign.rows, DISCARD_PAGES) == DISCARD_PAGES:
        return True
    # Nobody was told the name of an upload that broke off, so nobody can ask for its faults.
    told = [key for key, _ in islice(STRETCHES.scan(txn, campaign.upload), DISCARD_PAGES)]
    for key in told:
        STRETCHES.remove(txn, key)
    if len(told) == DISCARD_PAGES:
        return True
    UPLOADS.remove(txn, campaign.upload)
    campaigns.store(txn, campaign, uploading=False, upload=0)
    return False


def broken(txn: Txn) -> list[int]:
    """Campaigns whose upload was under way when the last run ended."""
    return [campaign.id for _, campaign in CAMPAIGNS.scan(txn) if campaign.uploading]


def forget_faults(txn: Txn, after: int, horizon_ms: int, entries: int) -> int | None:
    """Remove what is kept of rows that were not taken, of uploads before the horizon to campaigns that ended before it.

    A step: it begins behind upload `after`, looks at so many entries, and gives the upload to go on behind, or None.
    """
    while entries > 0:
        keys = STRETCHES.keys(txn, STRETCHES.layout.pack(after, LAST_ROW), entries)
        if not keys:
            return None
        found = [STRETCHES.layout.unpack(key) for key in keys]
        upload_id = found[0][0]
        if ids.created_ms(upload_id) >= horizon_ms:
            return None
        upload = UPLOADS.find(txn, upload_id)
        if upload is None or not campaigns.has_ended(txn, upload.campaign, horizon_ms):
            after = upload_id
            entries -= 1
            continue
        doomed = [key for key in found if key[0] == upload_id]
        for key in doomed:
            STRETCHES.remove(txn, key)
        UPLOADS.put(txn, upload_id, msgspec.structs.replace(upload, faults_gone=True))
        entries -= len(doomed)
    return after


def faults(txn: Txn, upload_id: int, after: int, limit: int) -> Iterator[tuple[int, Fault]]:
    """(row, fault) in order behind row `after`, at most `limit`."""
    begun = STRETCHES.at_or_before(txn, (upload_id, after + 1))
    from_row = begun[0][1] - 1 if begun is not None and begun[0][0] == upload_id else 0
    for _, stretches in STRETCHES.scan(txn, upload_id, after=(upload_id, from_row)):
        for first, rows, status, name, reason in stretches:
            for row in range(max(first, after + 1), first + rows):
                if limit <= 0:
                    return
                limit -= 1
                yield row, Fault(status, name, reason)
