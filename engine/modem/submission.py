"""One AT+CMGS from the first octet to the outcome (3GPP TS 27.005 §3.5.1).

No I/O and no clock: times are arguments.

    ASKED     AT+CMGS=<length> was given; waits for the prompt
    GIVEN     the PDU and Ctrl-Z were given; waits for +CMGS: <reference>
    ACCEPTED  the network took it; waits for the OK behind the reference
    DONE      `outcome` says how

Rule 1: before the first octet of the PDU every failure means "not sent".
Rule 2: behind it only a definite error does; silence, a lost line and ambiguous codes mean "unknown".
Rule 3: an OK without a reference means "not sent": with AT^SM20=x,1 that is how a TC35i hides an error.
    But behind a line that cannot be read it means "unknown": that line may have been the reference,
    before the wire lost an octet of it.
Rule 4: the reference is the proof, whatever happens to the OK behind it.
"""

import asyncio
import re
from enum import Enum

from engine.errors import ModemError, ModemLost, ModemSilent, SubmitRefused, SubmitUnknown
from engine.modem.at import Final, Info, Line, Prompt, is_ambiguous

CTRL_Z = b"\x1a"
COMMAND = "AT+CMGS"

_REFERENCE = re.compile(r"\+CMGS: *(\d{1,3})(?:,.*)?")


class Stage(Enum):
    ASKED = "asked"
    GIVEN = "given"
    ACCEPTED = "accepted"
    DONE = "done"


# Looked up once: a member of an Enum costs more than a global, and these are read for every line.
ASKED, GIVEN, ACCEPTED, DONE = Stage


class Submission:
    """One part on its way.  `future` is the caller's; `outcome` is the reference or what went wrong.

    `is_suspect` tells that the modem's state is not known any more and the line must be brought back into
    step; `hid_errors` that it answered a bare OK, so that AT^SM20 must be set again.
    """

    __slots__ = (
        "_is_garbled",
        "future",
        "given_s",
        "hid_errors",
        "is_suspect",
        "length",
        "outcome",
        "pdu",
        "reference",
        "stage",
        "written_before",
    )

    def __init__(self, pdu: bytes, length: int, future: asyncio.Future[int]) -> None:
        self.pdu = pdu
        self.length = length
        self.future = future
        self.stage = ASKED
        self.outcome: int | ModemError | None = None
        self.reference = -1
        self.given_s = 0.0
        # What the port had written before the PDU: its count then tells whether an octet of it left.
        self.written_before = 0
        self.is_suspect = False
        self.hid_errors = False
        self._is_garbled = False

    def command(self) -> bytes:
        """The first octets: no line feed, which would become part of the PDU."""
        return b"AT+CMGS=%d\r" % self.length

    def hear(self, line: Line, now_s: float) -> bytes:
        """Take one line from the modem; the octets to write next, mostly none."""
        if isinstance(line, Prompt):
            if self.stage is ASKED:
                self.stage = GIVEN
                self.given_s = now_s
                return self.pdu + CTRL_Z
        elif isinstance(line, Info):
            # The stage is asked first: nothing that is said before the PDU can be its reference.
            if self.stage is GIVEN:
                # TP-MR is one octet: a larger number was damaged on the wire.
                if (found := _REFERENCE.fullmatch(line.text)) and int(found[1]) <= 255:
                    self.reference = int(found[1])
                    self.stage = ACCEPTED
                else:
                    self._is_garbled = True
        elif isinstance(line, Final):
            self._end(line, now_s)
        return b""

    def _end(self, final: Final, now_s: float) -> None:
        if self.stage is ACCEPTED:
            self._decide(self.reference)
        elif final.ok and self._is_garbled:
            self._decide(SubmitUnknown("the answer cannot be read"))
        elif final.ok:
            # Before the prompt it is an OK of something else, or an error hidden: either way nothing was
            # given.
            self.is_suspect = self.stage is ASKED
            self.hid_errors = True
            self._decide(SubmitRefused(COMMAND))
        elif self.stage is GIVEN and is_ambiguous(final.cms, now_s - self.given_s):
            self._decide(SubmitUnknown("the modem does not know either", final.cms))
        else:
            self._decide(SubmitRefused(COMMAND, final.cme, final.cms))

    def time_out(self, timeout_s: float, written: int) -> None:
        """No word for `timeout_s`; the port had then `written` so many octets."""
        self.is_suspect = True
        if self.stage is ACCEPTED:
            self._decide(self.reference)
        elif self._was_given(written):
            self._decide(SubmitUnknown(f"no outcome within {timeout_s:g} s"))
        else:
            self._decide(ModemSilent(COMMAND, timeout_s))

    def break_off(self, reason: str, written: int) -> None:
        """The line or the modem went away in the middle; the port had then `written` so many octets."""
        if self.stage is ACCEPTED:
            self._decide(self.reference)
        elif self._was_given(written):
            self._decide(SubmitUnknown(reason))
        else:
            self._decide(ModemLost(reason))

    def _was_given(self, written: int) -> bool:
        return self.stage is GIVEN and written > self.written_before

    def _decide(self, outcome: int | ModemError) -> None:
        self.stage = DONE
        self.outcome = outcome
