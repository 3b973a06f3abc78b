"""Refusals that are no plain STOP: single letters that a text of ours offered, and doubtful sentences."""

import re
from typing import Final

from engine.config import House
from engine.crm.people import customers, frequency, pauses
from engine.store.table import Txn
from engine.traffic import inbox, messages
from engine.traffic.inbox import Received, Reply, Routed

LETTERS: Final = frozenset({"t", "n", "r"})
OFFERED_MS: Final = 7 * 86_400_000  # how long a letter that a marketing text offered is a refusal
DOUBTFUL: Final = "person:possible_optout"

# Words of a refusal wherever they stand.  What a command of its own needs is not among them.
_LATIN: Final = re.compile(r"\b(stop|stopall|unsubscribe|cancel|end|quit|revoke|opt ?out|opting out)\b")
_ORDERS: Final = re.compile(r"cancel (the |my )?(order )?#?\w*\d\w*")
_HAN: Final = ("退订", "拒收", "停止", "别发", "不要再发", "勿扰")

_TEXTS: Final = {
    "en": "{name}: thank you, a colleague will read this. To end all messages reply STOP.",
    "zh": "【{name}】谢谢,同事会查看您的留言。停止全部信息请回复“全部退订”。",
}


def is_offered(txn: Txn, number: int, letter: str, now_ms: int) -> bool:
    """Whether the last marketing text to a number, of the last 7 days, offered to refuse by that letter."""
    last = frequency.latest(txn, number, now_ms - OFFERED_MS)
    message = messages.find(txn, last) if last else None
    return message is not None and letter in letters_of(message.text)


def letters_of(text: str) -> frozenset[str]:
    """The single letters by which a text says that it can be refused: 回T退订, 拒收请回复R, Reply N to opt out."""
    found = re.findall(
        r"(?:回复?|发送|\b(?:reply|text|send)(?: with)?)\s*[\"'“‘「]?([TNR])(?![A-Za-z0-9])", text, re.IGNORECASE
    )
    return frozenset(letter.lower() for letter in found)


def is_doubtful(text: str) -> bool:
    """Whether a longer text, in its normal form, has a word of refusal in it."""
    if any(word in text for word in _HAN):
        return True
    return _LATIN.search(text) is not None and _ORDERS.fullmatch(text) is None


def doubt(txn: Txn, text: str, received: Received, house: House, now_ms: int) -> Routed | None:
    """No guess: marketing to the sender waits until a person decides.  None where there is nothing to doubt."""
    if not is_doubtful(text):
        return None
    number = inbox.key_of(received.originator)
    spoken = house.language if text.isascii() else "zh"
    customer = customers.meet(txn, number, spoken, now_ms)
    pauses.pause(txn, number, received.id, now_ms)
    language = "zh" if (customer.language or spoken).partition("-")[0] == "zh" else "en"
    name = house.name_zh if language == "zh" else house.name_en
    return Routed(DOUBTFUL, (Reply(_TEXTS[language].format(name=name)),))
