"""The poster: tells webhooks what is due, one courier for each.

A courier reads the log on behalf of its webhook, keeps up to SLOTS posts in the air, each of another subject, and
writes what became of them together.  What it has read and not yet written down is told again after a crash, never left
out.

A post goes to an address that was looked at when it is connected to: names are asked about by `Outside`, which gives no
answer that holds an address that is not allowed, and connects to what it was given.  Redirects are not followed.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from random import Random
from socket import AF_INET, AddressFamily
from typing import Final

import aiohttp
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from engine.access import addresses, deliveries, webhooks
from engine.access.addresses import Network
from engine.access.deliveries import Delivery, Outcome, Turn
from engine.access.webhooks import Place, State, Subscription
from engine.errors import Invalid, StoreError
from engine.store.table import Note
from engine.traffic.events import EVENTS
from engine.wiring import Engine
from server.context import ENGINE
from server.shapes.webhooks import name_of_event, posted

log = logging.getLogger(__name__)

SLOTS: Final = 32  # posts of one webhook in the air
RETRIES: Final = 24  # of them, those of events that failed before: the new ones go on beside them
WINDOW: Final = 128  # events of one webhook that are read and not yet written down
CONNECTIONS: Final = 256  # of all webhooks
ANSWER_MOST: Final = 64 << 10  # octets of an answer that are read, and ignored
TIMEOUT_S: Final = 10.0
LOOK_S: Final = 1.0  # between two looks at the clock, which may be moved, and at the list of webhooks
SAVED_EVERY: Final = 256  # events passed over before the cursor is written for their sake alone,
SAVED_S: Final = 60.0  # or as long
CARRIED_S: Final = 1.0  # a post that takes longer keeps the cursor up no more
GOODBYE_S: Final = 2.0  # for posts in the air when we are asked to stop
_CHUNK: Final = 16 << 10

# The first that an error is an instance of says what went wrong.
_ERRORS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (TimeoutError, "timeout"),
    (aiohttp.ClientConnectorDNSError, "dns"),
    (aiohttp.ClientSSLError, "tls"),
    (aiohttp.ClientConnectorError, "connect"),
    (aiohttp.ServerDisconnectedError, "closed"),
    (aiohttp.ClientPayloadError, "closed"),
    (aiohttp.ClientOSError, "closed"),
)


class PrivateAddress(OSError):
    """A name leads to an address that is not public."""


class Outside(AbstractResolver):
    """A resolver that knows no address that we may not post to."""

    def __init__(self, resolver: AbstractResolver, allowed: tuple[Network, ...]) -> None:
        self._resolver = resolver
        self._allowed = allowed

    async def resolve(self, host: str, port: int = 0, family: AddressFamily = AF_INET) -> list[ResolveResult]:
        """Where `host` is.  Raises PrivateAddress where any of it is not allowed, and what the resolver raises."""
        found = await self._resolver.resolve(host, port, family)
        for one in found:
            if not addresses.is_allowed(addresses.parse(one["host"]), self._allowed):
                raise PrivateAddress(f"{host} leads to {one['host']}, which is not public")
        return found

    async def close(self) -> None:
        """Nothing is left."""
        await self._resolver.close()


class Poster:
    """All couriers.  `resolver` asks for names in place of the system's."""

    def __init__(self, engine: Engine, resolver: Callable[[], AbstractResolver] = aiohttp.ThreadedResolver) -> None:
        self.engine = engine
        self.resolver = resolver
        self.timeout_s = TIMEOUT_S
        self.look_s = LOOK_S
        self.allowed: Final = addresses.networks(engine.settings.webhooks.allow_private)
        self.is_closing = False
        self._bell = asyncio.Event()
        self._couriers: dict[int, tuple[Courier, asyncio.Task[None]]] = {}

    def follow(self, notes: list[Note]) -> None:
        """The store's follower."""
        if self._couriers and any(note.line == EVENTS.name for note in notes):
            for courier, _ in self._couriers.values():
                courier.ring()

    async def run(self) -> None:
        """Work until `close`, then let what is in the air land."""
        connector = aiohttp.TCPConnector(
            resolver=Outside(self.resolver(), self.allowed), use_dns_cache=False, limit=CONNECTIONS
        )
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self.timeout_s),
            auto_decompress=False,
            trust_env=False,
        )
        async with session, asyncio.TaskGroup() as tasks:
            await self._clear()
            while not self.is_closing:
                self._look(session, tasks)
                await _heard(self._bell, self.look_s)

    async def _clear(self) -> None:
        store = self.engine.store
        try:
            with store.read() as txn:
                orphans = deliveries.orphans(txn)
            for identifier in orphans:
                while await store.write_bulk(deliveries.clear, identifier):
                    pass
        except StoreError as error:
            log.error("what removed webhooks left stays for now: %s", error)

    def _look(self, session: aiohttp.ClientSession, tasks: asyncio.TaskGroup) -> None:
        """See that every webhook has its courier."""
        self._couriers = {known: one for known, one in self._couriers.items() if not one[1].done()}
        try:
            with self.engine.store.read() as txn:
                wanted = [subscription.id for subscription in webhooks.listed(txn)]
        except StoreError as error:
            log.error("webhooks cannot be read: %s", error)
            return
        for identifier in wanted:
            if identifier not in self._couriers:
                courier = Courier(self, session, identifier)
                task = tasks.create_task(courier.run(tasks), name=webhooks.name_of(identifier))
                self._couriers[identifier] = courier, task

    def close(self) -> None:
        """Take up nothing more."""
        self.is_closing = True
        self._bell.set()
        for courier, _ in self._couriers.values():
            courier.ring()


class Courier:
    """Tells one webhook.  `_busy` are the subjects with a post that is in the air, wanted or not written down, and what
    was read of each since; `_open` are events of the log that were read and are not written down.
    """

    def __init__(self, poster: Poster, session: aiohttp.ClientSession, identifier: int) -> None:
        self._poster = poster
        self._engine = poster.engine
        self._session = session
        self._id = identifier
        self._name = webhooks.name_of(identifier)
        self._rng = Random()  # noqa: S311  jitter, nothing secret
        self._bell = asyncio.Event()
        self._subscription: Subscription | None = None
        self._is_active = False
        self._is_resting = False
        self._read_to = 0
        self._saved = 0
        self._saved_at_s = time.monotonic()
        self._open: dict[int, Delivery] = {}
        self._busy: dict[str, deque[Delivery]] = {}
        self._ready: deque[Delivery] = deque()
        self._flying: dict[int, float] = {}  # event -> since when, on the monotonic clock
        self._retried: set[int] = set()  # of those that are ready or flying, those that failed before
        self._landed: list[Outcome] = []
        self._ended: list[str] = []  # subjects whose post in the air was their last
        self._behind: list[Delivery] = []

    def ring(self) -> None:
        """There may be something to do."""
        self._bell.set()

    async def run(self, tasks: asyncio.TaskGroup) -> None:
        """Work until the webhook is removed or the poster closes."""
        is_there = True
        while is_there and not self._poster.is_closing:
            self._bell.clear()
            try:
                is_there = await self._turn(tasks)
            except StoreError as error:
                log.error("%s is told nothing while the store refuses: %s", self._name, error)
                await asyncio.sleep(self._poster.look_s)
        await self._leave()

    async def _turn(self, tasks: asyncio.TaskGroup) -> bool:
        """Write down what has landed, read what is due, let it fly; whether there is a webhook still."""
        if not await self._settle():
            return False
        turn = self._take()
        if turn is None:
            return False
        if turn.missed_to:
            await self._engine.store.write(
                deliveries.miss, self._id, self._read_to, turn.missed_to, self._engine.now_ms()
            )
            self._read_to = turn.missed_to
            return True
        self._start(tasks)
        if self._behind or self._landed or (turn.is_more and len(self._open) < WINDOW):
            await asyncio.sleep(0)
            return True
        await _heard(self._bell, self._poster.look_s)
        return True

    async def _leave(self) -> None:
        """Let what is in the air land, as far as there is time, and write it down."""
        until_s = time.monotonic() + GOODBYE_S
        while self._flying and (rest_s := until_s - time.monotonic()) > 0:
            self._bell.clear()
            await _heard(self._bell, rest_s)
        if self._flying:
            log.warning("%s: %d posts are in the air still: they are made again", self._name, len(self._flying))
        try:
            await self._settle(is_last=True)
        except StoreError as error:
            log.error("%s: the last posts are not written down: %s", self._name, error)

    # -- reading

    @property
    def _is_held(self) -> bool:
        """Whether nothing that was read may fly but what `deliveries.take` gave just now."""
        return self._is_resting or not self._is_active

    def _take(self) -> Turn | None:
        with self._engine.store.read() as txn:
            turn = deliveries.take(
                txn,
                self._id,
                self._read_to,
                self._busy.keys(),
                WINDOW - len(self._open),
                RETRIES - len(self._retried),
                self._engine.now_ms(),
            )
        if turn is None:
            return None
        self._saved = self._saved or turn.place.cursor
        self._subscription = turn.subscription
        self._is_active = turn.subscription.state is State.ACTIVE
        self._is_resting = deliveries.is_resting(turn.place)
        self._read_to = turn.read_to
        for delivery in turn.retries:
            self._retried.add(delivery.sequence)
            self._line_up(delivery)
        for delivery in turn.due:
            self._open[delivery.sequence] = delivery
            self._line_up(delivery)
        for delivery in turn.blocked:
            self._open[delivery.sequence] = delivery
            self._behind.append(delivery)
        return turn

    def _line_up(self, delivery: Delivery) -> None:
        chain = self._busy.get(delivery.event.subject)
        if chain is None:
            self._busy[delivery.event.subject] = deque()
            self._ready.append(delivery)
        else:
            chain.append(delivery)

    # -- posting

    def _start(self, tasks: asyncio.TaskGroup) -> None:
        while self._ready and len(self._flying) < SLOTS and not self._poster.is_closing:
            delivery = self._ready.popleft()
            self._flying[delivery.sequence] = time.monotonic()
            tasks.create_task(self._fly(delivery, tasks), name=f"{self._name} {delivery.sequence}")

    async def _fly(self, delivery: Delivery, tasks: asyncio.TaskGroup) -> None:
        """Post an event, and those of its subject that follow, until one fails."""
        subject = delivery.event.subject
        chain = self._busy[subject]
        while True:
            outcome = await self._post(delivery)
            self._landed.append(outcome)
            self._bell.set()
            del self._flying[delivery.sequence]
            self._retried.discard(delivery.sequence)
            if outcome.error or not chain or self._is_held or self._poster.is_closing:
                break
            delivery = chain.popleft()
            self._flying[delivery.sequence] = time.monotonic()
        self._ended.append(subject)
        if not self._is_held:
            self._start(tasks)

    async def _post(self, delivery: Delivery) -> Outcome:
        subscription, now_ms, began_s = self._subscription, self._engine.now_ms(), time.monotonic()
        assert subscription is not None, "nothing is read without it"  # noqa: S101
        status, error = 0, ""
        try:
            status = await self._send(subscription, delivery, now_ms)
            error = _error_of(status)
        except Invalid:
            error = "private_address"
        except (aiohttp.ClientError, OSError, ValueError) as wrong:
            error = _name_of(wrong)
        took_ms = round((time.monotonic() - began_s) * 1000)
        return Outcome(delivery, now_ms, took_ms, status, error)

    async def _send(self, subscription: Subscription, delivery: Delivery, now_ms: int) -> int:
        """The status that was answered.  Raises aiohttp's errors, and Invalid where the URL is not allowed any more."""
        url = addresses.checked_url(subscription.url, self._poster.allowed)
        name = name_of_event(delivery.sequence)
        body = posted(delivery.sequence, delivery.event)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Carillon",
            "webhook-id": name,
            "webhook-timestamp": str(now_ms // 1000),
            "webhook-signature": webhooks.signatures(self._engine.pepper, subscription, name, body, now_ms),
        }
        async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            octets = 0
            while chunk := await response.content.read(_CHUNK):
                octets += len(chunk)
                if octets >= ANSWER_MOST:
                    response.close()
                    break
            return response.status

    # -- writing down

    async def _settle(self, *, is_last: bool = False) -> bool:
        """Write down what has landed and what must wait; whether there is a webhook still.  Raises StoreError."""
        landed, ended = self._landed[:], self._ended[:]
        for outcome in landed:
            if outcome.error:
                self._put_behind(outcome.delivery.event.subject)
        if is_last:
            self._give_up_all(landed)
        elif self._is_held:
            self._give_up_ready()
        if len(self._open) >= WINDOW:
            self._carry()
        behind = self._behind[:]
        cursor = self._cursor({outcome.delivery.sequence for outcome in landed} | {one.sequence for one in behind})
        if not (landed or behind or self._is_far(cursor, is_last=is_last)):
            return True
        place = await self._engine.store.write(
            deliveries.settle, self._id, cursor, landed, behind, self._engine.now_ms(), self._rng
        )
        if place is None:
            return False
        self._forget(landed, ended, behind)
        self._note(place)
        return True

    def _cursor(self, done: set[int]) -> int:
        """Up to where nothing is open but what is written down now."""
        return min((sequence - 1 for sequence in self._open if sequence not in done), default=self._read_to)

    def _is_far(self, cursor: int, *, is_last: bool) -> bool:
        passed = cursor - self._saved
        return passed >= SAVED_EVERY or (passed > 0 and (is_last or time.monotonic() - self._saved_at_s > SAVED_S))

    def _put_behind(self, subject: str) -> None:
        chain = self._busy[subject]
        self._behind.extend(chain)
        chain.clear()

    def _give_up_ready(self) -> None:
        """A rest begins: what was read and is not in the air waits with the parked."""
        while self._ready:
            delivery = self._ready.popleft()
            self._retried.discard(delivery.sequence)
            self._behind.append(delivery)
            self._behind.extend(self._busy.pop(delivery.event.subject))

    def _give_up_all(self, landed: list[Outcome]) -> None:
        """The end: all that was read waits with the parked, so that what was taken meanwhile is not told again."""
        known = {outcome.delivery.sequence for outcome in landed}
        self._behind = [delivery for sequence, delivery in sorted(self._open.items()) if sequence not in known]

    def _carry(self) -> None:
        """So much is open since some posts take long: they are parked while they fly, and the others go on."""
        before_s = time.monotonic() - CARRIED_S
        for sequence, since_s in self._flying.items():
            delivery = self._open.get(sequence)
            if delivery is not None and since_s < before_s:
                self._behind.append(delivery)
                self._put_behind(delivery.event.subject)

    def _forget(self, landed: list[Outcome], ended: list[str], behind: list[Delivery]) -> None:
        del self._landed[: len(landed)]
        del self._ended[: len(ended)]
        del self._behind[: len(behind)]
        for outcome in landed:
            self._open.pop(outcome.delivery.sequence, None)
        for delivery in behind:
            self._open.pop(delivery.sequence, None)
        for subject in ended:
            chain = self._busy.pop(subject)
            if chain:
                first = chain.popleft()
                self._busy[subject] = chain
                self._ready.append(first)

    def _note(self, place: Place) -> None:
        self._is_resting = deliveries.is_resting(place)
        self._saved = place.cursor
        self._saved_at_s = time.monotonic()


async def _heard(bell: asyncio.Event, patience_s: float) -> None:
    """Return once it rings, or after so long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience_s):
            await bell.wait()


def _error_of(status: int) -> str:
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return "redirect"
    return "gone" if status == 410 else "status"


def _name_of(error: BaseException) -> str:
    """What went wrong, in a word."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, PrivateAddress):
            return "private_address"
        inner = inner.__cause__
    return next((name for kind, name in _ERRORS if isinstance(error, kind)), "failed")


# -- with the application

POSTER: Final = web.AppKey("poster", Poster)


def attach(app: web.Application) -> None:
    """Let the poster work for as long as the application does."""
    engine = app[ENGINE]
    app[POSTER] = Poster(engine)
    engine.store.follow(app[POSTER].follow)
    app.cleanup_ctx.append(_posting)


def _tell(work: "asyncio.Task[None]") -> None:
    if not work.cancelled() and work.exception() is not None:
        log.error("webhooks are told nothing more", exc_info=work.exception())


async def _posting(app: web.Application) -> AsyncIterator[None]:
    poster = app[POSTER]
    work = asyncio.create_task(poster.run(), name="poster")
    work.add_done_callback(_tell)
    yield
    poster.close()
    await asyncio.wait({work}, timeout=GOODBYE_S + poster.look_s)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
