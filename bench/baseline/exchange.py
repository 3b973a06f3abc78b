"""One AT+CMGS in plain Python: slow, readable, the oracle of the native one."""

import os
import re
from collections.abc import Iterator

from bench.baseline.stream import Reader
from engine.errors import ModemError, ModemLost, ModemSilent, SubmitRefused, SubmitUnknown
from engine.modem.at import Final, Info, Line, Prompt

CTRL_Z = b"\x1a"
COMMAND = "AT+CMGS"
AMBIGUOUS_CMS = {332, 500, 521}
AMBIGUOUS_LATE_CMS = {38, 41, 47}
LATE_S = 25.0

_REFERENCE = re.compile(r"\+CMGS: *(\d{1,3})(?:,.*)?")


class Submission:
    """A part whose AT+CMGS was given: `stage` is "asked", "given", "accepted" or "done"."""

    def __init__(self, pdu: bytes) -> None:
        self.pdu = pdu
        self.stage = "asked"
        self.outcome: int | ModemError | None = None
        self.reference = -1
        self.given_s = 0.0
        self.written_before = 0
        self.is_suspect = False
        self.hid_errors = False
        self._is_garbled = False

    def hear(self, line: Line, now_s: float) -> bytes | None:
        """Take one line from the modem; the octets to write next, mostly none; None where it is not for us."""
        if self.stage == "done" or not isinstance(line, Prompt | Info | Final):
            return None
        if isinstance(line, Prompt):
            if self.stage == "asked":
                self.stage = "given"
                self.given_s = now_s
                return self.pdu + CTRL_Z
        elif isinstance(line, Info):
            if self.stage == "given":
                if (found := _REFERENCE.fullmatch(line.text)) and int(found[1]) <= 255:
                    self.reference = int(found[1])
                    self.stage = "accepted"
                else:
                    self._is_garbled = True
        else:
            self._end(line, now_s)
        return b""

    def _end(self, final: Final, now_s: float) -> None:
        late = now_s - self.given_s > LATE_S
        if self.stage == "accepted":
            self._decide(self.reference)
        elif final.ok and self._is_garbled:
            self._decide(SubmitUnknown("the answer cannot be read"))
        elif final.ok:
            self.is_suspect = self.stage == "asked"
            self.hid_errors = True
            self._decide(SubmitRefused(COMMAND))
        elif self.stage == "given" and (final.cms in AMBIGUOUS_CMS or (final.cms in AMBIGUOUS_LATE_CMS and late)):
            self._decide(SubmitUnknown("the modem does not know either", final.cms))
        else:
            self._decide(SubmitRefused(COMMAND, final.cme, final.cms))

    def time_out(self, timeout_s: float, written: int) -> None:
        """No word for `timeout_s`; the port had then `written` so many octets."""
        self.is_suspect = True
        if self.stage == "accepted":
            self._decide(self.reference)
        elif self.stage == "given" and written > self.written_before:
            self._decide(SubmitUnknown(f"no outcome within {timeout_s:g} s"))
        else:
            self._decide(ModemSilent(COMMAND, timeout_s))

    def break_off(self, reason: str, written: int) -> None:
        """The line or the modem went away in the middle; the port had then `written` so many octets."""
        if self.stage == "accepted":
            self._decide(self.reference)
        elif self.stage == "given" and written > self.written_before:
            self._decide(SubmitUnknown(reason))
        else:
            self._decide(ModemLost(reason))

    def _decide(self, outcome: int | ModemError) -> None:
        self.stage = "done"
        self.outcome = outcome


class Modem:
    """Sends `parts` over the descriptor `fd`, each begun where the end of the last is heard; keeps the outcomes."""

    def __init__(self, fd: int, parts: Iterator[tuple[bytes, int]]) -> None:
        self.outcomes: list[int | ModemError | None] = []
        self._fd = fd
        self._parts = parts
        self._reader = Reader()
        self._submission: Submission | None = None
        self._begin()

    def readable(self) -> None:
        """There is something to read."""
        submission = self._submission
        if submission is None:
            return
        for line in self._reader.feed(os.read(self._fd, 448)):
            if reply := submission.hear(line, 0.0):
                self._reader.echo = submission.pdu
                os.write(self._fd, reply)
        if submission.stage == "done":
            self.outcomes.append(submission.outcome)
            self._begin()

    def _begin(self) -> None:
        if (part := next(self._parts, None)) is None:
            self._submission = None
            return
        pdu, length = part
        self._submission = Submission(pdu)
        self._reader.echo = command = b"AT+CMGS=%d" % length
        os.write(self._fd, command + b"\r")
