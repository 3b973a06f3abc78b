"""The text of several parts, where a part may begin with what the one before it left open."""

from collections.abc import Iterable
from typing import Protocol

from bench.baseline.alphabets import GSM7, UCS2, spell, unpack_septets


class Part(Protocol):
    """What of a TPDU, ours or the native codec's, a text is joined from."""

    @property
    def alphabet(self) -> int: ...
    @property
    def concatenation(self) -> tuple[int, int, int] | None: ...
    @property
    def single(self) -> int: ...
    @property
    def locking(self) -> int: ...
    @property
    def header(self) -> bytes: ...
    @property
    def user_data(self) -> bytes: ...
    @property
    def length(self) -> int: ...


def text_septets(part: Part) -> list[int]:
    """Those behind the header, as far as they are there."""
    skipped = -(-len(part.header) * 8 // 7)
    there = len(part.user_data) * 8 // 7
    fill_bits = 7 * skipped - 8 * len(part.header)
    return unpack_septets(part.user_data[len(part.header) :], max(0, min(part.length, there) - skipped), fill_bits)


def text_of(parts: list[Part]) -> str:
    """The text of neighbours that are coded alike."""
    if parts[0].alphabet == GSM7:
        septets = [septet for part in parts for septet in text_septets(part)]
        return spell(septets, parts[0].single, parts[0].locking)
    if parts[0].alphabet == UCS2:
        return b"".join(part.user_data[len(part.header) :] for part in parts).decode("utf-16-be", "replace")
    return ""


def join(tpdus: Iterable[Part]) -> str:
    by_sequence: dict[int, Part] = {}
    for tpdu in tpdus:
        by_sequence.setdefault(tpdu.concatenation[2] if tpdu.concatenation else 1, tpdu)
    runs: list[list[Part]] = []
    before = None
    for sequence, part in sorted(by_sequence.items(), key=lambda item: item[0]):
        # Half a unit at a part's end cannot be completed: what follows begins anew.
        is_odd = part.alphabet == UCS2 and (len(part.user_data) - len(part.header)) % 2
        coded = (part.alphabet, part.single, part.locking)
        if runs and before == (sequence - 1, coded):
            runs[-1].append(part)
        else:
            runs.append([part])
        before = None if is_odd else (sequence, coded)
    return "".join(text_of(run) for run in runs)
