"""Stub of _graphemes.pyx, where the behaviour is documented."""

UNICODE_VERSION: str

def clusters(text: str) -> list[str]:
    """The extended grapheme clusters, which joined are the text."""

def may_join(before: str, after: str) -> bool:
    """False only where a cluster begins at `after`, whatever stands before the two: a character each."""
