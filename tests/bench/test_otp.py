"""What an otp message waits for is told from what the rack heard."""

import argparse
import shutil
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from bench import bench_otp
from bench.bench_otp import Posted
from bench.rack.ground import Disk
from bench.rack.zero import Taken


def bulk(modem: int, given_s: float) -> Taken:
    """A part of a campaign, 1 s in the air."""
    return Taken(f"modem-{modem:02d}", f"+86130{modem}{given_s}", given_s, given_s, given_s + 1)


def otp(modem: int, given_s: float) -> Taken:
    return Taken(f"modem-{modem:02d}", "+8613900000000", given_s, given_s, given_s + 1)


def test_the_rest_of_the_part_that_lands_first_is_not_charged() -> None:
    taken = [bulk(0, 10.0), bulk(1, 10.5), otp(0, 11.002)]
    (wait,) = bench_otp.waits([Posted("+8613900000000", 10.6)], taken)
    assert [wait.whole_ms, wait.free_ms] == pytest.approx([402, 400])
    assert wait.beyond_ms == pytest.approx(2)


def test_a_modem_that_was_free_and_got_another_part_is_charged() -> None:
    taken = [bulk(0, 10.0), bulk(1, 10.5), bulk(0, 11.0), otp(1, 11.5)]
    (wait,) = bench_otp.waits([Posted("+8613900000000", 10.6)], taken)
    assert wait.beyond_ms == pytest.approx(500)


def test_a_result_before_the_202_frees_nobody() -> None:
    taken = [bulk(0, 10.0), bulk(1, 10.5), bulk(0, 11.0), otp(1, 11.5)]
    (wait,) = bench_otp.waits([Posted("+8613900000000", 11.1)], taken)
    assert wait.beyond_ms == 0


def test_one_that_was_heard_before_its_202_waited_for_nothing() -> None:
    (wait,) = bench_otp.waits([Posted("+8613900000000", 10.6)], [otp(0, 10.5)])
    assert (wait.whole_ms, wait.beyond_ms) == (0, 0)


def test_one_that_never_went_is_no_figure() -> None:
    with pytest.raises(RuntimeError, match="did not go"):
        bench_otp.waits([Posted("+8613900000000", 10.6)], [bulk(0, 10.0)])


def chosen(modems: int) -> argparse.Namespace:
    return argparse.Namespace(messages=10, modems=modems, latency_ms=40.0, in_step=False)


@pytest.mark.parametrize("modems", [1, 8])
def test_one_is_posted_when_the_one_before_it_has_had_its_modem(modems: int) -> None:
    moments = bench_otp.moments(chosen(modems), Random(1))
    assert moments == bench_otp.moments(chosen(modems), Random(1))
    assert all(later - earlier > 0.04 / modems for earlier, later in pairwise(moments))


@pytest.mark.skipif(not (shutil.which("cc") and shutil.which("curl")), reason="there is no C compiler, or no curl")
@pytest.mark.parametrize("modems", [1, 3])
def test_each_goes_while_the_campaign_goes_on(tmp_path: Path, modems: int) -> None:
    figures = bench_otp.run(tmp_path, Disk(), chosen(modems), seed=1)
    assert figures["bulk parts meanwhile"] > 0
    assert figures["wait, most"] >= figures["wait, median"] >= 0
