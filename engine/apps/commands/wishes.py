"""STOP, TD and START: what people wish to get, and not to get.

The order of work is: withdraw consent, suppress, drop what is queued, then confirm once as purpose `legal`, which
passes the block that was just put up.
"""

from typing import Final

from engine.apps.commands import refusals
from engine.config import House
from engine.crm.people import agreement, asking, consent, customers, pauses, suppressions
from engine.crm.people.consent import Consent, Status
from engine.store.table import Txn
from engine.traffic import inbox, messages
from engine.traffic.inbox import Received, Reply, Routed

STOP: Final = frozenset(
    {"stop", "stopall", "stop all", "unsubscribe", "cancel", "end", "quit", "revoke", "optout", "opt out"}
    | {"stop texting me", "stop texting", "don't text", "don't text me", "do not text me", "remove me"}
    | {"全部退订", "停止", "别发了", "不要再发", "勿扰"}
)
NO_MARKETING: Final = frozenset({"td", "退订", "拒收"})
START: Final = frozenset({"start", "unstop", "subscribe", "恢复", "订阅"})
YES: Final = frozenset({"y", "yes", "是", "好", "好的"})

_TEXTS: Final = {
    "stopped": {
        "en": "{name}: you will get no more messages from us. Reply START to come back.",
        "zh": "【{name}】已停止向您发送任何信息。如需恢复请回复“恢复”。",
    },
    "no_marketing": {
        "en": "{name}: you will get no more offers. Messages about orders and service still come; STOP ends all.",
        "zh": '【{name}】已退订优惠信息。订单和维修通知不受影响;全部停止请回复"全部退订"。',
    },
    "started": {
        "en": "{name}: welcome back. You get service messages again. Reply Y to get offers too, STOP to end all.",
        "zh": "【{name}】已恢复服务信息。回复Y接收优惠信息,不回复只收服务短信。回TD退订",
    },
    "granted": {
        "en": "{name}: you will get our offers again. Reply TD to end them, STOP to end all messages.",
        "zh": "【{name}】已订阅优惠信息。回TD退订。",
    },
    "agreed": {
        "en": "{name}: thank you, noted. Reply STOP to end all messages.",
        "zh": "【{name}】谢谢,已记录。停止全部信息请回复“全部退订”。",
    },
}


def _reply(text: str, language: str, house: House, purpose: str) -> Reply:
    spoken = "zh" if language.partition("-")[0] == "zh" else "en"
    name = house.name_zh if spoken == "zh" else house.name_en
    return Reply(_TEXTS[text][spoken].format(name=name), purpose)


def answer(txn: Txn, word: str, received: Received, house: House, pepper: bytes, now_ms: int) -> Routed | None:
    """Obey `word`, a whole text in its normal form; None where it is none of these words."""
    if word not in STOP | NO_MARKETING | START | YES | refusals.LETTERS:
        return None
    number = inbox.key_of(received.originator)
    is_letter = word in refusals.LETTERS
    if is_letter and not refusals.is_offered(txn, number, word, now_ms):
        return None
    spoken = house.language if word.isascii() else "zh"
    customer = customers.meet(txn, number, spoken, now_ms)
    language = customer.language or spoken
    evidence = inbox.name(received.id)
    if word in STOP:
        return _stop(txn, number, language, evidence, house, pepper, now_ms)
    if word in NO_MARKETING or is_letter:
        pauses.end(txn, number)
        agreement.withdraw(txn, number, "marketing", "sms_keyword", evidence, now_ms)
        messages.withdraw(txn, number, lambda message: message.purpose == "marketing", "no_consent", now_ms)
        return Routed("command:td", (_reply("no_marketing", language, house, "service"),))
    if word in START:
        suppressions.lift(txn, pepper, number)
        if not consent.is_granted(txn, number, "marketing"):
            agreement.add(txn, number, "marketing", Consent(Status.PENDING, "sms_keyword", evidence, now_ms))
        return Routed("command:start", (_reply("started", language, house, "legal"),))
    asked = asking.newest_open(txn, number, now_ms)
    if asked is None:
        return None
    purpose, question = asked
    said = Consent(
        Status.GRANTED, "sms_keyword", f"{question.evidence} {evidence}", now_ms, question.wording, detail=word
    )
    agreement.add(txn, number, purpose, said)
    text = "granted" if purpose == "marketing" else "agreed"
    return Routed("command:yes", (_reply(text, language, house, "service"),))


def _stop(txn: Txn, number: int, language: str, evidence: str, house: House, pepper: bytes, now_ms: int) -> Routed:
    agreement.withdraw_all(txn, number, "sms_keyword", evidence, now_ms)
    pauses.end(txn, number)
    was_new = suppressions.add(txn, pepper, number, "stop_all", now_ms)
    messages.withdraw(txn, number, lambda message: message.purpose != "legal", "stop_all", now_ms)
    # One confirmation, however often somebody says it.
    return Routed("command:stop", (_reply("stopped", language, house, "legal"),) if was_new else ())
