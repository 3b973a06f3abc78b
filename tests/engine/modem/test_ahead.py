"""The job ahead: when it begins, in which order that is told, and who may still take it back."""

import asyncio
import threading
from pathlib import Path

import pytest

from engine.errors import Conflict, ModemLost, ModemSilent, SubmitRefused, SubmitUnknown
from engine.modem.pool import Modem, Submission
from tests.engine.modem.puppet import OK, PROMPT, Puppet, lines
from tests.engine.modem.stage import PDU, Stage

FAR_S = 30.0
OTHER = PDU[:-2] + b"00"


def commands(puppet: Puppet) -> int:
    """How often AT+CMGS was heard."""
    return sum(command.startswith("AT+CMGS=") for command in puppet.heard)


async def test_the_next_part_begins_where_the_end_of_the_last_is_heard_and_then_the_end_is_told(
    tmp_path: Path,
) -> None:
    async with Stage(tmp_path) as stage:
        stage.puppet()
        modem = await stage.modem()
        stage.told.clear()
        first, second = stage.job("first"), stage.job("second")
        modem.give(first)
        assert first.is_begun
        modem.give(second)
        assert not second.is_begun
        assert not modem.is_free
        begun_at_end: list[bool] = []
        stage.on_done = lambda _: begun_at_end.append(second.is_begun)
        await stage.until(lambda: len(stage.tags("done")) == 2)
        assert stage.told == [
            ("wanted", None),  # from inside give: the first was begun
            ("given", "first"),
            ("done", "first"),
            ("wanted", None),  # the second was begun
            ("given", "second"),
            ("done", "second"),
            ("wanted", None),  # free
        ]
        assert begun_at_end == [True, True]
        assert (first.outcome, second.outcome) == (1, 2)
        assert modem.is_free


async def test_a_chain_of_parts_never_leaves_the_modem_without_one(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        stage.free.clear()
        left = iter(range(200))

        def give(modem: Modem) -> None:
            if (number := next(left, None)) is not None:
                modem.give(stage.job(str(number)))

        stage.on_wanted = give
        give(modem)
        await stage.until(lambda: len(stage.tags("done")) == 200)
        assert stage.tags("done") == [str(number) for number in range(200)]
        assert len(puppet.pdus) == 200
        assert stage.free == [modem]


async def test_the_pdu_is_announced_before_its_first_octet_is_written(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        stage.puppet()
        modem = await stage.modem()
        assert modem.exchange is not None
        port = modem.exchange.wire
        written: list[int] = []
        stage.on_given = lambda _: written.append(port.written)
        before = port.written
        assert await stage.submit(modem) == 1
        assert written == [before + len(b"AT+CMGS=29\r")]


async def test_a_part_that_could_not_be_announced_is_not_sent(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()

        def fail(_: Submission) -> None:
            raise OSError("no page")

        stage.on_given = fail
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        with pytest.raises(ModemSilent):
            await stage.submit(modem)
        stage.on_given = lambda _: None
        await stage.modem(2)
        assert await stage.submit(modem) == 1
        assert puppet.pdus == [PDU]


async def test_what_arrived_is_read_before_the_part_ahead_begins(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        puppet.answers["AT+CMGR=1"] = lines("+CMGR: 0,,0")
        puppet.on_pdu = lambda _: b'\r\n+CMTI: "MT",1\r\n' + puppet.accept(PDU)
        first, second = stage.submit(modem), stage.submit(modem)
        assert await first == 1
        puppet.on_pdu = puppet.accept
        assert await second == 2
        assert puppet.heard[-3:] == ["AT+CMGS=29", "AT+CMGR=1", "AT+CMGS=29"]


async def test_the_gap_is_kept_before_the_part_ahead(tmp_path: Path) -> None:
    async with Stage(tmp_path, command_gap_ms=20) as stage:
        stage.puppet()
        modem = await stage.modem()
        loop = asyncio.get_running_loop()
        times_s: list[float] = []
        left = iter(range(4))

        def give(modem: Modem) -> None:
            if next(left, None) is not None:
                modem.give(stage.job("part"))

        stage.on_done = lambda _: times_s.append(loop.time())
        stage.on_wanted = give
        give(modem)
        await stage.until(lambda: len(times_s) == 4)
        assert times_s[-1] - times_s[0] >= 3 * 0.02


async def test_a_hidden_error_is_seen_to_before_the_part_ahead_begins(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        answers = [OK]
        puppet.on_pdu = lambda pdu: answers.pop() if answers else puppet.accept(pdu)
        first, second = stage.submit(modem), stage.submit(modem)
        with pytest.raises(SubmitRefused):
            await first
        assert await second == 1
        heard = puppet.heard[puppet.heard.index("AT+CMGS=29") :]
        assert heard[-1] == "AT+CMGS=29"
        assert heard.count("AT^SM20=0,0") == 1


async def test_behind_a_submit_without_an_end_the_part_ahead_is_not_sent(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        stage.told.clear()
        puppet.on_pdu = lambda _: None
        first, second = stage.job("first"), stage.job("second")
        modem.give(first)
        modem.give(second)
        await stage.until(lambda: stage.lost == [modem])
        assert stage.tags("done") == ["first", "second"]
        assert isinstance(first.outcome, SubmitUnknown)
        assert isinstance(second.outcome, ModemLost)
        assert not second.is_begun
        assert commands(puppet) == 1
        puppet.on_pdu = puppet.accept
        await stage.modem(2)
        assert await stage.submit(modem) == 1


async def test_without_a_prompt_neither_part_is_sent(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        puppet.prompt = b""
        first, second = stage.submit(modem), stage.submit(modem)
        with pytest.raises(ModemSilent):
            await first
        with pytest.raises(ModemLost):
            await second
        puppet.prompt = PROMPT
        await stage.modem(2)
        assert not puppet.pdus


async def test_a_part_ahead_can_be_withdrawn_and_another_takes_its_place(tmp_path: Path) -> None:
    async with Stage(tmp_path, result_timeout_s=FAR_S) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        puppet.on_pdu = lambda _: None
        first, second = stage.job("first"), stage.job("second")
        modem.give(first)
        modem.give(second)
        assert not modem.withdraw(first)
        assert modem.withdraw(second)
        third = stage.submit(modem, OTHER)
        await stage.until(lambda: bool(puppet.pdus))
        puppet.on_pdu = puppet.accept
        puppet.say(puppet.accept(PDU))
        assert await third == 2
        assert puppet.pdus == [PDU, OTHER]
        assert "second" not in stage.tags("done")


async def test_a_modem_whose_part_ahead_was_withdrawn_asks_for_another(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        second = stage.job("second")
        modem.give(stage.job("first"))
        modem.give(second)
        assert modem.withdraw(second)
        assert await stage.modem(2) is modem
        assert modem.is_free
        assert commands(puppet) == 1


async def test_a_part_withdrawn_before_it_is_given_is_dropped_and_the_modem_asks_again(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        job = stage.job("never")
        assert modem.withdraw(job)
        modem.give(job)
        assert modem.is_free
        assert await stage.modem(2) is modem
        assert commands(puppet) == 0
        assert not stage.tags("done")


async def test_the_same_part_is_not_taken_twice(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        job = stage.job("once")
        modem.give(job)
        with pytest.raises(Conflict):
            modem.give(job)
        await stage.until(lambda: modem.is_free)
        with pytest.raises(Conflict):
            modem.give(job)
        assert len(puppet.pdus) == 1


async def test_closing_sends_the_part_on_the_line_and_not_the_one_ahead(tmp_path: Path) -> None:
    async with Stage(tmp_path, result_timeout_s=FAR_S) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        puppet.on_pdu = lambda _: None
        first, second = stage.submit(modem), stage.submit(modem)
        await stage.until(lambda: bool(puppet.pdus))
        stage.told.clear()
        closing = asyncio.create_task(stage.pool.close(grace_s=10))
        with pytest.raises(ModemLost):
            await second
        late = stage.submit(modem)
        with pytest.raises(ModemLost):
            await late
        puppet.say(puppet.accept(PDU))
        await closing
        assert first.result() == 1
        assert len(puppet.pdus) == 1
        assert not stage.tags("wanted")


RACED = 300  # parts over which a thread and the line race


async def test_a_thread_that_withdraws_and_a_line_that_begins_never_both_have_a_part(tmp_path: Path) -> None:
    """What was withdrawn is never heard by the modem, and everything else is, once."""
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        given: list[Submission] = []
        withdrawn: list[Submission] = []
        is_over = threading.Event()

        def withdraw() -> None:
            seen = 0
            while not is_over.is_set():
                while seen < len(given):
                    job, seen = given[seen], seen + 1
                    if seen % 3 and modem.withdraw(job):
                        withdrawn.append(job)

        def give(modem: Modem) -> None:
            if len(given) < RACED:
                job = Submission(b"%08X" % len(given), 3, len(given))
                given.append(job)
                modem.give(job)

        thread = threading.Thread(target=withdraw)
        thread.start()
        try:
            stage.on_wanted = give
            give(modem)
            await stage.until(lambda: len(given) == RACED and modem.is_free, timeout_s=30)
        finally:
            is_over.set()
            thread.join()
        sent = [int(pdu, 16) for pdu in puppet.pdus]
        assert sent == stage.tags("done")
        assert sorted(sent + [job.tag for job in withdrawn]) == list(range(RACED))
