"""What the modem holds for us: stored messages and reports, read, handed over, and only then deleted.

The order is the promise: a record leaves the modem when the one who took it has made it durable, never
before. PDUs are digits here; what stands in them is not our business.
"""

import itertools
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from engine.errors import CarillonError, CommandRefused, ModemError
from engine.modem.at import Indication, Unsolicited
from engine.modem.dialogue import Dialogue

log = logging.getLogger(__name__)

READ_TIMEOUT_S = 7.0
DELETE_TIMEOUT_S = 10.0
LIST_TIMEOUT_S = 60.0

# MT numbers its slots from 1; more than this at once is noise, and a list is read instead.
MOST_INDICATED = 128
# Only one message may be pushed without acknowledgement; the rest is room for a modem that does not know.
MOST_PUSHED = 16
# Digits that were lost on the line are there when they are read again.
READ_TRIES = 3

LIST_ALL = "AT+CMGL=4"
_STORED_BY_US = frozenset({2, 3})  # unsent, sent: drafts, which nobody sent to us
# The name between status and length may hold commas: it is a phone-book entry, in quotes.
_LISTED = re.compile(r"\+CMGL: *(\d{1,5}) *, *(\d)(?:,.*)?, *(\d{1,4})")
_READ = re.compile(r"\+CMGR: *(\d)(?:,.*)?, *(\d{1,4})")
_PUSHED_LENGTH = re.compile(r".*?(\d+)")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")

Receive = Callable[[str, int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Record:
    """One slot: `status` 0–3 as 3GPP TS 27.005 §3.1 <stat>, `length` in octets without the service centre."""

    index: int
    status: int
    pdu: str
    length: int

    def is_ours(self) -> bool:
        """Whether it was sent to us, and is not a draft."""
        return self.status not in _STORED_BY_US

    def is_filler(self) -> bool:
        """Whether it is one of the dummies that a change of storage leaves behind: 00 and nothing but F."""
        return not self.pdu.upper().lstrip("0").rstrip("F")

    def is_whole(self) -> bool:
        """Whether all octets that the header promises came over the line.  There may be more: FF fills a
        slot.
        """
        if not _HEX.fullmatch(self.pdu):
            return False
        return len(self.pdu) // 2 >= 1 + int(self.pdu[:2], 16) + self.length


class Inbox:
    """The indicated and pushed records of one modem, until `collect` has brought them in.

    `receive` takes a PDU and its length and returns once they are durable; `received` counts them.
    """

    def __init__(self, receive: Receive) -> None:
        self.received = 0
        self._receive = receive
        self._indicated: dict[int, None] = {}
        self._pushed: list[Unsolicited] = []
        self._must_list = False
        # Handed over, but the modem would not delete them: not handed over again.
        self._undeleted: dict[int, str] = {}

    def note_indication(self, indication: Indication) -> None:
        """Remember a +CMTI or +CDSI.  An index of another storage than MT says nothing to us: then all is
        listed.
        """
        if indication.storage != "MT" or len(self._indicated) >= MOST_INDICATED:
            self._must_list = True
        else:
            self._indicated[indication.index] = None

    def note_pushed(self, pushed: Unsolicited) -> None:
        """Remember a +CMT or +CDS, which was not asked for and is stored nowhere."""
        if len(self._pushed) < MOST_PUSHED:
            self._pushed.append(pushed)

    def note_list(self) -> None:
        """Have everything listed at the next `collect`: an indication may have been missed."""
        self._must_list = True

    def is_waiting(self) -> bool:
        """Whether there is something to bring in."""
        return self._must_list or bool(self._indicated) or bool(self._pushed)

    def forget(self) -> None:
        """Begin with another SIM, or after a restart: indices mean nothing any more, and a list will tell.

        What was pushed stays: it is stored nowhere else.
        """
        self._indicated.clear()
        self._undeleted.clear()
        self._must_list = True

    async def collect(self, dialogue: Dialogue) -> None:
        """Bring in everything that is known to wait.

        Raises ModemError; what was not read stays in the modem, and the next list brings it.
        """
        while self.is_waiting():
            if self._pushed:
                await self._take_pushed(dialogue, self._pushed[0])
                del self._pushed[0]
            elif self._indicated:
                # Forgotten first: the freed slot may be indicated again before we hear that it is free.
                index = next(iter(self._indicated))
                del self._indicated[index]
                await self._take_slot(dialogue, index)
            else:
                await self._take_all(dialogue)

    async def _take_all(self, dialogue: Dialogue) -> None:
        # Cleared first: what is indicated while the list is read may not stand in it.
        self._must_list = False
        for record in parse(await dialogue.ask_patiently(LIST_ALL, LIST_TIMEOUT_S)):
            if not record.is_ours():
                continue
            if record.is_whole() or record.is_filler():
                await self._take(dialogue, record)
            else:
                await self._take_slot(dialogue, record.index)

    async def _take_slot(self, dialogue: Dialogue, index: int) -> None:
        damaged: dict[tuple[str, int], Record] = {}  # without the status, which the first reading changes
        for _ in range(READ_TRIES):
            try:
                lines = await dialogue.ask_patiently(f"AT+CMGR={index}", READ_TIMEOUT_S)
            except CommandRefused as refused:
                log.warning("slot %d cannot be read: %s", index, refused)
                return
            if not (records := parse(lines, index)):
                if any(line.startswith("+CMGR:") for line in lines):
                    return  # +CMGR: 0,,0: the slot is empty
                continue
            if not records[0].is_ours():
                return
            if records[0].is_whole() or records[0].is_filler():
                await self._take(dialogue, records[0])
                return
            damaged[records[0].pdu, records[0].length] = records[0]
        if len(damaged) == 1:
            # The same each time: not the line has lost octets but the record.  Whoever keeps it sees what there is.
            log.warning("slot %d holds a damaged record", index)
            await self._take(dialogue, damaged.popitem()[1])
            return
        log.warning("slot %d cannot be read without losing octets: left where it is", index)

    async def _take(self, dialogue: Dialogue, record: Record) -> None:
        if not record.is_filler() and self._undeleted.get(record.index) != record.pdu:
            if not await self._hand_over(record.pdu, record.length):
                return
            self._undeleted[record.index] = record.pdu
        try:
            await dialogue.ask_patiently(f"AT+CMGD={record.index}", DELETE_TIMEOUT_S)
        except CommandRefused as refused:
            log.warning("slot %d cannot be deleted: %s", record.index, refused)
            return
        self._undeleted.pop(record.index, None)

    async def _take_pushed(self, dialogue: Dialogue, pushed: Unsolicited) -> None:
        length = _PUSHED_LENGTH.fullmatch(pushed.text.partition(":")[2])
        record = Record(0, 0, pushed.pdu, int(length[1]) if length else 0)
        if record.is_whole() and await self._hand_over(record.pdu, record.length):
            # Only now: until then the network keeps it.  Refused where AT+CSMS=0 wants none.
            await dialogue.ask_if_known("AT+CNMA")

    async def _hand_over(self, pdu: str, length: int) -> bool:
        try:
            await self._receive(pdu, length)
        except ModemError:
            raise
        except CarillonError as refused:
            # Not durable: it stays in the modem, and the next list brings it again.
            log.error("a received PDU was not taken: %s", type(refused).__name__)
            return False
        self.received += 1
        return True


def parse(lines: list[str], index: int = 0) -> list[Record]:
    """The records of an answer to AT+CMGL, or to AT+CMGR of slot `index`; a header without its PDU is left
    out.
    """
    records: list[Record] = []
    for header, below in itertools.pairwise(lines):
        if below.startswith("+CMG"):
            continue
        pdu = below.partition(",")[0].strip()  # some firmware ends the PDU with ",0"
        if found := _LISTED.fullmatch(header):
            records.append(Record(int(found[1]), int(found[2]), pdu, int(found[3])))
        elif found := _READ.fullmatch(header):
            records.append(Record(index, int(found[1]), pdu, int(found[2])))
    return records
