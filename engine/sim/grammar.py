"""The words of an AT line, and the ways a command is refused (V.25ter, 3GPP TS 27.005 §3.2.5, 27.007 §9.2).

Pure: octets of a line to commands.  Who answers them is elsewhere.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from engine.errors import CarillonError

CMS_NOT_ALLOWED, CMS_BAD_PDU, CMS_PIN = 302, 304, 311
CMS_BAD_INDEX, CMS_FULL, CMS_NO_SMSC, CMS_NO_NETWORK = 321, 322, 330, 331
CMS_TIMEOUT, CMS_NO_CNMA, CMS_UNKNOWN, CMS_TIMER = 332, 340, 500, 521
CME_NOT_ALLOWED, CME_PIN, CME_PUK, CME_PASSWORD, CME_UNKNOWN = 3, 11, 12, 16, 100

# What AT+CMEE=2 says instead of a number.
CME_TEXTS = {
    3: "operation not allowed",
    11: "SIM PIN required",
    12: "SIM PUK required",
    16: "incorrect password",
    100: "unknown",
}
CMS_TEXTS = {
    302: "operation not allowed",
    304: "invalid PDU mode parameter",
    311: "SIM PIN required",
    321: "invalid memory index",
    322: "SIM memory full",
    330: "SMSC address unknown",
    331: "no network service",
    332: "network timeout",
    340: "no +CNMA acknowledgement expected",
    500: "unknown error",
    521: "timer expired",
}


class Refused(CarillonError):
    """A command ends with ERROR, +CME ERROR `cme` or +CMS ERROR `cms`; never leaves the simulator."""

    def __init__(self, *, cme: int | None = None, cms: int | None = None) -> None:
        super().__init__(f"refused, +CME {cme}, +CMS {cms}")
        self.cme = cme
        self.cms = cms


class Command(NamedTuple):
    """One command of a line: `form` is "", "?", "=?" or "=", the last with `argument`."""

    name: str
    form: str
    argument: str


class Word(NamedTuple):
    """How a command is answered: the handler gives the lines before OK, joined by CR LF, "" for none, None
    for none and no OK yet.  `alone`: must be the only one on its line.  `locked`: the refusal while the SIM
    wants its PIN.
    """

    answer: Callable[[Any, Command], str | None]
    alone: bool = False
    locked: Refused | None = None


@lru_cache(maxsize=4096)
def parse(line: bytes) -> tuple[Command, ...] | None:
    """The commands of a line, in order; None for a line that is not one: no AT or at in it."""
    found = [at for at in (line.find(b"AT"), line.find(b"at")) if at >= 0]
    if not found:
        return None
    text = line[min(found) + 2 :].decode("latin-1").strip()
    commands = []
    while text := text.lstrip(" ;"):
        if text[0] in "+^%$*#":
            end, quoted = 0, False
            while end < len(text) and (quoted or text[end] != ";"):
                quoted ^= text[end] == '"'
                end += 1
            one, text = text[:end], text[end:]
            name, equals, argument = one.partition("=")
            if equals:
                form = "=?" if argument == "?" else "="
            else:
                form = "?" if name.endswith("?") else ""
                name = name.removesuffix("?")
            commands.append(Command(name.strip().upper(), form, "" if form == "=?" else argument.strip()))
        else:
            end = 2 if text[0] in "&\\" else 1
            while end < len(text) and (text[end].isdigit() or (text[0] in "Ss" and text[end] in "=?")):
                end += 1
            if text[0] in "Dd":
                end = len(text)
            size = 2 if text[0] in "&\\" else 1
            commands.append(Command(text[:size].upper(), "=", text[size:end].strip()))
            text = text[end:]
    return tuple(commands) or (Command("", "", ""),)
