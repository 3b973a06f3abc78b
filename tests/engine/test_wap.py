"""WAP push Service Indications: octets of the standard, and what tshark's dissectors of SMS, WSP and WBXML read.

tshark is given the TPDUs of whole messages, joins the parts by their headers and finds WSP by the ports, so that
nothing between the link and the octets of a part is taken on trust.
"""

import os
import random
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from engine import sms, wap
from engine.errors import CodecError
from tests.engine import tshark_sms, witnesses

NUMBER = "+4915700000042"
OPTIONS = ("-o", 'uat:user_dlts:"User 0 (DLT=147)","gsm_sms","0","","0",""')
HEADERS = {
    "wsp.TID": "0x01",
    "wsp.pdu_type": "0x06",
    "wsp.header.content_type": "application/vnd.wap.sic",
    "wsp.parameter.charset": "UTF-8",
    "wsp.header.x_wap_application_id": "x-wap-application:wml.ua",
    "wbxml.version": "0x02",
    "wbxml.public_id.known": "0x00000005",
    "wbxml.charset": "106",
}
TAGS = ["<si", "<indication", "/indication", "/si"]

Found = dict[str, Any]


def ms(*date: int) -> int:
    return int(datetime(*date, tzinfo=UTC).timestamp() * 1_000)  # type: ignore[arg-type, misc]


# The other decoder


def parts(pdu: bytes, reference: int = 0) -> list[bytes]:
    return sms.encode(NUMBER, pdu, elements=(wap.PORTS,), reference_bits=16, concatenation=reference)


def delivered(submits: list[bytes]) -> list[bytes]:
    """The same parts as a phone gets them."""
    read = [sms.decode(tpdu, "ms2sc") for tpdu in submits]
    return [
        sms.Deliver(NUMBER, one.octets, coding=4, elements=one.elements, service_centre_time_ms=ms(2026, 1, 2)).encode()
        for one in read
    ]


def dissect(packets: list[tuple[bytes, str]], folder: Path) -> list[Found]:
    """What tshark reads of each Service Indication in these TPDUs; those that are not the last part give nothing."""
    file = folder / "push.pcapng"
    file.write_bytes(tshark_sms.capture(packets))
    printed = subprocess.run(
        ["tshark", "-r", str(file), *OPTIONS, "-T", "pdml"],
        check=True,
        capture_output=True,
        timeout=120,
        env={**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},  # nobody's own preferences
    ).stdout
    root = ElementTree.fromstring(printed)  # noqa: S314 - tshark's own output
    assert root.find(".//proto[@name='_ws.malformed']") is None
    assert root.find(".//field[@name='_ws.expert']") is None
    return [read(packet) for packet in root.iter("packet") if packet.find(".//proto[@name='wbxml']") is not None]


def read(packet: ElementTree.Element) -> Found:
    """Headers by tshark's names, attributes by their own, `text` and `tags`, in the order of the octets."""
    shown: Found = {"tags": []}
    attribute = "text"
    for field in packet.iter("field"):
        name, show = field.get("name", ""), field.get("show", "")
        if name in HEADERS:
            shown[name] = show
        elif name == "wbxml.known_tag":
            shown["tags"].append(f"<{show}")
        elif name == "wbxml.end_known_tag":
            shown["tags"].append(f"/{show}")
        elif name == "wbxml.known_attrstart":
            attribute, _, beginning = show.partition("=")
            assert attribute not in shown
            shown[attribute] = beginning[1:-1]  # without its quotes
        elif name == "wbxml.end_attribute_list":
            attribute = "text"
        elif name == "wbxml.str_i":
            shown[attribute] = shown.get(attribute, "") + show
        elif name == "wbxml.known_attrvalue":
            shown[attribute] += show[1:-1]
        elif name == "wbxml.opaque_data":
            _, _, shown[attribute] = field.get("showname", "").partition("%DateTime: ")
    return shown


def expected(url: str, text: str, **options: Any) -> Found:
    due = {**HEADERS, "tags": TAGS, "href": url, "text": text}
    if options.get("identifier"):
        due["si-id"] = options["identifier"]
    if options.get("action", "signal-medium") != "signal-medium":  # which an absent attribute means
        due["action"] = options["action"]
    for name, attribute in {"created_ms": "created", "expires_ms": "si-expires"}.items():
        if options.get(name) is not None:
            second = datetime.fromtimestamp(options[name] // 1_000, UTC)
            due[attribute] = f"{second:%Y-%m-%dT%H:%M:%SZ}"
    return due


LONG_URL = "https://www.example.com/" + "/".join(f"step{number}.net" for number in range(60))
ASKED: list[tuple[str, str, Found]] = [
    ("http://example.org/a", "plain", {}),
    ("http://www.example.org/a", "with www", {}),
    ("https://example.org/a", "safe", {}),
    ("https://www.example.org/a", "safe with www", {}),
    ("https://www.com/", "a domain that the beginning has begun", {}),
    ("https://a.com/", "ends in a token", {}),
    ("https://a.com/b.edu/c.net/d.org/e", "all tokens", {}),
    ("https://a.com/.com/.com/", "one behind the other", {}),
    ("https://a.community/x.com", "no token at all", {}),
    ("HTTPS://WWW.A.COM/", "in capitals, which no token writes", {}),
    ("ftp://files.example.net/x", "another scheme", {}),
    ("https://user:secret@example.org:8443/%C3%BC?a=1&b='2'#top", "all that a URL can have", {}),
    ("https://[2001:db8::1]/", "an address", {}),
    ("https://example.org/", "Grüße aus Köln: ß, é, €", {}),
    ("https://example.org/", "您的车票已准备好，请点击查看", {}),
    ("https://example.org/", "beyond the first plane 😀 𠮷", {}),
    ("https://example.org/", "<b>&amp; \"quotes\" 'too' \\", {}),
    ("https://example.org/", "in two " * 20, {}),
    ("https://example.org/", "x" * 2_000, {}),
    ("https://example.org/", "长短信" * 200, {}),
    (LONG_URL, "a long way", {}),
    (LONG_URL, "Grüße " * 50, {"identifier": "id" * 70, "action": "signal-high", "created_ms": ms(2026, 12, 31)}),
    ("https://example.org/", "named", {"identifier": "Bestellung/ü/1234"}),
    ("https://example.org/", "none", {"action": "signal-none"}),
    ("https://example.org/", "low", {"action": "signal-low"}),
    ("https://example.org/", "medium", {"action": "signal-medium"}),
    ("https://example.org/", "high", {"action": "signal-high"}),
    ("https://example.org/", "delete", {"action": "delete", "identifier": "Bestellung/ü/1234"}),
    ("https://example.org/", "to the second", {"created_ms": ms(2026, 6, 25, 15, 23, 15)}),
    ("https://example.org/", "to the minute", {"created_ms": ms(2026, 6, 25, 15, 23)}),
    ("https://example.org/", "to the hour", {"created_ms": ms(2026, 6, 25, 15)}),
    ("https://example.org/", "to the day", {"expires_ms": ms(2026, 6, 25)}),
    ("https://example.org/", "zeros within", {"expires_ms": ms(2030, 10, 20, 0, 0, 1)}),
    ("https://example.org/", "the first", {"created_ms": ms(2000, 1, 1), "expires_ms": ms(2099, 12, 31, 23, 59, 59)}),
]


def test_tshark_reads_the_link_and_all_that_is_said_of_it(tmp_path: Path) -> None:
    witnesses.require()
    sent = [parts(wap.service_indication(url, text, **options), at) for at, (url, text, options) in enumerate(ASKED)]
    assert {len(tpdus) for tpdus in sent} >= {1, 2, 16}
    due = [expected(url, text, **options) for url, text, options in ASKED]
    submits = [(tpdu, "ms2sc") for tpdus in sent for tpdu in tpdus]
    assert dissect(submits, tmp_path) == due
    delivers = [(tpdu, "sc2ms") for tpdus in sent for tpdu in delivered(tpdus)]
    assert dissect(delivers, tmp_path) == due


def test_tshark_reads_whatever_is_said(tmp_path: Path) -> None:
    witnesses.require()
    dice = random.Random(167)
    pieces = [
        "www.",
        ".com/",
        ".edu/",
        ".net/",
        ".org/",
        ".com",
        "com/",
        "/",
        ".",
        "http://",
        "a",
        "%20",
        "?",
        "x" * 40,
    ]
    words = ["Grüße ", "车票", "😀", "a", "'", '"', "\\", "=", "x" * 60, "é" * 40]
    asked: list[tuple[str, str, Found]] = []
    for _ in range(400):
        scheme = dice.choice(["http://", "https://", "http://www.", "https://www.", "ftp://"])
        url = scheme + "h" + "".join(dice.choices(pieces, k=dice.randrange(12)))
        options: Found = {"identifier": "".join(dice.choices(words, k=dice.randrange(3)))}
        options["action"] = dice.choice(["signal-none", "signal-low", "signal-medium", "signal-high", "delete"])
        step_s = dice.choice([1, 60, 3_600, 86_400])  # for zero octets at the end
        for name in ("created_ms", "expires_ms"):
            second = dice.randrange(ms(2000, 1, 1) // 1_000, ms(2100, 1, 1) // 1_000) // step_s * step_s
            options[name] = dice.choice([None, second * 1_000])
        asked.append((url, "".join(dice.choices(words, k=dice.randrange(1, 12))), options))
    packets = [
        (tpdu, "ms2sc")
        for at, (url, text, options) in enumerate(asked)
        for tpdu in parts(wap.service_indication(url, text, **options), at)
    ]
    found = dissect(packets, tmp_path)
    assert found == [expected(url, text, **options) for url, text, options in asked]


# Octets


def test_writes_the_example_of_the_standard() -> None:
    """WAP-167-ServiceInd §9, in the next century: its 1999 is earlier than a message can be."""
    pdu = wap.service_indication(
        "http://www.xyz.com/email/123/abc.wml",
        "You have 4 new emails",
        created_ms=ms(2099, 6, 25, 15, 23, 15),
        expires_ms=ms(2099, 6, 30),
    )
    document = (
        "02 05 6a 00 45 c6 0d 03" + b"xyz".hex() + "00 85 03" + b"email/123/abc.wml".hex() + "00"
        "0a c3 07 20 99 06 25 15 23 15 10 c3 04 20 99 06 30 01 03" + b"You have 4 new emails".hex() + "00 01 01"
    )
    assert pdu == bytes.fromhex("01 06 06 03 ae 81 ea af 82" + document)


def test_writes_what_another_gateway_writes() -> None:
    """mobiletidings.com, 2009, with the AT command: no application is named there, and `.com/` has no token."""
    pdu = wap.service_indication(
        "http://mobiletidings.com/",
        "Check out Mobile Tidings!",
        created_ms=ms(2009, 2, 26, 16, 25),
        expires_ms=ms(2009, 3, 4, 16, 25),
    )
    theirs = (
        "0b060403ae81ea02056a0045c60c036d6f62696c65746964696e67732e636f6d2f000ac30620090226162510c306200903041625"
        "0103436865636b206f7574204d6f62696c6520546964696e677321000101"
    )
    token = b".com/".hex() + "00"
    assert pdu == bytes.fromhex(theirs.replace("0b060403ae81ea", "01060603ae81eaaf82").replace(token, "0085"))


def test_the_ports_are_those_of_a_push() -> None:
    identifier, data = wap.PORTS
    assert (identifier, data.hex()) == (0x05, "0b8423f0")
    (tpdu,) = parts(wap.service_indication("https://example.org/", "here"))
    part = sms.decode(tpdu, "ms2sc")
    assert part.ports == (2948, 9200)
    assert part.alphabet == sms.Alphabet.OCTETS


def test_the_parts_hold_the_octets_and_nothing_else() -> None:
    pdu = wap.service_indication(LONG_URL, "Grüße " * 50)
    read = [sms.decode(tpdu, "ms2sc") for tpdu in parts(pdu)]
    assert len(read) > 5
    assert b"".join(part.octets for part in read) == pdu


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        pytest.param("created_ms", "0ac306202601020304", id="created is rounded down"),
        pytest.param("expires_ms", "10c30720260102030401", id="what expires is kept for all of its last second"),
    ],
)
def test_times_are_whole_seconds(name: str, octets: str) -> None:
    times = {name: ms(2026, 1, 2, 3, 4) + 1}
    assert octets + "0103" in wap.service_indication("https://example.org/", "here", **times).hex()  # type: ignore[arg-type]


# What is refused


@pytest.mark.parametrize(
    ("url", "offset"),
    [
        pytest.param("", None, id="nothing"),
        pytest.param("/a/b", None, id="a path"),
        pytest.param("example.org/a", None, id="a host and a path"),
        pytest.param("//example.org/a", None, id="without a scheme"),
        pytest.param("https:", None, id="a scheme"),
        pytest.param("https://", None, id="a scheme without a host"),
        pytest.param("https:///a", None, id="a scheme and a path"),
        pytest.param("https://?a", None, id="a scheme and a query"),
        pytest.param("localhost:8080/a", None, id="a port, which is no scheme"),
        pytest.param("1https://example.org", None, id="a digit ahead"),
        pytest.param("https://example.org/\0", 20, id="a null"),
        pytest.param("https://example.org/a b", 21, id="a space"),
        pytest.param("https://example.org/\n", 20, id="a line end"),
        pytest.param(" https://example.org/", 0, id="a space ahead"),
        pytest.param("https://köln.example/", 9, id="an umlaut"),
        pytest.param("https://example.org/\ud83d", 20, id="a lone surrogate"),
        pytest.param("https://example.org/\x7f", 20, id="a control character"),
    ],
)
def test_a_url_that_no_phone_could_open_is_refused(url: str, offset: int | None) -> None:
    with pytest.raises(CodecError) as refused:
        wap.service_indication(url, "here")
    assert (refused.value.field, refused.value.offset) == ("url", offset)


@pytest.mark.parametrize("wrong", ["ab\0", "ab\x1b", "ab\x08c", "ab\ud83d", "ab\ufffe"])
def test_a_character_that_xml_lacks_is_refused_where_it_stands(wrong: str) -> None:
    with pytest.raises(CodecError) as refused:
        wap.service_indication("https://example.org/", wrong)
    assert (refused.value.field, refused.value.offset) == ("text", 2)
    with pytest.raises(CodecError) as refused:
        wap.service_indication("https://example.org/", "here", identifier=wrong)
    assert (refused.value.field, refused.value.offset) == ("identifier", 2)


def test_lines_and_tabs_of_a_text_stay() -> None:
    text = "one\r\ntwo\tthree\u2028four\u0085"
    assert b"\x01\x03" + text.encode() + b"\0\x01\x01" in wap.service_indication("https://example.org/", text)


@pytest.mark.parametrize(
    ("field", "options"),
    [
        pytest.param("text", {"text": ""}, id="no text"),
        pytest.param("action", {"action": "signal"}, id="an action that there is not"),
        pytest.param("action", {"action": ""}, id="no action"),
        pytest.param("created", {"created_ms": ms(2000, 1, 1) - 1}, id="created too early"),
        pytest.param("created", {"created_ms": ms(2100, 1, 1)}, id="created too late"),
        pytest.param("created", {"created_ms": -(10**30)}, id="created before all time"),
        pytest.param("expires", {"expires_ms": ms(1999, 12, 31)}, id="expires too early"),
        pytest.param("expires", {"expires_ms": ms(2100, 1, 1) - 999}, id="expires in a second that is too late"),
        pytest.param("expires", {"expires_ms": 10**30}, id="expires after all time"),
    ],
)
def test_what_cannot_be_said_is_refused(field: str, options: Found) -> None:
    with pytest.raises(CodecError) as refused:
        wap.service_indication(**{"url": "https://example.org/", "text": "here", **options})
    assert refused.value.field == field
