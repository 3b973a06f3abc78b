"""Wiring: builds every object, gives them to one another, starts and stops them in order.

The one place that knows all of the engine, and the one that reads the clock.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator, Sequence, Set
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Final

from engine.access import budgets, deliveries, replays, tokens, webhooks
from engine.apps.router import router_of
from engine.config import Limits, Settings
from engine.crm import erasure, merging
from engine.crm.gate import gate_with, judge_with
from engine.crm.marketing import (
    campaigns,
    caps,
    coupons,
    feeding,
    greetings,
    house_days,
    ledger,
    links,
    loyalty,
    members,
    pace,
    preview,
    responses,
    rewards,
    schedule,
    tiers,
    till_codes,
    topics,
    uploads,
)
from engine.crm.marketing.arrival import Arrival
from engine.crm.marketing.greeter import Greeter
from engine.crm.marketing.preview import Funnel
from engine.crm.people import (
    audience,
    audit,
    consent,
    customers,
    deny_lists,
    fields,
    frequency,
    happenings,
    imports,
    organisations,
    pauses,
    reach,
    references,
    regions,
    reveals,
    roles,
    segments,
    staff,
    suppressions,
    tags,
    timeline,
    tries,
    wordings,
)
from engine.crm.people.conditions import Condition
from engine.crm.people.customer import Customer
from engine.crm.people.import_work import Imports
from engine.crm.people.suppressions import Suppressions
from engine.errors import StoreError
from engine.migration import MIGRATIONS
from engine.modem.pool import ModemSettings, Pool
from engine.rack import ModemView
from engine.store import compaction
from engine.store.environment import Store
from engine.store.table import Keyed, Txn
from engine.traffic import (
    costs,
    events,
    inbound,
    inbox,
    intents,
    messages,
    quotas,
    reassembly,
    receipts,
    retention,
    routes,
    sims,
    spending,
    sticky,
    unproven,
)
from engine.traffic.delay import DelayWatch
from engine.traffic.explain import Facts, explain
from engine.traffic.inbound import Inbound
from engine.traffic.message import Asked, Gate, Verdict
from engine.traffic.routing import Routing
from engine.traffic.scheduler import Scheduler
from engine.upkeep import Upkeep

log = logging.getLogger(__name__)

# Parts in the air when we are asked to stop: a legal +CMGS may take a minute, most take five seconds.
LANDING_S: Final = 20.0

TABLES: Final[tuple[Keyed, ...]] = (
    *messages.TABLES,
    *intents.TABLES,
    *unproven.TABLES,
    *sims.TABLES,
    *quotas.TABLES,
    *spending.TABLES,
    *receipts.TABLES,
    *inbox.TABLES,
    *reassembly.TABLES,
    *inbound.TABLES,
    *retention.TABLES,
    *routes.TABLES,
    *sticky.TABLES,
    events.EVENTS,
    *tokens.TABLES,
    *budgets.TABLES,
    *replays.TABLES,
    *webhooks.TABLES,
    *deliveries.TABLES,
    *customers.TABLES,
    *references.TABLES,
    *tags.TABLES,
    *fields.TABLES,
    *regions.TABLES,
    *organisations.TABLES,
    *happenings.TABLES,
    *imports.TABLES,
    *timeline.TABLES,
    *segments.TABLES,
    *consent.TABLES,
    *suppressions.TABLES,
    *deny_lists.TABLES,
    *wordings.TABLES,
    *frequency.TABLES,
    *reach.TABLES,
    *pauses.TABLES,
    *roles.TABLES,
    *staff.TABLES,
    *tries.TABLES,
    *audit.TABLES,
    *reveals.TABLES,
    *campaigns.TABLES,
    *pace.TABLES,
    *schedule.TABLES,
    *links.TABLES,
    *responses.TABLES,
    *uploads.TABLES,
    *members.TABLES,
    *ledger.TABLES,
    *loyalty.TABLES,
    *tiers.TABLES,
    *coupons.TABLES,
    *rewards.TABLES,
    *till_codes.TABLES,
    *topics.TABLES,
    *house_days.TABLES,
    *greetings.TABLES,
    *merging.TABLES,
    *erasure.TABLES,
)

_UNLIMITED: Final = Limits()

_MODEM_NEWS: Final = {"ready": "modem.up", "lost": "modem.lost", "quarantined": "modem.quarantined"}


def _tell_modem(txn: Txn, view: ModemView, now_ms: int) -> None:
    kind = _MODEM_NEWS[view.state]
    events.append(txn, kind, now_ms, view.port, imsi=view.imsi, detail=view.detail)


class Clock:
    """The wall clock that everything reads; a laboratory may set it, time-outs of lines stay on the monotonic one."""

    def __init__(self) -> None:
        self._ahead_ms = 0

    def now_ms(self) -> int:
        """Epoch milliseconds, UTC."""
        return time.time_ns() // 1_000_000 + self._ahead_ms

    def set(self, now_ms: int) -> None:
        """Let it be `now_ms` and run on from there."""
        self._ahead_ms += now_ms - self.now_ms()


class Engine:
    """Everything but HTTP, built for one data directory.  Use it through `running`."""

    def __init__(self, settings: Settings, pepper: bytes, clock: Clock) -> None:
        self.settings = settings
        self.pepper = pepper
        self.clock = clock
        self.now_ms = clock.now_ms
        self.store = Store(Path(settings.data), TABLES, migrations=MIGRATIONS)
        rack = settings.modems
        self.pool = Pool(
            ModemSettings(
                ports=rack.ports,
                baud=rack.baud,
                hardware_flow=rack.hardware_flow,
                pin=rack.pin or None,
                command_gap_ms=rack.command_gap_ms,
                prompt_timeout_s=rack.prompt_timeout_s,
                result_timeout_s=rack.result_timeout_s,
            ),
            clock.now_ms,
        )
        self.routing = Routing(self.store, settings.routes.operators, is_sticky=settings.routes.sticky)
        self.routing.load()
        self.store.price = self.routing.cost
        self.prices = caps.Prices(costs.of_group, self.routing.dearest)
        self.scheduler = Scheduler(
            self.store,
            self.routing.gated(
                gate_with(pepper, settings.house, settings.quiet, spending.spent, settings.caps, self.prices)
            ),
            self._feed,
            clock.now_ms,
            settings.traffic.feed_ahead_s,
            Random(clock.now_ms()),  # noqa: S311  jitter of retries, nothing secret
            {int(imsi): limits for imsi, limits in settings.sims.items() if limits.are_any},
            self.routing,
            self.pool.gathering,
        )
        self.suppressions = Suppressions(pepper)
        self.store.follow(self.suppressions.follow)
        self.greeter = Greeter(self.store, clock.now_ms, settings.house, pepper)
        self.store.follow(self.greeter.follow)
        self.store.told = reach.telling(pepper)
        house = settings.house
        self.imports = Imports(
            self.store, self.suppressions, clock.now_ms, house.country, house.time_zone,
            lambda: self.scheduler.is_pressed,
        )  # fmt: skip
        self.delay = DelayWatch(
            self.store, self.scheduler, self._would_send, clock.now_ms, self.modems_ready,
            settings.traffic.delay_alert_s,
        )  # fmt: skip
        self.inbound = Inbound(self.store, router_of(settings.house, pepper), clock.now_ms)
        self.pool.attach(
            on_wanted=self.scheduler.on_wanted,
            on_done=self.scheduler.on_done,
            on_given=self.scheduler.on_given,
            on_lost=self.scheduler.on_lost,
            on_received=self.inbound.received,
            on_change=self._modem_changed,
        )

    def _feed(self, txn: Txn, now_ms: int, parts: int) -> int:
        settings = self.settings
        caps.reopen(txn, now_ms, spending.spent, self.prices)
        begun = schedule.begin_due(txn, now_ms, settings.house)
        return begun + feeding.feed(txn, now_ms, parts, settings.house, self.pepper, settings.quiet)

    def _modem_changed(self, view: ModemView) -> None:
        if view.imsi:
            self.routing.sits(int(view.imsi), view.port)
        if view.state in _MODEM_NEWS:
            self.store.submit(_tell_modem, view, self.now_ms())

    # -- what leaves the engine about the rack

    def rack(self) -> list[ModemView]:
        """The modems, by port."""
        return sorted(self.pool.views(), key=lambda view: view.port)

    def modems_ready(self) -> int:
        """How many of them can send."""
        return sum(view.state in ("ready", "sending") for view in self.pool.views())

    def explain(self, message_id: int) -> str:
        """Why a message has not gone yet, in one sentence.  Raises NotFound."""
        now_ms = self.now_ms()
        classes = self.routing.classes
        ready = {int(view.imsi): view.port for view in self.rack() if view.state in ("ready", "sending") and view.imsi}
        with self.store.read() as txn:
            message = messages.get(txn, message_id)
            (verdict,) = self._would_send(txn, [message], now_ms)
            own = messages.pinned_to(message)
            usable = classes.reachable(
                classes.class_of(message.number, message.tag, message.purpose, message.sim), ready
            )
            if own:
                usable = frozenset(ready.keys() & {own})
            facts = Facts(
                now_ms,
                verdict,
                modems_ready=len(ready),
                is_sim_here=not own or bool(usable),
                routes=tuple(route.name for route in classes.candidates(message.number, message.tag, message.purpose)),
                is_sender_here=bool(usable),
                quota=self._binding(txn, usable, message.number, now_ms),
                parts_above=self.scheduler.parts_above(message.lane),
                parts_beside=self.scheduler.parts_in(message.lane),
                rate_per_s=self.scheduler.rate_per_s(),
            )
        return explain(message, facts)

    def _judge(self) -> Gate:
        settings = self.settings
        return judge_with(self.pepper, settings.house, settings.quiet, spending.spent, settings.caps, self.prices)

    def _would_send(self, txn: Txn, asked: Sequence[Asked], now_ms: int) -> list[Verdict]:
        return self.routing.gated(self._judge())(txn, asked, now_ms)

    def _binding(self, txn: Txn, usable: Set[int], number: int, now_ms: int) -> quotas.Quota | None:
        """The quota that frees first, where each of the SIMs has one that binds."""
        binding = [quotas.binding(txn, sim, number, now_ms, self.limits_of(sim)) for sim in usable]
        bound = [quota for quota in binding if quota is not None]
        return min(bound, key=lambda quota: quota.free_ms) if bound and len(bound) == len(binding) else None

    def limits_of(self, sim: int) -> Limits:
        """What a SIM may send; `sim` is its IMSI as a number."""
        return self.settings.sims.get(str(sim), _UNLIMITED)

    def spent(self, txn: Txn, campaign: int) -> costs.Cost:
        """How many of a campaign's parts went or may have gone, and what they cost."""
        return costs.Cost(spending.spent(txn, campaign), costs.of_group(txn, campaign))

    def change_caps(self, txn: Txn, campaign: int, wanted: caps.Wanted, now_ms: int) -> campaigns.Campaign:
        """Set a campaign's caps.  Raises NotFound, Invalid, Conflict where it has ended."""
        return caps.change(txn, campaign, wanted, now_ms, spending.spent, self.prices)

    @staticmethod
    def costs_between(txn: Txn, from_ms: int, before_ms: int) -> Iterator[tuple[int, str, costs.Cost]]:
        """(when a quarter of an hour began, tariff, cost) of those that begin in that time, in order."""
        return costs.between(txn, from_ms, before_ms)

    @staticmethod
    def resolved(txn: Txn, message_id: int, resolution: messages.Resolution, now_ms: int) -> messages.Message:
        """A person decides about an unknown message.  Raises NotFound, Conflict where it is not unknown."""
        return intents.resolve(txn, message_id, resolution, now_ms)

    async def resolve(self, message_id: int, resolution: messages.Resolution) -> messages.Message:
        """The same as a change of its own."""
        return await self.store.write(self.resolved, message_id, resolution, self.now_ms())

    async def count(self, condition: Condition) -> tuple[int, float]:
        """(how many customers a checked condition takes now, how many seconds it took to find them)."""
        begun_s, found = time.perf_counter(), 0

        def take(more: list[int]) -> None:
            nonlocal found
            found += len(more)

        await audience.walk(self.store, self.compiling(condition), take)
        return found, time.perf_counter() - begun_s

    async def preview(
        self, condition: Condition, texts: dict[str, str], purpose: str, *, has_basis: bool = False
    ) -> Funnel:
        """Whom a text to a checked condition would reach, and at what price.  Raises Invalid naming a wrong text."""
        settings = self.settings
        rules = preview.Rules(settings.house, self.pepper, settings.quiet, settings.caps, self.routing.price, has_basis)
        return await preview.walk(self.store, self.compiling(condition), texts, purpose, rules, self.now_ms())

    def select(self, txn: Txn, condition: Condition, after: int, limit: int) -> tuple[list[Customer], int]:
        """(customers above id `after` that a checked condition takes, the id to go on behind or 0 at the end)."""
        return audience.page(txn, self.compiling(condition)(txn), after, limit)

    def compiling(self, condition: Condition) -> audience.Compile:
        """How a walk gets the program of a checked condition, as of now and of this house."""
        with self.store.read() as txn:
            words = segments.words_of(txn)
        zone = self.settings.house.time_zone
        return audience.compiling(condition, words, segments.resolver, self.now_ms(), zone)

    def estimate_s(self, parts: int) -> float | None:
        """Seconds that `parts` more parts take at the measured rate, behind what waits; None without a modem."""
        rate = self.scheduler.rate_per_s()
        return (parts + self.scheduler.waiting_parts) / rate if rate else None

    @property
    def is_settled(self) -> bool:
        """Whether nothing is due, nothing is in the air and everything that came in was answered."""
        return self.scheduler.is_idle and self.inbound.is_idle

    async def receive(self, campaign: int) -> Arrival:
        """An upload to a campaign begins.  Raises NotFound, Conflict."""
        return await Arrival.begin(
            self.store, campaign, self.suppressions, self.now_ms, lambda: self.scheduler.is_pressed
        )

    def any_token(self) -> bool:
        """Whether anybody could sign in at all."""
        with self.store.read() as txn:
            return tokens.any_known(txn)

    def set_clock(self, now_ms: int) -> None:
        """Move the wall clock; what comes due by that is looked at again."""
        self.clock.set(now_ms)
        self.scheduler.nudge()
        self.greeter.nudge()
        self.delay.nudge()

    # -- starting and stopping

    async def number_tokens(self) -> None:
        """Give those that are older than numbers theirs."""
        with self.store.read() as txn:
            is_wanted = any(not token.number for _, token in tokens.TOKENS.scan(txn))
        if is_wanted:
            await self.store.write(tokens.number_all)

    async def discard_broken_uploads(self) -> None:
        """Remove what an upload left that was under way when the last run ended."""
        with self.store.read() as txn:
            broken = uploads.broken(txn)
        for campaign in broken:
            while await self.store.write(uploads.discard, campaign):
                pass

    async def stop(self) -> None:
        """Let what is in the air land, note the outcomes, close."""
        flying = await self.scheduler.rest(LANDING_S)
        if flying:
            log.warning("%d parts are still in the air: they become unknown", flying)
        await self.pool.close()
        await self.scheduler.finish()


def _cleaned(engine: Engine) -> Engine:
    """The engine, on a data file that holds nothing of people who were erased: compacted, if anybody was since then.

    Where that cannot be done now, what is asked for is served all the same, and the next start tries again.
    """
    with engine.store.read() as txn:
        is_wanted = erasure.wants_compaction(txn, engine.store.compacted_ms())
    if not is_wanted:
        return engine
    log.warning("somebody was erased: the data file is compacted")
    engine.store.close()
    try:
        compaction.compact(engine.store.directory, now_ms=engine.now_ms())
    except StoreError as error:
        log.error("the data file still holds people who were erased: %s", error)
    return Engine(engine.settings, engine.pepper, engine.clock)


@asynccontextmanager
async def running(settings: Settings, pepper: bytes, clock: Clock | None = None) -> AsyncIterator[Engine]:
    """An engine at work; leaving the context stops it in order.

    Raises StoreLocked, StoreVersion and StoreError where the data directory cannot be used.
    """
    clock = clock or Clock()
    engine = _cleaned(Engine(settings, pepper, clock))
    upkeep = Upkeep(engine.store, engine.now_ms, settings.keep, zone=settings.house.time_zone)
    try:
        await engine.number_tokens()
        await engine.discard_broken_uploads()
        async with asyncio.TaskGroup() as tasks:
            working = [
                tasks.create_task(engine.scheduler.run(), name="scheduler"),
                tasks.create_task(engine.inbound.run(), name="inbound"),
                tasks.create_task(engine.pool.run(), name="pool"),
                tasks.create_task(engine.greeter.run(), name="greeter"),
                tasks.create_task(upkeep.run(), name="upkeep"),
                tasks.create_task(engine.imports.run(), name="imports"),
                tasks.create_task(engine.delay.run(), name="delay"),
            ]
            try:
                yield engine
            finally:
                await asyncio.shield(engine.stop())
                for task in working:
                    task.cancel()
    finally:
        engine.store.close()
