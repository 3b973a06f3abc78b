"""The page of the HTTP interface in a real browser: every call is there, and one is tried."""

from pathlib import Path

import pytest

from tests.server.conftest import TOKEN, place_in

from .chromium import PROGRAM, opened

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed: apt-get install chromium")


async def test_every_call_is_shown_and_can_be_tried_with_a_token(tmp_path: Path) -> None:
    async with place_in(tmp_path) as place:
        published = {
            operation["operationId"] for item in place.document["paths"].values() for operation in item.values()
        }
        async with opened(tmp_path / "profile", f"{place.client.make_url('/docs')}#messages_send") as tab:
            await tab.until("document.querySelectorAll('details.operation').length > 0")
            shown = await tab.tell("[...document.querySelectorAll('details.operation')].map((one) => one.id)")
            assert set(shown) == published
            await tab.until("document.querySelector('#messages_send form') !== null")
            await tab.tell(f"document.getElementById('docs-token').value = {TOKEN!r}")
            await tab.tell(
                "document.querySelector('#messages_send textarea').value ="
                """ JSON.stringify({to: "+8613912345678", text: "hello"})"""
            )
            await tab.tell("document.querySelector('#messages_send [name=\"Idempotency-Key\"]').value = 'k-1'")
            for said in ("202", "idempotency-replayed: true"):
                await tab.click("#messages_send button")
                await tab.until(f"document.querySelector('#messages_send .answer').textContent.includes('{said}')")
            assert tab.complaints == []
        assert len((await place.call("GET", "/v1/messages")).body["items"]) == 1
