"""From HTTP to the network and back through two processes: the small sisters of `python -m bench flow`."""

from pathlib import Path

import pytest

from bench import bench_flow
from bench.rig import crowd, joined, rig
from tests.engine import tshark_sms


def test_a_campaign_goes_out_as_it_was_written_and_every_report_comes_back(tmp_path: Path) -> None:
    bench_flow.straight(tmp_path, 300)


@pytest.mark.parametrize("policy", ["hold", "await_report"])
def test_a_server_killed_twice_loses_nothing_and_sends_nothing_twice(tmp_path: Path, policy: str) -> None:
    bench_flow.killed(tmp_path, 500, policy)


def test_stop_reaches_the_last_row_of_two_running_campaigns(tmp_path: Path) -> None:
    bench_flow.stopped(tmp_path, 300)


def test_an_independent_decoder_reads_the_same_in_the_ledger(tmp_path: Path) -> None:
    """tshark's dissector, which shares nothing with our codec or its plain oracle."""
    if tshark_sms.missing():
        pytest.skip("tshark is not installed")
    people = crowd(450)
    with rig(tmp_path) as stand:
        stand.start_rack()
        stand.start_server()
        campaign = stand.campaign("tshark", people)
        stand.wait_until(campaign, lambda counts: counts["delivered"] == len(people), 60)
        parts = stand.submitted()
    read = tshark_sms.decode_submits([bytes.fromhex(part.tpdu) for part in parts])
    assert len(read) == len(parts) >= 500
    for part, theirs in zip(parts, read, strict=True):
        assert theirs["destination"].lstrip("+") == part.destination.lstrip("+")
        assert theirs["text"] == part.text
        assert theirs["wants_report"]


def test_a_modem_unplugged_and_plugged_again_takes_its_share(tmp_path: Path) -> None:
    """The rack is stopped under a running campaign and started again: nothing of it is lost, nothing goes twice."""
    people = crowd(250)
    with rig(tmp_path) as stand:
        stand.start_rack("10")
        stand.start_server()
        campaign = stand.campaign("unplugged", people, on_unknown="hold")
        stand.wait_until(campaign, lambda counts: counts["sent"] + counts["delivered"] > 50, 60)
        stand.stop("rack")
        stand.start_rack("10")
        counts = stand.wait_until(
            campaign, lambda counts: not any(counts[state] for state in ("accepted", "queued", "sending")), 60
        )
        unknown = {row["client_ref"] for row in stand.results(campaign) if row["state"] == "unknown"}
        assert counts["unknown"] == len(unknown) <= stand.modems
        certain = [person for person in people if person.client_ref not in unknown]
        parts = [part for part in stand.submitted() if part.destination in {person.number for person in certain}]
        assert joined(parts) == {person.number: person.text for person in certain}
        stand.stop("server")
        stand.check()
