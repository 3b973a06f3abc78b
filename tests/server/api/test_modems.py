"""The rack over HTTP: what is plugged, what it does, what it did."""

import asyncio
from pathlib import Path

from tests.server.conftest import Place, place_in, until


async def test_a_rack_of_none_has_no_rate(desk: Place) -> None:
    answer = await desk.call("GET", "/v1/modems")
    assert answer.body == {"items": [], "next": None, "waiting_parts": 0, "rate_per_minute": 0.0}


async def test_every_modem_shows_its_sim_and_counts_its_parts(house: Place) -> None:
    await house.sent()
    await house.call("POST", "/v1/sim/inbound", {"from": "+8613912345678", "text": "x"})
    answer = await house.call("GET", "/v1/modems")
    modems = answer.body["items"]
    assert [modem["imsi"] for modem in modems] == ["460000000000001", "460000000000002"]
    assert [modem["port"] for modem in modems] == [str(port) for port in house.rack.ports]
    assert {(modem["state"], modem["operator"]) for modem in modems} == {("ready", "CARILLON")}
    assert (sum(modem["sent"] for modem in modems), modems[0]["received"]) == (1, 1)
    assert answer.body["rate_per_minute"] > 0


async def test_a_modem_that_is_pulled_is_lost_and_comes_back(house: Place) -> None:
    house.rack.unplug("modem-01")
    await until(lambda: house.engine.rack()[1].state == "lost")
    shown = (await house.call("GET", "/v1/modems")).body["items"][1]
    assert (shown["state"], bool(shown["detail"])) == ("lost", True)
    house.rack.plug("modem-01")
    await house.ready()
    told: list[str] = []
    async with asyncio.timeout(5):
        while told.count("modem.up") < 3:
            told = [event["type"] for event in (await house.call("GET", "/v1/events")).body["items"]]
    assert told.count("modem.lost") == 1


async def test_a_port_that_is_not_there_is_shown_by_its_name(tmp_path: Path) -> None:
    port = str(tmp_path / "ttyUSB9")
    async with place_in(tmp_path, ports=(port,)) as place:
        await until(place.engine.rack)
        (modem,) = (await place.call("GET", "/v1/modems")).body["items"]
        assert (modem["port"], modem["state"], modem["detail"], modem["imsi"]) == (
            port,
            "lost",
            "no such port",
            None,
        )
