"""Uploads: recipients on their way into a campaign, all of an upload or none of it.

Rows are staged behind the campaign's mark and count together when the last has come.  What was not taken is kept
with its row number and the reason.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from engine.crm.marketing import campaigns, recipients
from engine.crm.marketing.campaigns import CAMPAIGNS, Stage
from engine.crm.marketing.recipients import Row
from engine.crm.people import suppressions
from engine.errors import Conflict
from engine.store import ids
from engine.store.table import Table, Txn
from engine.traffic import events
from engine.traffic.messages import GROUPS, Sending

DISCARD_CHUNK: Final = 500


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


class Fault(msgspec.Struct, frozen=True, array_like=True):
    """A row that will not be texted: `status` is "invalid", "duplicate" or "suppressed"."""

    status: str
    name: str = ""
    reason: str = ""


UPLOADS: Final = Table("uploads", Upload)
FAULTS: Final = Table("upload_faults", Fault, "QI")  # upload, row from 1

TABLES: Final = (UPLOADS, FAULTS)


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
    campaigns.store(txn, campaign, uploading=True)
    upload = Upload(ids.take(txn, now_ms), campaign_id)
    UPLOADS.put(txn, upload.id, upload)
    return upload


def add_rows(
    txn: Txn, upload: Upload, rows: list[tuple[int, int, Row]], faults: dict[int, Fault], pepper: bytes, now_ms: int
) -> Upload:
    """Stage (row number, telephone number, row); `faults` are rows that could not be read.  The upload so far."""
    campaign = CAMPAIGNS.get(txn, upload.campaign)
    first = campaign.rows + upload.accepted + upload.suppressed
    fresh = recipients.add(txn, campaign.id, first, [(number, row) for _, number, row in rows], now_ms)
    for position, fault in faults.items():
        FAULTS.put(txn, (upload.id, position), fault)
    duplicate = suppressed = 0
    for (position, number, _), is_new in zip(rows, fresh, strict=True):
        if not is_new:
            duplicate += 1
            FAULTS.put(txn, (upload.id, position), Fault("duplicate"))
        elif (found := suppressions.find(txn, pepper, number)) is not None:
            suppressed += 1
            FAULTS.put(txn, (upload.id, position), Fault("suppressed", "to", found.reason))
    upload = msgspec.structs.replace(
        upload,
        rows=upload.rows + len(rows) + len(faults),
        accepted=upload.accepted + len(rows) - duplicate - suppressed,
        duplicate=upload.duplicate + duplicate,
        suppressed=upload.suppressed + suppressed,
        invalid=upload.invalid + len(faults),
    )
    UPLOADS.put(txn, upload.id, upload)
    return upload


def finish(txn: Txn, upload: Upload, now_ms: int) -> Upload:
    """Let the staged rows count, all at once."""
    campaign = CAMPAIGNS.get(txn, upload.campaign)
    rows = campaign.rows + upload.accepted + upload.suppressed
    campaigns.store(txn, campaign, rows=rows, uploading=False)
    upload = msgspec.structs.replace(upload, done=True)
    UPLOADS.put(txn, upload.id, upload)
    counts = {name: getattr(upload, name) for name in ("rows", "accepted", "duplicate", "suppressed", "invalid")}
    events.append(
        txn, "upload.completed", now_ms, name_of(upload.id), campaign_id=campaigns.name_of(campaign.id), **counts
    )
    if campaign.stage is Stage.RUNNING:
        # A running campaign that had run dry is fed again.
        GROUPS.put(txn, campaign.id, Sending.RUNNING.value)
    return upload


def discard(txn: Txn, campaign_id: int) -> bool:
    """Remove a chunk of an upload that broke off; whether there may be more of it."""
    campaign = CAMPAIGNS.get(txn, campaign_id)
    if not campaign.uploading:
        return False
    if recipients.discard(txn, campaign_id, campaign.rows, DISCARD_CHUNK) == DISCARD_CHUNK:
        return True
    campaigns.store(txn, campaign, uploading=False)
    return False


def broken(txn: Txn) -> list[int]:
    """Campaigns whose upload was under way when the last run ended."""
    return [campaign.id for _, campaign in CAMPAIGNS.scan(txn) if campaign.uploading]


def faults(txn: Txn, upload_id: int, after: int, limit: int) -> Iterator[tuple[int, Fault]]:
    """(row, fault) in order behind row `after`, at most `limit`."""
    for (_, row), fault in FAULTS.scan(txn, upload_id, after=(upload_id, after)):
        if limit <= 0:
            return
        limit -= 1
        yield row, fault
