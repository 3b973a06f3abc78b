"""The ledger, references, reports, texts, and all that can be arranged to go wrong."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import ConfigError, Invalid, NotFound
from engine.sim.network import LEAST_LATENCY_MS, MOST_LATENCY_MS, Network, Sim
from engine.sim.tpdu import parse_submit

from .conftest import Clock, Desk, until

TO_42 = "0D91945107000040F2"
TPDU = bytes.fromhex(f"1100{TO_42}0008A7020041")
WITH_REPORT = bytes.fromhex(f"3100{TO_42}0008A7020041")


def submit(desk: Desk, tpdu: bytes = TPDU) -> list[tuple[int, int | None]]:
    answers: list[tuple[int, int | None]] = []
    desk.network.submit(desk.sim, tpdu, parse_submit(tpdu), lambda *answer: answers.append(answer))
    return answers


async def test_the_ledger_has_the_part_before_the_modem_hears_of_it(
    desk: Desk, clock: Clock, ledger_lines: Callable[[], list[str]]
) -> None:
    seen: list[list[str]] = []
    desk.network.submit(desk.sim, TPDU, parse_submit(TPDU), lambda *_: seen.append(ledger_lines()))
    assert json.loads(seen[0][0]) == {
        "at_ms": clock.ms,
        "port": "desk",
        "imsi": "460000000000001",
        "reference": 0,
        "destination": "+4915700000042",
        "tpdu": TPDU.hex().upper(),
    }


async def test_references_count_modulo_256_refused_ones_too(desk: Desk) -> None:
    desk.sim.reference = 254
    desk.network.refuse = lambda _destination: 41 if desk.sim.reference == 0 else None
    assert [submit(desk)[0] for _ in range(3)] == [(254, None), (255, 41), (0, None)]


async def test_a_lost_submission_is_neither_answered_nor_accepted(desk: Desk) -> None:
    desk.network.loses_submission = lambda _destination: True
    assert submit(desk) == []
    assert not desk.network.accepted


async def test_a_lost_answer_leaves_the_part_accepted(
    desk: Desk, ledger_lines: Callable[[], list[str]]
) -> None:
    desk.network.loses_answer = lambda _destination: True
    assert submit(desk) == []
    assert len(ledger_lines()) == 1


async def test_an_allowance_runs_out(desk: Desk) -> None:
    desk.sim.allowance = 1
    assert [submit(desk)[0][1] for _ in range(2)] == [None, 8]


async def test_chance_is_repeatable(tmp_path: Path, clock: Clock) -> None:
    def drawn() -> list[int | None]:
        network = Network(seed=7, now_ms=clock)
        fails = network.sometimes(0.5, 38)
        return [fails("+49") for _ in range(20)]

    assert drawn() == drawn()
    assert set(drawn()) == {None, 38}


async def test_realistic_latency_stays_within_its_bounds(clock: Clock) -> None:
    network = Network(seed=1, now_ms=clock, latency_ms="realistic")
    drawn = sorted(network._draw_latency_ms() for _ in range(1001))
    assert LEAST_LATENCY_MS <= drawn[0] < drawn[-1] <= MOST_LATENCY_MS
    assert 3_500 < drawn[500] < 4_100


async def test_a_crowded_cell_answers_congestion_at_last(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.sim.network.T3122_MS", 1)
    desk.network.channels = 1
    desk.network.latency_ms = 60_000
    first, second = submit(desk), submit(desk)
    await until(lambda: second == [(1, 42)])
    assert first == []


async def test_a_report_comes_when_the_clock_says_so(desk: Desk, clock: Clock) -> None:
    desk.quietly("AT+CNMI=2,1,0,2,1", "AT^SSCONF=0,1")
    desk.network.report_delay_ms = 12_000
    desk.network.outcome = lambda _destination: 0x46
    clock.ms = 1_771_060_530_000
    submit(desk, WITH_REPORT)
    assert desk.network.agenda.next_ms == clock.ms + 12_000
    clock.ms += 11_999
    assert desk.network.agenda.wake() == 0
    clock.ms += 1
    assert desk.network.agenda.wake() == 1
    assert desk.taken() == b'\r\n+CDSI: "MT",1\r\n'
    report = f"0600{TO_42}622041715103236220417151242346"
    assert desk.say(b"AT+CMGR=1\r") == (
        b"\r\n+CMGR: 0,,26\r\n" + ("0891683109000000F0" + report).encode() + b"\r\n\r\nOK\r\n"
    )


async def test_another_report_repeats_the_time_of_acceptance(desk: Desk, clock: Clock) -> None:
    desk.quietly("AT^SSCONF=0,1")
    clock.ms = 1_771_060_530_000
    submit(desk)
    clock.ms += 60_000
    desk.network.report(desk.sim.imsi, 0, "+4915700000042", 0x30)
    assert f"0600{TO_42}6220417151032362204171610323".encode() + b"30" in desk.say(b"AT+CMGR=1\r")


async def test_a_report_needs_a_part(desk: Desk) -> None:
    submit(desk)
    for wrong in (
        ("460000000000002", 0, "+4915700000042"),
        (desk.sim.imsi, 1, "+4915700000042"),
        (desk.sim.imsi, 0, "+4915700000043"),
    ):
        with pytest.raises(NotFound):
            desk.network.report(*wrong, 0)


async def test_what_was_accepted_is_remembered_within_bounds(clock: Clock) -> None:
    network = Network(seed=1, now_ms=clock, keep=3)
    sim = Sim("1", "+1", "1", "+1")
    for _ in range(5):
        network.submit(sim, TPDU, parse_submit(TPDU), lambda *_: None)
    assert [one.reference for one in network.accepted] == [2, 3, 4]
    with pytest.raises(NotFound):
        network.report("1", 1, "+4915700000042", 0)


async def test_a_text_needs_a_number_at_either_end(desk: Desk) -> None:
    with pytest.raises(NotFound):
        desk.network.text("+4915700000042", "+8613900000099", "hi")
    with pytest.raises(Invalid, match="sender"):
        desk.network.text("Lotus", desk.sim.number, "hi")


async def test_a_text_can_be_sent_later(desk: Desk, clock: Clock) -> None:
    desk.quietly("AT+CNMI=2,1,0,2,1")
    desk.network.text("10086", desk.sim.number, "later", clock.ms + 5_000)
    assert desk.taken() == b""
    clock.ms += 5_000
    desk.network.agenda.wake()
    assert desk.taken() == b'\r\n+CMTI: "MT",1\r\n'
    assert b"F0040581" + b"0180F6" + b"0008" in desk.say(b"AT+CMGR=1\r")


async def test_a_long_text_comes_in_parts_under_one_reference(desk: Desk) -> None:
    desk.quietly("AT+CNMI=2,1,0,2,1")
    assert desk.network.text("+4915700000042", desk.sim.number, "汉" * 71) == 2
    assert desk.network.text("+4915700000042", desk.sim.number, "汉" * 71) == 2
    heard = desk.say(b"AT+CMGL=4\r")
    for header in (b"050003010201", b"050003010202", b"050003020201", b"050003020202"):
        assert header in heard


async def test_a_ledger_must_be_writable(tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(ConfigError):
        Network(seed=1, now_ms=clock, ledger=tmp_path / "no" / "ledger.jsonl")
