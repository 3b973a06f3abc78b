"""Parts one after the other without the task: what happens where something comes between."""

import asyncio
import os
import termios
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ModemLost, SubmitUnknown
from engine.modem.ladder import Fault, Ladder, Rung
from engine.modem.pool import Modem, Submission
from engine.modem.port import Port
from engine.modem.submission import CTRL_Z
from tests.engine.modem.puppet import PROMPT, Puppet, lines
from tests.engine.modem.stage import LENGTH, PDU, Stage

FAR_S = 30.0
MORE_THAN_A_LINE_TAKES = 200_000


def deaf(puppet: Puppet) -> bytes:
    """Read nothing more from now on; the prompt, which comes all the same."""
    asyncio.get_running_loop().remove_reader(puppet._master)
    return PROMPT


async def test_a_line_lost_before_the_first_octet_of_a_pdu_means_not_sent(tmp_path: Path) -> None:
    async with Stage(tmp_path, result_timeout_s=FAR_S) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        stage.on_given = lambda _: puppet.hang_up()
        with pytest.raises(ModemLost):
            await stage.submit(modem)


async def test_a_line_lost_in_the_middle_of_a_pdu_leaves_open_if_it_went(tmp_path: Path) -> None:
    async with Stage(tmp_path, result_timeout_s=FAR_S) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        puppet.prompt = lambda: deaf(puppet)
        sent = stage.submit(modem, b"0" * MORE_THAN_A_LINE_TAKES)
        await stage.until(lambda: "given" in [told for told, _ in stage.told])
        assert modem.exchange is not None
        assert modem.exchange.wire.backlog
        puppet.hang_up()
        with pytest.raises(SubmitUnknown):
            await sent


async def test_a_line_that_takes_nothing_holds_everything_back_counts_nothing_and_goes_on(tmp_path: Path) -> None:
    async with Stage(tmp_path, result_timeout_s=FAR_S, prompt_timeout_s=FAR_S) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        assert modem.exchange is not None
        port = modem.exchange.wire
        written = port.written
        termios.tcflow(port.fd, termios.TCOOFF)
        sent = stage.submit(modem)
        command = b"AT+CMGS=%d\r" % LENGTH
        assert (port.backlog, port.written) == (command, written)
        stage.on_given = lambda _: termios.tcflow(port.fd, termios.TCOOFF)
        termios.tcflow(port.fd, termios.TCOON)
        await stage.until(lambda: "given" in [told for told, _ in stage.told])
        assert (port.backlog, port.written) == (PDU + CTRL_Z, written + len(command))
        termios.tcflow(port.fd, termios.TCOON)
        assert await sent == 1
        assert puppet.pdus == [PDU]
        assert port.written == written + len(command + PDU + CTRL_Z)


async def test_a_pdu_that_was_only_held_back_when_the_line_was_lost_was_not_sent(tmp_path: Path) -> None:
    async with Stage(tmp_path, result_timeout_s=FAR_S) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        assert modem.exchange is not None
        port = modem.exchange.wire
        stage.on_given = lambda _: termios.tcflow(port.fd, termios.TCOOFF)
        sent = stage.submit(modem)
        await stage.until(lambda: "given" in [told for told, _ in stage.told])
        assert port.backlog == PDU + CTRL_Z
        puppet.hang_up()
        with pytest.raises(ModemLost):
            await sent


@pytest.mark.parametrize("beside", [b"\r\nRING\r\n", b"\r\n+CRING: VOICE\r\n"])
@pytest.mark.parametrize("is_one_chunk", [True, False], ids=["in one chunk with the outcome", "before it"])
async def test_a_call_is_refused_before_the_part_ahead_begins(
    tmp_path: Path, beside: bytes, is_one_chunk: bool
) -> None:
    async with Stage(tmp_path, result_timeout_s=FAR_S) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        puppet.on_pdu = lambda _: None
        first, second = stage.submit(modem), stage.submit(modem)
        await stage.until(lambda: len(puppet.pdus) == 1)
        puppet.on_pdu = puppet.accept
        if is_one_chunk:
            puppet.say(beside + puppet.accept(PDU))
        else:
            puppet.say(beside)
            while not modem.is_held:  # noqa: ASYNC110  nobody tells when a line was heard
                await asyncio.sleep(0)
            puppet.say(puppet.accept(PDU))
        assert (await first, await second) == (1, 2)
        assert puppet.heard.index("ATH") < len(puppet.heard) - puppet.heard[::-1].index(f"AT+CMGS={LENGTH}") - 1
        await stage.until(lambda: modem.is_free)
        assert not modem.is_held


async def test_news_that_mean_nothing_to_us_do_not_come_between(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        puppet.on_pdu = lambda pdu: b"\r\n+CREG: 1\r\n" + puppet.accept(pdu)
        heard = len(puppet.heard)
        first, second = stage.submit(modem), stage.submit(modem)
        assert (await first, await second) == (1, 2)
        assert puppet.heard[heard:] == [f"AT+CMGS={LENGTH}"] * 2


@pytest.mark.parametrize("callback", ["on_wanted", "on_done"])
async def test_a_callback_that_fails_is_told_to_the_loop_and_stops_nobody_else(tmp_path: Path, callback: str) -> None:
    async with Stage(tmp_path, result_timeout_s=FAR_S) as stage:
        puppets = [stage.puppet(0), stage.puppet(1)]
        await stage.until(lambda: len(stage.free) == 2)
        told: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context.get("exception")))
        for puppet in puppets:
            puppet.on_pdu = lambda _: None
        jobs = [(stage.job(f"first {at}"), stage.job(f"second {at}")) for at in range(2)]
        for modem, (first, second) in zip(stage.free, jobs, strict=True):
            modem.give(first)
            modem.give(second)
        await stage.until(lambda: all(puppet.pdus for puppet in puppets))
        troubles = [ValueError("once")]

        def fail(_: object) -> None:
            if troubles:
                raise troubles.pop()

        setattr(stage, callback, fail)
        for puppet in puppets:
            puppet.on_pdu = puppet.accept
            puppet.say(puppet.accept(PDU))
        await stage.until(lambda: len(stage.tags("done")) == 4)
        assert [type(trouble) for trouble in told] == [ValueError]
        assert all(isinstance(job.outcome, int) for pair in jobs for job in pair)


@pytest.mark.parametrize("callback", ["on_wanted", "on_done"])
async def test_a_part_may_be_given_from_inside_a_callback(tmp_path: Path, callback: str) -> None:
    async with Stage(tmp_path) as stage:
        stage.puppet()
        modem = await stage.modem()
        left = iter(range(1, 20))

        def give(_: object) -> None:
            if modem.ahead is None and (number := next(left, None)) is not None:
                modem.give(stage.job(str(number)))

        setattr(stage, callback, give)
        modem.give(stage.job("0"))
        await stage.until(lambda: len(stage.tags("done")) == 20 and modem.is_free)
        assert stage.tags("done") == [str(number) for number in range(20)]
        assert modem.view().sent == 20


async def test_a_modem_that_retires_in_a_callback_begins_nothing_more(tmp_path: Path) -> None:
    async with Stage(tmp_path, result_timeout_s=FAR_S) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        retiring: list[asyncio.Task[None]] = []

        def retire(_: Submission) -> None:
            retiring.append(asyncio.get_running_loop().create_task(modem.retire(FAR_S)))

        stage.on_given = retire
        first, second = stage.job("first"), stage.job("second")
        modem.give(first)
        modem.give(second)
        await stage.until(lambda: bool(retiring) and retiring[0].done())
        assert first.outcome == 1
        assert isinstance(second.outcome, ModemLost)
        assert len(puppet.pdus) == 1


async def test_a_port_that_goes_inside_a_callback_of_another_leaves_the_others_alone(tmp_path: Path) -> None:
    async with Stage(tmp_path, result_timeout_s=FAR_S) as stage:
        puppets = [stage.puppet(number) for number in range(3)]
        await stage.until(lambda: len(stage.free) == 3)
        for puppet in puppets:
            puppet.on_pdu = lambda _: None
        by_port = {Path(modem.port).name: modem for modem in stage.free}
        jobs = [stage.job(str(number)) for number in range(3)]
        for number, job in enumerate(jobs):
            by_port[f"modem-{number}"].give(job)
        await stage.until(lambda: all(puppet.pdus for puppet in puppets))

        def close_others(job: Submission) -> None:
            stage.on_done = lambda _: None
            gone = by_port[f"modem-{(int(job.tag) + 1) % 3}"]
            assert gone.exchange is not None
            gone.exchange.wire.close()

        stage.on_done = close_others
        for puppet in puppets:
            # All three have something to say in the same turn of the loop.
            os.write(puppet._master, lines("+CMGS: 7"))
        await stage.until(lambda: sum(job.outcome == 7 for job in jobs) == 2)
        lost = next(job for job in jobs if job.outcome != 7)
        assert lost.outcome is None
        by_port[f"modem-{lost.tag}"].unplug()
        await stage.until(lambda: isinstance(lost.outcome, SubmitUnknown))


async def test_who_wraps_the_port_from_outside_sees_every_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The drill that kills a server between any two writes lives on it."""
    written: list[bytes] = []
    write = Port.write

    def watch(port: Port, octets: bytes) -> None:
        written.append(octets)
        write(port, octets)

    async with Stage(tmp_path) as stage:
        stage.puppet()
        modem = await stage.modem()
        assert await stage.submit(modem) == 1
        monkeypatch.setattr(Port, "write", watch)
        assert await stage.submit(modem) == 2
        monkeypatch.undo()
        assert await stage.submit(modem) == 3
    assert written == [b"AT+CMGS=%d\r" % LENGTH, PDU + CTRL_Z]


def test_a_ladder_is_at_the_bottom_only_where_to_begin_there_would_change_nothing() -> None:
    ladder = Ladder(1, 60)
    assert ladder.is_at_the_bottom
    ladder.next_wait_s()
    assert not ladder.is_at_the_bottom
    ladder.reset()
    assert ladder.is_at_the_bottom
    ladder.climb(Fault("something", Rung.WAKE), is_started=True)
    assert not ladder.is_at_the_bottom
    ladder.reset()
    silent = Submission(PDU, LENGTH)
    silent.begin()
    silent.time_out(1.0, 0)
    ladder.note_end(silent)
    assert not ladder.is_at_the_bottom
    ladder.note_housekeeping()
    assert not ladder.is_at_the_bottom


async def test_a_hand_without_a_line_begins_nothing(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        modem: Modem = await stage.modem()
        puppet.unplug()
        await stage.until(lambda: modem.exchange is None)
        job = stage.job("late")
        modem.give(job)
        await stage.until(lambda: stage.tags("done") == ["late"])
        assert isinstance(job.outcome, ModemLost)
        assert not job.is_begun
