"""What we encode, read by tshark and by libgammu."""

import random
from typing import Any

from engine import sms
from tests.engine import witnesses

BASIC = "@£$¥èéùìòÇ\nØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿\r"
EXTENDED = "abcdefghijklmnopqrstuvwxyzäöñüà ^{}\\[~]|€\f"
NATIONAL = [
    "Şişli'de görüşürüz ğıİĞ çÇ",
    "Á família não há ção ÊÔ",
    "¿Dónde está? Íÿó",
    "हिन्दी में संदेश",
    "اردو میں پیغام",
]
WIDE = [
    "订单已经发出预计明天上午九点到之间送达",
    "Заказ отправлен 😀🚚",
    "👩‍👩‍👧‍👦👍🏽🇩🇪🏴󠁧󠁢󠁷󠁬󠁳󠁿é",
    "~ \t\x01\x7f\x85\u200b\ufeff\ufffd\uffff\U0010fffe",
]
PLAIN = [0x00, 0x02, 0x10, 0x13, 0x41, 0x52, 0xC0, 0xCB, 0xD8, 0xF1]  # TP-DCS of texts in the default alphabet
UCS2 = [0x08, 0x0A, 0x18, 0x1B, 0x48, 0x5A, 0xE0, 0xEB]
DATA = [0x04, 0x06, 0x15, 0x17, 0x44, 0x56, 0xF4, 0xF7]
YEAR_2000_MS, YEAR_2100_MS = 946_684_800_000, 4_102_444_800_000


def number(dice: random.Random) -> str:
    if dice.random() < 0.1:
        return "".join(dice.choices("0123456789*#abc", k=dice.randint(1, 20)))
    digits = "".join(dice.choices("0123456789", k=dice.choice((1, 2, 3, *range(5, 17), 20))))
    return dice.choice(("", "+")) + digits


def element(dice: random.Random) -> tuple[int, bytes]:
    """A part of a header that callers add: ports, message waiting, the SIM toolkit's, and what nobody knows."""
    identifier, length = dice.choice(
        [(0x01, 2), (0x04, 2), (0x05, 4), (0x20, 1), (0x70, 0), (0x71, 3), (0xC0, 7), (0xDF, 20), (0x06, 1), (0x22, 5)]
    )
    if identifier == 0x05 and dice.random() < 0.5:
        return identifier, bytes.fromhex(dice.choice(("0b840b84", "23f00000", "158a0000")))
    return identifier, dice.randbytes(length)


def validity(dice: random.Random) -> dict[str, Any]:
    match dice.randrange(7):
        case 0 | 1:
            return {"validity_s": dice.choice((0, 1, 300, 301, 43_201, 86_401, 2_592_001, dice.randrange(50_000_000)))}
        case 2:
            return {"expires_ms": dice.randrange(YEAR_2000_MS, YEAR_2100_MS - 1_000)}
        case 3:
            return {"validity_s": dice.choice((1, 90, 255)), "exact_validity": True}
        case 4:
            return {"validity_s": dice.randrange(256, 800_000), "exact_validity": True, "single_shot": True}
        case 5:
            return {"single_shot": True}
        case _:
            return {}


def content(dice: random.Random) -> tuple[str | bytes, dict[str, Any]]:
    """A text or data, and how it is to be coded."""
    kind = dice.randrange(10)
    if kind == 0:
        asked = dice.choice(({}, {"message_class": dice.randrange(4)}, {"coding": dice.choice(DATA)}))
        return dice.randbytes(dice.choice((0, 1, 2, 133, 134, 135, 140, 141, 300))), asked
    if kind < 5:
        script, codings = dice.choice((BASIC, EXTENDED, BASIC + EXTENDED)), PLAIN
    else:
        script, codings = dice.choice(WIDE), UCS2
    length = dice.choice((0, 1, 6, 7, 8, 9, 66, 67, 69, 70, 71, 152, 153, 159, 160, 161, 400))
    text = "".join(dice.choices(script, k=length))
    match dice.randrange(6):
        case 0:
            return text, {"coding": dice.choice(codings)}
        case 1:
            return text, {"message_class": dice.randrange(4)}
        case 2:
            return text, {"alphabet": "ucs2" if codings is UCS2 else dice.choice(("gsm7", "ucs2"))}
        case 3:
            script = dice.choice(NATIONAL)
            text = "".join(dice.choices(script, k=length))
            return text, {"national": dice.choice(("single", "all"))}
        case 4:
            return text.replace("e", "“").replace("a", "—"), {"transliterate": True}
        case _:
            return text, {}


def messages(count: int) -> list[tuple[str, str | bytes, dict[str, Any]]]:
    """Destination, text and options: every character of the alphabet, and every option."""
    dice = random.Random(160)
    made = []
    for _ in range(count):
        text, options = content(dice)
        options |= validity(dice)
        for flag in ("wants_report", "reject_duplicates", "reply_path"):
            if dice.random() < 0.3:
                options[flag] = dice.random() < 0.8
        if dice.random() < 0.3:
            options["protocol"] = dice.choice((0x41, 0x47, 0x40, 0x7F, dice.randrange(256)))
        if dice.random() < 0.3:
            options["elements"] = [element(dice) for _ in range(dice.randint(1, 3))]
        bits = dice.choice((8, 16))
        if bits == 16 or dice.random() < 0.5:
            options["reference_bits"] = bits
        options["concatenation"] = dice.choice((0, 1, 2**bits - 1, dice.randrange(2**bits)))
        made.append((number(dice), text, options))
    return made


def tpdus(count: int) -> list[Any]:
    """Of each of the six kinds, with all that they can say."""
    dice = random.Random(23_040)
    made: list[Any] = []
    for _ in range(count):
        text: str | bytes = "".join(dice.choices(dice.choice((BASIC, EXTENDED, WIDE[0])), k=dice.randrange(30)))
        said: dict[str, Any] = {"text": text, "protocol": dice.randrange(256)}
        if dice.random() < 0.2:
            said |= {"text": dice.randbytes(dice.randrange(60)), "message_class": dice.choice((None, 0, 1, 2, 3))}
        if dice.random() < 0.3:
            said["elements"] = [element(dice) for _ in range(dice.randint(1, 3))]
        flags = {name: dice.random() < 0.5 for name in ("more_messages", "loop_prevention")}
        came = {
            "service_centre_time_ms": dice.randrange(YEAR_2000_MS, YEAR_2100_MS, 1_000) - 86_400_000,
            "service_centre_zone": dice.randint(-56, 56),
        }
        sender = number(dice)
        if dice.random() < 0.3:
            sender = "".join(dice.choices(BASIC[:10] + BASIC[11:30] + "ABCabcxyz 019", k=dice.randint(1, 10)))
        spare = said if dice.random() < 0.5 else {}
        match dice.randrange(6):
            case 0:
                indication = {"report_indication": dice.random() < 0.5, "reply_path": dice.random() < 0.5}
                made.append(sms.Deliver(sender, **said, **flags, **came, **indication))
            case 1:
                went = {"discharge_time_ms": came["service_centre_time_ms"] + 60_000, "discharge_zone": -8}
                outcome = {"reference": dice.randrange(256), "outcome": dice.randrange(256)}
                command = {"for_command": dice.random() < 0.5}
                made.append(sms.StatusReport(number(dice), **outcome, **flags, **came, **went, **command, **spare))
            case 2:
                made.append(
                    sms.Submit(number(dice), **said, **validity_of_a_submit(dice), reference=dice.randrange(256))
                )
            case 3:
                made.append(
                    sms.Command(
                        number(dice),
                        command=dice.randrange(256),
                        number=dice.randrange(256),
                        reference=dice.randrange(256),
                        protocol=dice.randrange(256),
                        data=dice.randbytes(dice.choice((0, 1, 20, 146))),
                        wants_report=dice.random() < 0.5,
                    )
                )
            case 4:
                failure = dice.choice((None, dice.randrange(0x80, 0x100)))
                made.append(sms.SubmitReport(failure=failure, **came, **spare))
            case _:
                failure = dice.choice((None, dice.randrange(0x80, 0x100)))
                made.append(sms.DeliverReport(failure=failure, **spare))
    return made


def validity_of_a_submit(dice: random.Random) -> dict[str, Any]:
    return dice.choice(({}, {"validity_s": 86_400}, {"expires_ms": dice.randrange(YEAR_2000_MS, YEAR_2100_MS, 1_000)}))


def agreed(recorder: witnesses.Recorder) -> witnesses.Verdict:
    verdict = witnesses.compare(recorder.pdus())
    assert not verdict.differences, f"{len(verdict.differences)}:\n" + "\n".join(verdict.differences[:10])
    return verdict


def test_messages_with_every_option_read_the_same_elsewhere() -> None:
    witnesses.require()
    recorder = witnesses.Recorder()
    encode, lines = (recorder.overhear(name, getattr(sms, name)) for name in ("encode", "lines"))
    for row, (destination, text, options) in enumerate(messages(2_000)):
        if row % 4:
            encode(destination, text, **options)
        else:
            centre = {"service_centre": ("", "+491710760000", "0171")[row // 4 % 3]}
            lines(
                destination,
                text,
                sms.Envelope(**{k: v for k, v in options.items() if k != "concatenation"}, **centre),
                concatenation=options["concatenation"],
            )
    verdict = agreed(recorder)
    assert min(verdict.tshark, verdict.libgammu) > 2 * witnesses.ENOUGH


def test_a_batch_reads_the_same_elsewhere() -> None:
    witnesses.require()
    recorder = witnesses.Recorder()
    batch = recorder.overhear("batch", sms.batch)
    dice = random.Random(5)
    destinations = [number(dice) for _ in range(500)]
    names = [(dice.choice(("Zoë", "Łukasz", "李娜", None)), "€" * dice.randrange(300)) for _ in destinations]
    template = sms.Template("Hello {name:you}, {rest:nothing}")
    references = [dice.randrange(256) for _ in destinations]
    batch(destinations, template, names, sms.Envelope(wants_report=True), references)
    batch(destinations, b"\0\xff" * 100, None, sms.Envelope(validity_s=3_600), 7)
    agreed(recorder)


def test_tpdus_of_all_six_kinds_read_the_same_elsewhere() -> None:
    witnesses.require()
    recorder = witnesses.Recorder()
    for tpdu in tpdus(1_500):
        recorder.tpdu(tpdu)
    verdict = agreed(recorder)
    assert verdict.tshark > witnesses.ENOUGH
    assert verdict.libgammu > witnesses.ENOUGH // 3  # which knows three of the kinds


def test_a_change_of_any_octet_is_noticed() -> None:
    witnesses.require()
    recorder = witnesses.Recorder()
    encode = recorder.overhear("encode", sms.encode)
    for text in ("Order {} is ready " * 10, "Заказ {} отправлен " * 5):
        encode("+4915700000042", text, concatenation=160, validity_s=3_600, wants_report=True)
    pdus = recorder.pdus()
    assert not witnesses.compare(pdus).differences
    changed = []
    for pdu in pdus:
        for place in range(len(pdu.tpdu)):
            octets = bytearray(pdu.tpdu)
            octets[place] ^= 2
            changed.append(witnesses.Pdu(bytes(octets), pdu.direction, pdu.asked))
    differences = "\n".join(witnesses.compare(changed).differences)
    assert [pdu.tpdu.hex() for pdu in changed if pdu.tpdu.hex() not in differences] == []


def test_every_pdu_that_the_tests_encoded_reads_the_same_elsewhere() -> None:
    """The last test of a session, whatever was selected; where that encoded too little, it adds its own."""
    witnesses.require()
    if len({pdu.tpdu for pdu in witnesses.SESSION.pdus()}) < 2 * witnesses.ENOUGH:
        for destination, text, options in messages(2 * witnesses.ENOUGH):
            sms.encode(destination, text, **options)
    verdict = agreed(witnesses.SESSION)
    witnesses.SAID.append(str(verdict))
    assert min(verdict.tshark, verdict.libgammu) >= witnesses.ENOUGH
