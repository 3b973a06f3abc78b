"""Whether the process lives, and whether it can send."""

from tests.server.conftest import Place


async def test_a_server_without_modems_lives_but_is_not_ready(desk: Place) -> None:
    alive = await desk.call("GET", "/healthz", token=None)
    ready = await desk.call("GET", "/readyz", token=None, held=False)
    assert (alive.status, alive.body) == (200, {"status": "ok"})
    assert (ready.status, ready.body["type"]) == (503, "urn:carillon:problem:no_modem")


async def test_not_ready_is_answered_as_published(desk: Place) -> None:
    await desk.call("GET", "/readyz", token=None)


async def test_a_server_is_ready_once_its_modems_are(house: Place) -> None:
    answer = await house.call("GET", "/readyz", token=None)
    assert (answer.status, answer.body) == (200, {"status": "ok", "modems_ready": 2})
