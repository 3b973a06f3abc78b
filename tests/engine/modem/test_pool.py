"""Modems that come and go, and one that fails without the others noticing."""

import asyncio
from pathlib import Path

from engine.errors import SubmitUnknown
from tests.engine.modem.puppet import lines
from tests.engine.modem.stage import PDU, Stage


async def test_a_pattern_without_ports_is_no_error_and_a_name_without_port_is_shown(tmp_path: Path) -> None:
    async with Stage(tmp_path, ports=(f"{tmp_path}/none-*", f"{tmp_path}/modem-7")) as stage:
        await asyncio.sleep(0)  # the pool's first look
        [view] = stage.pool.views()
        assert (view.port, view.state, view.detail) == (f"{tmp_path}/modem-7", "lost", "no such port")
        stage.puppet(7)
        modem = await stage.modem()
        assert modem.view().state == "ready"


async def test_a_link_that_leads_nowhere_is_no_port(tmp_path: Path) -> None:
    (tmp_path / "modem-1").symlink_to(tmp_path / "gone")
    async with Stage(tmp_path) as stage:
        stage.puppet(2)
        modem = await stage.modem()
        assert [view.port for view in stage.pool.views()] == [modem.port]


async def test_modems_are_plugged_in_and_out_while_others_work(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        stage.puppet(1)
        steady = await stage.modem()
        goer = stage.puppet(2)
        going = await stage.modem(2)
        goer.unplug()
        await stage.until(lambda: going in stage.lost)
        assert await stage.submit(steady) == 1
        await stage.until(lambda: going.view().state == "lost")
        goer.plug()
        await stage.until(lambda: going.is_free)
        assert [view.state for view in stage.pool.views()] == ["ready", "ready"]


async def test_the_second_port_with_the_same_sim_stays_out(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        first = stage.puppet(1, imsi="262011111111111")
        await stage.modem()
        stage.puppet(2, imsi="262011111111111")
        await stage.until(lambda: any(change.state == "quarantined" for change in stage.changes))
        views = stage.pool.views()
        assert views[0].state == "ready"
        assert views[1].port.endswith("modem-2")
        [detail] = {change.detail for change in stage.changes if change.state == "quarantined"}
        assert detail == f"the same SIM is in {tmp_path}/modem-1"
        first.unplug()
        second = await stage.modem(2)
        assert second.port.endswith("modem-2")
        assert [view.port for view in stage.pool.views()] == [second.port]


async def test_a_callback_that_fails_stops_only_its_modem(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        stage.puppet(1)
        steady = await stage.modem()

        async def receive(*_: object) -> None:
            raise KeyError("a bug of ours")

        stage.pool._on_received = receive
        bad = stage.puppet(2)
        bad.answers["AT+CMGL=4"] = lines("+CMGL: 1,1,,1", "0011")
        await stage.until(lambda: "AT+CMGL=4" in bad.heard)
        await stage.until(lambda: stage.pool.views()[1].state == "quarantined")
        assert stage.pool.views()[1].detail == "internal error: KeyError"
        assert await stage.submit(steady) == 1


async def test_closing_lets_the_part_on_the_line_end(tmp_path: Path) -> None:
    async with Stage(tmp_path, result_timeout_s=30) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        puppet.on_pdu = lambda _: None
        sent = stage.submit(modem)
        await stage.until(lambda: bool(puppet.pdus))
        closing = asyncio.create_task(stage.pool.close(grace_s=10))
        await asyncio.sleep(0)
        puppet.say(puppet.accept(PDU))
        await closing
        assert sent.result() == 1
        assert len(stage.free) == 1


async def test_cancelling_leaves_no_part_without_an_outcome(tmp_path: Path) -> None:
    async with Stage(tmp_path, result_timeout_s=30) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        puppet.on_pdu = lambda _: None
        sent = stage.submit(modem)
        await stage.until(lambda: bool(puppet.pdus))
        stage._task.cancel()
        await asyncio.wait([stage._task])
        assert isinstance(sent.exception(), SubmitUnknown)
        stage._task = asyncio.create_task(asyncio.sleep(0))
