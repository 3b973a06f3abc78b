"""engine/numbers.py: one choke point for telephone numbers; engine/_numbers.pyx against the library it spares.

CARILLON_LONG=1 compares on a million texts instead of twenty thousand; `-s` shows how many were plain.
"""

import contextlib
import os
import warnings
from random import Random

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from engine import _numbers, numbers
from engine.errors import Invalid
from tools import numbers as table

IS_LONG = os.environ.get("CARILLON_LONG") == "1"
SAMPLES = 1_000_000 if IS_LONG else 20_000

MOVED_ON = (
    f"engine/_number_lengths.pxd is made from phonenumbers {_numbers.METADATA_VERSION}; {phonenumbers.__version__}, "
    "which is installed, has other metadata: run python -m tools.numbers"
)


@pytest.mark.parametrize(
    ("written", "country", "number"),
    [
        pytest.param("+4917012345678", None, "+4917012345678", id="E.164"),
        pytest.param(" +49 (170) 1234-5678 ", None, "+4917012345678", id="spaces and brackets"),
        pytest.param("＋４９１７０１２３４５６７８", None, "+4917012345678", id="full width"),
        pytest.param("0170 12345678", "DE", "+4917012345678", id="national"),
        pytest.param("13800138000", "CN", "+8613800138000", id="Chinese national"),
        pytest.param("+390612345678", None, "+390612345678", id="an Italian zero stays"),
        pytest.param("+8613800138000", "DE", "+8613800138000", id="the plus counts more than the country"),
    ],
)
def test_a_number_is_read_however_it_is_written(written: str, country: str | None, number: str) -> None:
    assert numbers.parse(written, country) == number


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("", id="empty"),
        pytest.param("hello", id="letters"),
        pytest.param("0170 12345678", id="national without a country"),
        pytest.param("+", id="a plus"),
        pytest.param("+999123456789", id="no such country"),
        pytest.param("+861", id="too short"),
        pytest.param("+49170123456789012345", id="too long"),
        pytest.param("+49170123x5678", id="a letter inside"),
        pytest.param("+1-800-FLOWERS", id="a word for a number"),
        pytest.param("+4917012345678;ext=5", id="an extension"),
        pytest.param("tel:+4917012345678", id="a URI"),
        pytest.param("++4917012345678", id="two plus signs"),
    ],
)
def test_what_is_no_number_is_refused_by_the_name_of_its_field(written: str) -> None:
    with pytest.raises(Invalid) as refused:
        numbers.parse(written, None, "from")
    assert refused.value.params[0].name == "from"


@given(st.text("+0123456789０-() .x\n\u0661", max_size=30), st.sampled_from([None, "DE", "CN", "US", "XX"]))
def test_no_text_raises_anything_else_and_what_is_read_is_e164(text: str, country: str | None) -> None:
    with contextlib.suppress(Invalid):
        number = numbers.parse(text, country)
        assert number.startswith("+")
        assert number[1:].isascii()
        assert number[1:].isdigit()
        assert numbers.to_key(number) < 1 << 64
        assert numbers.from_key(numbers.to_key(number)) == number
        assert numbers.parse(number) == number


@given(st.integers(10, 10**15 - 1).map(lambda digits: f"+{digits}"))
def test_a_masked_number_hides_at_least_four_digits(number: str) -> None:
    masked = numbers.mask(number)
    assert len(masked) == len(number)
    assert masked.count("*") >= min(4, len(number) - 1)
    assert all(shown in ("*", digit) for shown, digit in zip(masked, number, strict=True))


def test_a_usual_number_can_be_recognised_behind_its_mask() -> None:
    assert numbers.mask("+8613900000001") == "+8613*****0001"
    assert numbers.mask("+8613800138000") == "+8613*****8000"


def by_library(text: str, country: str | None = None) -> str | None:
    """What the library alone makes of it; None if it refuses."""
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def examples(*kinds: int) -> list[str]:
    """The library's example of each kind for each region that has one."""
    found = [
        phonenumbers.example_number_for_type(region, kind)
        for kind in kinds
        for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    ]
    return [phonenumbers.format_number(number, PhoneNumberFormat.E164) for number in found if number is not None]


EXAMPLES = examples(*PhoneNumberType.values())
CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
# Where the prefix at home is more than a zero, and may be taken from a number that is possible with it and without.
INTRICATE = [code for code in CODES if table.metadata(code).national_prefix_for_parsing not in {None, "0"}]

# What is put before a number at home, somewhere: trunk prefixes, those of carriers, and beginnings of such.
AT_HOME = ["0", "00", "000", "003768", "015", "0549", "06", "1", "10", "1001", "11", "12", "15", "179", "180020"]
AT_HOME += ["1831", "19", "2", "20", "3", "8", "80", "9", "90", "9011", "911"]
SLIPS: list[str] = [*"0189+ ()-.x/;٣０\0é＋", ""]


def digits(random: Random, count: int) -> str:
    return "".join(random.choices("0123456789", k=max(0, count)))


def written(random: Random) -> str:
    """A number as somebody may write it: mostly plausible, often with a prefix too many, sometimes nothing at all."""
    kind = random.randrange(10)
    text: str = random.choice(EXAMPLES)
    code = random.choice(CODES)
    if kind < 3:
        changed = random.randrange(1, 8)
        return text[:-changed] + digits(random, changed)
    if kind < 5:
        return f"+{code}{digits(random, random.randrange(2, 17))}"
    if kind == 5:
        return f"+{code}{random.choice(AT_HOME)}{digits(random, random.randrange(2, 14))}"
    if kind < 8:
        code = random.choice(INTRICATE)
        beginning = random.choice(AT_HOME) + digits(random, 2)
        return f"+{code}{beginning}{digits(random, random.randrange(3, 13) - len(beginning))}"
    if kind == 8:
        place = random.randrange(len(text) + 1)
        return text[:place] + random.choice(SLIPS) + text[place + random.randrange(3) :]
    return "".join(random.choices("++0123456789 -x０", k=random.randrange(20)))


@pytest.fixture(scope="module")
def same_metadata() -> None:
    """Whether the table speaks of the library that is installed; another one's numbers may be judged otherwise."""
    made = table.TARGET.read_text(encoding="utf-8").replace(_numbers.METADATA_VERSION, phonenumbers.__version__)
    if phonenumbers.__version__ != _numbers.METADATA_VERSION and made != table.render():
        warnings.warn(MOVED_ON, stacklevel=1)
        pytest.skip(MOVED_ON)


def test_the_table_is_what_its_tool_writes(same_metadata: None) -> None:
    written_by_tool = table.render().replace(phonenumbers.__version__, _numbers.METADATA_VERSION)
    assert table.TARGET.read_text(encoding="utf-8") == written_by_tool


def test_what_is_taken_without_the_library_is_what_the_library_makes_of_it(same_metadata: None) -> None:
    random = Random(23)
    plain = 0
    differing = []
    for _ in range(SAMPLES):
        text = written(random)
        country = random.choice([None, "DE", "US", "IT", "CN", "AR", "XX"])
        key = _numbers.key(text)
        assert _numbers.plain(text) == (key != 0)
        assert list(_numbers.keys([text, ""])) == [key, 0]
        if key:
            plain += 1
            if by_library(text, country) != text or f"+{key}" != text:
                differing.append((text, country))
    print(f"\n{SAMPLES:,} texts, {plain:,} of them plain, {len(differing)} differ")
    assert not differing
    assert plain > SAMPLES / 4


def test_what_is_not_plain_is_read_as_the_library_reads_it() -> None:
    random = Random(24)
    for _ in range(2_000):
        text = written(random)
        with contextlib.suppress(Invalid):
            assert numbers.parse(text, "DE") == by_library(text, "DE")


@pytest.mark.parametrize(
    ("kinds", "least"),
    [
        pytest.param((PhoneNumberType.MOBILE,), 0.95, id="mobiles"),
        pytest.param((PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE), 0.95, id="mobiles and fixed lines"),
        pytest.param(tuple(PhoneNumberType.values()), 0.9, id="all that have a kind"),
    ],
)
def test_nearly_all_numbers_of_the_world_need_no_library(kinds: tuple[int, ...], least: float) -> None:
    world = examples(*kinds)
    asked = [text for text in world if not _numbers.plain(text)]
    print(f"\n{1 - len(asked) / len(world):.1%} of {len(world)} are plain; not {' '.join(asked)}")
    assert len(asked) < (1 - least) * len(world)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("+4915123456789", id="German"),
        pytest.param("+8617012345678", id="Chinese, that begins nearly like a carrier's prefix"),
        pytest.param("+12025550123", id="American"),
        pytest.param("+79161234567", id="Russian"),
        pytest.param("+393123456789", id="Italian mobile"),
        pytest.param("+5491123456789", id="Argentine mobile"),
        pytest.param("+5511961234567", id="Brazilian"),
    ],
)
def test_a_plain_number_needs_no_library(text: str) -> None:
    assert _numbers.plain(text)
    assert _numbers.key(text) == int(text[1:]) == numbers.to_key(text)
    assert numbers.parse(text, "XX") is text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("+", id="a plus"),
        pytest.param("4915123456789", id="no plus"),
        pytest.param("004915123456789", id="zeros for a plus"),
        pytest.param("＋4915123456789", id="a wide plus"),
        pytest.param("+49151２3456789", id="a wide digit"),
        pytest.param("+49151²3456789", id="a digit of Latin-1"),
        pytest.param("+49151\x003456789", id="a zero octet"),
        pytest.param("+4915123456789 ", id="a space behind"),
        pytest.param("+4915123456789\n", id="a line end behind"),
        pytest.param("+49 15123456789", id="a space inside"),
        pytest.param("+49015123456789", id="a trunk zero"),
        pytest.param("+4407400123456", id="a British trunk zero"),
        pytest.param("+441800201234567", id="a British prefix of a relay"),
        pytest.param("+390612345678", id="an Italian zero"),
        pytest.param("+89161234567", id="a Russian trunk 8 for a country code"),
        pytest.param("+789161234567", id="a Russian trunk 8"),
        pytest.param("+112025550123", id="an American trunk 1"),
        pytest.param("+54111512345678", id="an Argentine 15"),
        pytest.param("+5215512345678", id="a Mexican 1"),
        pytest.param("+8617951380013", id="a Chinese carrier's prefix"),
        pytest.param("+261212345", id="a number that its country would complete"),
        pytest.param("+49", id="a country code"),
        pytest.param("+999123456789", id="no country code"),
        pytest.param("+4915123456789012", id="more digits than E.164 has"),
        pytest.param("+4915123456789" * 1_000, id="very long"),
    ],
)
def test_anything_else_is_left_to_the_library(text: str) -> None:
    assert not _numbers.plain(text)
    assert _numbers.key(text) == 0


def test_only_a_str_is_plain() -> None:
    class Text(str):
        __slots__ = ()

    assert not _numbers.plain(Text("+4915123456789"))
    assert type(numbers.parse(Text("+4915123456789"))) is str
    assert not _numbers.plain(b"+4915123456789")  # type: ignore[arg-type]
    assert not _numbers.plain(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", ["+123", "+390612345678", "+4915123456789", "+62123456789012345"])
def test_a_key_gives_its_number_back(number: str) -> None:
    assert numbers.from_key(numbers.to_key(number)) == number
