"""The contract as a stranger's tool reads it: schemathesis calls everything that is published, rightly and wrongly."""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.server.conftest import TOKEN, Place, place_in

IS_LONG = bool(os.environ.get("CARILLON_LONG"))
SEED = 20_260_101

# Checks that are left out, and why.
EXCLUDED = {
    # A schema cannot say which numbers can be dialled, which texts fit into 255 parts, what was declared with what
    # else, or that two times are in order: much that fits the schema is refused with 422, by the field's name.
    "positive_data_acceptance": "what is possible is told by rules, not by schemas",
}


async def run(place: Place, examples: int, phases: Sequence[str], *more: str) -> None:
    """Let schemathesis at a place; what it finds is printed."""
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", str(place.client.make_url("/openapi.json")),
        "--header", f"Authorization: Bearer {TOKEN}",
        "--checks", "all", "--exclude-checks", ",".join(EXCLUDED),
        "--phases", ",".join(phases), "--max-examples", str(examples),
        "--seed", str(SEED), "--generation-database", "none",
        "--suppress-health-check", "all", "--warnings", "off", "--continue-on-failure",
        "--request-timeout", "20", "--no-color", *more,
    ]  # fmt: skip
    # Its bytecode lies beside it: it is not one of our sources.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPYCACHEPREFIX"}
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=place.engine.store.directory,
        env=environment,
    )  # fmt: skip
    assert process.stdout is not None
    print((await process.stdout.read()).decode())
    assert await process.wait() == 0, "see what was printed"
    assert place.differences() == []


def test_few_checks_are_left_out() -> None:
    assert len(EXCLUDED) <= 5


async def test_what_is_published_holds(tmp_path: Path) -> None:
    """Two at once, each at a place of its own: nearly all of the time is theirs, not the server's."""

    async def of(*phases: str) -> None:
        async with place_in(tmp_path / phases[0], 1) as place:
            await place.ready()
            await run(place, 200 if IS_LONG else 8, phases)

    async with asyncio.TaskGroup() as both:
        both.create_task(of("coverage"))
        both.create_task(of("examples", "fuzzing"))


@pytest.mark.skipif(not IS_LONG, reason="takes minutes: CARILLON_LONG=1")
async def test_what_is_published_holds_call_after_call(tmp_path: Path) -> None:
    async with place_in(tmp_path, 1) as place:
        await place.ready()
        await run(place, 200, ["stateful"])
