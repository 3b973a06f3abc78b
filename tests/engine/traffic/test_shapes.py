"""What a message may ask for besides its text, on its way to the service centre."""

from pathlib import Path

from engine import sms
from engine.traffic.messages import State
from tests.engine.traffic.test_scheduler import playing


async def test_a_message_goes_as_it_was_asked_for(tmp_path: Path) -> None:
    """The parts that were counted when it was accepted are those that go, by the tables that were allowed."""
    turkish, quoted = "Görüşmek üzere, teşekkürler! " * 5, "“" + "a" * 158 + "”"
    async with playing(tmp_path, modems=1) as house:
        await house.put(4915_0000_0000, turkish)
        await house.put(4915_0000_0001, turkish, national="all")
        await house.put(4915_0000_0002, quoted, transliterate=True)
        await house.put(4915_0000_0003, "now", flash=True)
        await house.until(lambda: house.is_all(State.SENT, 4))
        sent: dict[str, list[sms.Submit]] = {}
        for acceptance in house.ledger():
            part = sms.decode(acceptance.tpdu, "ms2sc")
            assert isinstance(part, sms.Submit)
            sent.setdefault(acceptance.destination, []).append(part)
    ucs2, tables, plain, flash = (sent[f"+49150000000{place}"] for place in range(4))
    assert [len(ucs2), len(tables), len(plain), len(flash)] == [3, 1, 1, 1]
    assert sms.join(ucs2) == tables[0].text == turkish
    assert (tables[0].single, plain[0].text) == (1, f'"{"a" * 158}"')
    assert [part[0].message_class for part in (ucs2, flash)] == [None, 0]
