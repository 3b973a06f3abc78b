"""What every test shares: settings of Hypothesis, and someone who hears what is encoded."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.engine import witnesses

# A busy machine must not fail a property; CI looks at more examples, and at the same ones every time.
settings.register_profile("here", deadline=None, max_examples=60)
settings.register_profile("ci", deadline=None, max_examples=100, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


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
