"""Stub of _at.pyx.  `./dev check` proves the two agree; behaviour is documented there."""

from collections.abc import Callable
from typing import Any, Self, final

from engine.errors import ModemError

LONGEST_LINE: int
COMMAND: str
CTRL_Z: bytes
AMBIGUOUS_CMS: frozenset[int]
AMBIGUOUS_LATE_CMS: frozenset[int]
LATE_S: float

AHEAD: int
ASKED: int
GIVEN: int
ACCEPTED: int
DONE: int
WITHDRAWN: int

def is_ambiguous(cms: int | None, after_s: float) -> bool:
    """Whether +CMS ERROR `cms`, `after_s` seconds behind the PDU, leaves open if the part went."""

@final
class Info:
    """A line of an answer."""

    def __new__(cls, text: str) -> Self: ...
    @property
    def text(self) -> str: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...

@final
class Final:
    """The end of an answer: OK, ERROR, +CME ERROR or +CMS ERROR."""

    def __new__(cls, ok: bool, cme: int | None = None, cms: int | None = None) -> Self: ...
    @property
    def ok(self) -> bool: ...
    @property
    def cme(self) -> int | None: ...
    @property
    def cms(self) -> int | None: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...

@final
class Prompt:
    """The modem waits for a PDU."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...

PROMPT: Prompt
OK: Final

@final
class Reader:
    """Reads one modem's stream; a line equal to `echo` is dropped."""

    echo: bytes
    def __new__(
        cls, meaning: Callable[[bytes], object | None], pushed: Callable[[bytes, bytes], object | None]
    ) -> Self: ...
    def feed(self, octets: bytes) -> list[object]:
        """The meanings that `octets` complete, in order."""

@final
class Submission:
    """One part: hex digits with the service centre in front, `length` octets without it, and the giver's `tag`."""

    written_before: int
    def __new__(cls, pdu: bytes, length: int, tag: Any = None) -> Self: ...
    @property
    def pdu(self) -> bytes: ...
    @property
    def length(self) -> int: ...
    @property
    def tag(self) -> Any: ...
    @property
    def outcome(self) -> int | ModemError | None: ...
    @property
    def is_begun(self) -> bool: ...
    @property
    def is_withdrawn(self) -> bool: ...
    @property
    def is_suspect(self) -> bool: ...
    @property
    def hid_errors(self) -> bool: ...
    @property
    def stage(self) -> int: ...
    def begin(self) -> bytes:
        """The first octets, or none where it must not begin any more."""

    def withdraw(self) -> bool:
        """Whether nothing was written and nothing will be.  From any thread."""

    def lose(self, reason: str) -> bool:
        """End one that was never begun as ModemLost; whether it was still there to be ended."""

    def hear(self, line: object, now_s: float) -> bytes | None:
        """Take one line; the octets to write next, mostly none; None where it belongs to no exchange."""

    def time_out(self, timeout_s: float, written: int) -> None:
        """No word for `timeout_s` seconds; the port had then `written` so many octets."""

    def break_off(self, reason: str, written: int) -> None:
        """The line or the modem went away in the middle."""
