"""Serving: an engine, its HTTP face and the signals that end both."""

import asyncio
import gc
import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from aiohttp import web

from engine.access import tokens
from engine.config import Http, Settings
from engine.errors import ConfigError
from engine.wiring import Clock, Engine, running
from server import laboratory
from server.app import build
from server.context import Laboratory

SWITCH_S: Final = 0.0005
# Work makes few cycles and many tuples: Python would look through them all after every 700.
COLLECTED: Final = (20_000, 20, 50)
GOODBYE_S: Final = 2.0  # for open streams and requests


@dataclass(frozen=True, slots=True)
class Simulation:
    """A rack to run the server on in place of real modems."""

    modems: int
    directory: Path
    latency_ms: laboratory.Latency = 0
    report_delay_ms: int | tuple[int, int] = 0
    ledger: Path | None = None
    replies: tuple[laboratory.Reply, ...] = ()


@dataclass(frozen=True, slots=True)
class Served:
    """What is at work: `token` is set where one was made at this start, to be shown once."""

    engine: Engine
    url: str
    token: str | None


async def serve(
    settings: Settings,
    pepper: bytes,
    simulation: Simulation | None,
    started: Callable[[Served], Awaitable[None]],
) -> None:
    """Serve until SIGINT or SIGTERM.  `started` runs beside it and may end by itself.

    Raises what `running` raises, and ConfigError where the address cannot be listened on.
    """
    # The writer's thread gives the interpreter back ten times as soon as it would by itself: who asks waits for less.
    sys.setswitchinterval(SWITCH_S)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _stop_once, stop, loop)
    # Before the engine: who cannot listen must not have sent anything.
    with _listen(settings.http) as listener:
        await _serve_on(listener, settings, pepper, simulation, started, stop)


async def _serve_on(
    listener: socket.socket,
    settings: Settings,
    pepper: bytes,
    simulation: Simulation | None,
    started: Callable[[Served], Awaitable[None]],
    stop: asyncio.Event,
) -> None:
    clock = Clock()
    if simulation is None:
        async with running(settings, pepper, clock) as engine:
            await _serve(engine, listener, None, started, stop)
        return
    async with laboratory.rack_of(
        simulation.directory,
        simulation.modems,
        clock,
        latency_ms=simulation.latency_ms,
        report_delay_ms=simulation.report_delay_ms,
        ledger=simulation.ledger,
        replies=simulation.replies,
    ) as rack:
        modems = msgspec.structs.replace(settings.modems, ports=(str(simulation.directory / "modem-*"),))
        settings = msgspec.structs.replace(settings, modems=modems)
        async with running(settings, pepper, clock) as engine:
            await _serve(engine, listener, laboratory.RackLaboratory(engine, rack), started, stop)


def _stop_once(stop: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
    stop.set()
    # A second signal ends it the hard way: the store does not mind.
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)


async def _serve(
    engine: Engine,
    listener: socket.socket,
    lab: Laboratory | None,
    started: Callable[[Served], Awaitable[None]],
    stop: asyncio.Event,
) -> None:
    # What stands from the start on is no garbage: looking through it again and again stops everything for 10 ms.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTED)
    token = await _let_in(engine)
    runner = web.AppRunner(
        build(engine, lab), access_log=None, handle_signals=False, shutdown_timeout=GOODBYE_S, auto_decompress=False
    )
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        host, port = runner.addresses[0][:2]
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
        beside = asyncio.ensure_future(started(Served(engine, url, token)))
        waiting = asyncio.ensure_future(stop.wait())
        await asyncio.wait({beside, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if beside.done():
            beside.result()
        await waiting
        beside.cancel()
    finally:
        await runner.cleanup()


def _listen(http: Http) -> socket.socket:
    """The socket to serve on.  Raises ConfigError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in http.host else socket.AF_INET
    try:
        return socket.create_server((http.host, http.port), family=family)
    except OSError as error:
        why = (error.strerror or str(error)).partition(" (while")[0]
        raise ConfigError(f"http: cannot listen on {http.host}:{http.port}: {why}") from error


async def _let_in(engine: Engine) -> str | None:
    """See that there is a token; the one that was made for want of any.  Raises ConfigError."""
    brought = os.environ.get("CARILLON_TOKEN")
    if brought:
        if len(brought) < tokens.SHORTEST:
            raise ConfigError(f"CARILLON_TOKEN: is shorter than {tokens.SHORTEST} characters")
        await engine.store.write(tokens.add, brought, "environment", engine.now_ms())
        return None
    if engine.any_token():
        return None
    host = engine.settings.http.host
    if not _is_loopback(host):
        raise ConfigError(
            f"http.host: {host} is not this machine alone, and there is no token yet: "
            "make one with `carillon token NAME` first"
        )
    token = tokens.fresh()
    await engine.store.write(tokens.add, token, "first", engine.now_ms())
    return token


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
