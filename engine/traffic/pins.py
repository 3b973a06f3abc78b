"""Pins: messages whose SIM is fixed, since parts of them went by it.

They stand beside the due line, or in it as long as they are not due: what another SIM finds there is kept for its own.
"""

from collections import deque
from collections.abc import Callable, Collection

from engine._packed import Packed


class Pins:
    """What waits for which SIM: those under way on it (left) before those that came back (right).

    `sims` are of messages that stand in the due line, `own` the messages beside it by SIM: the flights read both.
    """

    def __init__(self) -> None:
        self.sims: dict[int, int] = {}
        self.own: dict[int, deque[int]] = {}
        # Rows among them: what stands in the line is kept there.
        self._rows: dict[int, Packed] = {}

    @property
    def are_any(self) -> bool:
        """Whether anything waits beside the line."""
        return any(self.own.values())

    def put_first(self, sim: int, message: int, packed: Packed | None = None) -> None:
        """The message is under way on the SIM: nothing begins there before its next part; with the row that it is."""
        self.drop(sim, message)
        if packed is not None:
            self._rows[message] = packed
        self.own.setdefault(sim, deque()).appendleft(message)

    def put_last(self, sim: int, message: int) -> None:
        """The message goes by that SIM, when it is its turn."""
        self.own.setdefault(sim, deque()).append(message)

    def drop(self, sim: int, message: int) -> None:
        """It does not wait beside the line any more."""
        own = self.own.get(sim)
        if own and message in own:
            own.remove(message)

    def has_record(self, message: int) -> None:
        """It is not known as a row any more."""
        self._rows.pop(message, None)

    def forget(self, message: int) -> None:
        """It has left the line of the store."""
        self.sims.pop(message, None)
        self._rows.pop(message, None)

    def take(self, sim: int, is_elsewhere: Callable[[int], bool]) -> tuple[int, Packed | None] | None:
        """What the SIM sends next, and as which row; what came back for any SIM meanwhile `is_elsewhere`."""
        own = self.own.get(sim)
        while own:
            message = own.popleft()
            if not is_elsewhere(message):
                return message, self._rows.pop(message, None)
        return None

    def of(self, waits: Callable[[int], bool]) -> list[int]:
        """The messages of the SIMs that wait."""
        return [message for sim, own in self.own.items() if waits(sim) for message in own]

    def end(self, messages: Collection[int]) -> None:
        """These will not go."""
        for sim, own in self.own.items():
            self.own[sim] = deque(message for message in own if message not in messages)
