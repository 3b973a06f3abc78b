"""Stub of _runs.pyx.  `./dev check` proves the two agree; behaviour is documented there."""

def pack(pairs: bytes) -> tuple[list[tuple[bytes, bytes]], int, int]:
    """([(place, page)] in order, pairs, lowest id) of packed (u64 key, u64 id), little-endian, in any order."""

def find(table: str, key: bytes, page: bytes, wanted: int, limit: int) -> list[int]:
    """The ids of `wanted` in a page, highest first, below `limit` if that is not 0."""

def merge(
    table: str,
    sources: list[tuple[bytes, list[tuple[bytes, bytes]]]],
    until: bytes,
    horizon: int,
    spared: bytes = b"",
) -> tuple[list[tuple[bytes, bytes]], int, int, bytes]:
    """([(place, page)] in order, pairs, lowest id, the place up to which all is done) of (after, [(key, page)]).

    Ids below `horizon` are left out, but for those in `spared`, which are packed (u64 first, u64 last).
    """

def blend(table: str, sources: list[tuple[bytes, list[tuple[bytes, bytes]]]], until: bytes) -> list[tuple[int, int]]:
    """[(key, id)] of the sources in order, each once."""
