"""The command line.  A command's docstring is its help; exit codes are for scripts.

0 done · 1 refused or not ready · 2 wrong call or settings.

What serves is imported by the commands that serve: the others start in half the time without it.
"""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from engine import proof
from engine.access import rights, tokens
from engine.config import Http, Settings, validate
from engine.crm.people import audit_heads
from engine.errors import CarillonError, ConfigError, Invalid, StoreError
from engine.migration import MIGRATIONS
from engine.store import backup, compaction
from engine.store.environment import Store
from engine.wiring import TABLES, Clock
from server import settings as files

if TYPE_CHECKING:
    from server.laboratory import Latency
    from server.serving import Served

app = typer.Typer(
    help="Carillon: an SMS engine over a rack of TC35i modems, and a mobile CRM.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
audit_log = typer.Typer(help="The audit log.", no_args_is_help=True)
app.add_typer(audit_log, name="audit")
console: Final = Console(highlight=False)
errors: Final = Console(stderr=True, highlight=False)

_PROVEN_ROWS: Final = 20_000  # in one snapshot: an old reader stops the server from using pages again

ConfigFile = Annotated[Path | None, typer.Option("--config", help="A TOML file.")]
DataFolder = Annotated[Path | None, typer.Option("--data", help="The data directory.")]
LatencyMs = Annotated[str, typer.Option(help="Milliseconds a part is on the air, or realistic.")]
ReportDelayMs = Annotated[int, typer.Option(min=0, help="Milliseconds from acceptance to the status report.")]
Ledger = Annotated[Path | None, typer.Option(help="A file: a line of JSON for every PDU the simulated network takes.")]


def main() -> None:
    """The entry point: what we raise on purpose is one line and an exit code, not a traceback."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        app()
    except ConfigError as error:
        errors.print(f"carillon: {error}", markup=False, soft_wrap=True)
        sys.exit(2)
    except CarillonError as error:
        errors.print(f"carillon: {error}", markup=False, soft_wrap=True)
        sys.exit(1)
    except BaseExceptionGroup as group:
        ours, others = group.split(CarillonError)
        if ours is None or others is not None:
            raise
        found = list(_leaves(ours))
        for one in found:
            errors.print(f"carillon: {one}", markup=False, soft_wrap=True)
        sys.exit(2 if all(isinstance(one, ConfigError) for one in found) else 1)


def _leaves(group: BaseExceptionGroup[CarillonError]) -> Iterator[CarillonError]:
    for one in group.exceptions:
        if isinstance(one, BaseExceptionGroup):
            yield from _leaves(one)
        else:
            yield one


def _settings(config: Path | None, data: Path | None) -> Settings:
    settings = files.load(config, os.environ)
    return settings if data is None else msgspec.structs.replace(settings, data=str(data))


def _latency(text: str) -> "Latency":
    if text == "realistic":
        return "realistic"
    if not (text.isascii() and text.isdigit()):
        raise ConfigError(f"--latency-ms: {text!r} is neither a number of milliseconds nor realistic")
    return int(text)


@app.command()
def demo(
    host: str = "127.0.0.1",
    port: int = 8080,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps everything.")] = Path(".demo"),
) -> None:
    """Eight simulated modems, a town of customers, a campaign running, a page to watch it."""
    import uvloop

    from server import demo as town
    from server import serving

    folder = folder.absolute()
    settings = town.settings_in(folder, host, port)
    pepper = files.read_key(folder / files.KEY_FILE)
    token = town.token_in(folder)

    def say(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    uvloop.run(serving.serve(settings, pepper, town.simulation_in(folder), town.started_with(token, say)))
    errors.print("\nStopped. Everything is kept in", str(folder))


@app.command()
def serve(
    config: ConfigFile = None,
    data: DataFolder = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="0 takes a free one.")] = None,
    ports: Annotated[list[str] | None, typer.Option("--modem", help="A port or a glob; again for more.")] = None,
    command_gap_ms: Annotated[int | None, typer.Option(help="Silence before each command; a TC35i wants 100.")] = None,
    simulate: Annotated[int, typer.Option(help="Run on so many simulated modems.")] = 0,
    latency_ms: LatencyMs = "0",
    report_delay_ms: ReportDelayMs = 0,
    ledger: Ledger = None,
    check_config: Annotated[bool, typer.Option("--check-config", help="Only check the settings.")] = False,
) -> None:
    """Serve HTTP and drive the rack until Ctrl-C."""
    settings = _settings(config, data)
    http = Http(settings.http.host if host is None else host, settings.http.port if port is None else port)
    modems = settings.modems
    if ports:
        modems = msgspec.structs.replace(modems, ports=tuple(ports))
    if command_gap_ms is not None or simulate:
        # A simulated modem needs no silence.
        modems = msgspec.structs.replace(modems, command_gap_ms=command_gap_ms or 0)
    settings = validate(msgspec.structs.replace(settings, http=http, modems=modems))
    latency = _latency(latency_ms)
    if check_config:
        console.print("The settings are good.")
        return
    import uvloop

    from server import serving

    pepper = files.read_key(files.key_path(config, settings))
    simulation = None
    if simulate:
        folder = Path(settings.data).absolute().parent / "rack"
        simulation = serving.Simulation(simulate, folder, latency, report_delay_ms, ledger)

    async def started(served: "Served") -> None:
        console.print(f"Carillon listens on {served.url}")
        if served.token:
            console.print(f"A first token was made; it is shown this once: {served.token}", soft_wrap=True)
        sys.stdout.flush()

    uvloop.run(serving.serve(settings, pepper, simulation, started))


@app.command()
def simulate(
    modems: Annotated[int, typer.Option(min=1, max=1000)] = 8,
    folder: Annotated[Path, typer.Option("--dir", help="Where the links to the ports stand.")] = Path("rack"),
    latency_ms: LatencyMs = "realistic",
    report_delay_ms: ReportDelayMs = 3000,
    ledger: Ledger = None,
    seed: int = 1,
) -> None:
    """A rack of simulated TC35i modems on pseudo-terminals, for any program."""
    import uvloop

    from server import laboratory

    latency = _latency(latency_ms)

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        rack = laboratory.rack_of(
            folder, modems, Clock(), latency_ms=latency, report_delay_ms=report_delay_ms, ledger=ledger, seed=seed
        )
        async with rack as simulated:
            console.print(f"{modems} simulated modems stand at {folder / 'modem-*'}; see {folder / 'rack.json'}")
            sys.stdout.flush()
            await stop.wait()
            console.print(f"{len(simulated.network.accepted)} parts were accepted.")

    uvloop.run(run())


@app.command()
def token(
    name: str,
    scopes: Annotated[
        list[str] | None,
        typer.Option("--scope", help="A right, as messages:send; again for more. Without: every right."),
    ] = None,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """Make a bearer token for NAME and show it once.  The server must not be running."""
    settings = _settings(config, data)
    try:
        scoped = rights.checked(scopes or ())
    except Invalid as error:
        raise ConfigError(f"--scope: {error.params[0].reason}; the rights are {', '.join(rights.RIGHTS)}") from error
    store = Store(Path(settings.data), TABLES, migrations=MIGRATIONS)
    try:
        made = tokens.fresh()
        store.write_now(tokens.add, made, name, Clock().now_ms(), scoped)
    finally:
        store.close()
    console.print(made, soft_wrap=True)


def _existing(settings: Settings) -> Path:
    folder = Path(settings.data)
    if not (folder / "data.mdb").exists():
        raise StoreError(f"{folder} holds no data")
    return folder


def _show_entries(tables: Iterable[tuple[str, int]]) -> None:
    shown = Table("table", "entries", box=None)
    shown.columns[1].justify = "right"
    for name, entries in tables:
        if entries:
            shown.add_row(name, f"{entries:,}")
    console.print(shown)


@contextmanager
def _progress(doing: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, nothing elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as shown:
        task = shown.add_task(doing, total=None)
        yield lambda octets, most: shown.update(task, completed=octets, total=most)


@app.command("backup")
def take_backup(
    target: Annotated[Path, typer.Argument(help="A directory that does not exist yet.")],
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """Copy the data into the new directory TARGET, also while the server runs."""
    settings = _settings(config, data)
    folder = _existing(settings)
    if folder.resolve() in target.resolve().parents:
        raise ConfigError(f"{target} is inside the data directory")
    with _progress("copying") as progress:
        manifest = backup.take(folder, target, Clock().now_ms(), progress)
    _show_entries(manifest.tables.items())
    console.print(f"Backed up to {target}: {manifest.octets:,} octets.", markup=False, soft_wrap=True)
    key = files.key_path(config, settings)
    console.print(f"The key file {key} is not in it: keep a copy of it elsewhere.", markup=False, soft_wrap=True)
    heads = folder / audit_heads.FILE
    if heads.exists():
        # They prove the log only where whoever has the data cannot reach them.
        said = f"The heads of the audit log are not in it: copy {heads} elsewhere."
        console.print(said, markup=False, soft_wrap=True)


@app.command("restore")
def restore_backup(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="What `carillon backup` made.")],
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """Make the data directory, which must be missing or empty, from BACKUP."""
    settings = _settings(config, data)
    with _progress("restoring") as progress:
        manifest = backup.restore(source, Path(settings.data), progress)
    _show_entries(manifest.tables.items())
    taken = datetime.fromtimestamp(manifest.taken_ms / 1000, UTC)
    console.print(f"Restored {settings.data} as of {taken:%Y-%m-%d %H:%M:%S} UTC.", markup=False, soft_wrap=True)
    key = files.key_path(config, settings)
    if key.exists():
        said = f"The key file is not part of a backup: {key} must be the one that the data was written with."
    else:
        said = f"The key file is not part of a backup: put yours back at {key} before you start the server."
    console.print(said, markup=False, soft_wrap=True)


@app.command()
def compact(config: ConfigFile = None, data: DataFolder = None) -> None:
    """Write the data file anew without the room that is free in it: while no server runs, with room for the copy."""
    folder = _existing(_settings(config, data))
    with _progress("compacting") as progress:
        sizes = compaction.compact(folder, progress, Clock().now_ms())
    said = f"Compacted {folder}: {sizes.before:,} octets before, {sizes.after:,} octets after."
    console.print(said, markup=False, soft_wrap=True)


@app.command()
def check(config: ConfigFile = None, data: DataFolder = None) -> None:
    """Prove that indexes, tallies, the due line and intents equal a rebuild.  Exit 1 at the first difference."""
    store = Store(_existing(_settings(config, data)), TABLES, read_only=True)
    try:
        with store.read() as txn:
            found = list(proof.differences(txn))
            sizes = [(table.name, table.count(txn)) for table in TABLES]
    finally:
        store.close()
    _show_entries(sizes)
    for line in found:
        errors.print(line, markup=False, soft_wrap=True)
    if found:
        raise typer.Exit(1)
    console.print("Whole: every index, tally and intent is as a rebuild makes it.")


@audit_log.command("verify")
def verify_audit(config: ConfigFile = None, data: DataFolder = None) -> None:
    """Prove that every row of the audit log is as it was written.  Exit 1 naming the first that is not."""
    settings = _settings(config, data)
    folder = _existing(settings)
    key = files.key_path(config, settings)
    # Without the key file the chain is proven, and the values that it binds are not.
    walk = audit_heads.walk(folder / audit_heads.FILE, files.read_key(key) if key.exists() else None)
    store = Store(folder, TABLES, read_only=True)
    try:
        more = True
        while more:
            with store.read() as txn:
                more = walk.step(txn, _PROVEN_ROWS)
    finally:
        store.close()
    broken = walk.broken
    if broken is not None:
        where = f"row {broken.number}{f' ({broken.name})' if broken.name else ''}: " if broken.number else ""
        errors.print(f"Broken: {where}{broken.reason}.", markup=False, soft_wrap=True)
        console.print(f"{walk.rows:,} rows before it are as they were written.")
        raise typer.Exit(1)
    console.print(f"Whole: {walk.rows:,} rows, each as it was written.")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def bench(context: typer.Context) -> None:
    """Run the benchmarks of this checkout: see bench/README.md."""
    raise typer.Exit(subprocess.run([sys.executable, "-m", "bench", *context.args], check=False).returncode)  # noqa: S603
