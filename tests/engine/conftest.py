"""A real store in a new directory, with every table of the engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.store.environment import Store
from engine.wiring import TABLES


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data", TABLES)
    yield opened
    opened.close()
