"""engine/traffic/routing.py: which SIMs a message may leave by, and which comes first."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from engine.errors import Conflict, Invalid, NotFound
from engine.store.environment import Store
from engine.traffic import events, routes
from engine.traffic.message import SEND, Due, Message, State, Verdict
from engine.traffic.routes import Route, Sender
from engine.traffic.routing import ANY, CLASSES, HOLD_MS, NO_ROUTE, NOBODY, SINGLES_MOST, Classes, Routing, country_of
from tests.engine.traffic.stage import NOW_MS, text

GERMAN, CHINESE, BRITISH = 4_917_012_345_678, 8_613_800_138_000, 447_400_123_456
A, B, C, D = (262_010_000_000_000 + n for n in range(1, 5))
HERE = {A: "/dev/ttyS0", B: "/dev/ttyS1", C: "/dev/ttyS2"}


def route(identifier: int, *senders: int | str | tuple[int, int], **fields: object) -> Route:
    made = []
    for sender in senders:
        sim, cost = sender if isinstance(sender, tuple) else (sender, -1)
        made.append(Sender(port=sim, cost_minor=cost) if isinstance(sim, str) else Sender(sim, cost_minor=cost))
    return Route(identifier, f"route {identifier}", senders=tuple(made), **fields)  # type: ignore[arg-type]


def ways(classes: Classes, number: int, here: dict[int, str] | None = None, **message: object) -> frozenset[int]:
    """The SIMs that may send such a message now."""
    return classes.senders(classes.class_of(number, **message), HERE if here is None else here)  # type: ignore[arg-type]


# -- which route


def test_without_routes_everybody_sends_everything() -> None:
    classes = Classes()
    assert classes.class_of(GERMAN, "a tag", "marketing") == ANY
    assert ways(classes, GERMAN) == {A, B, C}


def test_a_message_that_no_route_takes_is_held_and_never_sent() -> None:
    classes = Classes([route(1, A, prefixes=("86",))])
    assert classes.class_of(GERMAN) == NO_ROUTE
    assert classes.verdict(text(), NOW_MS) == Verdict(State.HELD, "no_route", NOW_MS + HOLD_MS)
    assert classes.verdict(text(number=CHINESE), NOW_MS) == SEND
    assert classes.verdict(text(sim=A), NOW_MS) == SEND


@pytest.mark.parametrize(
    ("first", "second", "number", "expected"),
    [
        pytest.param({"prefixes": ("49",)}, {"prefixes": ("4917",)}, GERMAN, {B}, id="more digits"),
        pytest.param({"prefixes": ("49",)}, {}, GERMAN, {A}, id="a prefix before none"),
        pytest.param({}, {"countries": ("DE",)}, GERMAN, {B}, id="a country before none"),
        pytest.param({"countries": ("DE",)}, {"prefixes": ("491",)}, GERMAN, {B}, id="a prefix before its country"),
        pytest.param({"operators": ("D1",)}, {"prefixes": ("491",)}, GERMAN, {A}, id="an operator's own digits"),
        pytest.param({}, {"tags": ("vip",)}, GERMAN, {B}, id="its tag before none"),
        pytest.param({"prefixes": ("4",)}, {"tags": ("vip",)}, GERMAN, {A}, id="where it goes before what it is"),
        pytest.param({"purposes": ("service",)}, {"tags": ("vip",)}, GERMAN, {B}, id="its tag before its purpose"),
        pytest.param({"cost_minor": 9}, {"cost_minor": 8}, GERMAN, {B}, id="the cheaper"),
        pytest.param({"cost_minor": 8, "order": 2}, {"cost_minor": 8, "order": 1}, GERMAN, {B}, id="the lower order"),
        pytest.param({}, {}, GERMAN, {A}, id="the older"),
        pytest.param({"countries": ("CN",)}, {}, GERMAN, {B}, id="not another country's"),
        pytest.param({"tags": ("other",)}, {}, GERMAN, {B}, id="not another tag's"),
        pytest.param({"operators": ("gone",)}, {}, GERMAN, {B}, id="nobody is of an operator that is not known"),
        pytest.param({"countries": ("DE",), "prefixes": ("86",)}, {}, CHINESE, {A}, id="any of what it names"),
    ],
)
def test_the_more_specific_route_comes_first(
    first: dict[str, object], second: dict[str, object], number: int, expected: set[int]
) -> None:
    classes = Classes([route(1, A, **first), route(2, B, **second)], {"D1": ("+49170", "+49171")})
    assert ways(classes, number, tag="vip", purpose="service") == expected


def test_agrees_with_asking_every_route_about_every_message() -> None:
    random = Random(4)
    prefixes = ("4", "49", "491", "4917", "86", "861", "44", "447400123456")
    for _ in range(200):
        made = [
            route(
                identifier,
                random.choice((A, B, C)),
                prefixes=tuple(random.sample(prefixes, random.choice((0, 1, 3)))),
                tags=random.choice(((), ("x",), ("x", "y"))),
                purposes=random.choice(((), ("service",))),
                cost_minor=random.randrange(2),
            )
            for identifier in range(1, 5)
        ]
        classes = Classes(made)
        for number in (GERMAN, CHINESE, BRITISH):
            tag, purpose = random.choice(("", "x", "y", "z")), random.choice(("service", "survey"))
            ranked = [
                (-max((len(p) for p in one.prefixes if str(number).startswith(p)), default=0), not one.tags,
                 not one.purposes, one.cost_minor, one.id)
                for one in made
                if (not one.tags or tag in one.tags) and (not one.purposes or purpose in one.purposes)
                and (not one.prefixes or any(str(number).startswith(p) for p in one.prefixes))
            ]  # fmt: skip
            assert [one.id for one in classes.candidates(number, tag, purpose)] == [rank[-1] for rank in sorted(ranked)]


# -- who of it


def test_the_next_route_takes_over_while_no_sim_of_the_first_is_available() -> None:
    classes = Classes([route(1, A, B, prefixes=("49",)), route(2, C)])
    assert ways(classes, GERMAN) == {A, B}
    assert ways(classes, GERMAN, {B: "", C: ""}) == {B}
    assert ways(classes, GERMAN, {C: ""}) == {C}
    assert ways(classes, GERMAN, {D: ""}) == frozenset()
    assert ways(classes, GERMAN) == {A, B}


def test_a_route_without_failover_waits_for_its_own() -> None:
    classes = Classes([route(1, A, prefixes=("49",), failover=False), route(2)])
    number = classes.class_of(GERMAN)
    assert classes.senders(number, {B: ""}) == frozenset()
    assert classes.all >> number & 1
    assert not any(mask >> number & 1 for mask in classes.masks({B: ""}).values())
    assert any(mask >> number & 1 for mask in classes.masks(HERE).values())
    assert ways(classes, CHINESE, {B: ""}) == {B}


def test_the_cheapest_sim_of_a_route_goes_first_and_the_next_where_it_may_no_more() -> None:
    classes = Classes([route(1, (A, 5), (B, 3), C, cost_minor=3), route(2, D, cost_minor=4)])
    assert ways(classes, GERMAN) == {B, C}
    assert ways(classes, GERMAN, {A: "", D: ""}) == {A}
    assert ways(classes, GERMAN, {D: ""}) == {D}


def test_a_modem_is_a_sender_whatever_sim_is_in_it() -> None:
    classes = Classes([route(1, "/dev/ttyS1")])
    assert ways(classes, GERMAN) == {B}
    assert ways(classes, GERMAN, {D: "/dev/ttyS1", A: "/dev/ttyS0"}) == {D}


def test_a_route_without_senders_is_the_whole_racks() -> None:
    classes = Classes([route(1, A, prefixes=("49",)), route(2)])
    assert ways(classes, GERMAN) == {A}
    assert ways(classes, GERMAN, {B: ""}) == {B}
    assert ways(classes, CHINESE) == {A, B, C}


def test_a_route_that_refused_comes_last() -> None:
    classes = Classes([route(1, A, B), route(2, C, order=1)])
    assert ways(classes, GERMAN, refused_by=A) == {C}
    assert ways(classes, GERMAN, {A: "", B: ""}, refused_by=A) == {A, B}
    assert ways(classes, GERMAN, refused_by=D) == {A, B}
    alone = Classes([route(1, A)])
    assert alone.class_of(GERMAN, refused_by=A) == alone.class_of(GERMAN)


def test_a_sim_that_was_asked_for_is_the_only_one() -> None:
    classes = Classes([route(1, A)])
    assert ways(classes, GERMAN, pin=B) == {B}
    assert ways(classes, CHINESE, {A: ""}, pin=B) == frozenset()
    assert ways(Classes(), GERMAN, pin=B) == {B}


def test_the_sim_that_keeps_a_number_comes_first_if_a_route_has_it() -> None:
    classes = Classes([route(1, A, prefixes=("49",)), route(2, B)])
    assert ways(classes, GERMAN, keeper=B) == {B}
    assert ways(classes, GERMAN, {A: ""}, keeper=B) == {A}
    assert ways(classes, GERMAN, keeper=C) == {A}
    assert ways(Classes(), GERMAN, keeper=C) == {C}
    assert ways(Classes(), GERMAN, {A: ""}, keeper=C) == {A}


def test_a_message_in_the_line_goes_by_the_sim_that_it_names() -> None:
    classes = Classes([route(1, A)])
    assert classes.senders(classes.of_due(Due(0, 1, 1, 0, GERMAN, "", "service", C)), HERE) == {C}
    assert classes.of_due(Due(0, 1, 1, 0)) == ANY


@pytest.mark.parametrize(
    ("here", "expected"),
    [
        ({A: ""}, {A: "1000"}),
        ({B: "", C: ""}, {B: "1101", C: "0010"}),
        ({A: "", B: "", C: ""}, {A: "1000", B: "0101", C: "0010"}),
        ({}, {}),
    ],
)
def test_the_masks_tell_each_sim_what_it_may_send(here: dict[int, str], expected: dict[int, str]) -> None:
    classes = Classes([route(1, (A, 1), (B, 2), prefixes=("49",)), route(2, C)])
    numbers = [classes.class_of(number, pin=pin) for number in (GERMAN, CHINESE) for pin in (0, B)]
    masks = classes.masks(here)
    assert {sim: "".join(str(mask >> number & 1) for number in numbers) for sim, mask in masks.items()} == expected


def test_a_class_that_is_made_later_is_in_the_masks() -> None:
    classes = Classes([route(1, C)])
    assert classes.masks(HERE)
    made = classes.class_of(CHINESE, pin=A)
    assert classes.senders(made, HERE) == {A}


def test_more_classes_than_there_are_numbers_for_send_nothing_by_a_wrong_sim() -> None:
    classes = Classes([route(1, A)])
    own = [classes.class_of(GERMAN, pin=sim) for sim in range(1, SINGLES_MOST + 10)]
    assert own[-9:] == [NOBODY] * 9
    assert classes.class_of(GERMAN, keeper=A) == classes.class_of(GERMAN)
    assert ways(classes, GERMAN) == {A}
    assert classes.senders(NOBODY, HERE) == frozenset()
    many = Classes([route(n, n, prefixes=(str(1000 + n),)) for n in range(1, CLASSES + 5)])
    met = {many.class_of(10**9 * (1000 + n)) for n in range(1, CLASSES + 5)}
    assert max(met) == CLASSES - 1
    assert NOBODY in met


@pytest.mark.parametrize(
    ("number", "country"),
    [(GERMAN, "DE"), (CHINESE, "CN"), (BRITISH, "GB"), (14_165_550_123, "CA"), (12_125_550_123, "US"),
     (77_012_345_678, "KZ"), (79_161_234_567, "RU"), (447_700_900_123, "GB"),
     (447_911_123_456, "GG"), (888_123_456, "")],
)  # fmt: skip
def test_a_number_tells_its_country(number: int, country: str) -> None:
    assert country_of(number) == country


# -- as they are kept


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data", (*routes.TABLES, events.EVENTS))
    yield opened
    opened.close()


async def test_the_classes_follow_what_is_stored(store: Store) -> None:
    heard = []
    kept = Routing(store, {"D1": ("+4917",)}, lambda: heard.append(len(kept.classes.routes)))
    kept.load()
    assert kept.classes.class_of(GERMAN) == ANY
    made = await store.write(routes.add, Route(0, "D1", operators=("D1",), senders=(Sender(A),)), {"D1": ()}, NOW_MS)
    assert ways(kept.classes, GERMAN) == {A}
    await store.write(routes.change, made.id, {"senders": (Sender(B),)}, 1, {"D1": ()}, NOW_MS)
    assert ways(kept.classes, GERMAN) == {B}
    await store.write(routes.remove, made.id, NOW_MS)
    assert heard == [1, 1, 0]
    again = Routing(store, {})
    again.load()
    assert again.classes.routes == ()


def test_the_gates_word_comes_before_that_there_is_no_route(store: Store) -> None:
    def gate(_txn: object, asked: list[Message], _now_ms: int) -> list[Verdict]:
        return [Verdict(State.SUPPRESSED, "stop") if message.number == GERMAN else SEND for message in asked]

    kept = Routing(store, {})
    gated = kept.gated(gate)
    asked = [text(number=number) for number in (GERMAN, CHINESE, BRITISH)]
    with store.read() as txn:
        assert [verdict.reason for verdict in gated(txn, asked, NOW_MS)] == ["stop", "", ""]
        kept.classes = Classes([route(1, A, prefixes=("44",))])
        assert [verdict.reason for verdict in gated(txn, asked, NOW_MS)] == ["stop", "no_route", ""]


def refusal(store: Store, **fields: object) -> Invalid:
    with pytest.raises(Invalid) as caught:
        store.write_now(routes.add, Route(0, **{"name": "x", **fields}), {}, NOW_MS)  # type: ignore[arg-type]
    return caught.value


def test_what_a_sim_cannot_do_is_refused_by_name(store: Store) -> None:
    assert refusal(store, tariff="premium").code == "tariff_not_supported"
    assert refusal(store, kind="http").code == "kind_not_supported"


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("name", "", "name"),
        ("prefixes", ("49", "+"), "prefixes[1]"),
        ("prefixes", ("049",), "prefixes[0]"),
        ("prefixes", ("4" * 16,), "prefixes[0]"),
        ("countries", ("DE", "de"), "countries[1]"),
        ("operators", ("nobody",), "operators[0]"),
        ("tags", ("",), "tags[0]"),
        ("purposes", ("fun",), "purposes[0]"),
        ("cost_minor", -1, "cost_minor"),
        ("order", 10**9, "order"),
        ("senders", (Sender(A, "/dev/ttyS0"),), "senders[0]"),
        ("senders", (Sender(A), Sender()), "senders[1]"),
        ("senders", (Sender(A), Sender(A)), "senders[1]"),
        ("senders", (Sender(A, cost_minor=-2),), "senders[0].cost_minor"),
    ],
)
def test_what_is_wrong_is_named(store: Store, field: str, value: object, named: str) -> None:
    assert [param.name for param in refusal(store, **{field: value}).params] == [named]


def test_a_name_is_one_routes_and_a_version_one_changes(store: Store) -> None:
    made = store.write_now(routes.add, Route(0, "one", prefixes=("+49", "49")), {}, NOW_MS)
    assert (made.prefixes, made.version) == (("49",), 1)
    with pytest.raises(Conflict, match="name"):
        store.write_now(routes.add, Route(0, "one"), {}, NOW_MS)
    changed = store.write_now(routes.change, made.id, {"order": 5}, 1, {}, NOW_MS + 1)
    assert (changed.order, changed.version, changed.updated_ms) == (5, 2, NOW_MS + 1)
    with pytest.raises(Conflict, match="version 2"):
        store.write_now(routes.change, made.id, {"order": 6}, 1, {}, NOW_MS)
    store.write_now(routes.remove, made.id, NOW_MS)
    with pytest.raises(NotFound):
        store.write_now(routes.remove, made.id, NOW_MS)
