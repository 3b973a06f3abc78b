"""Inbound: what a modem read, to a receipt or a text, and to whoever answers.

Two changes each: first what came is stored, and only then is it deleted from the SIM; then whoever `route` finds
acts and the reply is queued, in one transaction.  A crash between the two leaves the text in the inbox, where the
next start finds it: there is exactly one answer.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import msgspec

from engine import sms
from engine.errors import CodecError, StoreError
from engine.store import ids
from engine.store.environment import Store
from engine.store.table import Note, Table, Txn
from engine.traffic import events, inbox, messages, reassembly, receipts
from engine.traffic.inbox import INBOX, RECEIVED, Progress, Route
from engine.traffic.messages import Message

log = logging.getLogger(__name__)

SWEEP_S: Final = 30.0
STORE_PAUSE_S: Final = 1.0


class Unreadable(msgspec.Struct, frozen=True, array_like=True):
    """A record that a modem held and nobody can read: kept as it was, so that nothing is lost."""

    sim: int
    pdu: str
    length: int
    reason: str
    at_ms: int


UNREADABLE: Final = Table("unreadable", Unreadable)

TABLES: Final = (UNREADABLE,)


def take(txn: Txn, sim: int, pdu: str, length: int | None, now_ms: int) -> None:
    """Store what a modem read: a report's outcome, a text or part of one, or octets that are neither."""
    try:
        tpdu = sms.read(pdu, length)
    except CodecError as error:
        identifier = ids.take(txn, now_ms)
        UNREADABLE.put(txn, identifier, Unreadable(sim, pdu, length or 0, str(error), now_ms))
        events.append(txn, "message.unreadable", now_ms, messages.name(identifier), reason=error.reason)
        return
    if isinstance(tpdu, sms.StatusReport):
        receipts.take(txn, sim, tpdu, now_ms)
    elif isinstance(tpdu, sms.Deliver):
        reassembly.take(txn, sim, tpdu, now_ms)


def answer(txn: Txn, identifier: int, route: Route, now_ms: int) -> None:
    """Let `route` act on a stored text and queue its replies."""
    received = RECEIVED.find(txn, identifier)
    if received is None or INBOX.find(txn, identifier) is None:
        return
    routed = route(txn, received, now_ms)
    number = routed.number or inbox.key_of(received.originator)
    for reply in routed.replies if number else ():
        text = Message(0, number, reply.text, reply.purpose, reply.lane, source="command", in_reply_to=received.id)
        messages.enqueue(txn, text, now_ms)
    inbox.mark_routed(txn, received, Progress.ROUTED, routed.to)


def give_up(txn: Txn, identifier: int, now_ms: int) -> None:
    """Acting on it failed: it stays readable, flagged, and blocks nothing."""
    received = RECEIVED.get(txn, identifier)
    inbox.mark_routed(txn, received, Progress.FAILED, "")
    events.append(txn, "message.route_failed", now_ms, inbox.name(identifier))


class Inbound:
    """Takes from the modems, answers from the inbox."""

    def __init__(self, store: Store, route: Route, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._route = route
        self._now_ms = now_ms
        self._waiting: set[int] = set()
        self._wake = asyncio.Event()
        self._swept_ms = 0
        store.follow(self._follow)

    async def received(self, imsi: str, _port: str, pdu: str, length: int | None) -> None:
        """Store what a modem read; returns once it is durable, so that the modem may delete it."""
        await self._store.write(take, int(imsi), pdu, length, self._now_ms())

    def _follow(self, notes: list[Note]) -> None:
        for note in notes:
            if note.line == INBOX.name and note.value is not None:
                self._waiting.add(note.key[0])
                self._wake.set()

    @property
    def is_idle(self) -> bool:
        """Whether everything that came in has been answered."""
        return not self._waiting

    async def run(self) -> None:
        """Answer what waits, oldest first, and sweep what never became whole."""
        with self._store.read() as txn:
            self._waiting |= {key[0] for key, _ in INBOX.scan(txn)}
        while True:
            self._wake.clear()
            try:
                for identifier in sorted(self._waiting):
                    await self._answer(identifier)
                    self._waiting.discard(identifier)
                if self._waiting:
                    continue
                if self._now_ms() >= self._swept_ms + SWEEP_S * 1000:
                    await self._store.write(reassembly.expire, self._now_ms())
                    self._swept_ms = self._now_ms()
            except StoreError as error:
                log.error("nothing is answered while the store refuses: %s", error)
                await asyncio.sleep(STORE_PAUSE_S)
                continue
            try:
                async with asyncio.timeout(SWEEP_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _answer(self, identifier: int) -> None:
        try:
            await self._store.write(answer, identifier, self._route, self._now_ms())
        except StoreError:
            raise
        except Exception:  # one text that an application trips over must not stop the others, now or after a restart
            log.exception("text %s could not be answered", inbox.name(identifier))
            await self._store.write(give_up, identifier, self._now_ms())
