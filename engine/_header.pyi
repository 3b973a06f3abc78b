"""Stub of _header.pyx, where the behaviour is documented."""

def ports(destination: int, source: int = 0, bits: int = 16) -> tuple[int, bytes]:
    """The information element of two application ports of 8 or 16 bits."""

def indication(kind: int, count: int, store: bool = False) -> tuple[int, bytes]:
    """The information element that shows `count` waiting messages: 0 voice, 1 fax, 2 electronic mail, 3 other."""
