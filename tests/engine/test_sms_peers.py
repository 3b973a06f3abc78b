"""Our SMS-SUBMITs, read by tshark."""

import random

import pytest

from engine import sms
from tests.engine import tshark_sms

pytestmark = pytest.mark.skipif(tshark_sms.missing(), reason="tshark is not installed")


def random_messages(count: int) -> list[tuple[str, str, bool]]:
    """Destination, text and the wish for a report: every character of the alphabet, and other scripts."""
    dice = random.Random(160)
    scripts = [
        "@£$¥èéùìòÇ\nØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿",
        "abcdefghijklmnopqrstuvwxyzäöñüà ^{}\\[~]|€",
        "订单已经发出预计明天上午九点到之间送达",
        "Заказ отправлен 😀🚚",
    ]
    messages = []
    for _ in range(count):
        script = dice.choice(scripts)
        text = "".join(dice.choices(script, k=dice.choice((0, 1, 7, 8, 9, 69, 70, 71, 159, 160, 161, 400))))
        digits = "".join(dice.choices("0123456789", k=dice.randint(3, 15)))
        messages.append((dice.choice(("", "+")) + digits, text, dice.random() < 0.5))
    return messages


def test_tshark_reads_what_we_write() -> None:
    expected = []
    tpdus = []
    for number, (destination, text, wants_report) in enumerate(random_messages(250)):
        parts = sms.encode(destination, text, concatenation=number % 256, validity_s=3_600, wants_report=wants_report)
        for tpdu, part in zip(parts, sms.cut(text), strict=True):
            tpdus.append(tpdu)
            coding = 8 if sms.measure(text).alphabet == sms.Alphabet.UCS2 else 0
            expected.append({"destination": destination, "text": part, "wants_report": wants_report, "coding": coding})
    assert len(tpdus) > 400
    found = tshark_sms.decode_submits(tpdus)
    for ours, theirs in zip(expected, found, strict=True):
        assert ours == theirs
