import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp_jinja2
import jinja2
import pytest
from aiohttp import web

from engine.config import ANY_HOUR, House, Http, Modems, Settings
from engine.sim.rack import Rack
from engine.traffic import events, messages
from engine.traffic.messages import State
from engine.wiring import Engine, running
from server.console import pages, phrases
from server.console.fragments import TEMPLATES, Painter
from server.console.snapshot import (
    EVENTS_READ,
    LINES_SHOWN,
    Line,
    Observer,
    Snapshot,
    Tile,
    Totals,
)

from .conftest import Visitor

STATES = ("opening", "starting", "pin", "searching", "ready", "sending", "lost", "quarantined")
AT_MS = 1_795_303_800_000  # 2026-11-21 23:30:00 UTC, the next day in Shanghai
PATIENCE_S = 20.0


def tile(state: str, *, is_busy: bool = False) -> Tile:
    return Tile(
        f"modem-{state}",
        f"tty-{state}",
        f"/dev/tty-{state}",
        state,
        "",
        "CARILLON",
        "0001",
        -75,
        4,
        1200,
        1,
        7,
        is_busy,
    )


def scene(rack: tuple[Tile, ...] = (), log: tuple[Line, ...] = (), hidden: int = 0) -> Snapshot:
    return Snapshot(AT_MS, Totals(0, len(rack), 0, None, (), 0, 0, False, (0, 0, 0, 0)), rack, hidden, (), log)


@pytest.fixture
def painter() -> Painter:
    app = web.Application()
    environment = aiohttp_jinja2.setup(
        app, loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.globals["static"] = pages.address_of
    return Painter(environment, House(time_zone="Asia/Shanghai"), Http())


@pytest.mark.parametrize("state", STATES)
def test_every_state_of_a_modem_is_told_by_word_and_picture(painter: Painter, state: str) -> None:
    for language in phrases.LANGUAGES:
        html = painter.paint(scene((tile(state),)), language, ("rack",))["rack"]
        assert f"tile-{state}" in html
        assert phrases.PHRASES[language][f"modem.{state}"] in html
    icons = (TEMPLATES / "icons.html").read_text()
    drawn = html.partition('<use href="#')[2].partition('"')[0]
    assert f'id="{drawn}"' in icons


def test_a_modem_that_sends_has_a_pulse(painter: Painter) -> None:
    assert "is-busy" in painter.paint(scene((tile("ready", is_busy=True),)), "en")["rack"]
    assert "is-busy" not in painter.paint(scene((tile("ready"),)), "en")["rack"]


def test_modems_that_are_not_shown_are_counted(painter: Painter) -> None:
    assert "and 904 more" in painter.paint(scene((tile("ready"),), hidden=904), "en")["rack"]


def test_times_are_those_of_the_house(painter: Painter) -> None:
    line = Line("line-1", "campaign.launched", AT_MS, "Spring", "", 1)
    html = painter.paint(scene(log=(line,)), "en")["log"]
    assert "07:30:00" in html
    assert "2026-11-22T07:30:00+08:00" in html


def test_two_looks_at_an_idle_house_are_equal(engine: Engine) -> None:
    observer = Observer(engine)
    assert observer.look(100.0) == observer.look(100.1)


async def test_what_is_like_in_one_second_is_one_line(engine: Engine) -> None:
    for at in range(30):
        await engine.store.write(events.append, "message.sent", AT_MS + at * 10, f"msg_{at}")
    await engine.store.write(events.append, "modem.up", AT_MS + 1500, "/dev/ttyUSB0")
    log = Observer(engine).look(0.0).log
    assert [(line.kind, line.about, line.count) for line in log] == [
        ("modem.up", "ttyUSB0", 1),
        ("message.sent", "", 30),
    ]


async def test_the_log_is_bounded_however_much_has_happened(engine: Engine) -> None:
    for at in range(EVENTS_READ + 50):
        await engine.store.write(events.append, "customer.created", AT_MS + at * 1000, f"cus_{at}")
    log = Observer(engine).look(0.0).log
    assert len(log) == LINES_SHOWN
    assert log[0].at_ms == AT_MS + (EVENTS_READ + 49) * 1000
    assert len({line.key for line in log}) == LINES_SHOWN


async def test_an_event_that_nobody_has_words_for_is_shown_all_the_same(visitor: Visitor) -> None:
    engine = visitor.engine
    await engine.store.write(events.append, "rack.fire", engine.now_ms(), "x")
    await engine.store.write(events.append, "campaign.launched", engine.now_ms(), "cmp_not_an_id")
    text = await visitor.page()
    assert "rack: fire" in text
    assert "cmp_not_an_id" in text


async def test_messages_in_doubt_are_counted_over_all_groups(engine: Engine) -> None:
    for group, units in ((0, 2), (7, 3), (9, 1)):
        await engine.store.write(messages.count, group, State.UNKNOWN, units)
    await engine.store.write(messages.count, 7, State.SENT, 50)
    totals = Observer(engine).look(0.0).totals
    assert (totals.unknown, totals.unknown_is_least) == (6, False)


async def test_the_counters_of_a_card_sum_to_its_rows(visitor: Visitor) -> None:
    await visitor.campaign("Spring", 250, is_launched=True, purpose="marketing")
    card = Observer(visitor.engine).look(0.0).campaigns[0]
    assert sum(count for _, count in card.tallies) == card.rows == 250
    assert card.lacks_modem or card.stage == "completed"


@pytest.fixture
async def racked(tmp_path: Path) -> AsyncIterator[tuple[Engine, Rack]]:
    rack = Rack(tmp_path / "rack", 2)
    rack.start()
    try:
        modems = Modems(ports=(str(tmp_path / "rack" / "modem-*"),), command_gap_ms=0)
        async with running(Settings(data=str(tmp_path / "racked"), modems=modems, quiet=ANY_HOUR), b"p" * 32) as engine:
            yield engine, rack
    finally:
        rack.close()


async def _until_states(engine: Engine, *wanted: set[str]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            states = [view.state for view in engine.rack()]
            if len(states) == len(wanted) and all(map(set.__contains__, wanted, states)):
                return
            await asyncio.sleep(0.02)  # the modems go at their own pace


async def test_the_rack_is_shown_without_whole_identities(racked: tuple[Engine, Rack], painter: Painter) -> None:
    engine, rack = racked
    await _until_states(engine, {"ready"}, {"ready"})
    seen = Observer(engine).look(0.0)
    assert [(tile.port, tile.state, tile.sim_end) for tile in seen.rack] == [
        ("modem-00", "ready", "0001"),
        ("modem-01", "ready", "0002"),
    ]
    html = painter.paint(seen, "en")["rack"]
    for view in engine.rack():
        assert view.imsi not in html
        assert view.service_centre.lstrip("+") not in html
    assert (seen.totals.ready, seen.totals.modems) == (2, 2)
    rack.unplug("modem-01")
    await _until_states(engine, {"ready"}, {"lost", "quarantined"})
    gone = Observer(engine).look(0.0).rack[1]
    assert (gone.signal_dbm, gone.bars) == (None, 0)
