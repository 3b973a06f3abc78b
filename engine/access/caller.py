"""The caller: who asks for something, by which way, and what he may do and see."""

from typing import Final, Literal

import msgspec

from engine.access.rights import EVERY
from engine.errors import Forbidden

Sight = Literal["full", "masked", "none"]

# What a field policy speaks of; a field that it does not name is seen in full.
SENSITIVE: Final = ("number", "email", "birthday", "address")


class Asked:
    """That a call asked for telephone numbers in full; `told` counts those that its answer has so far."""

    __slots__ = ("told",)

    def __init__(self) -> None:
        self.told = 0


class Caller(msgspec.Struct, frozen=True):
    """`kind` and `id` tell who it is: a program by its token, a member of the staff, a text, or Carillon itself.

    `sight` says how much of each of SENSITIVE he sees in any answer, list, export, webhook or text.  `asked` is there
    where he may see numbers in full and asked for them.
    """

    kind: Literal["token", "staff", "sms", "system"]
    name: str
    id: int = 0
    rights: frozenset[str] = frozenset()
    sight: dict[str, Sight] = {}
    reveals_a_day: int = 0
    asked: Asked | None = None

    def may(self, right: str) -> bool:
        """Whether he has the right."""
        return right in self.rights

    def require(self, right: str) -> None:
        """Raises Forbidden naming the right that he lacks."""
        if right not in self.rights:
            raise Forbidden(f"this needs the right {right}", code="no_right")

    def sees(self, field: str) -> Sight:
        """How much of `field` he sees."""
        return self.sight.get(field, "full")

    @property
    def is_person(self) -> bool:
        """Whether a second person must say yes to what he made."""
        return self.kind == "staff"


SYSTEM: Final = Caller("system", "carillon", rights=EVERY)
