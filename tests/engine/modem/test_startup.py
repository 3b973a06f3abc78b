"""What a modem is told before it works, and what is never done to its SIM."""

from pathlib import Path

import pytest

from tests.engine.modem.puppet import OK, Puppet, lines
from tests.engine.modem.stage import Stage

ERROR = b"\r\nERROR\r\n"


def lock(puppet: Puppet, pin: str, tries: int | None) -> None:
    """Make the puppet ask for a PIN."""
    puppet.answers["AT+CPIN?"] = lines("+CPIN: SIM PIN")
    puppet.answers["AT^SPIC"] = ERROR if tries is None else lines(f"^SPIC: {tries}")

    def unlock() -> bytes:
        puppet.answers["AT+CPIN?"] = lines("+CPIN: READY")
        return OK

    puppet.answers[f'AT+CPIN="{pin}"'] = unlock


async def test_the_order_in_which_a_modem_is_set_up(tmp_path: Path) -> None:
    async with Stage(tmp_path, hardware_flow=True) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        assert puppet.heard == [
            "AT",
            "ATE0",
            "AT+CMEE=1",
            "AT^SM20=0,0",
            "AT\\Q3",
            "AT+CPIN?",
            "AT+CREG?",
            "AT+CIMI",
            "AT+CSQ",
            "AT+CSCA?",
            "AT+COPS?",
            "AT+CPMS?",
            "AT+CMGF=0",
            "AT+CSMS=0",
            "AT+CNMI=2,1,0,2,1",
            "AT^SMGO=1",
            "AT+CMGL=4",
        ]
        view = modem.view()
        assert (view.imsi, view.signal_dbm, view.operator) == ("262010000000000", -75, "Testnet")
        assert view.service_centre == "+491710760000"
        assert stage.states() == ["opening", "starting", "ready"]


async def test_the_storage_is_changed_only_if_it_is_another(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        puppet.answers["AT+CPMS?"] = lines('+CPMS: "SM",0,15,"SM",0,15,"SM",0,15')
        await stage.modem()
        assert 'AT+CPMS="MT","MT","MT"' in puppet.heard


async def test_commands_that_are_only_nice_to_have_may_be_unknown(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        puppet.answers["AT^SMGO=1"] = puppet.answers["AT+COPS?"] = puppet.answers["AT+CSCA?"] = ERROR
        modem = await stage.modem()
        assert modem.view().detail == "no service centre is set"


async def test_a_busy_sim_is_asked_again(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        answers = [b"\r\n+CMS ERROR: 314\r\n", b"\r\n+CME ERROR: 14\r\n", b"\r\n+CME ERROR: 258\r\n", OK]
        puppet.answers["AT+CMGL=4"] = lambda: answers.pop(0)
        await stage.modem()
        assert not answers


async def test_a_modem_searches_until_it_is_at_home_or_roaming(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        answers = [lines(f"+CREG: 0,{stat}") for stat in (0, 2, 3, 5)]
        puppet.answers["AT+CREG?"] = lambda: answers.pop(0)
        await stage.modem()
        details = [change.detail for change in stage.changes if change.state == "searching"]
        assert details == ["no service", "searching", "denied by the network"]


async def test_the_pin_is_entered_where_it_is_asked_for(tmp_path: Path) -> None:
    async with Stage(tmp_path, pin="1234") as stage:
        puppet = stage.puppet()
        lock(puppet, "1234", tries=3)
        await stage.modem()
        assert puppet.heard.count('AT+CPIN="1234"') == 1


@pytest.mark.parametrize(
    ("pin", "tries", "detail"),
    [
        pytest.param(None, 3, "no PIN is configured", id="no PIN"),
        pytest.param("1234", 1, "tries left: 1", id="the last try is a person's"),
        pytest.param("1234", None, "does not say", id="nobody knows how many are left"),
    ],
)
async def test_a_try_is_never_burnt(tmp_path: Path, pin: str | None, tries: int | None, detail: str) -> None:
    async with Stage(tmp_path, pin=pin, poll_s=0.05) as stage:
        puppet = stage.puppet()
        lock(puppet, "1234", tries)
        await stage.until(lambda: puppet.heard.count("AT+CPIN?") > 2)
        assert 'AT+CPIN="1234"' not in puppet.heard
        assert stage.changes[-1].state == "pin"
        assert detail in stage.changes[-1].detail
        puppet.answers["AT+CPIN?"] = lines("+CPIN: READY")  # a person has entered it
        await stage.modem()


async def test_a_refused_pin_is_not_tried_again_even_when_plugged_in_anew(tmp_path: Path) -> None:
    async with Stage(tmp_path, pin="1234", poll_s=0.05) as stage:
        puppet = stage.puppet()
        lock(puppet, "9999", tries=3)
        puppet.answers['AT+CPIN="1234"'] = b"\r\n+CME ERROR: 16\r\n"
        await stage.until(lambda: puppet.heard.count("AT+CPIN?") > 2)
        puppet.unplug()
        await stage.until(lambda: stage.states()[-1] == "lost")
        puppet.plug()
        await stage.until(lambda: puppet.heard.count("AT+CPIN?") > 6)
        assert puppet.heard.count('AT+CPIN="1234"') == 1
        assert "1234" not in " ".join(change.detail for change in stage.changes)


async def test_a_modem_without_a_sim_waits_in_quarantine_and_is_not_restarted(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        puppet.answers["AT+CPIN?"] = b"\r\n+CME ERROR: 10\r\n"
        await stage.until(lambda: stage.states().count("quarantined") > 1)
        assert "AT+CFUN=1,1" not in puppet.heard
        puppet.answers["AT+CPIN?"] = lines("+CPIN: READY")
        await stage.modem()


async def test_a_restart_while_being_set_up_begins_again(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        answers = [lines("+CSMS: 1,1,1") + b"\r\n^SYSSTART\r\n", lines("+CSMS: 1,1,1")]
        puppet.answers["AT+CSMS=0"] = lambda: answers.pop(0)
        await stage.modem()
        assert puppet.heard.count("AT^SM20=0,0") == 2
