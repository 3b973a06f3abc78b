"""What is said of flushes, of room and of killed processes is tried on a disk."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ON_DISK = ("test_backup", "test_compaction", "test_environment")


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    if request.path.stem not in ON_DISK:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="carillon-store-") as name:
        yield Path(name)
