"""Calls by the clock."""

import asyncio
import time

from engine.sim.agenda import Agenda

from .conftest import Clock, until


async def test_runs_what_is_due_in_order_and_what_that_makes_due(clock: Clock) -> None:
    agenda, done = Agenda(clock), []
    agenda.at(clock.ms + 20, done.append, "late")
    agenda.at(clock.ms + 10, done.append, "first")
    agenda.at(clock.ms + 10, lambda: agenda.at(clock.ms, done.append, "child"))
    clock.ms += 10
    assert agenda.wake() == 3
    assert done == ["first", "child"]
    assert agenda.next_ms == clock.ms + 10
    agenda.close()
    assert len(agenda) == 0


async def test_wakes_by_itself_while_the_clock_runs() -> None:
    agenda, done = Agenda(lambda: time.time_ns() // 1_000_000), asyncio.Event()
    agenda.at(time.time_ns() // 1_000_000 + 20, done.set)
    async with asyncio.timeout(5):
        await done.wait()


async def test_never_calls_from_inside_at(clock: Clock) -> None:
    agenda, done = Agenda(clock), []
    agenda.at(clock.ms, done.append, 1)
    assert done == []
    await until(lambda: done)
