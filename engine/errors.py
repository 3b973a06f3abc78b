"""Everything that Carillon raises on purpose.

    CarillonError
      CodecError            this input is wrong, and always will be
      ModemError            this line, perhaps only now
        ModemLost             the port is gone
        ModemSilent           no answer in time
        CommandRefused        ERROR, +CME ERROR
          SubmitRefused         +CMS ERROR to AT+CMGS, or an OK without +CMGS: not sent
        SubmitUnknown         the PDU was given and nobody can prove what became of it
      StoreError            our disk: stop
        StoreFull             no space left
        StoreLocked           another process holds the data directory
        StoreVersion          written by another Carillon
        BackupBroken          not a backup, or not as it was taken
        RecordBroken          a stored value cannot be read back
      Refusal               a rule says no: tell the caller
        NotFound
        Conflict              the thing is not in a state that allows it
          Stale                 it has changed since the caller read it
        Forbidden             this caller may not
        TooMany               this caller may not so often, or not so much
        Invalid               one or more named fields are wrong
        ConfigError           a setting is wrong

The four branches answer whose fault it is and what to do now.  Attributes are for code, the text is for people.
"""

from dataclasses import dataclass


class CarillonError(Exception):
    """The root: `except CarillonError` catches what we raise and nothing else."""

    code: str = "error"
    retryable: bool = False


class CodecError(CarillonError, ValueError):
    """A text, PDU or field that cannot be encoded or decoded.

    `field` is the field's name in words of 3GPP TS 23.040 ("destination", "user_data"), `offset` the octet
    (decoding) or character (encoding) where it went wrong, or None.
    """

    code = "codec"

    def __init__(self, reason: str, field: str, offset: int | None = None) -> None:
        where = field if offset is None else f"{field}, at {offset}"
        super().__init__(f"{reason} ({where})")
        self.reason = reason
        self.field = field
        self.offset = offset


class ModemError(CarillonError):
    """Something on one serial line."""

    code = "modem"
    retryable = True


class ModemLost(ModemError):
    """The port vanished or cannot be opened."""

    code = "modem_lost"


class ModemSilent(ModemError):
    """No answer to `command` within `timeout_s` seconds."""

    code = "modem_silent"

    def __init__(self, command: str, timeout_s: float) -> None:
        super().__init__(f"no answer to {command} within {timeout_s:g} s")
        self.command = command
        self.timeout_s = timeout_s


class CommandRefused(ModemError):
    """The modem answered ERROR, +CME ERROR `cme` or +CMS ERROR `cms` to `command`."""

    code = "command_refused"

    def __init__(self, command: str, cme: int | None = None, cms: int | None = None) -> None:
        said = f"+CME ERROR: {cme}" if cme is not None else f"+CMS ERROR: {cms}" if cms is not None else "ERROR"
        super().__init__(f"{command} answered {said}")
        self.command = command
        self.cme = cme
        self.cms = cms


class SubmitRefused(CommandRefused):
    """AT+CMGS ended without the part being taken.  A bare OK counts as refused: with AT^SM20=x,1 it hides errors."""

    code = "submit_refused"


class SubmitUnknown(ModemError):
    """The PDU reached the modem and no outcome came back: the part may or may not have gone.

    `cms` is the ambiguous +CMS code where there was one (332, 500, 521), else None.
    """

    code = "submit_unknown"
    retryable = False

    def __init__(self, reason: str, cms: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.cms = cms


class StoreError(CarillonError):
    """The data directory cannot be used."""

    code = "store"


class StoreFull(StoreError):
    """No space left on the disk or in the map.  Nothing of the refused change was kept."""

    code = "store_full"


class StoreLocked(StoreError):
    """Another process has this data directory open."""

    code = "store_locked"


class StoreVersion(StoreError):
    """The data directory or the backup was written by a newer version, or by an older one and only opened to read."""

    code = "store_version"


class BackupBroken(StoreError):
    """What was given as a backup is none, or not as it was taken."""

    code = "backup_broken"


class RecordBroken(StoreError):
    """A stored value cannot be read back: `table` and `key` say which."""

    code = "record_broken"

    def __init__(self, table: str, key: bytes, reason: str) -> None:
        super().__init__(f"{table} {key.hex()}: {reason}")
        self.table = table
        self.key = key


@dataclass(frozen=True, slots=True)
class InvalidParam:
    """One wrong field: its name, the row it stands in (1-based, 0 where there are no rows), and why."""

    name: str
    reason: str
    row: int = 0


class Refusal(CarillonError):
    """A rule of the house says no.  The text is for the caller, a `code` of its own for the caller's program."""

    code = "refused"

    def __init__(self, text: str, *, code: str = "") -> None:
        super().__init__(text)
        if code:
            self.code = code


class NotFound(Refusal):
    """There is no such thing."""

    code = "not_found"


class Conflict(Refusal):
    """It exists, but is not in a state that allows this."""

    code = "conflict"


class Stale(Conflict):
    """It has changed since the caller read it."""

    code = "stale"


class Forbidden(Refusal):
    """This caller may not do that."""

    code = "forbidden"


class TooMany(Refusal):
    """This caller has done as much as it may: again after `retry_after_s` seconds."""

    code = "too_many"

    def __init__(self, text: str, retry_after_s: int, *, code: str = "") -> None:
        super().__init__(text, code=code)
        self.retry_after_s = retry_after_s


class Invalid(Refusal):
    """One or more fields are wrong; `params` names each of them."""

    code = "invalid"

    def __init__(self, *params: InvalidParam, code: str = "") -> None:
        super().__init__("; ".join(f"{p.name}: {p.reason}" for p in params), code=code)
        self.params = params


class ConfigError(Refusal):
    """A setting is wrong; the text names the key."""

    code = "config"
