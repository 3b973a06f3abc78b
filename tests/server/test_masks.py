"""Whole numbers: nowhere for who may not see them, everywhere for who may and asks.  Changes: each leaves its row.

The places come from the published document, so that a new route must say how it is called.
"""

import asyncio
import base64
import json
import logging
import re
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from engine.access.rights import NUMBERS
from engine.store import ids
from server.api import sim
from server.app import ROUTES
from tests.server import everything
from tests.server.conftest import TOKEN, Answer, Place
from tests.server.everything import CLERK, KNOWN, OTHER, TWIN, Everything, everything_in

Calling = dict[str, Any]  # how `Place.call` is to call

WHOLE = "numbers=whole"


def quoted(number: str) -> str:
    return number.replace("+", "%2B")


# What a call must say beside its path.
QUERIES: dict[str, Callable[[Everything], str]] = {
    "/v1/customers/{id}/merge": lambda house: f"other={house.ids['other']}",
    "/v1/greetings/{id}/preview": lambda _: "date=2027-05-17",
    "/v1/suppressions/check": lambda _: f"number={quoted(KNOWN)}",
}
# How somebody is looked for by his number, wherever a parameter has one of these names.
SOUGHT = {"number", "phone", "to", "from"}
SEARCHES = {
    "/v1/customers": (f"number={quoted(KNOWN)}",),
    "/v1/members": (f"phone={quoted(KNOWN)}", "last4=5432"),
    "/v1/messages": (f"to={quoted(KNOWN)}", f"direction=in&from={quoted(KNOWN)}"),
    "/v1/messages.csv": (f"to={quoted(KNOWN)}", f"direction=in&from={quoted(KNOWN)}"),
}


def forms(number: str) -> list[str]:
    """As it may stand in a text: national digits are part of every way of writing it; packed, and as a key."""
    key, national = int(number[1:]), number[3:]
    semi_octets = "".join(b + a for a, b in zip(number[1::2], f"{number[2::2]}F", strict=True))
    packed = (base64.b64encode(text).decode().rstrip("=") for text in (number.encode(), national.encode()))
    return [national, semi_octets, f"{key:x}", ids.render("x", key)[2:], *packed]


def holds(text: str, *numbers: str) -> bool:
    """Whether any of the numbers is in a text, whatever stands between its digits."""
    bare = re.sub(r"[\s().\-]", "", text).lower()
    return any(form.lower() in bare for number in numbers for form in forms(number))


class House(NamedTuple):
    """The house, and everything that was logged while it was made."""

    made: Everything
    log: Callable[[], str]


class _Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name} {self.format(record)} {record.args}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    root, log = logging.getLogger(), _Log()
    level = root.level
    root.addHandler(log)
    root.setLevel(logging.DEBUG)
    try:
        async with everything_in(tmp_path_factory.mktemp("everything")) as made:
            yield House(made, lambda: "\n".join(log.lines))
    finally:
        root.removeHandler(log)
        root.setLevel(level)


def operations(place: Place, *methods: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        (path, {**operation, "method": method.upper()})
        for path, item in place.document["paths"].items()
        for method, operation in item.items()
        if method in methods and path.startswith("/v1")
    ]


def shows(operation: dict[str, Any]) -> bool:
    """Whether the document says that its answer has numbers."""
    return any(one["name"] == "numbers" for one in operation["parameters"])


def address(house: Everything, path: str, *more: str) -> str:
    said = [QUERIES[path](house)] if path in QUERIES else []
    query = "&".join([*said, *more])
    return house.filled(path) + (f"?{query}" if query else "")


class Look(NamedTuple):
    """A call that reads, and how its answer is to be written."""

    path: str
    headers: dict[str, str]

    async def told(self, place: Place, *, headers: dict[str, str] | None = None, **calling: Any) -> str:
        """Everything that came back."""
        answer = await place.call("GET", self.path, headers={**self.headers, **(headers or {})}, **calling)
        assert answer.status < 300, (self.path, answer)
        return whole_of(answer)


def looks(house: Everything, path: str, operation: dict[str, Any], *more: str) -> list[Look]:
    """An operation in each form of its answer, and once for each way to look for the number."""
    sought = {one["name"] for one in operation["parameters"] if one["in"] == "query"} & SOUGHT
    assert not sought or path in SEARCHES or path in QUERIES, f"say how {path} is searched"
    kinds = list(operation["responses"]["200"]["content"])
    forms = [{"Accept": kind} for kind in kinds[1:] if kind != "text/event-stream"]
    one = address(house, path, *more)
    return [
        Look(one, {}),
        *(Look(one, form) for form in forms),
        *(Look(address(house, path, said, *more), {}) for said in SEARCHES.get(path, ())),
    ]


def whole_of(answer: Answer) -> str:
    text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body, ensure_ascii=False)
    return f"{text} {dict(answer.headers)}"


def without(house: Everything) -> list[Calling]:
    """A program and one of the staff who may all but see numbers."""
    return [{"token": house.program}, {"token": None, "headers": house.clerk}]


# -- reading


@pytest.mark.asyncio(loop_scope="module")
async def test_who_has_not_the_right_reads_a_whole_number_nowhere(house: House) -> None:
    made, place = house.made, house.made.place
    found = []
    for calling in without(made):
        for path, operation in operations(place, "get"):
            told = [(look, await look.told(place, **calling)) for look in looks(made, path, operation)]
            found += [(look, calling) for look, text in told if holds(text, KNOWN, OTHER, TWIN, CLERK)]
            if shows(operation):
                refused = await place.call("GET", address(made, path, WHOLE), **calling)
                assert (refused.status, refused.slug) == (403, "no_right"), path
                assert NUMBERS in refused.body["detail"]
    assert found == []


@pytest.mark.asyncio(loop_scope="module")
async def test_who_has_the_right_and_asks_finds_it_in_every_answer_that_has_numbers(house: House) -> None:
    made, place = house.made, house.made.place
    missing, reads = [], 0
    for path, operation in operations(place, "get"):
        reads += shows(operation)
        # A page of the log may not reach back to what is looked for, and of the staff nobody is a customer.
        more = ["limit=1000"] if path == "/v1/audit" else []
        wanted = CLERK if path.startswith("/v1/staff") else KNOWN
        more += [WHOLE] if shows(operation) else []
        told = [(look, await look.told(place)) for look in looks(made, path, operation, *more)]
        missing += [look for look, text in told if holds(text, wanted) != shows(operation)]
    assert missing == []
    assert reads >= 14


@pytest.mark.asyncio(loop_scope="module")
async def test_a_list_shows_masks_to_whoever_does_not_ask(house: House) -> None:
    made, place = house.made, house.made.place
    open_ = []
    for path, operation in operations(place, "get"):
        if shows(operation) and not path.endswith(("{id}", "/dossier")):
            told = [(look, await look.told(place)) for look in looks(made, path, operation)]
            open_ += [look for look, text in told if holds(text, KNOWN, CLERK)]
    assert open_ == []


@pytest.mark.asyncio(loop_scope="module")
async def test_whole_numbers_that_were_seen_are_noted_lists_with_how_many(house: House) -> None:
    made, place = house.made, house.made.place
    name = made.ids["/v1/customers/"]

    async def newest() -> tuple[str, str, dict[str, Any]]:
        row = (await place.call("GET", "/v1/audit?limit=1")).body["items"][0]
        return row["action"], row["target"], {one["field"]: one["after"] for one in row["changes"]}

    page = (await place.call("GET", f"/v1/customers?{WHOLE}&limit=1000")).body["items"]
    count = sum(1 + len(item["numbers"]) for item in page)
    assert await newest() == ("numbers.read", "customers", {"numbers_told": count})
    await place.call("GET", f"/v1/customers/{name}?{WHOLE}")
    assert await newest() == ("customer.read", name, {"numbers_told": 2})
    campaign = made.ids["/v1/campaigns/"]
    await place.call("GET", f"/v1/campaigns/{campaign}/results.csv?{WHOLE}")
    assert await newest() == ("campaign.exported", campaign, {"numbers_told": "whole"})
    await place.call("GET", f"/v1/customers.csv?{WHOLE}")
    told_of = await newest()
    assert (told_of[0], told_of[2]["numbers_told"]) == ("customers.exported", "whole")
    # A person's look at a person is noted, a program's is not, and neither is what was refused or showed nobody.
    rows = made.rows()
    for path in (f"/v1/customers/{name}", f"/v1/customers?{WHOLE}&reference=C999", f"/v1/customers/x?{WHOLE}"):
        await place.call("GET", path)
    assert made.rows() == rows
    await place.call("GET", f"/v1/customers/{name}", token=None, headers=made.clerk)
    assert (await newest())[:2] == ("customer.read", name)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("query", ["numbers=yes", "numbers=", "numbers=whole&numbers=whole"])
async def test_numbers_are_asked_for_in_one_word(house: House, query: str) -> None:
    answer = await house.made.place.call("GET", f"/v1/customers?{query}")
    assert (answer.status, list(answer.params)) == (422, ["numbers"])


@pytest.mark.asyncio(loop_scope="module")
async def test_a_call_without_numbers_has_no_such_parameter(house: House) -> None:
    answer = await house.made.place.call("GET", f"/v1/campaigns?{WHOLE}")
    assert (answer.status, list(answer.params)) == (422, ["numbers"])


# -- calls that change something and answer with numbers


class Case(NamedTuple):
    """A call whose answer has `number`."""

    path: str
    body: Any
    number: str


async def _customer(house: Everything, number: str) -> str:
    return str((await house.place.call("POST", "/v1/customers", {"number": number, "name": "Di"})).body["id"])


async def cases(house: Everything, turn: int) -> dict[str, Case]:
    """A call of each operation whose answer has numbers, that may be made once."""
    place = house.place
    number, member, worker, waits, joins = (f"+8615012345{turn}{at}0" for at in range(5))
    lost = house.lost.pop()
    customer = await _customer(house, member)
    mem = customer.replace("cus_", "mem_")
    staff = await place.call("POST", "/v1/staff", {"number": worker, "name": "Sun"})
    at = staff.headers["Location"]
    later = {"to": waits, "text": "later", "not_before": "2030-01-01T00:00:00Z"}
    message = (await place.call("POST", "/v1/messages", later)).body["id"]
    await place.call("POST", "/v1/members", {"customer_id": customer})
    code = (await place.call("POST", f"/v1/members/{mem}/till-code")).body["code"]
    first = house.ids["/v1/members/"]
    return {
        "customers_create": Case("/v1/customers", {"number": number}, number),
        "customers_change": Case(f"/v1/customers/{customer}", {"name": "Do"}, member),
        "audit_reveal": Case(f"/v1/customers/{customer}/reveal", {"field": "number", "reason": "calls"}, member),
        "members_create": Case("/v1/members", {"customer_id": await _customer(house, joins)}, joins),
        "members_by_code": Case("/v1/members/by-code", {"code": code}, member),
        "members_change": Case(f"/v1/members/{mem}", {"state": "suspended"}, member),
        "members_add_points": Case(
            f"/v1/members/{first}/points", {"kind": "earn", "delta": 500, "ref": f"T{turn}"}, KNOWN
        ),
        "members_redeem": Case(f"/v1/members/{first}/redeem", {"reward": "C20"}, KNOWN),
        "messages_send": Case("/v1/messages", later, waits),
        "messages_cancel": Case(f"/v1/messages/{message}/cancel", None, waits),
        "messages_resolve": Case(f"/v1/messages/{lost[0]}/resolve", {"as": "sent"}, lost[1]),
        "staff_create": Case("/v1/staff", {"number": number, "name": "Li"}, number),
        "staff_change": Case(at, {"name": "Li"}, worker),
        "staff_set_pin": Case(f"{at}/pin", {"pin": "482193"}, worker),
        "staff_set_password": Case(f"{at}/password", {"password": everything.PASSWORD}, worker),
        "staff_deactivate": Case(f"{at}/deactivate", {}, worker),
    }


@pytest.mark.asyncio(loop_scope="module")
async def test_answers_to_changes_follow_the_same_rule(house: House) -> None:
    made, place = house.made, house.made.place
    wanted = {
        operation["operationId"]: operation
        for _, operation in operations(place, "post", "patch", "put", "delete")
        if shows(operation)
    }
    for turn, (calling, may) in enumerate(((without(made)[0], False), ({"token": TOKEN}, True)), 1):
        ready = await cases(made, turn)
        assert wanted.keys() == ready.keys()
        for name, (path, body, number) in ready.items():
            operation = wanted[name]
            answer = await place.call(operation["method"], f"{path}?{WHOLE}" if may else path, body, **calling)
            if not may and operation.get("x-right") == "customers:reveal":
                assert answer.status == 403
                continue
            assert answer.status < 300, (path, answer)
            assert holds(whole_of(answer), number) == may, (path, answer.body)
    # Refusals name nobody either.
    taken = await place.call("POST", "/v1/customers", {"number": KNOWN}, token=made.program)
    assert (taken.status, holds(whole_of(taken), KNOWN)) == (409, False)


# -- what nobody asks for


@pytest.mark.asyncio(loop_scope="module")
async def test_no_event_carries_a_number_so_no_webhook_and_no_stream_does(house: House) -> None:
    """There is nothing that an endpoint could ask to be told in full."""
    made, place = house.made, house.made.place
    assert len({body["type"] for body in made.hook.taken}) > 40
    assert not holds(json.dumps(made.hook.taken, ensure_ascii=False), KNOWN, OTHER, TWIN, CLERK)
    last = made.hook.taken[-1]["id"]
    headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {TOKEN}"}
    text = ""
    async with place.client.get("/v1/events?cursor=evt_0000000000000", headers=headers) as response, asyncio.timeout(5):
        while last not in text:
            text += (await response.content.readany()).decode()
    assert not holds(text, KNOWN, OTHER, TWIN, CLERK)


@pytest.mark.asyncio(loop_scope="module")
async def test_no_page_of_the_console_shows_a_number(house: House) -> None:
    made, place = house.made, house.made.place
    seen = 0
    for resource in place.app.router.resources():
        path = resource.canonical
        if path.startswith(("/v1", "/live")) or "{" in path or not any(r.method == "GET" for r in resource):
            continue
        answer = await place.call("GET", path, token=None, headers=made.boss, held=False)
        assert not holds(whole_of(answer), KNOWN, OTHER, TWIN, CLERK), path
        seen += answer.status == 200
    assert seen >= 3


@pytest.mark.asyncio(loop_scope="module")
async def test_the_log_holds_no_number_whatever_its_level(house: House) -> None:
    """The last of the tests that read: what they did is in it too."""
    assert house.log()
    assert [line for line in house.log().splitlines() if holds(line, KNOWN, OTHER, TWIN, CLERK)] == []


def test_a_number_is_found_however_it_is_written() -> None:
    for text in (
        KNOWN, "008613998765432", "139 9876 5432", "(139) 9876-5432", "%2B8613998765432", "683199785634F2",
        base64.b64encode(b"+8613998765432").decode(), ids.render("con", 8613998765432),
    ):  # fmt: skip
        assert holds(f"so: {text}.", KNOWN), text
    assert not holds("+8613*****5432", KNOWN)


# -- changes

# What leaves no row, and why.
UNNOTED = {
    ("POST", "/v1/messages"): "one text of a program: too many to be kept for three years",
    ("POST", "/v1/messages/preview"): "changes nothing",
    ("POST", "/v1/segments/parse"): "changes nothing",
    ("POST", "/v1/segments/count"): "changes nothing but the count that is shown",
    ("POST", "/v1/segments/preview"): "changes nothing",
    ("POST", "/v1/coupons/check"): "changes nothing",
    ("POST", "/v1/sim/inbound"): "of the laboratory",
}
# Calls that the house does not make.
UNMADE = {
    ("POST", "/v1/sim/dlr"): "of the laboratory",
    ("POST", "/v1/sim/clock"): "of the laboratory",
    ("POST", "/v1/webhooks/{id}/dead/{event}/replay"): "of a letter that is dead after two days",
}


@pytest.mark.asyncio(loop_scope="module")
async def test_every_call_that_changes_something_leaves_a_row(house: House) -> None:
    made = house.made
    changing = {(route.method, route.path) for route in (*ROUTES, *sim.ROUTES) if route.method != "GET"}
    assert changing - made.left.keys() == UNMADE.keys()
    assert {call for call, rows in made.left.items() if not rows} == UNNOTED.keys()
    # One each: merging tells of both.
    assert {call for call, rows in made.left.items() if rows > 1} == {("POST", "/v1/customers/{id}/merge")}
    assert (await made.place.call("GET", "/v1/audit/verify")).body["whole"] is True
    assert made.place.differences() == []


@pytest.mark.asyncio(loop_scope="module")
async def test_texts_that_a_program_sends_together_leave_one_row_with_their_cost(house: House) -> None:
    place = house.made.place
    texts = [{"to": TWIN, "text": "x" * 200, "not_before": "2030-01-01T00:00:00Z"} for _ in range(3)]
    before = house.made.rows()
    for body in (texts[0], {"messages": texts[:1]}, {"messages": texts}):
        assert (await place.call("POST", "/v1/messages", body)).status == 202
    assert house.made.rows() == before + 1
    row = (await place.call("GET", "/v1/audit?limit=1")).body["items"][0]
    assert (row["action"], row["target"]) == ("message.made", "messages")
    assert {one["field"]: one["after"] for one in row["changes"]} == {"messages": 3, "parts": 6}


async def _row(house: Everything, action: str, target: str) -> dict[str, Any]:
    items = (await house.place.call("GET", f"/v1/audit?limit=1000&{WHOLE}&target={target}")).body["items"]
    return next(item for item in items if item["action"] == action)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_row_says_what_was_before_and_after(house: House) -> None:
    made = house.made
    customer, campaign, member = (made.ids[f"/v1/{noun}/"] for noun in ("customers", "campaigns", "members"))
    created = {one["field"]: one["after"] for one in (await _row(made, "customer.created", customer))["changes"]}
    assert (created["number"], created["numbers"], created["tags"]) == (KNOWN, [OTHER], ["guests"])
    changed = await _row(made, "customer.changed", customer)
    assert changed["actor"]["id"] == "token:tests"
    assert {one["field"]: (one["before"], one["after"]) for one in changed["changes"]} == {
        "lifecycle": ("lead", "customer"), "region": (None, "JS"),
    }  # fmt: skip
    recipients = (await made.place.call("GET", f"/v1/campaigns/{campaign}")).body["recipients"]
    launched = {one["field"]: one["after"] for one in (await _row(made, "campaign.launched", campaign))["changes"]}
    assert (launched["stage"], launched["recipients"]) == ("running", recipients)
    earned = {one["field"]: one["after"] for one in (await _row(made, "points.earned", member))["changes"]}
    assert earned["delta"] == 500
    agreed = {one["field"]: one["after"] for one in (await _row(made, "consent.changed", customer))["changes"]}
    assert (agreed["purpose"], agreed["status"]) == ("marketing", "granted")


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_masked_of_a_person_is_masked_in_the_rows_about_him(house: House) -> None:
    made = house.made
    body = {"address": {"street": "1 Lotus Road", "city": "Nanjing"}, "numbers": [OTHER]}
    name = made.ids["/v1/customers/"]
    await made.place.call("PATCH", f"/v1/customers/{name}", body)
    reader = await made.place.call("POST", "/v1/staff", {"number": "+8613312340000", "name": "Ro", "roles": ["reader"]})
    path = reader.headers["Location"]
    role = {"name": "auditor", "rights": ["audit:read"]}
    await made.place.call("POST", "/v1/roles", role)
    await made.place.call("PATCH", path, {"roles": ["auditor"]})
    await made.place.call("POST", f"{path}/password", {"password": everything.PASSWORD})
    auditor = await everything.enter(made.place, "+8613312340000")
    page = await made.place.call("GET", f"/v1/audit?limit=1000&target={name}", token=None, headers=auditor)
    text = whole_of(page)
    assert "Nanjing" in text
    for secret in ("Lotus Road", "na@lotus.example", "1990-05-17"):
        assert secret not in text
    assert not holds(text, KNOWN, OTHER)
