"""The pool on a rack of eight simulated TC35i, whose ledger says what really went."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine.errors import ModemError, SubmitRefused, SubmitUnknown
from engine.modem.pool import Modem
from engine.sim.line import Mood
from engine.sim.profile import Quirks
from engine.sim.rack import Rack
from tests.engine.modem.stage import QUICK, Stage

MODEMS = 8
# The simulator is quick, but eight modems share one core with it.
PATIENT = {"answer_timeout_s": 2.0, "prompt_timeout_s": 2.0, "result_timeout_s": 2.0}
TEXT = "104F39B92C07C564331A485E0E93F3"


def part(number: int, report: bool = False) -> tuple[bytes, int]:
    """A PDU to the `number`-th of many destinations, and its length."""
    digits = destination(number)[1:] + "F"
    semi_octets = "".join(digits[at + 1] + digits[at] for at in range(0, len(digits), 2))
    pdu = f"00{'31' if report else '11'}000D91{semi_octets}0000A7{TEXT}"
    return pdu.encode(), len(pdu) // 2 - 1


def destination(number: int) -> str:
    return f"+49151{number:08d}"


@asynccontextmanager
async def playing(
    directory: Path, settings: dict[str, object] | None = None, modems: int = MODEMS, **rack_options: object
) -> AsyncIterator[tuple[Stage, Rack]]:
    rack = Rack(directory, modems, **rack_options)  # type: ignore[arg-type]
    rack.start()
    try:
        async with Stage(directory, **{**QUICK, **PATIENT, **(settings or {})}) as stage:
            await stage.until(lambda: len({modem.port for modem in stage.free}) == modems, timeout_s=20)
            yield stage, rack
    finally:
        rack.close()


async def send(stage: Stage, parts: int, report: bool = False) -> dict[int, int | BaseException]:
    """Give every free modem the next part until all have an outcome."""
    outcomes: dict[int, int | BaseException] = {}
    numbers = iter(range(parts))
    all_done = asyncio.Event()

    def give(modem: Modem) -> None:
        if (number := next(numbers, None)) is None:
            return
        stage.submit(modem, *part(number, report)).add_done_callback(note(number))

    def note(number: int) -> Callable[[asyncio.Future[int]], None]:
        def done(sent: asyncio.Future[int]) -> None:
            outcomes[number] = sent.exception() or sent.result()
            if len(outcomes) == parts:
                all_done.set()

        return done

    stage.on_wanted = give
    for modem in {modem.port: modem for modem in stage.free}.values():
        if modem.is_free:
            give(modem)
    async with asyncio.timeout(60):
        await all_done.wait()
    stage.on_wanted = None
    return outcomes


def ledger(rack: Rack) -> Counter[str]:
    return Counter(acceptance.destination for acceptance in rack.network.accepted)


async def test_every_part_arrives_once_and_the_references_are_those_of_the_ledger(tmp_path: Path) -> None:
    async with playing(tmp_path, report_delay_ms=None) as (stage, rack):
        outcomes = await send(stage, 400)
        references = {acceptance.destination: acceptance.reference for acceptance in rack.network.accepted}
        assert references == {destination(number): outcome for number, outcome in outcomes.items()}
        assert len(rack.network.accepted) == 400
        assert sum(view.sent for view in stage.pool.views()) == 400


async def test_every_report_is_handed_over_and_deleted(tmp_path: Path) -> None:
    async with playing(tmp_path, quirks=Quirks(repeats_cdsi=True)) as (stage, rack):
        await send(stage, 200, report=True)
        await stage.until(lambda: len(stage.received) == 200)
        imsis = Counter(imsi for imsi, *_ in stage.received)
        assert imsis == Counter(acceptance.sim.imsi for acceptance in rack.network.accepted)


async def test_texts_to_the_rack_are_received_by_the_right_sim(tmp_path: Path) -> None:
    async with playing(tmp_path, modems=3) as (stage, rack):
        for sim in rack.network.sims:
            rack.network.text("+4915199999999", sim.number, "hello " * 30)
        await stage.until(lambda: len(stage.received) >= 3 * 3)
        imsis = Counter(imsi for imsi, *_ in stage.received)
        assert set(imsis) == {sim.imsi for sim in rack.network.sims}
        assert len(set(imsis.values())) == 1


@pytest.mark.parametrize(
    "mood",
    [
        pytest.param(Mood(bite_octets=1), id="octet by octet"),
        pytest.param(Mood(baud=115_200), id="at its rate"),
    ],
)
async def test_the_lines_mood_changes_nothing(tmp_path: Path, mood: Mood) -> None:
    async with playing(tmp_path, modems=2, mood=mood) as (stage, rack):
        outcomes = await send(stage, 30, report=True)
        assert all(isinstance(outcome, int) for outcome in outcomes.values())
        await stage.until(lambda: len(stage.received) == 30, timeout_s=10)
        assert max(ledger(rack).values()) == 1


async def test_news_in_the_middle_of_our_commands_are_not_lost(tmp_path: Path) -> None:
    async with playing(tmp_path, modems=2, quirks=Quirks(race_ms=5)) as (stage, _):
        await send(stage, 30, report=True)
        await stage.until(lambda: len(stage.received) == 30)


async def test_a_line_that_loses_octets_never_makes_us_lie(tmp_path: Path) -> None:
    """Accepted is in the ledger, not sent is not; what cannot be known is unknown."""
    short = {"answer_timeout_s": 0.1, "prompt_timeout_s": 0.1, "result_timeout_s": 0.1}
    async with playing(tmp_path, short, modems=4, report_delay_ms=None) as (stage, rack):
        for name in rack.names:
            rack.line(name).mood = Mood(loss=0.002)
        outcomes = await send(stage, 150)
        accepted = ledger(rack)
        for number, outcome in outcomes.items():
            times = accepted[destination(number)]
            if isinstance(outcome, int):
                assert times == 1
            elif not isinstance(outcome, SubmitUnknown):
                assert isinstance(outcome, ModemError)
                assert times == 0
        assert sum(isinstance(outcome, int) for outcome in outcomes.values()) > 75


async def test_pulling_a_line_makes_the_part_on_it_unknown_and_the_modem_comes_back(tmp_path: Path) -> None:
    async with playing(tmp_path, modems=2, latency_ms=1_000, report_delay_ms=None) as (stage, rack):
        modem = stage.free[0]
        name = Path(modem.port).name
        sent = stage.submit(modem, *part(1))
        await stage.until(lambda: stage.tags("given") == [sent])
        rack.unplug(name)
        with pytest.raises(SubmitUnknown):
            await sent
        await stage.until(lambda: modem in stage.lost)
        frees = len(stage.free)
        rack.plug(name)
        await stage.until(lambda: len(stage.free) > frees, timeout_s=20)
        assert stage.free[-1] is modem


async def test_a_refusal_by_the_network_is_told_with_its_code(tmp_path: Path) -> None:
    async with playing(tmp_path, modems=1) as (stage, rack):
        rack.network.refuse = lambda _: 21
        with pytest.raises(SubmitRefused) as refused:
            await stage.submit(stage.free[0], *part(1))
        assert refused.value.cms == 21


async def test_a_lost_answer_is_unknown_though_the_ledger_has_it(tmp_path: Path) -> None:
    async with playing(tmp_path, {"result_timeout_s": 0.2}, modems=1, report_delay_ms=None) as (stage, rack):
        rack.network.loses_answer = lambda _: True
        with pytest.raises(SubmitUnknown):
            await stage.submit(stage.free[0], *part(1))
        assert ledger(rack) == {destination(1): 1}


async def test_a_module_that_restarts_is_set_up_again(tmp_path: Path) -> None:
    async with playing(tmp_path, modems=1) as (stage, rack):
        rack.modem(rack.names[0]).restart()
        await stage.until(lambda: len(stage.free) == 2, timeout_s=20)
        assert isinstance(await stage.submit(stage.free[0], *part(1)), int)


async def test_the_pin_is_entered(tmp_path: Path) -> None:
    async with playing(tmp_path, {"pin": "1234"}, modems=1, pin="1234") as (stage, _):
        assert isinstance(await stage.submit(stage.free[0], *part(1)), int)


async def test_the_rack_is_faster_than_any_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Eight modems without latency, simulator and driver on one core: thousands of parts per second."""
    async with playing(tmp_path, report_delay_ms=None) as (stage, _):
        began_s = time.perf_counter()
        outcomes = await send(stage, 8_000)
        rate = len(outcomes) / (time.perf_counter() - began_s)
        with capsys.disabled():
            print(f"\n{rate:,.0f} parts per second over {MODEMS} simulated modems")
        assert all(isinstance(outcome, int) for outcome in outcomes.values())
        assert rate > 500
