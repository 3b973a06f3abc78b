"""engine/traffic/inbound.py, inbox.py and reassembly.py: what a modem read, stored once, answered once."""

import asyncio
import contextlib
from itertools import permutations

import pytest

from engine.errors import StoreFull
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic import events, inbound, inbox, messages, reassembly
from engine.traffic.inbound import UNREADABLE, Inbound
from engine.traffic.inbox import INBOX, RECEIVED, Progress, Received, Reply, Routed
from engine.traffic.messages import Message
from engine.traffic.reassembly import MEMORY_MS, PATIENCE_MS, PENDING, SEEN, SEEN_BY_TIME
from tests.engine.traffic.stage import NOW_MS, OTHER_SIM, SIM, differences
from tests.engine.traffic.tpdus import deliver


def take(store: Store, pdu: str, sim: int = SIM, now_ms: int = NOW_MS) -> None:
    store.write_now(inbound.take, sim, pdu, None, now_ms)


def texts(store: Store) -> list[str]:
    with store.read() as txn:
        return [received.text for _, received in RECEIVED.scan(txn)]


def waiting(store: Store) -> list[int]:
    with store.read() as txn:
        return [key[0] for key, _ in INBOX.scan(txn)]


def replies(store: Store) -> list[Message]:
    with store.read() as txn:
        return list(messages.listed(txn, None, 0, 100))


def echo(_txn: Txn, received: Received, _now_ms: int) -> Routed:
    return Routed("echo", (Reply(f"you said {received.text}"),))


# -- reassembly


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))), ids=lambda order: "-".join(map(str, order)))
def test_parts_in_any_order_make_one_text(store: Store, order: tuple[int, ...]) -> None:
    said = {1: "one ", 2: "two ", 3: "three"}
    for sequence in order:
        take(store, deliver(said[sequence], concatenation=(9, 3, sequence)))
        assert len(texts(store)) == (sequence == order[-1])
    assert texts(store) == ["one two three"]
    with store.read() as txn:
        assert PENDING.count(txn) == 0
        (received,) = [record for _, record in RECEIVED.scan(txn)]
    assert (received.parts, received.complete, received.sim, received.originator) == (
        3,
        True,
        SIM,
        "+4917012345678",
    )
    assert differences(store) == []


def test_what_a_modem_is_read_of_twice_is_one_text(store: Store) -> None:
    for _ in range(3):
        take(store, deliver("hello"))
        for sequence in (1, 2, 1):
            take(store, deliver("x", concatenation=(9, 2, sequence)))
    assert texts(store) == ["hello", "xx"]


def test_who_says_the_same_again_has_said_it_twice(store: Store) -> None:
    take(store, deliver("hello"))
    take(store, deliver("hello", stamp="62204101511340"))
    take(store, deliver("hello", sender="4917012345679"))
    take(store, deliver("hello"), sim=OTHER_SIM)
    assert texts(store) == ["hello"] * 4
    assert differences(store) == []


def test_parts_of_different_senders_sims_and_references_never_mix(store: Store) -> None:
    take(store, deliver("a", concatenation=(9, 2, 1)))
    take(store, deliver("b", concatenation=(9, 2, 2)), sim=OTHER_SIM)
    take(store, deliver("c", concatenation=(9, 2, 2), sender="4917012345679"))
    take(store, deliver("d", concatenation=(8, 2, 2)))
    take(store, deliver("e", concatenation=(9, 3, 2)))
    assert texts(store) == []
    take(store, deliver("f", concatenation=(9, 2, 2)))
    assert texts(store) == ["af"]


def test_what_is_not_whole_after_ten_minutes_is_delivered_with_a_flag(store: Store) -> None:
    take(store, deliver("one ", concatenation=(9, 3, 1)))
    take(store, deliver("three", concatenation=(9, 3, 3)), now_ms=NOW_MS + 1000)
    assert store.write_now(reassembly.expire, NOW_MS + PATIENCE_MS - 1) == 0
    assert store.write_now(reassembly.expire, NOW_MS + PATIENCE_MS) == 1
    assert store.write_now(reassembly.expire, NOW_MS + PATIENCE_MS) == 0
    with store.read() as txn:
        (received,) = [record for _, record in RECEIVED.scan(txn)]
        assert PENDING.count(txn) == 0
    assert (received.text, received.complete, received.parts) == ("one three", False, 3)
    assert waiting(store) == [received.id]
    assert differences(store) == []


def test_digests_of_what_was_seen_are_forgotten_after_a_day(store: Store) -> None:
    for number in range(5):
        take(store, deliver(f"hello {number}"), now_ms=NOW_MS + number)
    store.write_now(reassembly.expire, NOW_MS + MEMORY_MS + 2)
    with store.read() as txn:
        assert (SEEN.count(txn), SEEN_BY_TIME.count(txn)) == (2, 2)


# -- what cannot be read


@pytest.mark.parametrize("pdu", ["", "00", "0004", "zz", "00" * 30, "FF" * 176, "07" + "91" * 200])
def test_what_nobody_can_read_is_kept_as_it_was(store: Store, pdu: str) -> None:
    take(store, pdu)
    with store.read() as txn:
        kept = [record.pdu for _, record in UNREADABLE.scan(txn)]
        kinds = [event.kind for _, event in events.after(txn, 0, 10)]
    assert (kept, kinds) == ([pdu], ["message.unreadable"])
    assert texts(store) == []


@pytest.mark.parametrize(
    "sender",
    [
        pytest.param("1" * 17, id="17 digits"),
        pytest.param("9" * 18, id="18 digits"),
        pytest.param("9" * 20, id="20 digits"),
    ],
)
def test_a_sender_of_any_length_is_stored(store: Store, sender: str) -> None:
    """Twenty digits fit into an address, but not into 64 bits."""
    take(store, deliver("hello", sender=sender))
    assert texts(store) == ["hello"]
    assert differences(store) == []


@pytest.mark.parametrize("octets", [b"\xd8\x00", b"\xdc\x00\xd8\x00", b"\x00", b"\x00\x00"])
def test_octets_that_are_no_text_are_stored_all_the_same(store: Store, octets: bytes) -> None:
    take(store, deliver(octets=octets))
    assert len(texts(store)) == 1
    assert differences(store) == []


# -- answering


def test_a_text_is_answered_exactly_once(store: Store) -> None:
    take(store, deliver("hello"))
    (identifier,) = waiting(store)
    for _ in range(3):
        store.write_now(inbound.answer, identifier, echo, NOW_MS)
    (reply,) = replies(store)
    assert (reply.text, reply.in_reply_to, reply.number) == ("you said hello", identifier, 4917012345678)
    assert waiting(store) == []
    with store.read() as txn:
        assert RECEIVED.get(txn, identifier).routed_to == "echo"
    assert differences(store) == []


def test_a_route_that_raises_leaves_no_half_of_an_answer(store: Store) -> None:
    def half(txn: Txn, received: Received, now_ms: int) -> Routed:
        messages.enqueue(txn, Message(0, 4917012345678, "half"), now_ms)
        raise KeyError(received.text)

    take(store, deliver("hello"))
    (identifier,) = waiting(store)
    with pytest.raises(KeyError):
        store.write_now(inbound.answer, identifier, half, NOW_MS)
    assert replies(store) == []
    assert waiting(store) == [identifier]
    store.write_now(inbound.give_up, identifier, NOW_MS)
    with store.read() as txn:
        assert RECEIVED.get(txn, identifier).progress is Progress.FAILED
    assert waiting(store) == []
    assert differences(store) == []


@pytest.mark.parametrize("kind", [pytest.param(0x81, id="unknown"), pytest.param(0xA1, id="national")])
def test_a_short_code_is_stored_and_gets_no_answer(store: Store, kind: int) -> None:
    take(store, deliver("hello", sender="10086", kind=kind))
    (identifier,) = waiting(store)
    store.write_now(inbound.answer, identifier, echo, NOW_MS)
    assert (replies(store), waiting(store)) == ([], [])
    assert differences(store) == []


@contextlib.asynccontextmanager
async def working(store: Store, route: inbox.Route):
    works = Inbound(store, route, lambda: NOW_MS)
    task = asyncio.create_task(works.run())
    try:
        yield works
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until_idle(store: Store, works: Inbound) -> None:
    async with asyncio.timeout(5):
        while not works.is_idle:
            await store.write(INBOX.count)


async def test_what_was_stored_before_a_crash_is_answered_after_it(store: Store) -> None:
    for number in range(3):
        take(store, deliver(f"hello {number}"))
    store.write_now(inbound.answer, waiting(store)[0], echo, NOW_MS)
    async with working(store, echo) as works:
        await store.write(INBOX.count)
        await until_idle(store, works)
        await works.received(str(SIM), "port", deliver("one more"), None)
        await until_idle(store, works)
    assert sorted(reply.text for reply in replies(store)) == [
        "you said hello 0",
        "you said hello 1",
        "you said hello 2",
        "you said one more",
    ]
    assert differences(store) == []


async def test_one_text_that_an_application_trips_over_stops_nothing_else(store: Store) -> None:
    def fussy(txn: Txn, received: Received, now_ms: int) -> Routed:
        if received.text == "bad":
            raise ZeroDivisionError
        return echo(txn, received, now_ms)

    async with working(store, fussy) as works:
        for said in ("first", "bad", "last"):
            await works.received(str(SIM), "port", deliver(said), None)
        await until_idle(store, works)
    assert sorted(reply.text for reply in replies(store)) == ["you said first", "you said last"]
    assert waiting(store) == []
    assert differences(store) == []


async def test_while_the_store_is_full_texts_wait_and_are_answered_afterwards(store: Store) -> None:
    is_full = True

    def route(txn: Txn, received: Received, now_ms: int) -> Routed:
        if is_full:
            raise StoreFull("as an LMDB without room would")
        return echo(txn, received, now_ms)

    async with working(store, route) as works:
        await works.received(str(SIM), "port", deliver("hello"), None)
        for _ in range(5):
            await store.write(INBOX.count)
        is_full = False
        await until_idle(store, works)
    assert [reply.text for reply in replies(store)] == ["you said hello"]


def test_lists_page_backwards_by_number_and_over_all(store: Store) -> None:
    for number in range(5):
        take(store, deliver(f"a{number}"), now_ms=NOW_MS + number)
        take(store, deliver(f"b{number}", sender="8613800138000"), now_ms=NOW_MS + number)
    with store.read() as txn:
        first = list(inbox.listed(txn, "+4917012345678", 0, 2))
        rest = list(inbox.listed(txn, "+4917012345678", first[-1].id, 10))
        assert [received.text for received in (*first, *rest)] == ["a4", "a3", "a2", "a1", "a0"]
        assert len(list(inbox.listed(txn, None, 0, 100))) == 10
