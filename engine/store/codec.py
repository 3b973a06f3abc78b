"""Records to octets and back: one version octet, then a msgpack array of the record's fields in order.

A record is a frozen `msgspec.Struct` declared with `array_like=True`.  Fields are only ever added at the
end and with a default, so an older value still reads; anything else raises the version octet.  Knows nothing of LMDB.
"""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

import msgspec

T = TypeVar("T")


class RecordCodec(Generic[T]):
    """Encodes and decodes values of one type."""

    __slots__ = ("_decode", "_encode", "_version", "version")

    def __init__(self, kind: type[T], version: int = 1) -> None:
        self.version = version
        self._version = bytes([version])
        self._encode: Final = msgspec.msgpack.Encoder().encode
        self._decode: Final[Callable[[memoryview], T]] = msgspec.msgpack.Decoder(kind).decode

    def encode(self, record: T) -> bytes:
        """The octets of `record`."""
        return self._version + self._encode(record)

    def decode(self, octets: bytes) -> T:
        """The record in `octets`.  Raises ValueError where they are none of ours."""
        if not octets or octets[0] != self.version:
            found = octets[0] if octets else None
            raise ValueError(f"record version {found}, expected {self.version}")
        return self._decode(memoryview(octets)[1:])
