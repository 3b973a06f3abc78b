"""The codec, a message at a time: what a part costs on its way out, and a text or a report on its way in."""

from collections.abc import Callable

from bench import baseline
from bench.case import Case
from engine import sms

NUMBER = "+4915700000042"
GERMAN_160 = ("Ihre Bestellung ist unterwegs und kommt morgen zwischen 9 und 11 Uhr. " * 3)[:160]
CHINESE_70 = ("您的订单已经发出，预计明天上午九点到十一点之间送达。" * 3)[:70]
THREE_PARTS = ("Grüße aus dem Laden: {Order} 1234 ist da, bitte abholen! " * 9)[:420]

# From a TC35i: a text of four letters, and a report of success, as AT+CMGR prints them.
DELIVER = "0791947101670000040D91945107000040F20000622041015103400453EA130A"
REPORT = "0791947101670000062A0D91945107000040F2622041015103406220410151244000"


def encode_case(name: str, text: str) -> Case:
    """Both encoders with what a campaign asks for: a day of validity and a status report."""
    native, plain = sms.encode, baseline.encode
    parts = len(native(NUMBER, text))
    return Case(
        f"sms/encode/{name}",
        {
            "cython": lambda: native(NUMBER, text, concatenation=7, validity_s=86_400, wants_report=True),
            "python": lambda: plain(NUMBER, text, concatenation=7, validity_s=86_400, wants_report=True),
        },
        per=parts,
    )


def same_fields(*names: str) -> Callable[[dict[str, object]], None]:
    """A check that all results have the same values of these attributes."""

    def check(results: dict[str, object]) -> None:
        seen = {tuple(getattr(result, name) for name in names) for result in results.values()}
        assert len(seen) == 1, seen

    return check


CASES: list[Case] = [
    encode_case("gsm7-160", GERMAN_160),
    encode_case("ucs2-70", CHINESE_70),
    encode_case("3-parts", THREE_PARTS),
    Case(
        "sms/measure/3-parts",
        {"cython": lambda: sms.measure(THREE_PARTS), "python": lambda: baseline.measure(THREE_PARTS)},
        check=same_fields("alphabet", "units", "parts", "room", "forced_by"),
    ),
    Case(
        "sms/read/deliver",
        {"cython": lambda: sms.read(DELIVER, 24), "python": lambda: baseline.read(DELIVER)},
        check=same_fields("originator", "text", "service_centre_time_ms"),
    ),
    Case(
        "sms/read/report",
        {"cython": lambda: sms.read(REPORT, 26), "python": lambda: baseline.read(REPORT)},
        check=same_fields("reference", "recipient", "outcome", "discharge_time_ms"),
    ),
]
