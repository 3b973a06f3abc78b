"""Links that a phone opens at a tap: WAP push Service Indications, as 8-bit data of an SMS.

    sms.encode(number, wap.service_indication("https://example.org/a", "Your ticket"), elements=(wap.PORTS,))

Owns the SI document of WAP-167-ServiceInd in the tokens of WAP-192-WBXML, and the connectionless push PDU of
WAP-230-WSP around it.  Knows nothing of parts: whoever sends the octets cuts them, the phone joins them by the header.
"""

import re
from datetime import UTC, datetime
from typing import Final

from engine import sms
from engine.errors import CodecError

__all__ = ["PORTS", "service_indication"]

# To the port of pushes without a session, from that of WSP without a session: WAP-259-WDP.
PORTS: Final = sms.ports(2948, 9200)

_TRANSACTION: Final = 0x01  # nothing answers a push without a session, so nothing asks for another number
_PUSH: Final = 0x06
# Of three octets: application/vnd.wap.sic; charset=utf-8.  WAP-230-WSP §8.4.2.24.
_CONTENT_TYPE: Final = bytes([0x03, 0xAE, 0x81, 0xEA])
_APPLICATION: Final = bytes([0xAF, 0x82])  # X-Wap-Application-Id: wml.ua, the browser; WAP-230-WSP §8.4.2.54
# WBXML 1.2 as in the standard's own example, "-//WAPFORUM//DTD SI 1.0//EN", UTF-8, no string table.
_DOCUMENT: Final = bytes([0x02, 0x05, 0x6A, 0x00])

_END: Final = b"\x01"
_STRING: Final = b"\x03"  # up to a zero octet
_OPAQUE: Final = b"\xc3"  # behind it their number
_SI: Final = b"\x45"  # with content
_INDICATION: Final = b"\xc6"  # with attributes and content

_CREATED: Final = b"\x0a"
_EXPIRES: Final = b"\x10"
_IDENTIFIER: Final = b"\x11"
# Longer ones first: each begins with one of those behind it.
_URLS: Final = {
    "http://www.": b"\x0d",
    "https://www.": b"\x0f",
    "http://": b"\x0c",
    "https://": b"\x0e",
    "": b"\x0b",
}
_DOMAINS: Final = {".com/": b"\x85", ".edu/": b"\x86", ".net/": b"\x87", ".org/": b"\x88"}
_ACTIONS: Final = {
    "signal-none": b"\x05",
    "signal-low": b"\x06",
    "signal-medium": b"",  # the document type's default: 0x07 would say the same
    "signal-high": b"\x08",
    "delete": b"\x09",
}

_DOMAIN: Final = re.compile("(" + "|".join(map(re.escape, _DOMAINS)) + ")")
_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]")
_NOT_IN_URL: Final = re.compile(r"[^!-~]")
_NOT_IN_XML: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 §2.2
_FIRST_S: Final = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
_LAST_S: Final = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp()) - 1


def service_indication(
    url: str,
    text: str,
    *,
    identifier: str = "",
    action: str = "signal-medium",
    created_ms: int | None = None,
    expires_ms: int | None = None,
) -> bytes:
    """The push PDU that shows `text` and offers to open `url`: WAP-167-ServiceInd §8, WAP-230-WSP §8.2.4.

    A phone keeps one indication of each `identifier`, which is the URL if none is given, and replaces or, by "delete",
    drops it when another comes.  `action` says how much to disturb: "signal-none", "signal-low", "signal-medium",
    "signal-high".  Times are milliseconds of the Unix epoch, of the years 2000 to 2099, and are sent in whole seconds:
    `created_ms` rounded down, `expires_ms`, when the phone forgets it, rounded up.

    Raises CodecError: "url" unless it has a scheme and a host and is ASCII without spaces, "text" if there is none,
    "text" or "identifier" for a character that XML does not know, "action", "created" or "expires".
    """
    attributes = _href(url)
    if identifier:
        attributes += _IDENTIFIER + _string(identifier, "identifier")
    if created_ms is not None:
        attributes += _CREATED + _date(created_ms // 1_000, "created")
    if expires_ms is not None:
        attributes += _EXPIRES + _date(-(-expires_ms // 1_000), "expires")
    if action not in _ACTIONS:
        raise CodecError(f"none of {', '.join(_ACTIONS)}", "action")
    attributes += _ACTIONS[action]
    if not text:
        raise CodecError("empty: phones drop an indication without one", "text")
    headers = _CONTENT_TYPE + _APPLICATION
    return (
        bytes([_TRANSACTION, _PUSH, len(headers)])
        + headers
        + _DOCUMENT
        + (_SI + _INDICATION + attributes + _END + _string(text, "text") + _END + _END)
    )


def _href(url: str) -> bytes:
    """The attribute with the URL, the frequent beginnings and domains as tokens: WAP-167-ServiceInd §8.3.2, §8.3.3."""
    if wrong := _NOT_IN_URL.search(url):
        raise CodecError("not ASCII, or a space: write it in percent signs", "url", wrong.start())
    if not _ABSOLUTE.match(url):
        raise CodecError("not absolute: scheme://host", "url")
    beginning = next(beginning for beginning in _URLS if url.startswith(beginning))
    octets = _URLS[beginning]
    for piece in _DOMAIN.split(url.removeprefix(beginning)):
        if piece:
            octets += _DOMAINS.get(piece) or _string(piece, "url")
    return octets


def _string(text: str, field: str) -> bytes:
    """An inline string, which a zero octet ends: WAP-192-WBXML §5.8.4.1."""
    if wrong := _NOT_IN_XML.search(text):
        raise CodecError("a character that XML does not know", field, wrong.start())
    return _STRING + text.encode() + b"\0"


def _date(at_s: int, field: str) -> bytes:
    """Year to second in UTC, two digits an octet, without the zero octets at the end: WAP-167-ServiceInd §8.2.2."""
    if not _FIRST_S <= at_s <= _LAST_S:
        raise CodecError("not of the years 2000 to 2099", field)
    digits = datetime.fromtimestamp(at_s, UTC).strftime("%Y%m%d%H%M%S")
    octets = bytes.fromhex(digits).rstrip(b"\0")
    return _OPAQUE + bytes([len(octets)]) + octets
