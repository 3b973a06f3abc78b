"""Rounds: a server is started, asked, killed, started again, and must bring everything to its end by itself."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.kill.errand import Errand, addressees
from bench.kill.sites import Kill
from bench.kill.stand import Died, Stand
from bench.kill.verdict import Verdict, is_ended, judge, undecidable
from engine import proof
from engine.store.environment import Store
from engine.wiring import TABLES

END_S: Final = 40.0
LOOK_S: Final = 0.03
REPORTS_S: Final = 10.0  # for the modems to be read after a restart


@dataclass
class Rounds:
    """One round after the other on one rack; no number is texted in two of them."""

    server: Stand
    messages: int
    turn: int = 0
    life_s: float = 0.0  # what the last undisturbed one took, from its start

    def count(self, policy: str) -> Counter[str]:
        """A round without a kill: how often each site is passed, in the order in which they come.

        Raises AssertionError where a promise breaks even so.
        """
        errand, begin = self._begin(policy)
        began = time.monotonic()
        self.server.start()
        errand.run(self.server)
        self._wait(errand)
        found = self._messages()
        self.life_s = time.monotonic() - began
        passed = self.server.leave()
        verdict = self._judge(errand, found, begin, [])
        assert not verdict.broken, f"without a kill: {verdict.broken[0]}"
        return passed

    def play(self, policy: str, kills: Sequence[Kill | float]) -> Verdict:
        """Die at each of `kills` in turn, or so many seconds after a start, and live on.

        The verdict counts the kills that came about: where one does not, those behind it do not either.
        """
        errand, begin = self._begin(policy)
        unknown_after: list[int] = []
        stuck: list[str] = []
        deaths = 0
        plan = list(kills)
        try:
            while True:
                kill = plan.pop(0) if plan else None
                try:
                    if isinstance(kill, float):
                        self.server.start(after_s=kill)
                    else:
                        self.server.start(kill)
                    if deaths > len(unknown_after):
                        unknown = sum(message["state"] == "unknown" for message in self._messages())
                        unknown_after += [unknown] * (deaths - len(unknown_after))
                    errand.run(self.server)
                    try:
                        self._wait(errand)
                        self._wait_reports(errand)
                    except TimeoutError as error:
                        # What went is judged all the same.
                        stuck.append(str(error))
                    found = self._messages()
                    passed = self.server.leave()
                    break
                except Died:
                    deaths += 1
        except (RuntimeError, TimeoutError) as error:
            return Verdict(kills=deaths, broken=[str(error)])
        finally:
            self.server.finish_off()
        verdict = self._judge(errand, found, begin, unknown_after)
        verdict.passed = passed
        verdict.broken = stuck + verdict.broken
        return verdict

    def _begin(self, policy: str) -> tuple[Errand, int]:
        self.turn += 1
        self.server.move(f"{policy}-{self.turn}")
        errand = Errand(addressees(self.messages, self.turn), policy, self.turn)
        if policy == "await_report":
            # Of a SIM that was never seen to step nothing is concluded, and a part could stay unknown for ever.
            self.server.start()
            until = time.monotonic() + END_S
            while not errand.step(self.server, "opening"):
                if time.monotonic() > until:
                    raise TimeoutError(f"after {END_S:g} s not all modems are in service")
                time.sleep(LOOK_S)
            while not all(is_ended(message) for message in self._messages()) and time.monotonic() < until:
                time.sleep(LOOK_S)
            self.server.leave()
        return errand, self.server.ledger_octets()

    def _messages(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = self.server.ask("GET", f"/v1/messages?limit=1000{cursor}")
            items += page["items"]
            if page["next"] is None:
                return items
            cursor = f"&cursor={page['next']}"

    def _wait(self, errand: Errand) -> None:
        """Until nothing more happens by itself.  Raises TimeoutError naming a message that has not ended."""
        until = time.monotonic() + END_S
        while True:
            found = self._messages()
            shown = {message["client_ref"] for message in found}
            waiting = [message for message in found if not is_ended(message)]
            if not waiting and errand.promised <= shown:
                return
            if time.monotonic() > until:
                if waiting:
                    one = waiting[0]
                    told = f"{one['client_ref']} is {one['state']}, its parts {one['parts']}"
                else:
                    told = f"{min(errand.promised - shown)} was promised and is not there"
                raise TimeoutError(f"after {END_S:g} s {told}")
            time.sleep(LOOK_S)

    def _wait_reports(self, errand: Errand) -> None:
        """A while longer, under await_report: until no message is unknown.

        What was tried is told by its report, what was not by the references that its SIM gives next.
        """
        if errand.policy != "await_report":
            return
        until = time.monotonic() + REPORTS_S
        is_closed = False
        while time.monotonic() < until:
            found = self._messages()
            if not any(message["state"] == "unknown" for message in found):
                if all(is_ended(message) for message in found):
                    return
            elif not is_closed:
                is_closed = errand.step(self.server, "closing")
            time.sleep(LOOK_S)

    def _judge(self, errand: Errand, found: list[dict[str, Any]], begin: int, unknown_after: list[int]) -> Verdict:
        numbers = {person.number for person in errand.people}
        parts = [part for part in self.server.submitted(begin) if part.destination in numbers]
        store = Store(self.server.data, TABLES, read_only=True)
        try:
            with store.read() as txn:
                undecided = undecidable(txn, parts)
                checked = [f"check: {line}" for line in proof.differences(txn)]
        finally:
            store.close()
        verdict = judge(
            errand.people,
            errand.promised,
            found,
            parts,
            policy=errand.policy,
            modems=self.server.modems,
            unknown_after=unknown_after,
            undecidable=undecided,
        )
        verdict.broken += checked
        return verdict
