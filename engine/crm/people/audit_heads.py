"""The heads of the audit log: the last row of each day, in a file beside the data.

Whoever cuts the log short, or writes all of it anew with hashes that fit, must do as much to this file, and to every
copy of it.  A line a day: the day, the row's number, its id, its hash.  It is no part of a backup: it belongs where
whoever has the data does not come.
"""

import contextlib
import os
import re
import tempfile
from pathlib import Path
from typing import Final

from engine.crm.people.audit import Broken, Head, Walk
from engine.store.disk import of_system

FILE: Final = "audit-heads.txt"

_LINE: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}) ([1-9][0-9]{0,17}) (aud_[0-9a-z]{13}) ([0-9a-f]{64})")


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise of_system(error, path) from error


def read(path: Path) -> list[Head] | Broken:
    """The heads in the file, none where there is no file; Broken where a line cannot be read.  Raises StoreError."""
    heads = []
    for place, line in enumerate(_text(path).splitlines(), 1):
        found = _LINE.fullmatch(line)
        if found is None:
            return Broken("", 0, f"line {place} of {path.name} cannot be read")
        heads.append(Head(found[1], int(found[2]), found[3], found[4]))
    return heads


def write_heads(path: Path, head: Head | None) -> bool:
    """Add the head of a day unless the file has it; whether it was added.  The file is for our eyes only.

    Written beside it and given its name when it is whole.  Raises StoreError, StoreFull.
    """
    text = _text(path)
    if text and not text.endswith("\n"):
        text += "\n"
    if head is None or (f" {head.name} {head.hash}\n" in text):
        return False
    name = ""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{text}{head.day} {head.number} {head.name} {head.hash}\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except OSError as error:
        if name:
            with contextlib.suppress(OSError):
                os.unlink(name)
        raise of_system(error, path) from error
    return True


def walk(path: Path, pepper: bytes | None = None) -> Walk:
    """A proof of the log that also holds it against the file.  Raises StoreError."""
    heads = read(path)
    if isinstance(heads, Broken):
        begun = Walk((), pepper)
        begun.broken = heads
        return begun
    return Walk(heads, pepper)
