"""A server killed before and after every write keeps its promises: the small sister of `python -m bench kill`."""

from pathlib import Path

from bench import bench_kill
from bench.bench_kill import HURRIED_S
from bench.kill.rounds import Rounds
from bench.kill.sites import Kill, Ways
from bench.kill.stand import stand

MESSAGES = 60


def test_a_server_killed_once_at_every_site_loses_nothing_and_sends_nothing_twice(tmp_path: Path) -> None:
    with stand(tmp_path, 8, Ways(settle_s=HURRIED_S)) as server:
        tallies = bench_kill.once(server, MESSAGES)
    assert [line for tally in tallies for line in tally.broken + tally.unreached] == []
    assert len(set[str]().union(*(tally.sites for tally in tallies))) >= 50
    assert sum(tally.lost for tally in tallies) == 0
    assert [tally.twice for tally in tallies if tally.policy != "resend"] == [0, 0]


def test_an_engine_that_sends_before_its_intent_is_committed_is_found_out(tmp_path: Path) -> None:
    """The judge must be able to say no."""
    with stand(tmp_path, 8, Ways(plant="outcome-first", settle_s=HURRIED_S)) as server:
        verdict = Rounds(server, MESSAGES).play("hold", [Kill("after PDU", 2)])
    assert verdict.kills == 1
    assert verdict.twice
    assert f"{verdict.twice[0]} was sent twice" in verdict.broken
