"""Kill at every point: SIGKILL before and after every commit and every serial write, and at random moments.

`python -m bench kill` takes the first, a middle and the last passage of every site under each policy, starts the
server again, and holds what it had promised against the ledger of a rack that lived on.  Exit 1 where a promise
breaks, naming site, passage and message.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from bench.kill.rounds import Rounds
from bench.kill.sites import PLANTS, Kill, Ways
from bench.kill.stand import Stand, stand
from bench.kill.verdict import Verdict

POLICIES: Final = ("hold", "await_report", "resend")
TRIES: Final = 4  # a passage that timing has taken away is looked for earlier
# The silence that a simulated modem needs of a line: answers that are on their way come at once.
HURRIED_S: Final = 0.1
BROKEN_AT_MOST: Final = 5  # rounds: then the rest would say the same

Plan = tuple[Kill | float, ...]


@dataclass
class Tally:
    """What the rounds of one policy came to."""

    policy: str
    title: str
    sites: set[str] = field(default_factory=set)
    kills: int = 0
    lost: int = 0
    twice: int = 0
    unknown_after: int = 0
    unknown: int = 0
    broken: list[str] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, plan: Plan, verdict: Verdict) -> None:
        """Count a round."""
        self.sites |= {kill.site for kill in plan[: verdict.kills] if isinstance(kill, Kill)}
        self.kills += verdict.kills
        self.lost += len(verdict.lost)
        self.twice += len(verdict.twice)
        self.unknown_after += sum(verdict.unknown_after)
        self.unknown += len(verdict.unknown)
        self.broken += [f"{self.policy}, {told(plan)}: {what}" for what in verdict.broken]

    def row(self) -> str:
        """A line of the table."""
        figures = (len(self.sites), self.kills, self.lost, self.twice, self.unknown_after, self.unknown)
        return f"{self.policy:<13} {self.title:<13}" + "".join(f"{one:>9}" for one in figures) + f"{self.seconds:>9.0f}"


HEAD: Final = f"{'policy':<13} {'killed at':<13}" + "".join(
    f"{word:>9}" for word in ("sites", "kills", "lost", "twice", "unknown", "at end", "s")
)


def told(plan: Plan) -> str:
    """A plan in words."""
    return ", then ".join(
        f"passage {kill.passage} of {kill.site}" if isinstance(kill, Kill) else f"{kill:.3f} s after the start"
        for kill in plan
    )


def plans(passed: Counter[str]) -> list[Plan]:
    """The first, a middle and the last passage of each site; and a second death in the recovery from the first."""
    found: list[Plan] = []
    for site, count in passed.items():
        found += [(Kill(site, passage),) for passage in sorted({1, (count + 1) // 2, count})]
    first = Kill("after PDU", max(1, passed["after PDU"] // 2))
    return found + [(first, Kill(site, 1)) for site in passed if "recover" in site]


def at_sites(rounds: Rounds, policy: str, only: str = "") -> Tally:
    """Every site whose name holds `only`, and those that come to light in the lives after a kill."""
    began = time.monotonic()
    tally = Tally(policy, "every site")
    known = rounds.count(policy)
    waiting = [plan for plan in plans(known) if all(only in kill.site for kill in plan[-1:] if isinstance(kill, Kill))]
    broken = 0
    while waiting and broken < BROKEN_AT_MOST:
        plan = waiting.pop(0)
        verdict = _play(rounds, policy, plan, tally)
        broken += bool(verdict.broken)
        if len(plan) > 1 and verdict.kills == 1 and not verdict.broken and isinstance(plan[-1], Kill):
            # Timing brought this site to light; another first death may do so again.
            tally.unreached.pop()
            del known[plan[-1].site]
        for site in verdict.passed.keys() - known.keys():
            known[site] = 1
            if only in site:
                waiting.append((plan[0], Kill(site, 1)))
    tally.seconds = time.monotonic() - began
    return tally


def _play(rounds: Rounds, policy: str, plan: Plan, tally: Tally) -> Verdict:
    *before, last = plan
    for _ in range(TRIES):
        verdict = rounds.play(policy, (*before, last))
        tally.add((*before, last), verdict)
        if verdict.kills == len(plan) or verdict.broken or not isinstance(last, Kill):
            return verdict
        last = Kill(last.site, max(1, last.passage // 2))
    tally.unreached.append(told(plan))
    return verdict


def at_random(rounds: Rounds, policy: str, times: int, random: Random) -> Tally:
    """So many moments of a life, each as likely as the other."""
    began = time.monotonic()
    tally = Tally(policy, "random")
    rounds.count(policy)
    while tally.kills < times and len(tally.broken) < BROKEN_AT_MOST:
        plan = (random.uniform(0, rounds.life_s),)
        tally.add(plan, rounds.play(policy, plan))
    tally.seconds = time.monotonic() - began
    return tally


def once(server: Stand, messages: int) -> list[Tally]:
    """Every site once, under one policy in turn: one death after the other, in the order in which sites come."""
    rounds = Rounds(server, messages)
    passed = rounds.count(POLICIES[0])
    # Some are passed by the very first start alone, which no round under await_report has.
    later = rounds.count("await_report")
    first = [site for site in passed if site not in later]
    others = [site for site in passed if site not in first]
    tallies = []
    for place, policy in enumerate(POLICIES):
        began = time.monotonic()
        tally = Tally(policy, "sites once")
        waiting = [Kill(site, 1 + min(5, passed[site] // 10)) for site in others[place :: len(POLICIES)]]
        if policy == POLICIES[0]:
            waiting = [*(Kill(site, 1) for site in first), *waiting]
        # With parts on the lines at last.
        waiting += [Kill(site, 1) for site in passed if "recover" in site]
        missed = 0
        while waiting:
            verdict = rounds.play(policy, waiting)
            tally.add(tuple(waiting), verdict)
            del waiting[: verdict.kills]
            missed = 0 if verdict.kills else missed + 1
            if missed == TRIES or verdict.broken:
                tally.unreached += [told((kill,)) for kill in waiting[:1]]
                del waiting[:1]
                missed = 0
            elif missed:
                waiting[0] = Kill(waiting[0].site, 1)
        tally.seconds = time.monotonic() - began
        tallies.append(tally)
    return tallies


def say(line: str) -> None:
    """Print at once: this takes a while."""
    print(line, flush=True)


async def main(arguments: Sequence[str]) -> None:
    """Kill as the arguments ask."""
    parser = argparse.ArgumentParser(prog="python -m bench kill", description=__doc__)
    parser.add_argument("--modems", type=int, default=8)
    parser.add_argument("--messages", type=int, default=400, help="a round; a third of them have 2 or 3 parts")
    parser.add_argument("--random", type=int, default=20, metavar="N", help="also at N random moments a policy")
    parser.add_argument("--seed", type=int, default=1, help="of the random moments")
    parser.add_argument("--policy", choices=POLICIES, action="append", help="again for more; default: each")
    parser.add_argument("--only", default="", metavar="TEXT", help="only sites whose name holds it")
    parser.add_argument("--no-sites", action="store_true", help="only at random moments")
    parser.add_argument("--once", action="store_true", help="every site once, as the tests do")
    parser.add_argument("--plant", choices=PLANTS, help="with this fault in the engine: must end with exit 1")
    chosen = parser.parse_args(list(arguments))
    tallies: list[Tally] = []
    say(HEAD)
    with tempfile.TemporaryDirectory(prefix="carillon-kill-") as name:
        for policy in chosen.policy or POLICIES:
            folder = Path(name) / policy
            folder.mkdir()
            with stand(folder, chosen.modems, Ways(plant=chosen.plant)) as server:
                if chosen.once:
                    tallies += once(server, chosen.messages)
                    say("\n".join(tally.row() for tally in tallies))
                    break
                rounds = Rounds(server, chosen.messages)
                if not chosen.no_sites:
                    tallies.append(at_sites(rounds, policy, chosen.only))
                    say(tallies[-1].row())
                if chosen.random:
                    tallies.append(at_random(rounds, policy, chosen.random, Random(chosen.seed)))
                    say(tallies[-1].row())
    for tally in tallies:
        for line in tally.unreached:
            say(f"not reached: {tally.policy}, {line}")
    broken = [line for tally in tallies for line in tally.broken]
    for line in broken:
        say(f"broken: {line}")
    if broken:
        sys.exit(1)
