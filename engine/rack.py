"""What the rack looks like from outside: frozen records for pages, metrics and the command line.

Nothing here acts, and nothing of the engine is imported, so that every floor may speak of a modem without
knowing one.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModemView:
    """One port of the rack at one moment.

    `state` is one of "opening", "starting", "pin", "searching", "ready", "sending", "lost", "quarantined";
    `detail` says why in a few words for people.  `imsi` is empty until the SIM has told it.  `signal_dbm`
    is None while the modem does not know it.  `sent`, `refused` and `received` count PDUs since the
    process began; `since_ms` is when the state was entered (a ready modem that sends keeps the time at
    which it became ready).
    """

    port: str
    imsi: str
    state: str
    detail: str
    signal_dbm: int | None
    operator: str
    service_centre: str
    sent: int
    refused: int
    received: int
    since_ms: int
