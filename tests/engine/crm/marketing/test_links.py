"""engine/crm/marketing/links.py: each row has one code, and who has one cannot make another's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import House
from engine.crm.marketing import campaigns, feeding, launching, links
from engine.crm.marketing.campaigns import Campaign
from engine.crm.marketing.links import CODE_LONGEST, LINKED, LINKS, NUMBER_MOST, ROW_MOST, Led, code
from engine.errors import Conflict, Invalid
from engine.store.environment import Store
from engine.store.table import Txn
from tests.engine.crm import stage
from tests.engine.crm.stage import FIRST, NOW_MS, PEPPER, counts, differences, fed, row, upload

BASE = "https://go.example"
PAGE = "https://example.com/spring?a=1#top"
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
CAMPAIGN = NOW_MS << 22

NUMBERS = st.integers(1, NUMBER_MOST)
ROWS = st.integers(0, ROW_MOST)
KEYS = st.binary(min_size=32, max_size=32)


class Desk:
    """Two tables in memory, with one campaign of a number."""

    def __init__(self, number: int) -> None:
        self.number = number

    def read(self, monkeypatch: pytest.MonkeyPatch, pepper: bytes, typed: str) -> Led | None:
        with monkeypatch.context() as patch:
            patch.setattr(links, "LINKED", self)
            patch.setattr(links, "LINKS", self)
            return links.read(None, pepper, typed)  # type: ignore[arg-type]

    def find(self, _txn: Txn, number: int) -> int | None:
        return CAMPAIGN if number == self.number else None

    def get(self, _txn: Txn, _campaign: int) -> links.Link:
        return links.Link(PAGE, self.number)


@given(NUMBERS, ROWS, KEYS)
def test_a_code_is_read_back_however_it_is_typed(number: int, at: int, pepper: bytes) -> None:
    made, desk = code(pepper, CAMPAIGN, number, at), Desk(number)
    assert len(made) <= CODE_LONGEST
    assert set(made) <= set(ALPHABET)
    with pytest.MonkeyPatch.context() as patch:
        typed = made.replace("0", "O").replace("1", "l")
        for said in (made, made.upper(), typed):
            assert desk.read(patch, pepper, said) == Led(CAMPAIGN, at, PAGE)


@given(NUMBERS, ROWS, st.data())
def test_a_code_with_another_character_is_refused(number: int, at: int, data: st.DataObject) -> None:
    made = code(PEPPER, CAMPAIGN, number, at)
    place = data.draw(st.integers(0, len(made) - 1))
    other = data.draw(st.sampled_from([one for one in ALPHABET + "u-_. é" if one != made[place]]))
    changed = made[:place] + other + made[place + 1 :]
    with pytest.MonkeyPatch.context() as patch:
        found = Desk(number).read(patch, PEPPER, changed)
        # One in 33 million is somebody's; that it is this row's by another code never happens.
        assert found is None or (found.row != at and code(PEPPER, CAMPAIGN, number, found.row) == changed)


@given(NUMBERS, ROWS, KEYS)
def test_a_code_of_another_key_is_refused(number: int, at: int, pepper: bytes) -> None:
    made = code(pepper, CAMPAIGN, number, at)
    with pytest.MonkeyPatch.context() as patch:
        assert (Desk(number).read(patch, PEPPER, made) is None) == (pepper != PEPPER)


@given(st.text(max_size=20) | st.text(ALPHABET, max_size=20))
def test_nothing_that_somebody_types_is_more_than_wrong(typed: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        found = Desk(7).read(patch, PEPPER, typed)
    assert found is None or code(PEPPER, CAMPAIGN, 7, found.row) == typed.lower().translate(links._LOOK_ALIKES)


def test_zeros_before_the_row_or_the_number_make_no_second_code() -> None:
    made = code(PEPPER, CAMPAIGN, 3, 5)
    check, number, plain = made[:5], made[5:6], made[6:]
    with pytest.MonkeyPatch.context() as patch:
        desk = Desk(3)
        assert desk.read(patch, PEPPER, made) is not None
        assert desk.read(patch, PEPPER, f"{check}{number}0{plain}") is None
        assert desk.read(patch, PEPPER, f"{check}g{number}{plain}") is None


def test_codes_of_neighbours_have_nothing_in_common_but_the_end() -> None:
    made = {code(PEPPER, CAMPAIGN, 1, at)[:5] for at in range(2_000)}
    assert len(made) > 1_990


# -- a campaign's


def linked(store: Store, text: str = "Spring: {link}", link: str = PAGE, base: str = BASE) -> Campaign:
    draft = Campaign(0, "Spring", {"en": text}, "service")
    return store.write_now(campaigns.add, draft, NOW_MS, link, base)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"text": "Spring"}, "text.en", id="a text that does not say it"),
        pytest.param({"text": "Spring {{link}}"}, "text.en", id="a text that says it in braces"),
        pytest.param({"link": ""}, "link", id="a text that says it without one"),
        pytest.param({"link": "example.com"}, "link", id="no scheme"),
        pytest.param({"link": "javascript:alert(1)"}, "link", id="another scheme"),
        pytest.param({"link": "https:///spring"}, "link", id="no host"),
        pytest.param({"link": "https://me:x@example.com/"}, "link", id="a name before the host"),
        pytest.param({"link": "https://example.com:x/"}, "link", id="no port"),
        pytest.param({"link": "https://example.com/a b"}, "link", id="a blank"),
        pytest.param({"link": "https://example.com/\r\nSet-Cookie: a=b"}, "link", id="two lines"),
        pytest.param({"link": "https://example.com/茶"}, "link", id="not ASCII"),
        pytest.param({"link": f"https://example.com/{'x' * 2000}"}, "link", id="too long"),
        pytest.param({"base": ""}, "link", id="no address of the house"),
    ],
)
def test_a_link_and_a_text_that_do_not_suit_are_refused(store: Store, fields: dict[str, str], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        linked(store, **fields)
    assert refused.value.params[0].name == field
    with store.read() as txn:
        assert (LINKS.count(txn), LINKED.count(txn)) == (0, 0)


def test_each_campaign_with_a_link_gets_the_next_number(store: Store) -> None:
    made = [linked(store), stage.draft(store), linked(store)]
    with store.read() as txn:
        assert [link.number for _, link in LINKS.scan(txn)] == [1, 2]
        assert [links.url_of(txn, one.id) for one in made] == [PAGE, "", PAGE]
        read = links.read(txn, PEPPER, code(PEPPER, made[2].id, 2, 7))
        assert read == Led(made[2].id, 7, PAGE)
        assert links.read(txn, PEPPER, code(PEPPER, made[2].id, 1, 7)) is None
    assert differences(store) == []


def test_a_number_that_leads_nowhere_is_found(store: Store) -> None:
    made = linked(store)
    store.write_now(lambda txn: LINKED.remove(txn, 1))
    assert differences(store) == [f"linked: 1 of campaign {made.id} is missing"]


def test_every_row_says_its_own_address_and_the_store_keeps_none_before(store: Store) -> None:
    made = linked(store, "Dear {name}: {link}")
    upload(store, made.id, [row(FIRST + at, values={"name": f"N{at}"}) for at in range(3)])
    house = House(link_base=f"{BASE}/")
    store.write_now(campaigns.launch, made.id, NOW_MS, 100, house)
    with store.read() as txn:
        assert [one.message.text for one in campaigns.results(txn, made, 0, 3)] == ["", "", ""]
    store.write_now(feeding.feed, NOW_MS, 100, house, PEPPER)
    assert [one.text for one in fed(store)] == [
        f"Dear N{at}: {BASE}/l/{code(PEPPER, made.id, 1, at)}" for at in range(3)
    ]
    assert counts(store, made.id) == {"queued": 3}
    assert differences(store) == []


def test_a_house_that_has_no_address_any_more_launches_no_link_and_sends_no_text_without_it(store: Store) -> None:
    made = linked(store)
    upload(store, made.id, [row()])
    with pytest.raises(Conflict, match="link_base"):
        store.write_now(campaigns.launch, made.id, NOW_MS, 100, House())
    store.write_now(campaigns.launch, made.id, NOW_MS, 100, House(link_base=BASE))
    store.write_now(feeding.feed, NOW_MS, 100, House(), PEPPER)
    (only,) = fed(store)
    assert (only.state.slug, only.reason) == ("failed", "missing_value_link")
    assert differences(store) == []


def test_a_budget_counts_the_longest_address_that_can_be(store: Store) -> None:
    room = 160 - len(f"{BASE}/l/") - CODE_LONGEST
    for text, parts in (("x" * room, 1), ("x" * (room + 1), 2)):
        made = linked(store, f"{text}{{link}}")
        upload(store, made.id, [row()])
        assert launching.parts_of(stage.campaign_of(store, made.id), BASE) == parts
