"""The other end of a line, for tests of the driver: a pseudo-terminal that plays lines.

It is not a modem.  It answers each command with the octets of a table, opens the prompt for AT+CMGS, and
hands what comes after it to `on_pdu`.  Whatever a test wants to go wrong, it writes into the table or says
with `say`.
"""

import asyncio
import os
import pty
import tty
from collections.abc import Callable
from pathlib import Path

PROMPT = b"\r\n> "
OK = b"\r\nOK\r\n"

Answer = bytes | Callable[[], bytes]


def lines(*texts: str) -> bytes:
    """Lines of an answer and its OK."""
    return b"".join(b"\r\n%s\r\n" % text.encode() for text in (*texts, "OK"))


ANSWERS: dict[str, Answer] = {
    "AT+CPIN?": lines("+CPIN: READY"),
    "AT+CREG?": lines("+CREG: 0,1"),
    "AT+CIMI": lines("262011234567890"),
    "AT+CSQ": lines("+CSQ: 19,99"),
    "AT+CSCA?": lines('+CSCA: "+491710760000",145'),
    "AT+COPS?": lines('+COPS: 0,0,"Testnet"'),
    "AT+CPMS?": lines('+CPMS: "MT",0,45,"MT",0,45,"MT",0,45'),
    "AT+CSMS=0": lines("+CSMS: 1,1,1"),
    "AT+CNMI?": lines("+CNMI: 2,1,0,2,1"),
}


class Puppet:
    """Plays a modem at `path`, a link that can vanish.  An empty answer is silence."""

    def __init__(self, path: Path, on_news: Callable[[], None] = lambda: None) -> None:
        self.path = path
        self._on_news = on_news
        self.heard: list[str] = []
        self.pdus: list[bytes] = []
        self.answers: dict[str, Answer] = dict(ANSWERS)
        self.prompt: Answer = PROMPT
        self.echoes = False
        self.reference = 0
        self.on_pdu: Callable[[bytes], bytes | None] = self.accept
        self._at_prompt = False
        self._said = b""
        self.plug()

    def plug(self) -> None:
        """Be there: the link points to a fresh terminal."""
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        asyncio.get_running_loop().add_reader(self._master, self._readable)
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(self._slave))

    def hang_up(self) -> None:
        """The line goes; the name of the port stays."""
        if self._master >= 0:
            asyncio.get_running_loop().remove_reader(self._master)
            os.close(self._slave)
            os.close(self._master)
            self._master = -1

    def unplug(self) -> None:
        """The line goes, and the name with it."""
        self.path.unlink(missing_ok=True)
        self.hang_up()

    def say(self, octets: bytes) -> None:
        os.write(self._master, octets)

    def accept(self, _: bytes) -> bytes:
        """The usual answer to a PDU."""
        self.reference = (self.reference + 1) % 256
        return lines(f"+CMGS: {self.reference}")

    def _readable(self) -> None:
        try:
            octets = os.read(self._master, 4096)
        except OSError:
            return
        self._said += octets
        while self._next():
            pass
        self._on_news()

    def _next(self) -> bool:
        if self._at_prompt:
            ends = [at for at in (self._said.find(b"\x1a"), self._said.find(b"\x1b")) if at >= 0]
            if not ends:
                return False
            pdu, end, self._said = self._said[: min(ends)], self._said[min(ends)], self._said[min(ends) + 1 :]
            self._at_prompt = False
            if self.echoes:
                self.say(pdu + bytes([end]))
            if end == 0x1B:
                self.say(OK)
                return True
            self.pdus.append(pdu)
            answer = self.on_pdu(pdu)
            if answer:
                self.say(answer)
            return True
        command, cr, rest = self._said.partition(b"\r")
        if not cr:
            return False
        self._said = rest
        if self.echoes:
            self.say(command + cr)
        self._answer(command.replace(b"\x1b", b"").decode())
        return True

    def _answer(self, command: str) -> None:
        if not command:
            return
        self.heard.append(command)
        if command.startswith("AT+CMGS="):
            answer = self.prompt
            self._at_prompt = answer == PROMPT
        else:
            answer = self.answers.get(command, OK)
        if callable(answer):
            answer = answer()
        if answer:
            self.say(answer)
