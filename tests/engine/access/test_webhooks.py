"""engine/access/webhooks.py: who is told of what, and secrets that are nowhere."""

import base64
import json
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from engine.access import deliveries, webhooks
from engine.access.webhooks import PLACES, SUBSCRIPTIONS, State, Subscription
from engine.errors import Conflict, Invalid, NotFound, Stale
from engine.store.environment import Store
from engine.traffic import events
from engine.traffic.events import Event

NOW_MS = 1_700_000_000_000
DAY_MS = 86_400_000
PEPPER = bytes(range(32))
URL = "https://example.com/hook"


def made(store: Store, *kinds: str) -> Subscription:
    return store.write_now(webhooks.add, URL, kinds or ("*",), NOW_MS)


def kinds_of(store: Store) -> list[str]:
    with store.read() as txn:
        return [event.kind for _, event in events.after(txn, 0, 100)]


# -- kinds


@pytest.mark.parametrize(
    ("wanted", "kind", "is_told"),
    [
        ("*", "message.sent", True),
        ("message.*", "message.sent", True),
        ("message.sent", "message.sent", True),
        ("message.*", "messages.sent", False),
        ("message.*", "message", False),
        ("message.sent", "message.sent_late", False),
        ("campaign.*", "message.sent", False),
        ("modem.up", "modem.lost", False),
    ],
)
def test_kinds_are_named_whole_or_up_to_a_dot(store: Store, wanted: str, kind: str, is_told: bool) -> None:
    assert made(store, wanted).wants(Event(kind, NOW_MS, "x", {})) == is_told


def test_each_is_told_of_its_own_tests_and_gaps_whatever_it_names(store: Store) -> None:
    one, other = made(store, "message.sent"), made(store, "message.sent")
    for kind in ("webhook.test", "webhook.gap"):
        event = Event(kind, NOW_MS, webhooks.name_of(one.id), {})
        assert (one.wants(event), other.wants(event)) == (True, False)
    assert not one.wants(Event("webhook.changed", NOW_MS, webhooks.name_of(one.id), {}))


@pytest.mark.parametrize("kinds", [[], [""], ["message."], ["*.sent"], ["a*"], ["Message.sent"], ["a b"], ["x", "y!"]])
def test_a_kind_that_is_none_is_refused(store: Store, kinds: list[str]) -> None:
    with pytest.raises(Invalid, match="events"):
        store.write_now(webhooks.add, URL, kinds, NOW_MS)


# -- life


def test_it_is_told_of_what_happens_from_then_on(store: Store) -> None:
    store.write_now(lambda txn: events.append(txn, "campaign.launched", NOW_MS, "cmp_1"))
    subscription = made(store)
    store.write_now(lambda txn: events.append(txn, "campaign.paused", NOW_MS, "cmp_1"))
    with store.read() as txn:
        turn = deliveries.take(txn, subscription.id, 0, (), 100, 100, NOW_MS)
    assert turn is not None
    assert [delivery.event.kind for delivery in turn.due] == ["campaign.paused"]


def test_it_is_changed_in_versions_and_everything_is_an_event(store: Store) -> None:
    subscription = made(store)
    changes = {"url": "https://example.com/new", "kinds": ("modem.*",), "name": "rack"}
    changed = store.write_now(webhooks.change, subscription.id, changes, 1, NOW_MS + 1)
    assert (changed.url, changed.kinds, changed.name, changed.version) == (
        "https://example.com/new", ("modem.*",), "rack", 2,
    )  # fmt: skip
    with pytest.raises(Stale):
        store.write_now(webhooks.change, subscription.id, {"name": "late"}, 1, NOW_MS)
    store.write_now(webhooks.rotate, subscription.id, NOW_MS)
    store.write_now(webhooks.ring, subscription.id, NOW_MS)
    store.write_now(webhooks.remove, subscription.id, NOW_MS)
    assert kinds_of(store) == [
        "webhook.created", "webhook.changed", "webhook.rotated", "webhook.test", "webhook.removed",
    ]  # fmt: skip
    with store.read() as txn:
        assert (SUBSCRIPTIONS.count(txn), PLACES.count(txn)) == (0, 0)
    for gone in (webhooks.rotate, webhooks.ring, webhooks.remove):
        with pytest.raises(NotFound):
            store.write_now(gone, subscription.id, NOW_MS)


def test_what_is_paused_is_not_rung(store: Store) -> None:
    subscription = made(store)
    store.write_now(webhooks.change, subscription.id, {"state": State.PAUSED}, None, NOW_MS)
    with pytest.raises(Conflict, match="paused"):
        store.write_now(webhooks.ring, subscription.id, NOW_MS)


def test_there_are_not_more_than_so_many(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "WEBHOOKS_MOST", 2)
    made(store)
    made(store)
    with pytest.raises(Conflict):
        made(store)


def test_a_wrong_change_changes_nothing(store: Store) -> None:
    subscription = made(store)
    for changes in ({"url": "http://10.0.0.1/"}, {"kinds": ("?",)}, {"name": "x" * 201}):
        with pytest.raises(Invalid):
            store.write_now(webhooks.change, subscription.id, changes, None, NOW_MS)
    with store.read() as txn:
        assert SUBSCRIPTIONS.get(txn, subscription.id) == subscription


# -- secrets


def headers(subscription: Subscription, body: bytes, now_ms: int) -> dict[str, str]:
    return {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(now_ms // 1000),
        "webhook-signature": webhooks.signatures(PEPPER, subscription, "evt_1", body, now_ms),
    }


def verifies(secret: str, body: bytes, said: dict[str, str]) -> bool:
    """As the reference library does, but for the age of the post: that clock is the wall's."""
    at = datetime.fromtimestamp(int(said["webhook-timestamp"]), UTC)
    return Webhook(secret).sign(said["webhook-id"], at, body.decode()) in said["webhook-signature"].split(" ")


def test_the_reference_library_verifies_a_signature(store: Store) -> None:
    subscription = made(store)
    body = json.dumps({"type": "message.sent", "data": {"text": "é"}}, ensure_ascii=False).encode()
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    said = headers(subscription, body, now_ms)
    secret = webhooks.secret_of(PEPPER, subscription)
    assert Webhook(secret).verify(body, said) == json.loads(body)
    assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) <= 64
    assert not verifies(secret, body + b" ", said)
    assert not verifies(webhooks.secret_of(bytes(32), subscription), body, said)


def test_two_webhooks_have_two_secrets(store: Store) -> None:
    assert webhooks.secret_of(PEPPER, made(store)) != webhooks.secret_of(PEPPER, made(store))


def test_a_stolen_data_directory_holds_no_secret(store: Store) -> None:
    subscription = made(store)
    rotated = store.write_now(webhooks.rotate, subscription.id, NOW_MS)
    octets = (store.directory / "data.mdb").read_bytes()
    for one in (subscription, rotated):
        secret = webhooks.secret_of(PEPPER, one).removeprefix("whsec_")
        assert base64.b64decode(secret) not in octets
        assert secret.encode() not in octets


def test_for_a_day_after_a_rotation_both_secrets_verify(store: Store) -> None:
    first = made(store)
    second = store.write_now(webhooks.rotate, first.id, NOW_MS)
    old, new = webhooks.secret_of(PEPPER, first), webhooks.secret_of(PEPPER, second)
    assert old != new
    for after_ms, both in ((0, True), (DAY_MS - 1, True), (DAY_MS, False), (2 * DAY_MS, False)):
        said = headers(second, b"{}", NOW_MS + after_ms)
        assert (verifies(new, b"{}", said), verifies(old, b"{}", said)) == (True, both)
    third = store.write_now(webhooks.rotate, first.id, NOW_MS + 1)
    said = headers(third, b"{}", NOW_MS + 1)
    assert [verifies(secret, b"{}", said) for secret in (old, new)] == [False, True]
