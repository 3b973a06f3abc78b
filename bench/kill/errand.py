"""An errand: what one round asks of the server, step by step, and what of it was promised by a 202.

Half of the messages go as batches, half as a campaign.  What was asked of a server that died before its answer is
asked again where that is safe by the interface; a batch is not, so nothing is promised about it.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from bench.kill.stand import Died, Stand
from engine.traffic.sims import STEPS_BELIEVED

BATCH: Final = 25
STEPS: Final = STEPS_BELIEVED + 2
_EN: Final = "Please bring your card and this message, and tell the desk your room number when you arrive. "
_ZH: Final = "请携带会员卡并向前台出示本短信，办理入住时请告知您的预订编号，谢谢您的光临。"


class Addressee(NamedTuple):
    """Whom to text what; `ref` is the client's own name for it."""

    number: str
    ref: str
    text: str


def addressees(count: int, turn: int) -> list[Addressee]:
    """People of round `turn`, no two of them alike in any round; a third gets 2 or 3 parts, a fifth Chinese."""
    people = []
    for place in range(count):
        parts = 2 + place % 2 if place % 3 == 0 else 1
        filler, room = (_ZH, 66) if place % 5 == 0 else (_EN, 150)
        text = f"{turn}/{place}: "
        while len(text) < room * (parts - 1) + 20:
            text += filler
        number = f"+8613{turn:05d}{place:04d}"
        people.append(Addressee(number, f"{turn}-{place}", text[: room * (parts - 1) + 20]))
    return people


class Errand:
    """The steps of one round that are still to be done, and the refs that were promised."""

    def __init__(self, people: list[Addressee], policy: str, turn: int) -> None:
        self.people = people
        self.turn = turn
        self.promised: set[str] = set()
        self.campaign = ""
        self.policy = policy
        rows, singles = people[: len(people) // 2], people[len(people) // 2 :]
        self._rows = rows
        self._steps: list[tuple[Callable[[Stand], None], bool]] = [
            (self._create, True),
            (self._upload, True),
            (self._launch, True),
        ]
        for begin in range(0, len(singles), BATCH):
            self._steps.append((self._batch(singles[begin : begin + BATCH]), False))

    def run(self, server: Stand) -> None:
        """Go on where the last server left it.  Raises Died."""
        while self._steps:
            step, may_be_repeated = self._steps[0]
            try:
                step(server)
            except Died:
                if not may_be_repeated:
                    del self._steps[0]
                raise
            del self._steps[0]

    def step(self, server: Stand, text: str) -> bool:
        """A few texts by every SIM: its references are seen to step by one, and the next of them tells what was tried.

        False where not all SIMs are in service yet, and nothing is sent.
        """
        sims = [modem["imsi"] for modem in server.ask("GET", "/v1/modems")["items"] if modem["imsi"]]
        if len(sims) < server.modems:
            return False
        body = [
            {"to": f"+8614{self.turn:05d}{place:04d}", "text": text, "sim": sim, **self._how()}
            for sim in sims
            for place in range(STEPS)
        ]
        for begin in range(0, len(body), BATCH):
            server.ask("POST", "/v1/messages", {"messages": body[begin : begin + BATCH]})
        return True

    def _how(self) -> dict[str, Any]:
        return {"purpose": "transactional", "delivery_report": "all", "on_unknown": self.policy}

    def _create(self, server: Stand) -> None:
        body = {"name": "kill", "text": "{text}", **self._how()}
        self.campaign = server.ask("POST", "/v1/campaigns", body)["id"]

    def _upload(self, server: Stand) -> None:
        lines = ["to,client_ref,text", *(f'{one.number},{one.ref},"{one.text}"' for one in self._rows)]
        octets = "\n".join(lines).encode()
        path = f"/v1/campaigns/{self.campaign}/recipients"
        server.ask("POST", path, octets=octets, content_type="text/csv")

    def _launch(self, server: Stand) -> None:
        try:
            server.ask("POST", f"/v1/campaigns/{self.campaign}/launch")
        except RuntimeError as refusal:
            # Launched by the one that died.
            if not str(refusal).startswith("409"):
                raise
        self.promised |= {one.ref for one in self._rows}

    def _batch(self, people: list[Addressee]) -> Callable[[Stand], None]:
        def send(server: Stand) -> None:
            body = [{"to": one.number, "text": one.text, "client_ref": one.ref, **self._how()} for one in people]
            server.ask("POST", "/v1/messages", {"messages": body})
            self.promised.update(one.ref for one in people)

        return send
