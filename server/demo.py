"""The demo: eight simulated modems, a seeded town of customers, one campaign, people who answer.

Everything stands in one folder; started again, it goes on where it stopped.
"""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

from engine import numbers
from engine.access import tokens
from engine.config import ANY_HOUR, NO_CAPS, House, Http, Modems, Settings
from engine.crm.marketing import campaigns, recipients, uploads
from engine.crm.marketing.campaigns import Campaign, Stage
from engine.crm.people import agreement, customers
from engine.crm.people.consent import Consent, Status
from engine.crm.people.customer import CUSTOMERS, Customer
from engine.store.table import Txn
from engine.traffic.messages import OnUnknown
from engine.wiring import Engine
from server.laboratory import Reply
from server.serving import Served, Simulation

MODEMS: Final = 8
PEOPLE: Final = 600
SEED: Final = 1862  # the year of the town's carillon
REPORT_DELAY_MS: Final = (3_000, 30_000)
TICK_S: Final = 0.5
QUIET_TICK_S: Final = 10.0

_NAMES_ZH: Final = ("李娜", "王伟", "张敏", "刘洋", "陈静", "杨光", "赵磊", "黄丽", "周敏", "吴涛", "徐芳", "孙强")
_NAMES_EN: Final = ("Ada", "Ben", "Clara", "David", "Emma", "Frank", "Grace", "Henry", "Iris", "Jack", "Kate", "Leo")
_FAMILIES_EN: Final = ("Archer", "Baker", "Carter", "Dyer", "Fletcher", "Glover", "Mason", "Porter", "Sawyer", "Turner")

_TEXTS: Final = {
    "en": "Lotus Hotel: dear {name:guest}, the spring bath is open again from Saturday. "
    "Show this text for a free tea. Reply STOP to end all messages.",
    "zh": "【荷花酒店】{name:您}您好!温泉周六重新开放,凭此短信免费品茶一杯🍵。回TD退订",
}

REPLIES: Final = (
    Reply(0.02, "STOP", (4_000, 40_000)),
    Reply(0.02, "退订", (4_000, 40_000)),
    Reply(0.05, "thanks!", (4_000, 60_000)),
    Reply(0.05, "好的,谢谢", (4_000, 60_000)),
    Reply(0.02, "几点关门?", (4_000, 60_000)),
)


def settings_in(folder: Path, host: str, port: int) -> Settings:
    """The demo's settings: its town belongs to nobody, so nobody sleeps in it."""
    house = House("Lotus Hotel", "荷花酒店", "zh", "CN", "Asia/Shanghai")
    return Settings(str(folder / "data"), house, Modems(), http=Http(host, port), quiet=ANY_HOUR, caps=NO_CAPS)


def simulation_in(folder: Path) -> Simulation:
    """The demo's rack: sending takes as long as it does on the air."""
    return Simulation(MODEMS, folder / "rack", "realistic", REPORT_DELAY_MS, folder / "ledger.jsonl", REPLIES)


def seed_town(txn: Txn, now_ms: int) -> int:
    """The town's people, once; how many were new.  Their numbers belong to nobody."""
    random = Random(SEED)  # noqa: S311  a town, not a secret
    if CUSTOMERS.count(txn):
        return 0
    for place in range(PEOPLE):
        is_chinese = random.random() < 0.6
        if is_chinese:
            number, name, language = f"+861390{place:07d}", random.choice(_NAMES_ZH), "zh"
        else:
            name = f"{random.choice(_NAMES_EN)} {random.choice(_FAMILIES_EN)}"
            number, language = f"+44770090{place:04d}", "en"
        customer = Customer(0, numbers.to_key(number), name, language=language, source="demo")
        made = customers.add(txn, customer, now_ms, "demo")
        if random.random() < 0.95:
            said = Consent(Status.GRANTED, "paper", f"guest card {place + 1}", now_ms)
            agreement.add(txn, made.number, "marketing", said)
    return PEOPLE


def begin_campaign(txn: Txn, pepper: bytes, house: House, now_ms: int) -> Campaign:
    """The campaign that is under way, or a new one for the whole town."""
    rounds = 1
    for campaign in campaigns.listed(txn, 0, 1000):
        if campaign.stage in (Stage.DRAFT, Stage.RUNNING, Stage.PAUSED):
            return campaign
        rounds += 1
    draft = Campaign(
        0, f"Spring bath {rounds}", _TEXTS, "marketing", report_percent=100, on_unknown=OnUnknown.AWAIT_REPORT
    )
    campaign = campaigns.add(txn, draft, now_ms)
    upload = uploads.begin(txn, campaign.id, now_ms)
    people = [person for _, person in CUSTOMERS.scan(txn) if person.source == "demo"]
    rows = [
        (place + 1, person.number, recipients.Row("", f"guest-{place + 1}", person.language))
        for place, person in enumerate(people)
    ]
    upload = uploads.add_rows(txn, upload, rows, {}, pepper, now_ms)
    uploads.finish(txn, upload, now_ms)
    return campaigns.launch(txn, campaign.id, now_ms, house.approval_over, house)


def token_in(folder: Path) -> str:
    """The demo's token: kept in its folder, so that the page's address stays good."""
    path = folder / "token"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(tokens.fresh(), "ascii")
    return path.read_text("ascii").strip()


def started_with(token: str, say: Callable[[str], None]) -> "Callable[[Served], asyncio.Future[None]]":
    """What runs beside the server: seed, launch, show how it goes."""

    async def started(served: Served) -> None:
        engine = served.engine
        await engine.store.write(tokens.add, token, "demo", engine.now_ms())
        new = await engine.store.write(seed_town, engine.now_ms())
        house = engine.settings.house
        campaign = await engine.store.write(begin_campaign, engine.pepper, house, engine.now_ms())
        say(f"{'A town of ' + str(new) + ' people was founded. ' if new else ''}Campaign: {campaign.name}.")
        say(f"Page:   {served.url}?token={token}")
        say(f"Token:  {token}")
        say(f"Try:    curl -H 'Authorization: Bearer {token}' {served.url}v1/modems")
        say("Ctrl-C stops it; started again it goes on where it stopped.")
        await _show(engine, campaign.id, say)

    return lambda served: asyncio.ensure_future(started(served))


async def _show(engine: Engine, campaign_id: int, say: Callable[[str], None]) -> None:
    is_live = sys.stderr.isatty()
    while True:
        line = _progress(engine, campaign_id)
        if is_live:
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()
        else:
            say(line)
        await asyncio.sleep(TICK_S if is_live else QUIET_TICK_S)


def _progress(engine: Engine, campaign_id: int) -> str:
    with engine.store.read() as txn:
        campaign = campaigns.CAMPAIGNS.get(txn, campaign_id)
        counts = campaigns.counts(txn, campaign)
    gone = sum(counts.get(state, 0) for state in ("sent", "delivered", "undelivered"))
    ready = sum(view.state in ("ready", "sending") for view in engine.rack())
    others = sum(counts.get(state, 0) for state in ("suppressed", "failed", "expired", "cancelled", "unknown"))
    filled = round(20 * (gone + others) / max(1, campaign.rows))
    return (
        f"{'█' * filled}{'░' * (20 - filled)} {gone}/{campaign.rows} sent, "
        f"{counts.get('delivered', 0)} delivered, {others} not to be sent · {ready} modems · "
        f"{engine.scheduler.rate_per_s() * 60:.0f} parts/min · {campaign.stage}"
    )
