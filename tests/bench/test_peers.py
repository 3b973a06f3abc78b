"""The peers of the SMS benchmarks: they do the same work as ours, or are not timed."""

import sys

import pytest

from bench import bench_sms, peers
from bench.timing import agree

ENCODERS = ("python-gsmmodem-new", "python-messaging", "python-gammu")
CASES = {case.name: case for case in bench_sms.CASES}


@pytest.mark.parametrize("name", peers.PEERS)
def test_a_peer_agrees_in_every_case_it_can_do(name: str) -> None:
    if name in bench_sms.MISSING:
        pytest.skip(bench_sms.MISSING[name])
    cases = [case for case in bench_sms.CASES if name in case.run]
    assert len(cases) == (2 if name == "smspdudecoder" else 7)
    for case in cases:
        agree(case)


@pytest.mark.parametrize("name", ENCODERS)
def test_a_peer_that_writes_another_text_is_not_timed(name: str) -> None:
    right = bench_sms.plain_lines(bench_sms.NUMBER, bench_sms.GERMAN_160)
    wrong = bench_sms.plain_lines(bench_sms.NUMBER, bench_sms.GERMAN_160.replace("9", "8"))
    check = CASES["sms/encode/gsm7-160"].check
    assert check is not None
    check({name: right})
    with pytest.raises(AssertionError, match=name):
        check({name: wrong})


def test_gammu_may_choose_the_reference_of_joined_parts_and_nothing_else() -> None:
    if "python-gammu" in bench_sms.MISSING:
        pytest.skip(bench_sms.MISSING["python-gammu"])
    lines = bench_sms.plain_lines(bench_sms.NUMBER, bench_sms.ENGLISH_400)
    check = CASES["sms/encode/400-3-parts"].check
    assert check is not None
    check({"python-gammu": [line.replace(b"05000300", b"050003E9") for line in lines]})
    with pytest.raises(AssertionError, match="gsmmodem"):
        check({"python-gsmmodem-new": [line.replace(b"05000300", b"050003E9") for line in lines]})
    with pytest.raises(AssertionError, match="gammu"):
        check({"python-gammu": lines[:1] + lines[:2]})


def test_what_is_not_installed_is_named_and_the_rest_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    installed, absent = peers.found()
    for module in ("gsmmodem.pdu", "gammu"):
        monkeypatch.setitem(sys.modules, module, None)
    here, missing = peers.found()
    assert set(missing) == {*absent, "python-gsmmodem-new", "python-gammu"}
    assert {peer.name for peer in here} == {peer.name for peer in installed} - set(missing)
