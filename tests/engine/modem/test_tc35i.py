"""One modem in service, over a real line: how each submit can end, what is received, and how it comes
back.
"""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from engine.errors import Conflict, ModemLost, ModemSilent, StoreFull, SubmitRefused, SubmitUnknown
from engine.modem.pool import Modem
from tests.engine.modem.puppet import OK, PROMPT, Puppet, lines
from tests.engine.modem.stage import PDU, Stage

INCOMING = "0791947101670000040D91945107000040F20000622041015103400453EA130A"
REPORT = "0791947101670000062A0D91945107000040F2622041015103406220410151244000"
FAR_S = 30.0


async def test_a_part_that_is_taken_carries_the_networks_reference(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        assert modem.is_free
        puppet.reference = 41
        sent = stage.submit(modem)
        assert not modem.is_free
        assert modem.view().state == "sending"
        assert await sent == 42
        assert puppet.heard[-1] == "AT+CMGS=29"
        assert puppet.pdus == [PDU]
        assert await stage.modem(2) is modem
        assert (modem.view().sent, modem.view().state) == (1, "ready")


async def test_free_is_told_at_once_so_that_parts_follow_without_a_pause(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        references: list[int] = []
        for _ in range(300):
            references.append(await stage.submit(modem))
            assert modem.is_free
        assert references == [at % 256 for at in range(1, 301)]
        assert len(puppet.pdus) == 300


@pytest.mark.parametrize(
    ("answer", "error", "cms"),
    [
        pytest.param(b"\r\n+CMS ERROR: 21\r\n", SubmitRefused, 21, id="refused by the network"),
        pytest.param(b"\r\nERROR\r\n", SubmitRefused, None, id="a bare error"),
        pytest.param(OK, SubmitRefused, None, id="a bare OK"),
        pytest.param(b"\r\n+CMS ERROR: 500\r\n", SubmitUnknown, 500, id="an ambiguous code"),
        pytest.param(b"", SubmitUnknown, None, id="silence behind the PDU"),
    ],
)
async def test_how_a_submit_fails_and_that_the_next_one_goes(
    tmp_path: Path, answer: bytes, error: type[Exception], cms: int | None
) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        puppet.on_pdu = lambda _: answer
        with pytest.raises(error) as raised:
            await stage.submit(modem)
        assert getattr(raised.value, "cms", None) == cms
        puppet.on_pdu = puppet.accept
        await stage.until(lambda: len(stage.free) > 1)
        assert await stage.submit(modem) == 1


async def test_a_reference_whose_ok_is_lost_is_accepted_without_waiting_for_the_network(
    tmp_path: Path,
) -> None:
    async with Stage(tmp_path, result_timeout_s=FAR_S) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        puppet.on_pdu = lambda _: b"\r\n+CMGS: 9\r\n"
        assert await asyncio.wait_for(stage.submit(modem), 5) == 9
        await stage.modem(2)


async def test_an_error_instead_of_the_prompt_is_a_refusal(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        puppet.prompt = b"\r\n+CMS ERROR: 304\r\n"
        with pytest.raises(SubmitRefused):
            await stage.submit(modem)
        assert modem.view().refused == 1
        assert not puppet.pdus


async def test_a_bare_ok_makes_the_driver_turn_hidden_errors_off_again(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        puppet.on_pdu = lambda _: OK
        with pytest.raises(SubmitRefused):
            await stage.submit(modem)
        await stage.modem(2)
        assert puppet.heard.count("AT^SM20=0,0") == 2


async def test_no_prompt_means_not_sent_and_the_entry_is_aborted(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        puppet.prompt = b""
        with pytest.raises(ModemSilent):
            await stage.submit(modem)
        puppet.prompt = PROMPT
        await stage.modem(2)
        assert stage.lost == [modem]
        assert await stage.submit(modem) == 1
        assert puppet.pdus == [PDU]


async def test_a_line_that_goes_behind_the_pdu_means_unknown_and_before_it_not_sent(tmp_path: Path) -> None:
    async with Stage(tmp_path, result_timeout_s=FAR_S, prompt_timeout_s=FAR_S) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()

        def hang_up(_: bytes) -> None:
            puppet.hang_up()

        puppet.on_pdu = hang_up
        with pytest.raises(SubmitUnknown):
            await stage.submit(modem)
        await stage.until(lambda: "quarantined" in stage.states())
        puppet.plug()
        await stage.modem(2)
        puppet.prompt = b""
        sent = stage.submit(modem)
        await stage.until(lambda: puppet.heard[-1].startswith("AT+CMGS"))
        puppet.hang_up()
        with pytest.raises(ModemLost):
            await sent
        await stage.until(lambda: stage.lost == [modem, modem])


async def test_a_restart_in_the_middle_of_a_submit_means_unknown_and_everything_is_set_again(
    tmp_path: Path,
) -> None:
    async with Stage(tmp_path, result_timeout_s=FAR_S) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        puppet.on_pdu = lambda _: b"\r\n^SYSSTART\r\n"
        with pytest.raises(SubmitUnknown):
            await stage.submit(modem)
        await stage.modem(2)
        assert puppet.heard.count("AT+CNMI=2,1,0,2,1") == 2


async def test_a_modem_takes_one_job_ahead_and_loses_what_it_has_when_it_is_gone(tmp_path: Path) -> None:
    async with Stage(tmp_path, result_timeout_s=FAR_S) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        puppet.on_pdu = lambda _: None
        sent = stage.submit(modem)
        ahead = stage.submit(modem)
        with pytest.raises(Conflict):
            stage.submit(modem)
        await stage.until(lambda: bool(puppet.pdus))
        puppet.unplug()
        with pytest.raises(SubmitUnknown):
            await sent
        with pytest.raises(ModemLost):
            await ahead
        await stage.until(lambda: "lost" in stage.states())
        late = stage.submit(modem)
        assert not late.done()
        with pytest.raises(ModemLost):
            await late
        assert len(puppet.pdus) == 1


async def test_indicated_messages_and_reports_are_read_handed_over_and_deleted_before_the_next_part(
    tmp_path: Path,
) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        puppet.answers["AT+CMGR=1"] = lines("+CMGR: 0,,24", INCOMING)
        puppet.answers["AT+CMGR=2"] = lines("+CMGR: 0,,26", REPORT)
        puppet.answers["AT+CMGR=3"] = lines("+CMGR: 0,,0")
        puppet.on_pdu = lambda _: (
            b'\r\n+CMTI: "MT",1\r\n' + puppet.accept(PDU) + b'\r\n+CDSI: "MT",2\r\n\r\n+CDSI: "MT",3\r\n'
        )
        assert await stage.submit(modem) == 1
        assert not modem.is_free
        waiting = stage.submit(modem)
        puppet.on_pdu = puppet.accept
        assert await waiting == 2
        assert puppet.heard[-6:] == [
            "AT+CMGR=1",
            "AT+CMGD=1",
            "AT+CMGR=2",
            "AT+CMGD=2",
            "AT+CMGR=3",
            "AT+CMGS=29",
        ]
        assert stage.received == [
            (modem.imsi, modem.port, INCOMING, 24),
            (modem.imsi, modem.port, REPORT, 26),
        ]
        assert modem.view().received == 2


async def test_a_waiting_job_can_be_withdrawn_before_its_command_is_written(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        puppet.say(b'\r\n+CMTI: "MT",1\r\n')
        puppet.answers["AT+CMGR=1"] = lines("+CMGR: 0,,0")
        await stage.until(lambda: "AT+CMGR=1" in puppet.heard)
        job = stage.job("waiting")
        modem.give(job)
        assert modem.withdraw(job)
        await stage.modem(2)
        assert await stage.submit(modem) == 1
        assert len(puppet.pdus) == 1
        assert "waiting" not in stage.tags("done")


async def test_a_record_that_was_not_made_durable_stays_in_the_modem(tmp_path: Path) -> None:
    async with Stage(tmp_path, poll_s=0.05) as stage:
        puppet = stage.puppet()
        await stage.modem()
        is_full = True

        async def receive(imsi: str, port: str, pdu: str, length: int) -> None:
            if is_full:
                raise StoreFull("no space")
            await stage.on_received(imsi, port, pdu, length)

        stage.free[0]._on_received = receive
        puppet.answers["AT+CMGR=1"] = lines("+CMGR: 0,,24", INCOMING)
        puppet.answers["AT+CMGL=4"] = lines("+CMGL: 1,1,,24", INCOMING)
        puppet.say(b'\r\n+CMTI: "MT",1\r\n')
        await stage.until(lambda: "AT+CMGR=1" in puppet.heard and puppet.heard.count("AT+CMGL=4") > 2)
        assert "AT+CMGD=1" not in puppet.heard
        is_full = False
        await stage.until(lambda: "AT+CMGD=1" in puppet.heard)
        assert len(stage.received) == 1


async def test_digits_lost_on_the_line_are_read_again(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        await stage.modem()
        answers = [lines("+CMGR: 0,,24", INCOMING[:-6]), lines("+CMGR: 1,,24", INCOMING)]
        puppet.answers["AT+CMGR=1"] = lambda: answers.pop(0)
        puppet.say(b'\r\n+CMTI: "MT",1\r\n')
        await stage.until(lambda: "AT+CMGD=1" in puppet.heard)
        assert [pdu for _, _, pdu, _ in stage.received] == [INCOMING]


async def test_the_index_of_another_storage_is_not_trusted(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        await stage.modem()
        puppet.answers["AT+CMGL=4"] = lines("+CMGL: 28,0,,24", INCOMING)
        puppet.say(b'\r\n+CMTI: "SM",3\r\n')
        await stage.until(lambda: "AT+CMGD=28" in puppet.heard)
        assert "AT+CMGR=3" not in puppet.heard


async def test_a_pushed_message_is_acknowledged_only_when_durable(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        await stage.modem()
        puppet.say(b"\r\n+CMT: ,24\r\n" + INCOMING.encode() + b"\r\n")
        await stage.until(lambda: "AT+CNMA" in puppet.heard)
        assert len(stage.received) == 1


async def test_an_echo_is_no_answer(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        puppet.echoes = True
        modem = await stage.modem()
        assert await stage.submit(modem) == 1


async def test_a_ringing_phone_is_hung_up(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        await stage.modem()
        puppet.say(b"\r\nRING\r\n")
        await stage.until(lambda: "ATH" in puppet.heard)
        await stage.modem(2)


async def test_housekeeping_listens_again_and_waits_for_the_network(tmp_path: Path) -> None:
    async with Stage(tmp_path, poll_s=0.05) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        puppet.answers["AT+CNMI?"] = lines("+CNMI: 0,0,0,0,1")
        puppet.answers["AT+CREG?"] = lines("+CREG: 0,2")
        await stage.until(lambda: "searching" in stage.states())
        assert puppet.heard.count("AT+CNMI=2,1,0,2,1") == 2
        assert stage.lost == [modem]
        frees = len(stage.free)
        puppet.answers["AT+CREG?"] = lines("+CREG: 0,5")
        await stage.until(lambda: len(stage.free) > frees)


async def test_a_modem_that_restarts_behind_every_question_has_not_answered_all_of_them(tmp_path: Path) -> None:
    async with Stage(tmp_path, poll_s=0.2) as stage:
        puppet = stage.puppet()
        free_in = Counter[int]()

        def fall_over(modem: Modem) -> None:
            life = len(stage.lost)
            free_in[life] += modem.is_free
            # It is free when it is in service, and again behind its first question.
            if free_in[life] == 2:
                puppet.say(b"\r\n^SYSSTART\r\n")

        stage.on_wanted = fall_over
        await stage.until(lambda: "quarantined" in stage.states() or len(stage.lost) > 4)
        assert "quarantined" in stage.states()


async def test_the_gap_is_kept_between_a_result_and_the_next_command(tmp_path: Path) -> None:
    async with Stage(tmp_path, command_gap_ms=20) as stage:
        stage.puppet()
        modem = await stage.modem()
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for at in range(2, 7):
            await stage.submit(modem)
            assert not modem.is_free
            await stage.modem(at)
        assert loop.time() - began_s >= 5 * 0.02


async def test_a_deaf_modem_climbs_the_ladder_and_comes_back_by_itself(tmp_path: Path) -> None:
    async with Stage(tmp_path, answer_timeout_s=0.05) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        deaf = dict.fromkeys([*puppet.answers, "AT", "ATE0"], b"")
        hearing, puppet.answers, puppet.prompt = puppet.answers, deaf, b""
        with pytest.raises(ModemSilent):
            await stage.submit(modem)
        await stage.until(lambda: "quarantined" in stage.states(), timeout_s=20)
        assert "AT+CFUN=1,1" in puppet.heard
        assert stage.lost == [modem]
        puppet.answers, puppet.prompt = hearing, PROMPT
        await stage.modem(2)
        assert await stage.submit(modem) == 1


async def test_a_modem_that_never_ends_a_submit_is_not_healthy_because_it_answers_at(tmp_path: Path) -> None:
    async with Stage(tmp_path, prompt_timeout_s=0.03) as stage:
        puppet = stage.puppet()
        modem = await stage.modem()
        puppet.prompt = b""
        for times in range(2, 5):
            with pytest.raises(ModemSilent):
                await stage.submit(modem)
            await stage.modem(times)
        assert puppet.heard.count("AT+CFUN=1,1") == 1


async def test_what_a_killed_host_left_is_brought_in_when_the_modem_starts(tmp_path: Path) -> None:
    puppet: Puppet
    async with Stage(tmp_path) as stage:
        puppet = stage.puppet()
        puppet._at_prompt = True  # and a prompt that it left open
        puppet.answers["AT+CMGL=4"] = lines(
            "+CMGL: 1,1,,24", INCOMING, "+CMGL: 2,2,,24", INCOMING, "+CMGL: 3,0,,26", REPORT + "FF" * 30
        )
        await stage.modem()
        assert [length for *_, length in stage.received] == [24, 26]
        assert "AT+CMGD=1" in puppet.heard
        assert "AT+CMGD=2" not in puppet.heard
        assert not puppet.pdus
