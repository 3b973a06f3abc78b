import re
from collections.abc import Awaitable, Callable
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from engine.access import tokens
from engine.config import Settings
from engine.crm.marketing import campaigns, caps
from engine.crm.marketing.campaigns import CAMPAIGNS
from engine.crm.people import audit
from engine.traffic import inbox, messages
from engine.traffic.messages import Message
from engine.wiring import running
from server.console import pages
from server.context import ENGINE

from .conftest import TOKEN, Client, Visitor

NUMBER = 8613912345678


class Elements(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/?lang=zh"),
        ("GET", "/?token=wrong"),
        ("GET", "/live"),
        ("GET", "/docs"),
        ("GET", "/static/console.css"),
        ("GET", "/static/nothing"),
        ("POST", "/signin"),
        ("POST", "/signout"),
        ("POST", "/console/campaigns/cmp_0000000000000/pause"),
    ],
)
async def test_every_answer_carries_the_security_headers(stranger: Visitor, method: str, path: str) -> None:
    answer = await stranger.client.request(method, path, allow_redirects=False)
    policy = answer.headers["Content-Security-Policy"]
    for rule in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"):
        assert rule in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store" or path.startswith("/static/console")


async def test_the_page_needs_nothing_that_its_policy_forbids(visitor: Visitor) -> None:
    await visitor.campaign("Spring", 5, is_launched=True)
    for text in (await visitor.page(), await (await visitor.go("/?lang=fr")).text()):
        for tag, attributes in Elements(text).found:
            assert not [name for name in attributes if name == "style" or name.startswith("on")]
            assert tag not in ("style", "iframe", "object", "base")
            if tag == "script":
                assert (attributes["src"] or "").startswith("/static/")
            for name in ("src", "href", "action", "formaction"):
                assert (attributes.get(name) or "/")[0] in "/#"


async def test_every_id_stands_once_and_every_reference_leads_to_one(visitor: Visitor) -> None:
    for at in range(3):
        await visitor.campaign(f"Number {at}", 2, is_launched=at > 0)
    found = Elements(await visitor.page()).found
    ids = [attributes["id"] for _, attributes in found if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in found:
        for name in ("href", "form"):
            if name == "form" or (attributes.get(name) or "").startswith("#"):
                assert (attributes.get(name) or "#main").lstrip("#") in ids


async def test_names_are_shown_as_they_are_and_never_as_markup(visitor: Visitor) -> None:
    await visitor.campaign("<script>alert(1)</script>\r\nevent: rack")
    text = await visitor.page()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "Harbour &lt;Optics&gt;" in text


async def test_an_empty_house_says_what_to_do_next(visitor: Visitor) -> None:
    text = await visitor.page()
    assert "carillon serve --simulate" in text
    assert "/v1/campaigns" in text
    assert "curl -H" in text
    assert "Nothing has happened yet" in text


async def test_a_house_without_tokens_says_so(
    tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]
) -> None:
    async with running(Settings(data=str(tmp_path / "other")), b"p" * 32) as engine:
        app = web.Application()
        app[ENGINE] = engine
        pages.setup(app)
        client = await aiohttp_client(app)
        assert "no token yet" in await (await client.get("/")).text()
        await engine.store.write(tokens.add, TOKEN, "first", engine.now_ms())
        assert "no token yet" not in await (await client.get("/")).text()


async def test_no_number_is_ever_shown(visitor: Visitor) -> None:
    engine = visitor.engine
    await visitor.campaign("Spring", 3, is_launched=True)
    await engine.store.write(messages.enqueue, Message(0, NUMBER, "A very private text"), engine.now_ms())
    received = inbox.Received(0, f"+{NUMBER}", 460001234567890, "A private answer", engine.now_ms())
    await engine.store.write(inbox.add, received, engine.now_ms())
    text = await visitor.page()
    assert "Text received" in text
    assert "12345678" not in text
    assert "private" not in text
    assert not re.search(r"86139\d{6}", text)


async def test_a_language_that_was_chosen_is_kept(visitor: Visitor) -> None:
    answer = await visitor.go("/?lang=zh")
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    text = await visitor.page()
    assert '<html lang="zh-Hans">' in text
    assert "海港眼镜" in text
    assert "/live?lang=zh" in text


async def test_a_browser_is_spoken_to_in_its_language(stranger: Visitor) -> None:
    text = await (await stranger.go("/", headers={"Accept-Language": "zh-CN,zh;q=0.9"})).text()
    assert "登录" in text


async def test_a_language_that_we_do_not_speak_changes_nothing(visitor: Visitor) -> None:
    answer = await visitor.go("/?lang=../../x")
    assert answer.status == 200
    assert "Set-Cookie" not in answer.headers


async def test_counters_of_a_campaign_are_shown_with_their_words(visitor: Visitor) -> None:
    await visitor.campaign("Needs consent", 7, purpose="marketing", is_launched=True)
    await visitor.campaign("Goes", 1234, is_launched=True)
    text = await visitor.page()
    assert "1,234 recipients" in text
    assert "waits for a modem" in text
    assert "Running" in text
    assert re.search(r"<b>1,234</b> waiting", text)


async def test_the_newest_five_campaigns_are_shown(visitor: Visitor) -> None:
    for at in range(7):
        await visitor.campaign(f"Campaign number {at}")
    text = await visitor.page()
    assert [at for at in range(7) if f"Campaign number {at}" in text] == [2, 3, 4, 5, 6]


# -- acting


async def _act(visitor: Visitor, identifier: int, act: str, form_token: str) -> int:
    path = f"/console/campaigns/{campaigns.name_of(identifier)}/{act}"
    return (await visitor.post(path, {"form": form_token})).status


async def test_a_campaign_is_paused_resumed_and_cancelled(visitor: Visitor) -> None:
    identifier = await visitor.campaign("Spring", 300, is_launched=True)
    form_token = await visitor.form_token()
    for act, stage in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        assert f"/{act}" in await visitor.page()
        assert await _act(visitor, identifier, act, form_token) == 303
        assert visitor.stage_of(identifier) == stage
    with visitor.engine.store.read() as txn:
        rows = audit.listed(txn, 10, target=campaigns.name_of(identifier))
    assert [row.entry.action for row in rows] == ["campaign.cancelled", "campaign.resumed", "campaign.paused"]
    assert {(row.entry.actor_kind, row.entry.via) for row in rows} == {("staff", "web")}
    text = await visitor.page()
    assert "Campaign cancelled" in text
    assert "formaction" not in text


async def test_what_is_not_possible_any_more_is_told(visitor: Visitor) -> None:
    identifier = await visitor.campaign("Spring", 1)
    form_token = await visitor.form_token()
    assert await _act(visitor, identifier, "resume", form_token) == 409
    assert visitor.stage_of(identifier) == "draft"


@pytest.mark.parametrize("name", ["cmp_0000000000000", "cmp_zzzzzzzzzzzzz", "cmp_u", "msg_0000000000000", "%2e%2e"])
async def test_a_campaign_that_is_not_there_is_not_found(visitor: Visitor, name: str) -> None:
    form_token = await visitor.form_token()
    assert (await visitor.post(f"/console/campaigns/{name}/pause", {"form": form_token})).status == 404


async def test_nobody_acts_without_a_session(stranger: Visitor) -> None:
    identifier = await stranger.campaign("Spring", 3, is_launched=True)
    assert await _act(stranger, identifier, "cancel", "") == 401
    assert stranger.stage_of(identifier) == "running"


@pytest.mark.parametrize("said", ["", "0" * 48, "é"])
async def test_nobody_acts_without_the_form_token_of_the_session(visitor: Visitor, said: str) -> None:
    identifier = await visitor.campaign("Spring", 3, is_launched=True)
    assert await _act(visitor, identifier, "cancel", said) == 403
    assert visitor.stage_of(identifier) == "running"


async def test_another_site_acts_not_even_with_the_form_token(visitor: Visitor) -> None:
    identifier = await visitor.campaign("Spring", 3, is_launched=True)
    path = f"/console/campaigns/{campaigns.name_of(identifier)}/cancel"
    fields = {"form": await visitor.form_token()}
    assert (await visitor.post(path, fields, headers={"Sec-Fetch-Site": "same-site"})).status == 403
    assert visitor.stage_of(identifier) == "running"


async def test_only_the_three_acts_exist(visitor: Visitor) -> None:
    identifier = await visitor.campaign("Spring", 3)
    form_token = await visitor.form_token()
    assert await _act(visitor, identifier, "launch", form_token) == 404
    path = f"/console/campaigns/{campaigns.name_of(identifier)}/cancel"
    assert (await visitor.go(path)).status == 405


# -- our own files


async def test_a_file_is_kept_for_good_under_the_address_that_names_its_version(stranger: Visitor) -> None:
    answer = await stranger.go(pages.address_of("console.css"))
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.content_type == "text/css"
    assert (await stranger.go("/static/console.css")).headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("name", ["../pages.py", "..%2fpages.py", "%2e%2e/%2e%2e/context.py", "x.css", ".."])
async def test_no_other_file_is_given_away(stranger: Visitor, name: str) -> None:
    answer = await stranger.go(f"/static/{name}")
    assert "import" not in await answer.text()
    assert answer.status in (200, 404)  # 200: the address was resolved to / by the client


@pytest.mark.parametrize(("name", "lines"), [("live.js", 60), ("docs.js", 200)])
def test_the_script_is_small_and_our_own(name: str, lines: int) -> None:
    script = (Path(pages.__file__).parent / "static" / name).read_text()
    assert len(script.splitlines()) <= lines
    assert "http" not in script


async def test_a_large_campaign_of_another_person_is_approved_on_the_page(visitor: Visitor) -> None:
    for maker, status, stands in (("ann", 303, False), ("front desk", 409, True)):
        campaign = await visitor.campaign(f"of {maker}", rows=101)
        with visitor.engine.store.read() as txn:
            made = CAMPAIGNS.get(txn, campaign)
        await visitor.engine.store.write(CAMPAIGNS.put, campaign, msgspec.structs.replace(made, made_by=maker))
        path = f"/console/campaigns/{campaigns.name_of(campaign)}/approve"
        assert path in await visitor.page()
        answer = await visitor.post(path, {"form": await visitor.form_token()})
        assert (answer.status, path in await visitor.page()) == (status, stands)


async def test_a_campaign_at_its_cap_says_so(visitor: Visitor) -> None:
    campaign = await visitor.campaign("short of money", rows=3, is_launched=True)
    await visitor.engine.store.write(caps.halt, campaign, 1, 0, visitor.engine.now_ms())
    assert "reached its cost cap" in await visitor.page()


async def test_the_http_interface_has_a_page_for_everybody(stranger: Visitor) -> None:
    text = await (await stranger.go("/docs")).text()
    assert re.search(r'<script src="/static/docs\.js\?v=\w+" defer></script>', text)
    assert 'data-form=""' in text


async def test_who_is_signed_in_may_try_calls_with_the_session(visitor: Visitor) -> None:
    assert f'data-form="{await visitor.form_token()}"' in await (await visitor.go("/docs")).text()
