"""Stub of _words.pyx.  `./dev check` proves the two agree; behaviour is documented there."""

from array import array
from collections.abc import Callable, Iterator
from typing import final

def unusual(names: list[str]) -> list[int]:
    """Places of names that have more in them than Han, visible ASCII and single spaces between, or are too long."""

@final
class Words:
    """Words of names, with who is called by them; `gather` all, in order, `sort`, then ask for `items`."""

    def __len__(self) -> int: ...
    def gather(
        self,
        names: list[str],
        places: array[int],
        first: int,
        behind: int,
        gone: set[int],
        keys_of: Callable[[str], list[bytes]],
    ) -> None:
        """Take the words of some newcomers; `keys_of` gives the keys of a name that has more than ASCII and Han."""

    def sort(self) -> None:
        """Put them in order."""

    def items(self, first: int, behind: int, first_id: int) -> Iterator[tuple[bytes, bytes]]:
        """Entries of some words of the order, made when they are asked for."""
