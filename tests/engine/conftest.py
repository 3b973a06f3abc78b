"""A real store in a new directory, with every table of the engine; and someone who hears what is encoded."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.store.environment import Store
from engine.wiring import TABLES
from tests.engine import witnesses


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data", TABLES)
    yield opened
    opened.close()


@pytest.fixture(scope="session", autouse=True)
def overheard() -> Iterator[witnesses.Recorder]:
    """Hears what is encoded in any test, for the last one."""
    with witnesses.listening() as recorder:
        yield recorder


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    witnesses.goes_last(items)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in witnesses.SAID:
        terminalreporter.write_line(line)
