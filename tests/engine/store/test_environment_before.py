"""The data directory of the version before: one is kept as it was written, and must open, be read and be whole.

`tests/vectors/data-1.mdb.gz` has entries in every table of schema 1.  A new schema adds a file and changes none:
`PYTHONPATH=. python tests/engine/store/test_environment_before.py tests/vectors/data-N.mdb.gz` writes it.
"""

import asyncio
import gzip
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from bench import baseline
from engine import proof
from engine.access import tokens
from engine.config import House
from engine.crm.gate import gate_with
from engine.crm.marketing import campaigns, uploads
from engine.crm.marketing.campaigns import Campaign
from engine.crm.marketing.recipients import Row
from engine.crm.people import consent, customers, suppressions
from engine.store import backup
from engine.store.backup import DATA_FILE
from engine.store.environment import Store
from engine.traffic import inbound, intents, messages
from engine.traffic.messages import Message, Pick
from engine.wiring import TABLES

VECTORS = Path(__file__).resolve().parents[2] / "vectors"
NOW_MS = 1_770_000_000_000
