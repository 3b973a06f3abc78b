"""Whom a campaign is meant for and when it begins, as JSON."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from engine.crm.marketing import audiences

Definition = str | dict[str, Any]


class Audience(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom a campaign is meant for: conditions in the text form or as JSON.

    Of those whom `definition` takes and `exclude` does not, `holdout_percent` in a hundred get nothing.  A campaign
    with a topic goes to its active subscribers, all of them where `definition` is left out.
    """

    definition: Definition | None = None
    exclude: Definition | None = None
    holdout_percent: Annotated[int, Meta(ge=0, le=audiences.HOLDOUT_MOST)] = 0


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a campaign begins by itself, within a year."""

    start_at: datetime
