"""What every test shares: settings of Hypothesis, someone who hears what is encoded, and how the time is saved."""

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings

from tests.engine import witnesses

# A busy machine must not fail a property; CI looks at more examples, and at the same ones every time.
settings.register_profile("here", deadline=None, max_examples=60)
settings.register_profile("ci", deadline=None, max_examples=100, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

# Collecting makes nothing but what stays: to look through it again and again would take seconds.
gc.disable()

# A flush to a disk is most of what many tests would wait for, and none of them can pull the plug.  Those of the store
# stay on the disk (engine/store/conftest.py).
MEMORY = Path("/dev/shm")  # noqa: S108
MEMORY_LEAST = 2 << 30  # octets


def pytest_configure(config: pytest.Config) -> None:
    """Let `tmp_path` stand in memory, unless somebody says where, or there is none to speak of.

    Where Python is told to write no bytecode, the many servers that are started find some that is theirs alone: without
    it each would compile all sources anew.
    """
    if config.option.basetemp is None and is_fit(MEMORY):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", None) and "PYTHONPYCACHEPREFIX" not in os.environ:
        bytecode = tempfile.mkdtemp(prefix="carillon-bytecode-")
        os.environ["PYTHONPYCACHEPREFIX"] = bytecode
        config.add_cleanup(partial(shutil.rmtree, bytecode, ignore_errors=True))


def is_fit(folder: Path) -> bool:
    """Whether tests can be at home there: that is roomy, writable, and lets programs run that are built in it."""
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        return False
    return shutil.disk_usage(folder).free >= MEMORY_LEAST and not os.statvfs(folder).f_flag & os.ST_NOEXEC


@pytest.fixture(scope="session", autouse=True)
def overheard() -> Iterator[witnesses.Recorder]:
    """Hears what is encoded in any test, for the last one."""
    with witnesses.listening() as recorder:
        yield recorder


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    witnesses.goes_last(items)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(5_000, 20, 50)
    gc.enable()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in witnesses.SAID:
        terminalreporter.write_line(line)
