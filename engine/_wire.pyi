"""Stub of _wire.pyx.  `./dev check` proves the two agree; behaviour is documented there."""

from collections.abc import Callable
from typing import Self, final

from typing_extensions import disjoint_base

@disjoint_base
class Ear:
    """Who hears what a wire says, natively."""

@disjoint_base
class Wire:
    """An open descriptor: octets in and out, without giving the GIL up."""

    written: int
    is_up: bool
    backlog: bytes
    on_octets: Callable[[bytes], None]
    def __init__(self, fd: int) -> None: ...
    @property
    def fd(self) -> int: ...
    def readable(self) -> None:
        """There is something to read: read once and tell it."""

    def write(self, octets: bytes) -> None:
        """Give `octets` to the line in order; what it does not take now is held.

        While its switchboard gathers they are written when that ends, or by `push`.
        """

    def push(self) -> None:
        """Write now what was gathered."""

    def forget(self) -> None:
        """Drop what was gathered: none of it is written."""

    def let_go(self) -> None:
        """The descriptor is not ours any more."""

    def hold(self, octets: bytes) -> None:
        """Keep `octets` in the backlog, and write them when the line takes more."""

    def fail(self, number: int) -> None:
        """The line is gone with this errno, 0 where it just ended."""

@final
class Switchboard:
    """Many wires behind one descriptor, which can be read where something came over one of them.  Linux only.

    As a context it gathers what is written to its wires, and writes it in one go at the end.
    """

    def __new__(cls) -> Self: ...
    @property
    def fd(self) -> int: ...
    def add(self, wire: Wire) -> None:
        """Watch `wire` from now on."""

    def remove(self, wire: Wire) -> None:
        """Watch it no more.  Safe to call twice, and from whatever a wire tells.  What was gathered is written."""

    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...
    def readable(self) -> None:
        """Read once from each wire that has something, and tell it; then write what was written meanwhile.

        Where telling raises, the others are told nevertheless, and it is raised at the end: as a group, where there
        are several.
        """
