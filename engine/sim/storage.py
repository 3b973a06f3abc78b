"""The message stores of a TC35i: ME with 25 slots, SM on the SIM, and MT, which is both under one numbering.

Holds records and numbers them from 1; knows neither AT nor what a PDU means.  A record outlives the host's
port and a restart of the modem; it does not outlive the process.
"""

from collections.abc import Iterator

ME_SLOTS = 25
# EF_SMS rows are 176 octets, the status first (3GPP TS 51.011 §10.5.3).
RECORD_OCTETS = 175

UNREAD, READ, UNSENT, SENT = range(4)


class Record:
    """One stored message: status 0-3, PDU with its service centre in hex, octets of the TPDU alone."""

    __slots__ = ("length", "pdu", "status")

    def __init__(self, status: int, pdu: str, length: int) -> None:
        self.status = status
        self.pdu = pdu
        self.length = length


Bank = list[Record | None]


class Storage:
    """Slots by memory name; which memory is read (mem1), written to (mem2) and received into (mem3)."""

    def __init__(self, sm_slots: int = 15, me_slots: int = ME_SLOTS) -> None:
        self._me: Bank = [None] * me_slots
        self._sm: Bank = [None] * sm_slots
        self.memories = ("MT", "MT", "MT")
        # AT^SSMSS: 0 numbers ME before SM under MT, 1 SM before ME.
        self.sm_first = False

    def _banks(self, memory: str) -> tuple[Bank, ...]:
        if memory == "ME":
            return (self._me,)
        if memory == "SM":
            return (self._sm,)
        return (self._sm, self._me) if self.sm_first else (self._me, self._sm)

    def usage(self, memory: str) -> tuple[int, int]:
        """Slots used, and slots there are."""
        banks = self._banks(memory)
        total = sum(map(len, banks))
        return total - sum(bank.count(None) for bank in banks), total

    def is_full(self) -> bool:
        """Whether nothing more can be received."""
        return all(None not in bank for bank in self._banks(self.memories[2]))

    def add(self, record: Record, memory: str, only_sm: bool = False) -> int | None:
        """Put a record into the first free slot of a memory: its index there, or None if there is none.

        `only_sm` is for class 2, which belongs on the SIM and nowhere else.
        """
        offset = 1
        for bank in self._banks(memory):
            if (not only_sm or bank is self._sm) and None in bank:
                slot = bank.index(None)
                bank[slot] = record
                return offset + slot
            offset += len(bank)
        return None

    def _place(self, index: int) -> tuple[Bank, int]:
        slot = index - 1
        if slot >= 0:
            for bank in self._banks(self.memories[0]):
                if slot < len(bank):
                    return bank, slot
                slot -= len(bank)
        raise IndexError(index)

    def find(self, index: int) -> Record | None:
        """The record at an index of mem1, None if the slot is free.  Raises IndexError beyond the store."""
        bank, slot = self._place(index)
        return bank[slot]

    def remove(self, index: int) -> bool:
        """Free a slot of mem1; gives whether it held something.  Raises IndexError beyond the store."""
        bank, slot = self._place(index)
        held = bank[slot] is not None
        bank[slot] = None
        return held

    def list_records(self) -> Iterator[tuple[int, Record]]:
        """Index and record of every used slot of mem1, by index."""
        offset = 1
        for bank in self._banks(self.memories[0]):
            for slot, record in enumerate(bank):
                if record is not None:
                    yield offset + slot, record
            offset += len(bank)
