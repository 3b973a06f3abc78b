import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import ClientResponse

from engine.access import sessions
from engine.crm.marketing import campaigns
from engine.wiring import Clock
from server.console import live, pages
from server.console.fragments import NAMES
from server.console.live import Broadcaster, event

from .conftest import Visitor

PATIENCE_S = 5.0


class Stream:
    """A browser's EventSource: `next` is the next event's name and data."""

    def __init__(self, response: ClientResponse) -> None:
        self.response = response

    async def block(self) -> list[str]:
        lines: list[str] = []
        async with asyncio.timeout(PATIENCE_S):
            while line := (await self.response.content.readline()).decode():
                if line == "\n":
                    break
                lines.append(line.rstrip("\n"))
        return lines

    async def next(self) -> tuple[str, str]:
        while True:
            lines = await self.block()
            if not lines:
                raise EOFError
            named = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
            if named:
                return named[0], "\n".join(line.removeprefix("data: ") for line in lines if line.startswith("data: "))

    async def end(self) -> None:
        """Wait until there is no more."""
        while await self.block():
            pass

    async def until(self, wanted: str, text: str) -> str:
        while True:
            name, data = await self.next()
            if name == wanted and text in data:
                return data


@asynccontextmanager
async def watching(visitor: Visitor, path: str = "/live") -> AsyncIterator[Stream]:
    response = await visitor.go(path)
    assert response.status == 200
    assert response.content_type == "text/event-stream"
    try:
        yield Stream(response)
    finally:
        response.close()


def broadcaster_of(visitor: Visitor) -> Broadcaster:
    assert visitor.client.app is not None
    return visitor.client.app[pages.BROADCASTER]


async def nobody_looks(visitor: Visitor) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while broadcaster_of(visitor)._viewers or broadcaster_of(visitor).is_at_work:  # noqa: ASYNC110  the server's own business
            await asyncio.sleep(0.01)


async def test_a_stranger_sees_no_stream(stranger: Visitor) -> None:
    assert (await stranger.go("/live")).status == 401
    assert not broadcaster_of(stranger).is_at_work


async def test_a_viewer_first_gets_every_piece(visitor: Visitor) -> None:
    async with watching(visitor) as stream:
        assert await stream.block() == [f"retry: {live.RETRY_MS}"]
        assert [(await stream.next())[0] for _ in NAMES] == list(NAMES)


async def test_a_campaign_that_begins_appears_by_itself(visitor: Visitor) -> None:
    async with watching(visitor) as stream:
        await stream.until("campaigns", "No campaign yet")
        identifier = await visitor.campaign("Spring\r\nopening", 40, is_launched=True)
        data = await stream.until("campaigns", campaigns.name_of(identifier))
        assert "Spring\n\nopening" in data or "Spring\nopening" in data
        await stream.until("log", "Campaign launched")


async def test_the_live_pieces_are_those_of_the_page(visitor: Visitor) -> None:
    await visitor.campaign("Spring", 40, is_launched=True)
    page = re.sub(r"\s+", " ", await visitor.page())
    async with watching(visitor) as stream:
        pieces = dict([await stream.next() for _ in NAMES])
    for name in ("rack", "campaigns", "log"):
        assert re.sub(r"\s+", " ", pieces[name]).strip() in page


async def test_no_piece_carries_anything_of_one_session(visitor: Visitor) -> None:
    await visitor.campaign("Spring", 40, is_launched=True)
    form_token = await visitor.form_token()
    async with watching(visitor) as stream:
        for _ in NAMES:
            assert form_token not in (await stream.next())[1]


async def test_two_viewers_in_two_languages_cost_one_look_a_tick(visitor: Visitor) -> None:
    async with watching(visitor, "/live?lang=en") as english, watching(visitor, "/live?lang=zh") as chinese:
        await english.until("rack", "No modem yet")
        await chinese.until("rack", "还没有调制解调器")
        ticks, loop = broadcaster_of(visitor).ticks, asyncio.get_running_loop()
        began_s = loop.time()
        await visitor.campaign("Spring")
        await english.until("campaigns", "Draft")
        await chinese.until("campaigns", "草稿")
        elapsed_s = loop.time() - began_s
        assert broadcaster_of(visitor).ticks - ticks <= elapsed_s / live.TICK_S + 1


async def test_nothing_is_looked_at_while_nobody_looks(visitor: Visitor) -> None:
    async with watching(visitor) as stream:
        await stream.next()
        assert broadcaster_of(visitor).is_at_work
    await visitor.campaign("Spring")  # a write is what tells the server that the viewer has gone
    await nobody_looks(visitor)
    async with watching(visitor) as stream:
        await stream.until("campaigns", "Spring")


async def test_an_idle_house_sends_nothing_twice(visitor: Visitor) -> None:
    broadcaster = broadcaster_of(visitor)
    with broadcaster.looking("en") as viewer:
        first = await broadcaster.news(viewer, PATIENCE_S)
        assert first is not None
        assert [name for name, _ in first] == list(NAMES)
        assert await broadcaster.news(viewer, 1.2) == []


async def test_a_slow_viewer_gets_the_newest_state_once(visitor: Visitor) -> None:
    broadcaster = broadcaster_of(visitor)
    with broadcaster.looking("en") as slow, broadcaster.looking("en") as quick:
        await broadcaster.news(slow, PATIENCE_S)
        await broadcaster.news(quick, PATIENCE_S)
        for name in ("First", "Second"):
            await visitor.campaign(name)
            seen = ""
            while name not in seen:
                seen = str(await broadcaster.news(quick, PATIENCE_S))
        news = await broadcaster.news(slow, PATIENCE_S)
        assert news is not None
        assert [name for name, _ in news] == ["campaigns"]
        assert "First" in news[0][1]
        assert "Second" in news[0][1]


async def test_a_viewer_that_comes_as_the_last_one_goes_is_not_cut_off(visitor: Visitor) -> None:
    broadcaster = broadcaster_of(visitor)
    with broadcaster.looking("en") as viewer:
        await broadcaster.news(viewer, PATIENCE_S)
    with broadcaster.looking("zh") as viewer:
        assert await broadcaster.news(viewer, PATIENCE_S)


async def test_no_more_look_than_there_is_room_for(visitor: Visitor) -> None:
    broadcaster = broadcaster_of(visitor)
    viewers = [broadcaster.looking("en") for _ in range(live.VIEWERS_MOST)]
    for viewer in viewers:
        viewer.__enter__()
    answer = await visitor.go("/live")
    assert answer.status == 503
    assert "Retry-After" in answer.headers
    for viewer in viewers:
        viewer.__exit__(None, None, None)


async def test_a_stream_ends_with_its_session(visitor: Visitor, clock: Clock) -> None:
    async with watching(visitor) as stream:
        for _ in NAMES:
            await stream.next()
        visitor.engine.set_clock(clock.now_ms() + sessions.MAX_AGE_MS + 1000)
        await visitor.campaign("After hours")
        await stream.end()


async def test_every_stream_ends_when_the_server_does(visitor: Visitor) -> None:
    async with watching(visitor) as stream:
        await stream.next()
        await broadcaster_of(visitor).close()
        await stream.end()


def test_a_line_end_of_any_kind_cannot_end_an_event() -> None:
    text = event("log", "one\rtwo\r\nthree\n\nevent: rack")
    assert text == "event: log\ndata: one\ndata: two\ndata: three\ndata: \ndata: event: rack\n\n"
