"""Drawing: numbers to the geometry of SVG, so that no page needs an inline style."""

from collections.abc import Sequence
from typing import Final, NamedTuple

SPARK_WIDE: Final = 240
SPARK_HIGH: Final = 44
BAR_WIDE: Final = 1000
THINNEST: Final = 6  # of a bar's 1000: what is there must be seen
# Received power at which another bar lights, in dBm; TC35i tells -113 to -51 (3GPP TS 27.007 §8.5).
_BARS_DBM: Final = (-107, -97, -87, -75)


class Slice(NamedTuple):
    """A piece of a stacked bar: what it stands for, how many, and where it lies."""

    name: str
    count: int
    x: int
    width: int


def sparkline(values: Sequence[int], ticks: int) -> str:
    """The points of a polyline, newest at the right edge; empty where fewer than two are known."""
    if len(values) < 2:
        return ""
    top = max(max(values), 1)
    step = SPARK_WIDE / (ticks - 1)
    first = SPARK_WIDE - step * (len(values) - 1)
    room = SPARK_HIGH - 4
    points = (f"{first + step * at:.1f},{SPARK_HIGH - 2 - room * value / top:.1f}" for at, value in enumerate(values))
    return " ".join(points)


def under(points: str) -> str:
    """The points of the area under a sparkline."""
    if not points:
        return ""
    first, last = (
        points.split(" ", maxsplit=1)[0].split(",", maxsplit=1)[0],
        points.rsplit(" ", maxsplit=1)[-1].split(",", maxsplit=1)[0],
    )
    return f"{first},{SPARK_HIGH} {points} {last},{SPARK_HIGH}"


def stacked(counts: Sequence[tuple[str, int]], total: int) -> list[Slice]:
    """Slices of a bar of BAR_WIDE for the counts that are not 0; they fill it where the counts sum to `total`."""
    present = [(name, count) for name, count in counts if count > 0]
    if total <= 0 or not present:
        return []
    widths = [max(THINNEST, round(BAR_WIDE * count / total)) for _, count in present]
    # What the thin ones took, and what rounding left, is the widest one's.
    widest = widths.index(max(widths))
    widths[widest] += min(BAR_WIDE, round(BAR_WIDE * sum(count for _, count in present) / total)) - sum(widths)
    slices, x = [], 0
    for (name, count), width in zip(present, widths, strict=True):
        slices.append(Slice(name, count, x, width))
        x += width
    return slices


def bars(signal_dbm: int | None) -> int:
    """How many of four bars a signal lights."""
    return 0 if signal_dbm is None else sum(signal_dbm >= limit for limit in _BARS_DBM)
