"""Stub of _look_alikes.pyx, where the behaviour is documented."""

from typing import Final

LOOK_ALIKES: Final[dict[int, str]]
