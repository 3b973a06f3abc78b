"""Routes at work: a real engine, real modems on a simulated rack, and its ledger of who sent what."""

import asyncio
from typing import Any

from engine.traffic import sticky
from tests.server.conftest import Place, until

ONE, TWO = "460000000000001", "460000000000002"
CHINESE, GERMAN = "+8613912345678", "+4917012345678"


def senders(house: Place, number: str) -> list[str]:
    """The SIMs that texted a number, in order."""
    return [one.sim.imsi for one in house.rack.network.accepted if one.destination == number]


async def route(house: Place, name: str, *sims: str, **fields: Any) -> str:
    body = {"name": name, "senders": [{"sim": sim} for sim in sims], **fields}
    answer = await house.call("POST", "/v1/routes", body)
    assert answer.status == 201, answer
    return str(answer.body["id"])


async def test_two_countries_leave_by_two_sims(house: Place) -> None:
    await route(house, "China", ONE, countries=["CN"])
    await route(house, "Germany", TWO, prefixes=["+49"])
    async with asyncio.TaskGroup() as tasks:
        for number in (CHINESE, GERMAN):
            for _ in range(8):
                tasks.create_task(house.sent(to=number))
    assert senders(house, CHINESE) == [ONE] * 8
    assert senders(house, GERMAN) == [TWO] * 8


async def test_A11_one_house_texts_two_countries_by_two_numbers_and_each_customer_by_one(house: Place) -> None:
    british = "+447700900123"
    house.engine.routing.is_sticky = True
    await route(house, "China", ONE, countries=["CN"])
    await route(house, "Britain", TWO, countries=["GB"])
    for number in (CHINESE, british, CHINESE):
        await house.sent(to=number)
    assert (senders(house, CHINESE), senders(house, british)) == ([ONE, ONE], [TWO])


async def test_a_campaign_keeps_to_its_route_beside_one_that_is_free(house: Place) -> None:
    await route(house, "surveys", TWO, purposes=["transactional"])
    await route(house, "all else")
    campaign = await house.draft(text="x")
    rows = b"to\n" + b"".join(b"+86139000%05d\n" % number for number in range(30))
    await house.upload(campaign, rows)
    await house.call("POST", f"/v1/campaigns/{campaign}/launch")
    await house.sent(to=CHINESE)
    await until(lambda: len(house.rack.network.accepted) == 31)
    assert {one.sim.imsi for one in house.rack.network.accepted if one.destination != CHINESE} == {TWO}


async def test_a_text_asks_for_its_sim(house: Place) -> None:
    await route(house, "all", ONE)
    await house.sent(to=CHINESE, sim=TWO)
    await house.sent(to=CHINESE)
    assert senders(house, CHINESE) == [TWO, ONE]


async def test_the_next_route_takes_over_while_the_modem_of_the_first_is_gone(house: Place) -> None:
    await route(house, "first", TWO, prefixes=["+86"])
    await route(house, "all", ONE)
    await house.sent(to=CHINESE)
    house.rack.unplug("modem-01")
    await until(lambda: house.engine.rack()[1].state == "lost")
    await house.sent(to=CHINESE)
    house.rack.plug("modem-01")
    await house.ready()
    await house.sent(to=CHINESE)
    assert senders(house, CHINESE) == [TWO, ONE, TWO]


async def test_what_waits_goes_by_a_route_that_is_made_for_it(house: Place) -> None:
    only = await route(house, "elsewhere", "460000000000009")
    sent = await house.call("POST", "/v1/messages", {"to": CHINESE, "text": "x"})
    await house.sent(to=GERMAN, sim=ONE)
    said = (await house.call("GET", f"/v1/messages/{sent.body['id']}/explain")).body["explanation"]
    assert said.startswith("No SIM of its routes (elsewhere) is here: it goes when one is, or expires at ")
    await house.call("PATCH", f"/v1/routes/{only}", {"senders": [{"sim": TWO}]})
    await until(lambda: senders(house, CHINESE))
    assert senders(house, CHINESE) == [TWO]


async def test_an_otp_takes_nothing_back_from_a_sim_that_may_not_send_it(house: Place) -> None:
    await route(house, "elsewhere", "460000000000009", prefixes=["+49"])
    await route(house, "all")
    await house.call("POST", "/v1/messages", {"to": GERMAN, "text": "x", "lane": "otp"})
    # Its route goes on to the next, which is the whole rack.
    await until(lambda: senders(house, GERMAN))
    await house.call("POST", "/v1/messages", {"to": GERMAN, "text": "x", "lane": "otp", "sim": "460000000000009"})
    async with asyncio.TaskGroup() as tasks:
        for _ in range(20):
            tasks.create_task(house.sent(to=CHINESE))
    assert (len(senders(house, CHINESE)), len(senders(house, GERMAN))) == (20, 1)


async def test_a_number_stays_with_the_sim_that_texted_it_last(house: Place) -> None:
    house.engine.routing.is_sticky = True
    await house.sent(to=CHINESE, sim=TWO)
    with house.engine.store.read() as txn:
        assert sticky.of(txn, int(CHINESE[1:])) == int(TWO)
    for _ in range(6):
        await house.sent(to=CHINESE)
    assert senders(house, CHINESE) == [TWO] * 7
    house.rack.unplug("modem-01")
    await until(lambda: house.engine.rack()[1].state == "lost")
    await house.sent(to=CHINESE)
    house.rack.plug("modem-01")
    await house.ready()
    await house.sent(to=CHINESE)
    assert senders(house, CHINESE)[7:] == [ONE, ONE]
