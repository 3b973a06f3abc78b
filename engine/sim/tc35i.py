"""A TC35i with a SIM in it, from its manual.

Owns power, submission and what becomes of a message that arrives: stored and indicated, or routed to the
host and acknowledged.  How it talks is in `dialogue`; its answers are in `commands` and `messages`, whose
table it is handed.

The stored messages, the profile of AT&W and the reference counter outlive a restart of the modem, not the
process.
"""

import asyncio
from binascii import Error as NotHex
from binascii import unhexlify
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial

from engine.errors import CodecError
from engine.sim import tpdu as octets
from engine.sim.dialogue import Dialogue
from engine.sim.grammar import (
    CMS_BAD_PDU,
    CMS_NO_NETWORK,
    CMS_NO_SMSC,
    CMS_TIMEOUT,
    CMS_UNKNOWN,
    Refused,
    Word,
)
from engine.sim.network import Network, Sim
from engine.sim.profile import Identity, Quirks, Settings
from engine.sim.storage import UNREAD, Record, Storage

# RP causes towards the network (3GPP TS 24.011 §8.2.5.4).
NOT_REACHABLE = 27
MEMORY_EXCEEDED = 22
PROTOCOL_ERROR = 111


class TC35i(Dialogue):
    """One modem; `rate_baud` is AT+IPR, 0 for autobaud, which no reset touches."""

    def __init__(
        self,
        sim: Sim,
        network: Network,
        words: Mapping[str, Word],
        *,
        imei: str,
        write: Callable[[bytes], None],
        rate_baud: int = 115_200,
        identity: Identity | None = None,
        quirks: Quirks | None = None,
        storage: Storage | None = None,
    ) -> None:
        super().__init__(words, write, quirks or Quirks())
        self.sim = sim
        self.network = network
        self.imei = imei
        self.identity = identity or Identity()
        self.storage = storage or Storage()
        self.profile = Settings()
        self.rate_baud = rate_baud
        self.signal = 19
        # Scenario: how many coming submissions end in a bare OK though nothing was sent.
        self.bare_oks = 0
        self._boot: asyncio.TimerHandle | None = None
        self._unacknowledged: asyncio.TimerHandle | None = None
        self._routed = b""
        self._overflow = 0

    # Power and registration.

    @property
    def registration(self) -> int:
        """The stat of +CREG: no network before the PIN."""
        return self.sim.registration if self.is_unlocked else 0

    def power_on(self) -> None:
        """Come up at once with the stored profile; ^SYSSTART only at a fixed rate."""
        self.settings = deepcopy(self.profile)
        self.is_unlocked = self.sim.pin is None
        self.sim.modem = self
        self.listen()
        if self.rate_baud:
            self.urc("^SYSSTART")
        self.network.retry(self.sim)

    def power_off(self) -> None:
        """Fall silent; storage, profile and rate stay."""
        self.silence()
        if self._unacknowledged is not None:
            self.sim.waiting.appendleft(self._routed)
        for timer in (self._boot, self._unacknowledged):
            if timer is not None:
                timer.cancel()
        self._boot = self._unacknowledged = None

    def restart(self) -> None:
        """AT+CFUN=1,1: off, and on again after `boot_ms`."""
        self.power_off()
        self._boot = asyncio.get_running_loop().call_later(self.quirks.boot_ms / 1000, self.power_on)

    def unlock(self) -> None:
        """The PIN was right: look for the network."""
        self.is_unlocked = True
        self.register(self.sim.registration)

    def register(self, stat: int) -> None:
        """Change the state of registration, with +CREG if it was asked for.

        1 is home, 2 searching, 3 denied, 5 roaming (3GPP TS 27.007 §7.2).
        """
        self.sim.registration = stat
        if self.settings.creg:
            self.urc(f"+CREG: {stat}{self.cell}")
        self.network.retry(self.sim)

    @property
    def cell(self) -> str:
        """Where it is, as +CREG says it under AT+CREG=2."""
        return ',"0001","0001"' if self.settings.creg == 2 and self.registration in (1, 5) else ""

    # Sending.

    def check(self, typed: bytes, length: int) -> tuple[bytes, octets.Submit]:
        """The TPDU of what was typed behind a prompt for `length` octets, and what the network reads in it.

        Raises Refused where it is not strict hex, not so long, or no SMS-SUBMIT; where it leaves the
        service centre to the SIM, and the SIM has none.
        """
        try:
            pdu = unhexlify(typed)
            tpdu = pdu[1 + pdu[0] :]
            if len(tpdu) != length:
                raise Refused(cms=CMS_BAD_PDU)
            part = octets.parse_submit(tpdu)
        except (NotHex, IndexError, CodecError):
            raise Refused(cms=CMS_BAD_PDU) from None
        if not pdu[0] and not self.sim.service_centre:
            raise Refused(cms=CMS_NO_SMSC)
        return tpdu, part

    def submit(self, typed: bytes, length: int) -> None:
        """Send what was typed, and end the command with what came of it."""
        if self.bare_oks > 0:
            self.bare_oks -= 1
            self.succeed()
            return
        try:
            tpdu, part = self.check(typed, length)
        except Refused as refusal:
            self.end_unsent(refusal)
            return
        self.transmit(tpdu, part, "+CMGS")

    def transmit(self, tpdu: bytes, part: octets.Submit, name: str) -> None:
        """Give a TPDU to the network; no answer in time ends as manuals say, whatever became of the part."""
        if self.registration not in (1, 5):
            self.end_unsent(Refused(cms=CMS_NO_NETWORK))
            return
        self.watch(self.quirks.answer_timeout_ms, self._give_up)
        self.network.submit(self.sim, tpdu, part, partial(self._answered, self._turn, name))

    def _answered(self, turn: int, name: str, reference: int, cause: int | None) -> None:
        if turn != self._turn:
            return
        if cause is None:
            self.succeed(f"{name}: {reference}")
        elif self.quirks.hides_refusals:
            self.end_unsent(Refused(cms=cause))
        else:
            self.fail(Refused(cms=cause))
        self.flush()

    def end_unsent(self, refusal: Refused) -> None:
        """End a command that sent or wrote nothing.

        The factory's AT^SM20=1,1 makes a bare OK of every failure but a time-out.
        """
        if self.settings.sm20[1] == 1:
            self.succeed()
        else:
            self.fail(refusal)

    def _give_up(self) -> None:
        self.fail(Refused(cms=CMS_UNKNOWN if self.settings.sm20[1] == 1 else CMS_TIMEOUT))

    # Receiving.

    def receive(self, tpdu: bytes) -> int | None:
        """Store or route a message or a report as AT+CNMI says: None, or the RP cause it is refused with."""
        if not self.is_on or self.registration not in (1, 5):
            return NOT_REACHABLE
        is_report = tpdu[0] & 0x03 == octets.MTI_REPORT
        mode, messages, _, reports, _ = self.settings.cnmi
        direct_to_sim = False
        if is_report:
            if mode and reports == 1:
                return self._route("+CDS: ", tpdu)
        else:
            kind = octets.class_of_deliver(tpdu)
            direct_to_sim = kind == 2
            if mode and ((messages == 2 and kind != 2) or (messages == 3 and kind == 3)):
                return self._route("+CMT: ,", tpdu)
        return self._store(tpdu, direct_to_sim, is_report)

    def _store(self, tpdu: bytes, direct_to_sim: bool, is_report: bool) -> int | None:
        memory = self.storage.memories[2]
        record = Record(UNREAD, (self.network.sca + tpdu).hex().upper(), len(tpdu))
        index = self.storage.add(record, memory, only_sm=direct_to_sim)
        if index is None:
            self._indicate_overflow(waits=True)
            return MEMORY_EXCEEDED
        mode, messages, _, reports, _ = self.settings.cnmi
        if mode and is_report and reports == 2:
            for _ in range(1 + self.quirks.repeats_cdsi):
                self.urc(f'+CDSI: "{memory}",{index}')
        elif mode and not is_report and messages:
            self.urc(f'+CMTI: "{memory}",{index}')
        self._indicate_overflow(waits=bool(self.sim.waiting))
        return None

    def _route(self, prefix: str, tpdu: bytes) -> int | None:
        """Give the host a TPDU that it must acknowledge; only one at a time."""
        if self._unacknowledged is not None:
            return PROTOCOL_ERROR
        self.urc(f"{prefix}{len(tpdu)}\r\n{(self.network.sca + tpdu).hex().upper()}")
        self._unacknowledged = asyncio.get_running_loop().call_later(
            self.quirks.acknowledge_timeout_ms / 1000, self._miss_acknowledgement
        )
        self._routed = tpdu
        return None

    def acknowledge(self) -> bool:
        """AT+CNMA: False if nothing was to be acknowledged."""
        if self._unacknowledged is None:
            return False
        self._unacknowledged.cancel()
        self._unacknowledged = None
        self.then(partial(self.network.retry, self.sim))
        return True

    def _miss_acknowledgement(self) -> None:
        """RP-ERROR to the network, which keeps the message, and no more routing until the host asks again."""
        self._unacknowledged = None
        self.settings.cnmi = (0, 0, 0, 0, self.settings.cnmi[4])
        self.sim.waiting.appendleft(self._routed)
        self.network.postpone(self.sim)

    # Storage, as the host sees it.

    def remove(self, index: int) -> None:
        """Free a slot of mem1; what waits at the service centre comes behind the final result (RP-SMMA).

        Raises IndexError beyond the store.
        """
        if self.storage.remove(index):
            self._indicate_overflow(waits=False)
            if self.sim.waiting:
                self.then(partial(self.network.retry, self.sim))

    @property
    def overflow(self) -> int:
        """The mode of ^SMGO: 0 space, 1 mem3 full, 2 full and a message waits at the service centre."""
        return self._overflow_with(bool(self.sim.waiting))

    def _overflow_with(self, waits: bool) -> int:
        return 0 if not self.storage.is_full() else 2 if waits else 1

    def _indicate_overflow(self, waits: bool) -> None:
        mode = self._overflow_with(waits)
        if self.settings.smgo and mode != self._overflow:
            self.urc(f"^SMGO: {mode}")
        self._overflow = mode
