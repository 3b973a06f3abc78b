"""Every rule and every contract breaks when it should: one violation at a time, in a copy of the sources."""

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.architecture import contracts, rules, tree

ROOT = Path(__file__).resolve().parent.parent

# Packages that may not be built yet, and that a planted import needs to be seen.
ROOMS = [
    "engine.apps.blocks",
    "engine.crm.sales",
    "engine.crm.activity",
    "engine.crm.service",
    "engine.crm.marketing",
    "engine.crm.people",
    "engine.crm.statistics",
]


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources alone, without binaries, tests or history."""
    copy = tmp_path_factory.mktemp("sources")
    for path in tree.code(ROOT, *tree.PACKAGES):
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    for name in ("pyproject.toml", "setup.py", ".gitignore"):
        shutil.copyfile(ROOT / name, copy / name)
    for room in ROOMS:
        touch(copy, room + ".__init__")
    return copy


@pytest.fixture
def copy(sources: Path, tmp_path: Path) -> Path:
    """Links: what is planted is written to a new file."""
    return Path(shutil.copytree(sources, tmp_path / "copy", copy_function=os.link))


def touch(root: Path, module: str) -> Path:
    """The file of a module, made if it is not there: a package's own if there is one."""
    stem = root.joinpath(*module.split("."))
    if (stem / "__init__.py").exists():
        return stem / "__init__.py"
    path = stem.with_suffix(".py")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def append(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    path.unlink(missing_ok=True)
    path.write_text(f"{before}\n{text}\n", encoding="utf-8")


def test_the_unharmed_copy_keeps_every_contract(sources: Path) -> None:
    checked = contracts.lint_imports(sources)
    assert checked.returncode == 0, checked.stdout


@dataclass(frozen=True)
class Trespass:
    """`importer` imports `imported`, which breaks `contract`."""

    contract: str
    importer: str
    imported: str
    statement: str = ""

    def __str__(self) -> str:
        return f"{self.contract}: {self.importer} imports {self.imported}"

    def plant(self, root: Path) -> None:
        if self.imported.split(".")[0] in tree.PACKAGES:
            touch(root, self.imported)
        importer = touch(root, self.importer)
        parent, _, name = self.imported.rpartition(".")
        default = f"from {parent} import {name}" if parent else f"import {name}"
        append(importer, self.statement or default)


TYPE_CHECKING = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    "

TRESPASSES = [
    Trespass("two-floors", "engine.traffic.scheduler", "server.wire"),
    Trespass("two-floors", "engine.wiring", "bench.case"),
    Trespass("two-floors", "server.app", "bench.case"),
    Trespass("engine-floors", "engine.errors", "engine.rack"),
    Trespass("engine-floors", "engine.rack", "engine.numbers"),
    Trespass("engine-floors", "engine.numbers", "engine.config"),
    Trespass("engine-floors", "engine.config", "engine.modem.tc35i"),
    Trespass("engine-floors", "engine.store.table", "engine.sms"),
    Trespass("engine-floors", "engine.sms", "engine.modem.at"),
    Trespass("engine-floors", "engine.modem.pool", "engine.store.environment"),
    Trespass("engine-floors", "engine.modem.tc35i", "engine.traffic.messages"),
    Trespass("engine-floors", "engine.traffic.messages", "engine.access.tokens"),
    Trespass("engine-floors", "engine.access.tokens", "engine.crm.people.staff"),
    Trespass("engine-floors", "engine.crm.people.customers", "engine.apps.router"),
    Trespass("engine-floors", "engine.apps.router", "engine.wiring"),
    Trespass("engine-floors", "engine.attic", "engine.errors"),  # a new room without a floor
    Trespass("server-floors", "server.wire", "server.app"),
    Trespass("server-floors", "server.context", "server.api.messages"),
    Trespass("server-floors", "server.api.messages", "server.console.pages"),
    Trespass("server-floors", "server.attic", "server.wire"),
    Trespass("crm-floors", "engine.crm.people.customers", "engine.crm.marketing.campaigns"),
    Trespass("crm-floors", "engine.crm.marketing.campaigns", "engine.crm.statistics.sales"),
    Trespass("crm-floors", "engine.crm.attic", "engine.errors"),
    Trespass("crm-siblings", "engine.crm.sales.orders", "engine.crm.marketing.coupons"),
    Trespass("crm-siblings", "engine.crm.service.requests", "engine.crm.activity.tasks"),
    Trespass("http-only-in-server", "engine.wiring", "aiohttp"),
    Trespass("http-only-in-server", "engine.access.webhooks", "aiohttp", "from aiohttp import ClientSession"),
    Trespass("http-only-in-server", "engine.apps.flow", "server.wire"),
    Trespass("crm-and-modem", "engine.crm.gate", "engine.modem.pool"),
    Trespass("crm-and-modem", "engine.modem.pool", "engine.crm.people.customers"),
    Trespass("sim-alone", "engine.sim.tc35i", "engine.modem.at"),
    Trespass("sim-alone", "engine.sim.network", "engine.sms"),
    Trespass("sim-alone", "engine.sim.line", "engine.attic"),
    Trespass("sim-users", "engine.wiring", "engine.sim.network"),
    Trespass("sim-users", "server.app", "engine.sim.network"),
    Trespass("sim-users", "server.cli", "engine.sim.rack"),
    Trespass("sim-users", "server.context", "engine.sim.line", TYPE_CHECKING + "from engine.sim import line"),
    Trespass("no-machinery", "engine.crm.marketing.campaigns", "engine.traffic.scheduler"),
    Trespass("no-machinery", "engine.apps.router", "engine.traffic.inbound"),
    Trespass("no-machinery", "engine.crm.gate", "engine.traffic.receipts"),
    Trespass("no-machinery", "server.api.messages", "engine.traffic.retry"),
    Trespass("no-machinery", "server.console.pages", "engine.traffic.reassembly"),
    Trespass("no-machinery", "server.webhooks", "engine.modem.pool"),
    Trespass("lmdb-only-in-store", "engine.traffic.messages", "lmdb"),
    Trespass("lmdb-only-in-store", "server.cli", "lmdb", "def backup():\n    import lmdb"),
    Trespass("serial-only-in-port", "engine.modem.pool", "serial", "from serial.tools import list_ports"),
    Trespass("routes-apart", "server.api.campaigns", "server.api.customers"),
    Trespass("blocks-apart", "engine.apps.blocks.questions", "engine.apps.blocks.orders"),
    Trespass("store-floors", "engine.store.codec", "engine.store.table"),
    Trespass("store-floors", "engine.store.table", "engine.store.environment"),
    Trespass("modem-floors", "engine.modem.at", "engine.modem.port"),
    Trespass("modem-floors", "engine.modem.tc35i", "engine.modem.pool"),
]


@pytest.mark.parametrize("trespass", TRESPASSES, ids=str)
def test_an_import_across_a_wall_breaks_its_contract(copy: Path, trespass: Trespass) -> None:
    trespass.plant(copy)
    checked = contracts.lint_imports(copy, trespass.contract)
    assert checked.returncode == 1, checked.stdout
    assert f"{contracts.names(copy)[trespass.contract]} BROKEN" in checked.stdout
    assert trespass.importer in checked.stdout, "broken by something else"


def test_two_siblings_that_import_each_other_are_a_cycle(copy: Path) -> None:
    Trespass("no-cycles", "engine.traffic.routes", "engine.traffic.quotas").plant(copy)
    assert contracts.lint_imports(copy, "no-cycles").returncode == 0
    Trespass("no-cycles", "engine.traffic.quotas", "engine.traffic.routes").plant(copy)
    checked = contracts.lint_imports(copy, "no-cycles")
    assert checked.returncode == 1
    assert "No cycles are allowed in engine.traffic" in checked.stdout


def test_every_contract_was_tried() -> None:
    assert {trespass.contract for trespass in TRESPASSES} | {"no-cycles"} == set(contracts.names(ROOT))


PERMITTED = [
    Trespass("sim-users", "server.laboratory", "engine.sim.network"),
    Trespass("sim-alone", "engine.sim.tc35i", "engine.errors"),
    Trespass("no-machinery", "server.context", "engine.wiring"),
    Trespass("no-machinery", "engine.crm.marketing.campaigns", "engine.traffic.messages"),
    Trespass("crm-siblings", "engine.crm.marketing.campaigns", "engine.crm.service.subscriptions"),
    Trespass("lmdb-only-in-store", "engine.store.environment", "lmdb"),
    Trespass("serial-only-in-port", "engine.modem.port", "serial"),
    Trespass("two-floors", "server.cli", "bench.case"),
]


@pytest.mark.parametrize("passage", PERMITTED, ids=str)
def test_a_door_in_the_wall_stays_open(copy: Path, passage: Trespass) -> None:
    Trespass("no-machinery", "engine.wiring", "engine.traffic.scheduler").plant(copy)
    passage.plant(copy)
    checked = contracts.lint_imports(copy, passage.contract)
    assert checked.returncode == 0, checked.stdout


@dataclass(frozen=True)
class Offence:
    """`text` appended to `path` breaks `rule`."""

    rule: Callable[[Path], list[str]]
    path: str
    text: str
    id: str

    def __str__(self) -> str:
        return f"{self.rule.__name__.replace('_', ' ')}: {self.id}"


FACE = rules.only_its_face_imports_a_native_module
CLOCK = rules.only_the_wiring_reads_the_clock
CATCH = rules.catch_all_lives_in_few_places
NOUN = rules.names_say_the_noun
CIMPORT = rules.native_modules_cimport_downward
FOREIGN = rules.no_foreign_javascript
LONG = "x = 1\n" * 501

OFFENCES = [
    Offence(FACE, "server/wire.py", "from engine import _pdu", "from the package"),
    Offence(FACE, "server/wire.py", "from engine import errors, _pdu as codec", "renamed"),
    Offence(FACE, "server/wire.py", "from engine._pdu import decode", "from the module"),
    Offence(FACE, "engine/traffic/inbound.py", "import engine._gsm7", "plain import"),
    Offence(FACE, "engine/traffic/inbound.py", "import engine._gsm7 as gsm7", "plain import, renamed"),
    Offence(FACE, "engine/rack.py", "from . import _ucs2", "from the same folder"),
    Offence(FACE, "engine/rack.py", "from ._segmentation import cut", "relative to the module"),
    Offence(FACE, "engine/crm/gate.py", "from .. import _queue", "from two folders up"),
    Offence(FACE, "engine/crm/gate.py", "from .._queue import Queue", "relative, two folders up"),
    Offence(FACE, "engine/apps/flow.py", "import importlib\nimportlib.import_module('engine._pdu')", "by name"),
    Offence(FACE, "engine/apps/flow.py", "x = __import__('engine._pdu')", "by the builtin"),
    Offence(FACE, "engine/apps/flow.py", "def f():\n    from engine import _pdu", "inside a function"),
    Offence(FACE, "engine/apps/flow.py", TYPE_CHECKING + "from engine import _pdu", "for types only"),
    Offence(FACE, "engine/traffic/messages.py", "from engine import _queue", "the queue, by a neighbour"),
    Offence(FACE, "engine/sms.py", "from engine import _queue", "the queue, by the codec's face"),
    Offence(FACE, "engine/sim/tc35i.py", "from engine import *", "everything"),
    Offence(CIMPORT, "engine/_ucs2.pyx", "from engine._gsm7 cimport pack", "a neighbour"),
    Offence(CIMPORT, "engine/_ucs2.pyx", "from engine cimport _gsm7", "a neighbour, from the package"),
    Offence(CIMPORT, "engine/_gsm7.pyx", "cimport engine._pdu", "upward"),
    Offence(CIMPORT, "engine/_gsm7.pxd", "from ._pdu cimport Writer", "upward, relative, in a declaration"),
    Offence(CIMPORT, "engine/_gsm7.pyx", "from engine._pdu cimport (\n    one,\n    two,\n)", "on many lines"),
    Offence(CIMPORT, "engine/_queue.pyx", "from engine import sms", "Python from Cython"),
    Offence(CIMPORT, "engine/_at.pyx", "    import engine.modem.at as at", "inside a function"),
    Offence(CIMPORT, "engine/_pdu.pyx", "from engine.traffic.messages import Part", "a module two floors up"),
    Offence(rules.native_modules_have_a_floor, "engine/_attic.pyx", "x = 1", "a new one"),
    Offence(rules.native_modules_lie_in_engine, "engine/store/_rows.pyx", "x = 1", "in a folder"),
    Offence(rules.native_modules_lie_in_engine, "engine/rows.pyx", "x = 1", "without the underscore"),
    Offence(rules.native_modules_are_not_included, "engine/_pdu.pyx", 'include "_fields.pxi"', "one line"),
    Offence(rules.every_pyx_has_a_stub, "engine/_rows.pyx", "x = 1", "none"),
    Offence(rules.every_stub_has_a_pyx, "engine/_ghost.pyi", "x: int", "alone"),
    Offence(rules.every_stub_has_a_pyx, "engine/errors.pyi", "x: int", "of a Python module"),
    Offence(rules.every_pxd_is_cimported, "engine/_lonely.pxd", "cdef int f()", "alone"),
    Offence(rules.every_folder_of_code_is_a_package, "engine/crm/attic/x.py", "x = 1", "a leaf"),
    Offence(rules.every_folder_of_code_is_a_package, "engine/attic/room/__init__.py", "", "a parent"),
    Offence(rules.roots_import_nothing, "engine/__init__.py", "from engine import _pdu", "a native module"),
    Offence(rules.roots_import_nothing, "server/__init__.py", "from engine.sim import line", "the simulator"),
    Offence(rules.no_file_is_longer_than_a_sitting, "engine/crm/gate.py", LONG, "Python"),
    Offence(rules.no_file_is_longer_than_a_sitting, "engine/_pdu.pyx", LONG, "Cython"),
    Offence(rules.no_file_is_longer_than_a_sitting, "engine/_pdu.pyi", LONG, "a stub"),
    Offence(rules.no_file_is_longer_than_a_sitting, "tests/test_long.py", LONG, "a test"),
    Offence(FOREIGN, "server/console/static/htmx.min.js", "x=1", "named so"),
    Offence(FOREIGN, "server/console/static/htmx.js", LONG, "long"),
    Offence(FOREIGN, "server/console/static/htmx.js", "x=1;" * 300, "in one line"),
    Offence(FOREIGN, "server/console/static/node_modules/a/a.js", "x=1", "by its folder"),
    Offence(NOUN, "engine/crm/utils.py", "", "a file"),
    Offence(NOUN, "engine/modem/port_manager.py", "", "a word of a file"),
    Offence(NOUN, "engine/core/__init__.py", "", "a folder"),
    Offence(NOUN, "engine/modem/pool.py", "class PoolManager: ...", "a class"),
    Offence(NOUN, "engine/modem/pool.py", "def f():\n    class SIMInfo: ...", "a class in a function"),
    Offence(NOUN, "engine/_pdu.pyx", "cdef class BaseField:\n    pass", "a class in Cython"),
    Offence(CLOCK, "engine/crm/gate.py", "import time\nnow = time.time()", "time.time"),
    Offence(CLOCK, "engine/crm/gate.py", "import time as t\ndef f(clock=t.time_ns): ...", "as a default"),
    Offence(CLOCK, "engine/crm/gate.py", "from time import time as now\nnow()", "renamed"),
    Offence(CLOCK, "engine/crm/gate.py", "import time\ntime.gmtime()", "broken down"),
    Offence(CLOCK, "server/api/messages.py", "from datetime import UTC, datetime\ndatetime.now(UTC)", "datetime"),
    Offence(CLOCK, "server/api/messages.py", "import datetime as dt\ndt.datetime.utcnow()", "by module"),
    Offence(CLOCK, "server/api/messages.py", "from datetime import date\ndate.today()", "a date"),
    Offence(CLOCK, "engine/_queue.pyx", "cdef extern from 'time.h':\n    int clock_gettime(int, void*)", "in C"),
    Offence(CATCH, "engine/crm/gate.py", "try:\n    x\nexcept Exception:\n    raise", "Exception"),
    Offence(CATCH, "engine/crm/gate.py", "try:\n    x\nexcept (OSError, Exception) as e:\n    pass", "in a tuple"),
    Offence(CATCH, "engine/crm/gate.py", "try:\n    x\nexcept:\n    pass", "bare"),
    Offence(CATCH, "engine/crm/gate.py", "try:\n    x\nexcept BaseException:\n    pass", "BaseException"),
    Offence(
        CATCH,
        "engine/crm/gate.py",
        "from contextlib import suppress\nwith suppress(Exception): x",
        "suppress",
    ),
    Offence(CATCH, "engine/_pdu.pyx", "try:\n    x\nexcept Exception:\n    pass", "in Cython"),
]


@cache
def unharmed(rule: Callable[[Path], list[str]], sources: Path) -> list[str]:
    """What a rule says of what nothing is planted in."""
    return rule(sources)


@pytest.mark.parametrize("offence", OFFENCES, ids=str)
def test_an_offence_breaks_its_rule(sources: Path, copy: Path, offence: Offence) -> None:
    before = unharmed(offence.rule, sources)
    append(copy / offence.path, offence.text)
    fresh = [line for line in offence.rule(copy) if line not in before]
    assert fresh, "not noticed"
    assert any(offence.path.startswith(re.split(r"[ :]", line)[0]) for line in fresh), fresh


def test_every_rule_was_tried() -> None:
    assert {offence.rule for offence in OFFENCES} == set(rules.RULES)


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        pytest.param(FACE, "engine/sms.py", "from engine import _pdu", id="the codec's face"),
        pytest.param(FACE, "engine/traffic/scheduler.py", "from engine import _queue", id="the scheduler"),
        pytest.param(CIMPORT, "engine/_pdu.pyx", "from engine._octets cimport writer", id="downward"),
        pytest.param(CLOCK, "engine/wiring.py", "import time\ntime.time_ns()", id="the wiring's clock"),
        pytest.param(CLOCK, "engine/modem/tc35i.py", "import time\ntime.monotonic()", id="monotonic time"),
        pytest.param(CLOCK, "engine/crm/gate.py", "import time\ntime.gmtime(0)", id="converting a time"),
        pytest.param(CLOCK, "engine/crm/gate.py", "def f(time):\n    return time.time()", id="another time"),
        pytest.param(CATCH, "engine/crm/gate.py", "try:\n    x\nexcept BaseException:\n    raise", id="tidying"),
        pytest.param(NOUN, "bench/baseline/fields.py", "class Database: ...", id="a word inside a word"),
    ],
)
def test_what_a_rule_allows(sources: Path, copy: Path, rule: Callable[[Path], list[str]], path: str, text: str) -> None:
    append(copy / path, text)
    assert rule(copy) == unharmed(rule, sources)
