"""The part ahead of one that ends in doubt, or with its modem: it is not begun before somebody has looked."""

import asyncio
from pathlib import Path

import pytest

from engine._at import ACCEPTED
from engine.errors import ModemLost
from tests.engine.modem.puppet import Puppet
from tests.engine.modem.stage import Stage

FAR_S = 30.0


def commands(puppet: Puppet) -> int:
    """How often AT+CMGS was heard."""
    return sum(command.startswith("AT+CMGS=") for command in puppet.heard)


async def test_behind_a_part_that_was_accepted_without_an_end_the_modem_is_looked_at_first(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        # Its OK is lost on the wire.
        puppet.on_pdu = lambda _: b"\r\n+CMGS: 7\r\n"
        mark = len(puppet.heard)
        first, second = stage.job("first"), stage.job("second")
        modem.give(first)
        modem.give(second)
        await stage.until(lambda: len(stage.tags("done")) == 2)
        assert first.outcome == 7
        assert isinstance(second.outcome, ModemLost)
        assert not second.is_begun
        puppet.on_pdu = puppet.accept
        await stage.modem(2)
        assert puppet.heard[mark : mark + 2] == ["AT+CMGS=29", "AT"]
        assert await stage.submit(modem) == 1
        assert commands(puppet) == 2


@pytest.mark.parametrize("how", ["the line goes", "the module restarts", "the module shuts down"])
async def test_behind_a_part_that_was_accepted_when_its_modem_went_none_is_begun(tmp_path: Path, how: str) -> None:
    async with Stage(tmp_path, prompt_timeout_s=FAR_S, result_timeout_s=FAR_S) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        puppet.on_pdu = lambda _: b"\r\n+CMGS: 7\r\n"
        first, second = stage.job("first"), stage.job("second")
        modem.give(first)
        modem.give(second)
        async with asyncio.timeout(5):
            while first.stage != ACCEPTED:  # noqa: ASYNC110
                await asyncio.sleep(0)  # nothing tells of this step
        match how:
            case "the line goes":
                puppet.hang_up()
            case "the module restarts":
                puppet.say(b"\r\n^SYSSTART\r\n")
            case _:
                puppet.say(b"\r\n^SHUTDOWN\r\n")
        await stage.until(lambda: len(stage.tags("done")) == 2)
        assert first.outcome == 7
        assert isinstance(second.outcome, ModemLost)
        assert not second.is_begun
        assert stage.tags("given") == ["first"]
        assert commands(puppet) == 1
