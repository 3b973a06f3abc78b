"""People who answer."""

from engine.sim.people import People, Reply
from engine.sim.tpdu import parse_submit

from .conftest import Clock, Desk

TO_42 = "0D91945107000040F2"
ALONE = bytes.fromhex(f"1100{TO_42}0008A7020041")
FIRST_OF_TWO = bytes.fromhex(f"5100{TO_42}0008A7080500030702010041")
LAST_OF_TWO = bytes.fromhex(f"5100{TO_42}0008A7080500030702020041")


def send(desk: Desk, tpdu: bytes) -> None:
    desk.network.submit(desk.sim, tpdu, parse_submit(tpdu), lambda *_: None)


async def test_a_recipient_answers_to_the_sims_number(desk: Desk, clock: Clock) -> None:
    desk.quietly("AT+CNMI=2,1,0,2,1")
    People(desk.network, [Reply(1.0, "退订", 2_000)])
    send(desk, ALONE)
    assert desk.taken() == b""
    clock.ms += 2_000
    desk.network.agenda.wake()
    assert desk.taken() == b'\r\n+CMTI: "MT",1\r\n'
    assert b"040D91945107000040F20008" in desk.say(b"AT^SMGR=1\r")
    assert b"0490008BA2\r\n" in desk.say(b"AT+CMGR=1\r")


async def test_a_message_of_parts_is_answered_once(desk: Desk) -> None:
    People(desk.network, [Reply(1.0, "ok", 1)])
    send(desk, FIRST_OF_TWO)
    assert len(desk.network.agenda) == 0
    send(desk, LAST_OF_TWO)
    assert len(desk.network.agenda) == 1


async def test_how_many_answer_is_a_matter_of_chance(desk: Desk) -> None:
    People(desk.network, [Reply(0.2, "STOP", (1, 10)), Reply(0.3, "thanks", (1, 10))], seed=3)
    for _ in range(400):
        send(desk, ALONE)
    assert 150 < len(desk.network.agenda) < 250
