"""What many modems are told at once leaves together, and what is decided meanwhile is decided by what left."""

import asyncio
from pathlib import Path
from typing import Any

from engine.errors import ModemLost, SubmitUnknown
from engine.modem.pool import Modem, Submission
from tests.engine.modem.puppet import PROMPT, Puppet
from tests.engine.modem.stage import PDU, Stage

FAR_S = 3600.0
MODEMS = 12  # more than are written one by one


def written(modem: Modem) -> int:
    assert modem.exchange is not None
    return modem.exchange.wire.written


async def rack(stage: Stage) -> tuple[list[Puppet], list[Modem]]:
    """Puppets and their modems, all of them free, in order of their ports."""
    puppets = [stage.puppet(number) for number in range(10, 10 + MODEMS)]
    await stage.until(lambda: len(stage.free) == MODEMS)
    return puppets, sorted(stage.free, key=lambda modem: modem.port)


async def test_what_is_given_to_many_leaves_when_the_last_has_it(tmp_path: Path) -> None:
    async with Stage(tmp_path, result_timeout_s=FAR_S) as stage:
        _, modems = await rack(stage)
        before = [written(modem) for modem in modems]
        jobs = [stage.job(modem.port) for modem in modems]
        with stage.pool.gathering():
            for modem, job in zip(modems, jobs, strict=True):
                modem.give(job)
                assert job.is_begun
                assert not modem.withdraw(job)
            assert [written(modem) for modem in modems] == before
        assert [written(modem) for modem in modems] > before
        await stage.until(lambda: all(job.outcome is not None for job in jobs))
        assert [job.outcome for job in jobs] == [1] * MODEMS


async def test_what_was_gathered_for_a_modem_that_goes_meanwhile_is_lost_and_never_written(tmp_path: Path) -> None:
    async with Stage(tmp_path, result_timeout_s=FAR_S) as stage:
        puppets, modems = await rack(stage)
        jobs = [stage.job(modem.port) for modem in modems]
        with stage.pool.gathering():
            for modem, job in zip(modems, jobs, strict=True):
                modem.give(job)
            modems[0].unplug()
            assert isinstance(jobs[0].outcome, ModemLost)
        await stage.until(lambda: all(job.outcome is not None for job in jobs))
        assert [job.outcome for job in jobs[1:]] == [1] * (MODEMS - 1)
        assert puppets[0].pdus == []
        assert not any(command.startswith("AT+CMGS") for command in puppets[0].heard)


async def test_a_restart_said_right_behind_the_prompt_means_that_nothing_was_sent(tmp_path: Path) -> None:
    async with Stage(tmp_path, result_timeout_s=FAR_S) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        puppet.prompt = PROMPT + b"\r\n^SYSSTART\r\n"
        job = stage.job("first")
        modem.give(job)
        await stage.until(lambda: job.outcome is not None)
        assert isinstance(job.outcome, ModemLost)
        assert stage.tags("given") == ["first"]
        await stage.modem(2)
        assert not any(PDU.decode() in command for command in puppet.heard)


async def test_who_cannot_be_told_of_one_part_does_not_keep_those_of_other_modems(tmp_path: Path) -> None:
    async with Stage(tmp_path, result_timeout_s=FAR_S) as stage:
        puppets, modems = await rack(stage)
        jobs = [stage.job(modem.port) for modem in modems]
        raised: list[BaseException] = []

        def note(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            # One alone, or a group: they need not all be heard in the same turn.
            raised.extend(getattr(context["exception"], "exceptions", [context["exception"]]))

        asyncio.get_running_loop().set_exception_handler(note)

        def refuse(job: Submission) -> None:
            if job in jobs[:2]:
                raise RuntimeError(job.tag)

        stage.on_given = refuse
        for puppet in puppets:
            puppet.prompt = b""
        for modem, job in zip(modems, jobs, strict=True):
            modem.give(job)
        await stage.until(lambda: all(puppet.heard[-1].startswith("AT+CMGS") for puppet in puppets))
        for puppet in puppets:
            puppet._at_prompt = True
            puppet.say(PROMPT)
        await stage.until(lambda: all(job.outcome is not None for job in jobs[2:]))
        assert [job.outcome for job in jobs[2:]] == [1] * (MODEMS - 2)
        assert sorted(str(one) for one in raised) == [job.tag for job in jobs[:2]]
        assert [puppet.pdus for puppet in puppets[:2]] == [[], []]
        for modem in modems[:2]:
            modem.unplug()
        await stage.until(lambda: all(job.outcome is not None for job in jobs))
        assert not any(isinstance(job.outcome, SubmitUnknown) for job in jobs)
