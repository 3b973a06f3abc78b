"""The demo's campaign is launched as everybody's: asked for the sender's name, and how to refuse."""

from pathlib import Path

import msgspec
import pytest

from engine.crm.marketing.campaigns import CAMPAIGNS, Stage
from engine.errors import Invalid
from engine.store.environment import Store
from engine.wiring import TABLES
from server import demo
from tests.server.conftest import PEPPER

NOW_MS = 1_790_000_000_000


def test_the_towns_campaign_says_who_sends_it_and_is_launched(tmp_path: Path) -> None:
    house = demo.settings_in(tmp_path, "127.0.0.1", 0).house
    store = Store(tmp_path / "data", TABLES)
    store.write_now(demo.seed_town, NOW_MS)
    campaign = store.write_now(demo.begin_campaign, PEPPER, house, NOW_MS)
    assert (campaign.stage, campaign.rows) == (Stage.RUNNING, demo.PEOPLE)
    # Started again, it goes on with what is under way.
    assert store.write_now(demo.begin_campaign, PEPPER, house, NOW_MS + 1).id == campaign.id
    store.close()


def test_a_house_of_another_name_does_not_launch_it(tmp_path: Path) -> None:
    house = demo.settings_in(tmp_path, "127.0.0.1", 0).house
    other = msgspec.structs.replace(house, name_en="Grand", name_zh="大饭店")
    store = Store(tmp_path / "data", TABLES)
    store.write_now(demo.seed_town, NOW_MS)
    with pytest.raises(Invalid) as refused:
        store.write_now(demo.begin_campaign, PEPPER, other, NOW_MS)
    assert refused.value.code == "missing_opt_out"
    with store.read() as txn:
        assert not CAMPAIGNS.any(txn)
    store.close()
