"""How a rack of modems is to be driven.  Times are seconds, only the command gap is milliseconds."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ModemSettings:
    """The settings of all modems of a pool.

    `ports` are globs, read again every `scan_s`.  `pin` is entered only where the SIM asks for it and has
    two tries or more left; it appears in no representation of this record.
    """

    ports: tuple[str, ...]
    baud: int = 115_200
    hardware_flow: bool = False
    # Between a final result and our next command, so that held-back unsolicited lines get out; may be 0.
    command_gap_ms: int = 100
    pin: str | None = field(default=None, repr=False)
    # The prompt of AT+CMGS, then its result: TR1M and retransmission make 60 s legal (3GPP TS 24.011 §10).
    prompt_timeout_s: float = 10
    result_timeout_s: float = 90
    # Commands that touch neither the network nor the SIM.
    answer_timeout_s: float = 3
    scan_s: float = 1
    poll_s: float = 60
    # Between two questions for the network while there is none.
    search_s: float = 2
    # A busy SIM is asked again after `busy_wait_s`, for at most `busy_limit_s`.
    busy_wait_s: float = 1
    busy_limit_s: float = 60
    # Silence that ends the remains of an earlier conversation.
    settle_s: float = 0.2
    # After AT+CFUN=1,1: left alone first, then asked until the limit.
    restart_pause_s: float = 3
    restart_limit_s: float = 30
    # Quarantine doubles from the first to the limit.
    quarantine_first_s: float = 1
    quarantine_limit_s: float = 60
