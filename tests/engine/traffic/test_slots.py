"""engine/traffic/slots.py: a sheet that is none is named, and not read as something else."""

import pytest

from engine._slots import OCTETS
from engine.errors import RecordBroken
from engine.store.environment import Store
from engine.traffic import slots
from engine.traffic.message import State
from engine.traffic.slots import EMPTY, OF_A_SHEET, REASONS, SLOTS, WRITTEN

GROUP = 7


def damaged(**at: int) -> bytes:
    """A sheet of three slots, the last of which has these octets."""
    places = {"state": 0, "attempt": 1, "reason": 4}
    sheet = bytearray(3 * OCTETS)
    for name, octet in at.items():
        sheet[2 * OCTETS + places[name]] = octet
    return bytes(sheet)


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(bytes(OCTETS - 1), id="a slot cut short"),
        pytest.param(bytes(3 * OCTETS + 1), id="an octet too many"),
        pytest.param(bytes((OF_A_SHEET + 1) * OCTETS), id="a slot too many"),
        pytest.param(damaged(state=max(State) + 1), id="a state that there is not"),
        pytest.param(damaged(state=WRITTEN - 1), id="a state next to that of a row written out"),
        pytest.param(damaged(state=State.CANCELLED, reason=len(REASONS)), id="a reason that there is not"),
        pytest.param(damaged(state=State.CANCELLED, reason=200), id="a reason far beyond"),
        pytest.param(damaged(state=State.SENDING, attempt=255), id="more attempts than there can be"),
    ],
)
def test_a_damaged_sheet_is_named(store: Store, octets: bytes) -> None:
    store.write_now(SLOTS.put, (GROUP, 0), octets)
    with store.read() as txn:
        for row in (0, 2):
            with pytest.raises(RecordBroken) as broken:
                slots.find(txn, GROUP, row)
            assert (broken.value.table, broken.value.key) == (SLOTS.name, SLOTS.layout.pack(GROUP, 0))
            with pytest.raises(RecordBroken):
                slots.opened(txn).get(GROUP, row)
        assert slots.find(txn, GROUP, OF_A_SHEET) == EMPTY


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(damaged(state=max(State)), id="the last state"),
        pytest.param(damaged(state=WRITTEN), id="written out"),
        pytest.param(damaged(state=State.CANCELLED, reason=len(REASONS) - 1), id="the last reason"),
        pytest.param(damaged(state=State.SENDING, attempt=254), id="as many attempts as there can be"),
        pytest.param(bytes(OF_A_SHEET * OCTETS), id="a full sheet"),
    ],
)
def test_a_sound_sheet_is_read(store: Store, octets: bytes) -> None:
    store.write_now(SLOTS.put, (GROUP, 0), octets)
    with store.read() as txn:
        for row in (0, 2, OF_A_SHEET - 1):
            slot = octets[row * OCTETS : (row + 1) * OCTETS]
            assert slots.find(txn, GROUP, row)[:2] == (tuple(slot[:2]) or (0, 0))
            assert slots.find(txn, GROUP, row) == slots.opened(txn).get(GROUP, row)
