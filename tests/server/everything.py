"""A house in which everything has happened, with one telephone number in all of it; what each call left in the log.

Whoever adds a route says here how it is called, and which of the house's things its path may name.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from engine.access import tokens
from engine.access.rights import NUMBERS, RIGHTS
from engine.config import House, Webhooks
from engine.crm.people import audit
from server.middleware import FORM_HEADER
from server.webhooks import POSTER
from tests.server.conftest import Answer, Place, place_in, until
from tests.server.receiver import LOOPBACK, Receiver, receiver

KNOWN: Final = "+8613998765432"
OTHER: Final = "+8613712345678"  # the same person's second one
CLERK: Final = "+8613312345678"
BOSS: Final = "+8613312345679"
TWIN: Final = "+8613612345678"
GONE: Final = "+8613512345678"
LOST: Final = 3
PASSWORD: Final = "a password of the tests"
TERMS: Final = {"kind": "amount", "value": {"amount_minor": 2000, "currency": "CNY"}}
FESTIVAL: Final = "house_day"

# Who may all but see numbers.
REST: Final = tuple(right for right in RIGHTS if right not in (NUMBERS, "customers:reveal"))


class Everything:
    """The place, who calls, what paths may name, and how many rows of the audit log each call left."""

    def __init__(self, place: Place, hook: Receiver) -> None:
        self.place = place
        self.hook = hook
        self.ids: dict[str, str] = {}  # by what stands ahead of the variable in a published path
        self.left: dict[tuple[str, str], int] = {}
        self.lost: list[tuple[str, str]] = []  # messages that are unknown, and to whom
        self.clerk: dict[str, str] = {}  # headers of a session of one of the staff
        self.boss: dict[str, str] = {}
        self.program = tokens.fresh()  # a token that may all but see numbers

    def filled(self, path: str, **own: str) -> str:
        """A published path with something of the house in each of its variables."""

        def one(found: re.Match[str]) -> str:
            ahead = path[: found.start()]
            assert found[1] in own or ahead in self.ids, f"say in everything.py what may stand in {path}"
            return own.get(found[1]) or self.ids[ahead]

        return re.sub(r"{(\w+)}", one, path)

    def rows(self) -> int:
        with self.place.engine.store.read() as txn:
            return audit.written(txn)

    async def do(
        self, method: str, path: str, body: Any = None, *, as_: dict[str, str] | None = None, query: str = "",
        own: dict[str, str] | None = None, **options: Any,
    ) -> Answer:  # fmt: skip
        """A call that must succeed, of a published path; the first of its kind is remembered."""
        before = self.rows()
        if as_ is not None:
            options = {**options, "token": None, "headers": {**as_, **options.get("headers", {})}}
        answer = await self.place.call(method, self.filled(path, **(own or {})) + query, body, **options)
        assert answer.status < 300, (method, path, answer)
        self.left.setdefault((method, path), self.rows() - before)
        if isinstance(answer.body, dict) and answer.status in (201, 202) and "id" in answer.body:
            self.ids.setdefault(f"{path}/", str(answer.body["id"]))
        return answer

    async def settled(self) -> None:
        await self.place.settled()


async def enter(place: Place, number: str) -> dict[str, str]:
    """The headers of whoever signs in."""
    answer = await place.call("POST", "/v1/sessions", {"number": number, "password": PASSWORD}, token=None)
    assert answer.status == 201, answer
    place.client.session.cookie_jar.clear()
    return {"Cookie": answer.headers["Set-Cookie"].partition(";")[0], FORM_HEADER: answer.body["form_token"]}


@asynccontextmanager
async def everything_in(folder: Path) -> AsyncIterator[Everything]:
    """The house, built by calls alone."""
    rules = {
        "house": House("Lotus Hotel", "荷花酒店", country="CN", approval_over=1),
        "webhooks": Webhooks(LOOPBACK),
    }
    async with receiver() as hook, place_in(folder, 4, rules=rules) as place:
        await place.ready()
        poster = place.app[POSTER]
        poster.look_s, poster.timeout_s = 0.01, 0.5
        house = Everything(place, hook)
        await place.engine.store.write(tokens.add, house.program, "all but numbers", place.engine.now_ms(), REST)
        for part in (_staff, _people, _words, _texts, _campaigns, _points, _greetings, _lists, _rack, _ends):
            await part(house)
        yield house


async def _staff(house: Everything) -> None:
    do = house.do
    role = {"name": "desk", "rights": list(REST), "sight": dict.fromkeys(("email", "birthday", "address"), "full")}
    await do("POST", "/v1/roles", role)
    await do("PATCH", "/v1/roles/{id}", {"reveals_a_day": 1})
    await do("POST", "/v1/teams", {"name": "front"})
    await do("PATCH", "/v1/teams/{id}", {"name": "front desk"})
    await do("POST", "/v1/staff", {"number": CLERK, "name": "Chen", "roles": ["desk"]})
    await do("PATCH", "/v1/staff/{id}", {"name": "Chen Jing"})
    await do("POST", "/v1/staff/{id}/pin", {"pin": "482193"})
    await do("POST", "/v1/staff/{id}/password", {"password": PASSWORD})
    boss = await do("POST", "/v1/staff", {"number": BOSS, "name": "Wu Min", "roles": ["owner"]})
    await do("POST", "/v1/staff/{id}/password", {"password": PASSWORD}, own={"id": boss.body["id"]})
    gone = await do("POST", "/v1/staff", {"number": GONE, "name": "Sun"})
    await do("POST", "/v1/staff/{id}/deactivate", {}, own={"id": gone.body["id"]})
    before = house.rows()
    house.clerk = await enter(house.place, CLERK)
    house.left["POST", "/v1/sessions"] = house.rows() - before
    house.boss = await enter(house.place, BOSS)
    leaving = await enter(house.place, BOSS)
    await do("DELETE", "/v1/sessions", as_=leaving)
    house.place.client.session.cookie_jar.clear()
    await do("POST", "/v1/tokens", {"name": "till", "scopes": ["messages:send"]})
    house.ids["/v1/tokens/"] = "3"
    await do("PATCH", "/v1/tokens/{id}", {"name": "tills"})
    made = await do("POST", "/v1/tokens", {"name": "old", "scopes": ["messages:send"]})
    await do("DELETE", "/v1/tokens/{id}", own={"id": made.headers["Location"].rpartition("/")[2]})
    hook = await do("POST", "/v1/webhooks", {"url": house.hook.url, "events": ["*"]})
    house.hook.secrets.append(hook.body["secret"])
    await do("PATCH", "/v1/webhooks/{id}", {"name": "all"})
    await do("POST", "/v1/webhooks/{id}/test")
    # Nobody listens there.
    dead = await do("POST", "/v1/webhooks", {"url": "http://127.0.0.1:9/", "events": ["webhook.test"]})
    await do("POST", "/v1/webhooks/{id}/rotate", own={"id": dead.body["id"]})
    await do("POST", "/v1/webhooks/{id}/dead/replay", own={"id": dead.body["id"]})
    await do("DELETE", "/v1/webhooks/{id}", own={"id": dead.body["id"]})


async def _people(house: Everything) -> None:
    do = house.do
    await do("POST", "/v1/regions", {"name": "Jiangsu", "code": "JS"})
    house.ids["/v1/regions/"] = "JS"
    await do("PATCH", "/v1/regions/{code}", {"name": "Jiangsu province"})
    await do("POST", "/v1/tags", {"name": "guest"})
    house.ids["/v1/tags/"] = "1"
    await do("PATCH", "/v1/tags/{id}", {"name": "guests"})
    await do("POST", "/v1/fields", {"key": "room", "kind": "text"})
    house.ids["/v1/fields/"] = "room"
    await do("PATCH", "/v1/fields/{key}", {"label": {"en": "Room"}})
    await do("POST", "/v1/organisations", {"name": "Lotus Hotel"})
    await do("PATCH", "/v1/organisations/{id}", {"name": "Lotus Hotels"})
    ann = {"number": KNOWN, "numbers": [OTHER], "name": "李娜", "birthday": "1990-05-17", "tags": ["guests"]}
    await do("POST", "/v1/customers", {**ann, "email": "na@lotus.example", "attrs": {"room": "12"}})
    await do("PATCH", "/v1/customers/{id}", {"lifecycle": "customer", "region": "JS", "numbers": [OTHER]})
    twin = await do("POST", "/v1/customers", {"number": TWIN, "name": "李娜", "birthday": "1990-05-17"})
    house.ids["other"] = str(twin.body["id"])
    await do("POST", "/v1/topics", {"word": "NEWS", "name": {"en": "News"}})
    await do("PATCH", "/v1/topics/{id}", {"name": {"en": "All the news"}})
    await do("POST", "/v1/customers/{id}/subscriptions", {"topic": "NEWS"})
    await do("POST", "/v1/customers/{id}/events", {"kind": "visit", "at": "2026-09-01T10:00:00Z"})
    one, two = [
        (await do("POST", "/v1/customers", {"number": f"+86136123400{at}", "name": "Bo"})).body["id"] for at in (11, 12)
    ]
    await do("POST", "/v1/customers/{id}/merge", {"other_id": two}, own={"id": one})
    asked = await do("POST", "/v1/customers/{id}/erase", {}, own={"id": one})
    await do("POST", "/v1/customers/{id}/erase", {"challenge": asked.body["challenge"]}, own={"id": one})
    house.ids["/v1/erasures/"] = str(asked.body["id"])
    await do("POST", "/v1/customers/{id}/reveal", {"field": "number", "reason": "calls back"})
    await do("POST", "/v1/segments", {"name": "Guests", "definition": "tag:guests"})
    await do("PATCH", "/v1/segments/{id}", {"name": "All guests"})
    away = await do("POST", "/v1/segments", {"name": "Nobody", "definition": "tag:guests"})
    await do("DELETE", "/v1/segments/{id}", own={"id": away.body["id"]})
    for word in ("parse", "count"):
        await do("POST", f"/v1/segments/{word}", {"definition": "tag:guests"})
    await do("POST", "/v1/segments/preview", {"definition": "tag:guests", "text": "hello", "purpose": "service"})


async def _words(house: Everything) -> None:
    do = house.do
    await do("POST", "/v1/wordings", {"name": "offers", "text": {"en": "Reply Y to get our offers."}})
    await do("POST", "/v1/wordings/{id}/versions", {"text": {"en": "Reply Y for our offers."}})
    consent = {"purpose": "marketing", "status": "granted", "method": "paper", "evidence": "card 7"}
    await do("POST", "/v1/customers/{id}/consents", consent)
    await do("POST", "/v1/customers/{id}/consents", consent, own={"id": house.ids["other"]})


async def _texts(house: Everything) -> None:
    do, place = house.do, house.place
    await do("POST", "/v1/messages", {"to": KNOWN, "text": "Your room is ready"})
    await do("POST", "/v1/messages/preview", {"text": "hello"})
    await do("POST", "/v1/messages", {"to": KNOWN, "text": "Your table is ready"}, as_=house.clerk)
    later = {"to": KNOWN, "text": "later", "not_before": "2030-01-01T00:00:00Z"}
    waits = await do("POST", "/v1/messages", later)
    await do("POST", "/v1/messages/{id}/cancel", own={"id": waits.body["id"]})
    await house.settled()
    await do("POST", "/v1/sim/inbound", {"from": KNOWN, "text": "what time is breakfast?"})
    for number, word in ((KNOWN, "resume"), (TWIN, "withdraw")):
        await do("POST", "/v1/sim/inbound", {"from": number, "text": "please stop this nonsense at once"})
        paused = (await place.call("GET", "/v1/marketing/paused")).body["items"]
        assert paused, number
        await do("POST", f"/v1/customers/{{id}}/marketing/{word}", own={"id": paused[0]["customer_id"]})


async def _lose(house: Everything) -> None:
    """Messages of which nobody knows whether they went, each by a modem of its own."""
    network = house.place.rack.network
    wanted = len(network.accepted) + LOST
    network.loses_answer = lambda _destination: True
    # A number goes by the same SIM again, so each is another one.
    for number in (f"+86150123400{at}0" for at in range(LOST)):
        answer = await house.place.call("POST", "/v1/messages", {"to": number, "text": "lost"})
        house.lost.append((str(answer.body["id"]), number))
    await until(lambda: house.place.engine.is_settled and len(network.accepted) >= wanted)
    network.loses_answer = None


async def _campaigns(house: Everything) -> None:
    do = house.do
    draft = {"name": "Spring", "text": "Dear {name}", "purpose": "transactional", "objective": "news"}
    await do("POST", "/v1/campaigns", draft)
    rows = f"to,name\n{KNOWN},Ann\n{KNOWN},Ann\n{TWIN},Na\n+86139,Bo\nnobody,Cy\n".encode()
    uploaded = await do("POST", "/v1/campaigns/{id}/recipients", data=rows, headers={"Content-Type": "text/csv"})
    house.ids["/v1/uploads/"] = str(uploaded.body["id"])
    await do("POST", "/v1/campaigns/{id}/audience", {"definition": "tag:guests"})
    await do("PATCH", "/v1/campaigns/{id}", {"parts_most": 1000})
    start_at = datetime.fromtimestamp(house.place.engine.now_ms() / 1000 + 3600, UTC).isoformat()
    await do("POST", "/v1/campaigns/{id}/schedule", {"start_at": start_at})
    await do("POST", "/v1/campaigns/{id}/unschedule")
    await do("POST", "/v1/campaigns/{id}/launch")
    await house.settled()
    own = {"id": str((await do("POST", "/v1/campaigns", draft, as_=house.clerk)).body["id"])}
    await do("POST", "/v1/campaigns/{id}/recipients", data=rows, own=own, headers={"Content-Type": "text/csv"})
    await do("POST", "/v1/campaigns/{id}/approve", as_=house.boss, own=own)
    house.place.rack.network.latency_ms = 200  # so that it lasts
    await do("POST", "/v1/campaigns/{id}/launch", own=own)
    await do("POST", "/v1/campaigns/{id}/pause", own=own)
    await do("POST", "/v1/campaigns/{id}/resume", own=own)
    await do("POST", "/v1/campaigns/{id}/cancel", own=own)
    house.place.rack.network.latency_ms = 0
    await house.settled()


async def _points(house: Everything) -> None:
    do = house.do
    await do("PUT", "/v1/loyalty", {"earn": []})
    await do("PUT", "/v1/tiers", {"tiers": []})
    await do("POST", "/v1/members", {"customer_id": house.ids["/v1/customers/"]})
    await do("PATCH", "/v1/members/{id}", {"state": "suspended", "reason": "lost card"})
    await do("PATCH", "/v1/members/{id}", {"state": "active"})
    await do("POST", "/v1/members/{id}/points", {"kind": "earn", "delta": 500, "ref": "O1"})
    shown = await do("POST", "/v1/members/{id}/till-code")
    await do("POST", "/v1/members/by-code", {"code": shown.body["code"]})
    await do("POST", "/v1/rewards", {"code": "C20", "name": {"en": "20 off"}, "cost": 200, "coupon": TERMS})
    await do("PATCH", "/v1/rewards/{id}", {"cost": 100})
    await do("POST", "/v1/members/{id}/redeem", {"reward": "C20"})
    away = await do("POST", "/v1/rewards", {"code": "C30", "name": {"en": "30 off"}, "cost": 200, "coupon": TERMS})
    await do("DELETE", "/v1/rewards/{id}", own={"id": away.body["id"]})
    issued = (await do("POST", "/v1/coupons", {"terms": TERMS, "count": 2})).body["items"]
    house.ids["/v1/coupons/"] = str(issued[0]["coupon"]["id"])
    await do("POST", "/v1/coupons/check", {"code": issued[0]["code"]})
    await do("POST", "/v1/coupons/redeem", {"code": issued[0]["code"], "place": "desk"})
    await do("POST", "/v1/coupons/{id}/void", {"reason": "lost"}, own={"id": issued[1]["coupon"]["id"]})


async def _greetings(house: Everything) -> None:
    do = house.do
    rule = {"name": "birthdays", "when": "birthday", "text": "Happy birthday, {name:friend}", "purpose": "service"}
    await do("POST", "/v1/greetings", rule)
    await do("PATCH", "/v1/greetings/{id}", {"name": "all birthdays"})
    await do("POST", "/v1/greetings/{id}/activate")
    await do("POST", "/v1/greetings/{id}/pause")
    away = await do("POST", "/v1/greetings", {**rule, "name": "others"})
    await do("DELETE", "/v1/greetings/{id}", own={"id": away.body["id"]})
    spec = {"month": 6, "day": 1}
    entry = {"id": FESTIVAL, "name": {"en": "House day"}, "kind": "fixed", "spec": spec}
    await do("PUT", "/v1/festivals", [entry])
    house.ids["/v1/festivals/"] = FESTIVAL
    await do("PUT", "/v1/festivals/{id}", {name: value for name, value in entry.items() if name != "id"})
    other = "another_day"
    await do("PUT", "/v1/festivals", [{**entry, "id": other}])
    await do("DELETE", "/v1/festivals/{id}", own={"id": other})
    house.ids["/v1/holidays/"] = "CN-2026"
    await do("PUT", "/v1/holidays/{id}", {"country": "CN", "year": 2026, "holidays": []})
    await do("DELETE", "/v1/holidays/{id}")


async def _lists(house: Everything) -> None:
    do, place = house.do, house.place
    csv = {"Content-Type": "text/csv"}
    await do("POST", "/v1/import-presets", {"name": "till", "mapping": {"Phone": "number"}})
    await do("POST", "/v1/imports", {"name": "Fair"})
    rows = f"number,name\n{KNOWN},李娜\n{KNOWN},Na\n+8613912,Bo\n139 3333 4444,Di\n".encode()
    await do("PUT", "/v1/imports/{id}/file", data=rows, headers=csv)
    for word in ("check", "run"):
        await do("POST", f"/v1/imports/{{id}}/{word}")
        await _worked(house)
    second = await do("POST", "/v1/imports", {"name": "Second"})
    own = {"id": str(second.body["id"])}
    await do("PUT", "/v1/imports/{id}/file", data=b"number\n+8613900000077\n", headers=csv, own=own)
    await do("POST", "/v1/imports/{id}/run", own=own)
    await _worked(house)
    await do("POST", "/v1/imports/{id}/undo", own=own)
    await _worked(house)
    await do("POST", "/v1/suppressions", data=f"number\n{GONE}\n".encode(), headers=csv)
    removal = await do("POST", "/v1/suppressions/removals", {"number": GONE, "why": "by letter"}, as_=house.clerk)
    own = {"id": str(removal.body["id"])}
    await do("POST", "/v1/suppressions/removals/{id}/confirm", {"number": GONE}, as_=house.boss, own=own)
    assert place.differences() == []


async def _worked(house: Everything) -> None:
    """Wait until no import is at work."""
    while True:
        items = (await house.place.call("GET", "/v1/imports")).body["items"]
        if not {item["state"] for item in items} & {"checking", "running", "undoing"}:
            return


async def _rack(house: Everything) -> None:
    do = house.do
    await do("POST", "/v1/routes", {"name": "home"})
    await do("PATCH", "/v1/routes/{id}", {"cost_minor": 5})
    away = await do("POST", "/v1/routes", {"name": "away"})
    await do("DELETE", "/v1/routes/{id}", own={"id": away.body["id"]})


async def _ends(house: Everything) -> None:
    """Everything that has happened was told."""
    # A modem that lost an answer is not ready again for a while.
    await _lose(house)
    await house.do("POST", "/v1/messages/{id}/resolve", {"as": "sent"}, own={"id": house.lost.pop()[0]})
    await house.settled()
    last = ""
    async for page in _pages(house):
        last = page
    await until(lambda: any(body["id"] == last for body in house.hook.taken))
    assert house.hook.faults == []


async def _pages(house: Everything) -> AsyncIterator[str]:
    cursor = ""
    while True:
        page = (await house.place.call("GET", f"/v1/events?limit=1000{cursor}", held=False)).body
        if not page["items"]:
            return
        yield page["items"][-1]["id"]
        cursor = f"&cursor={page['next']}"
