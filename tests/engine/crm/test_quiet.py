"""engine/crm/quiet.py: when a text may go, by the clock on the wall of who receives it.

The oracle reads the clock at one moment; it knows neither weeks nor changes of the clock.
"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config import Hours, QuietHours
from engine.crm.people.zones import zones_of
from engine.crm.quiet import ON_THE_WAY_MS, SPREAD_MS, may_disturb, opening, release
from engine.errors import Invalid
from engine.traffic.messages import PURPOSES, SEND, Lane, Message, State, Verdict

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
QUIET = QuietHours()
(DAYTIME,) = QUIET.marketing
(SERVICE,) = QUIET.service
MON_TO_FRI, SATURDAY, SUNDAY = 0b0011111, 0b0100000, 0b1000000

PLACES = (
    "Europe/Berlin", "Europe/London", "America/New_York", "America/St_Johns", "America/Santiago", "Pacific/Honolulu",
    "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Shanghai", "Asia/Kathmandu", "Pacific/Chatham",
    "Pacific/Kiritimati", "Pacific/Pago_Pago", "Antarctica/Troll", "Africa/Cairo", "Asia/Gaza",
)  # fmt: skip
# A mobile's country, or none but the numbering plan.
COUNTRIES = tuple(
    zones_of(number, "UTC") for number in (18005550123, 79161234567, 61412345678, 34612345678, 6421123456)
)


def ms(text: str) -> int:
    """UTC, as `2026-03-29 07:00`."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def shown(at_ms: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).strftime("%Y-%m-%d %H:%M")


def reads_open(at_ms: int, zone: str, *hours: Hours) -> bool:
    wall = datetime.fromtimestamp(at_ms // 1000, ZoneInfo(zone))
    minute = 60 * wall.hour + wall.minute
    return any(window.opens <= minute < window.closes and window.days >> wall.weekday() & 1 for window in hours)


# -- one clock


@pytest.mark.parametrize(
    ("zone", "asked", "opens"),
    [
        pytest.param("Europe/Berlin", "2026-03-27 22:00", "2026-03-28 08:00", id="Berlin, a winter's night"),
        pytest.param(
            "Europe/Berlin", "2026-03-28 22:00", "2026-03-29 07:00", id="Berlin, the night that lacks an hour"
        ),
        pytest.param("Europe/Berlin", "2026-10-24 22:00", "2026-10-25 08:00", id="Berlin, the night with an hour more"),
        pytest.param("America/New_York", "2026-03-08 04:00", "2026-03-08 13:00", id="New York springs forward"),
        pytest.param("America/New_York", "2026-03-07 04:00", "2026-03-07 14:00", id="New York, a day before"),
        pytest.param("America/New_York", "2026-11-01 04:00", "2026-11-01 14:00", id="New York falls back"),
        pytest.param("Australia/Lord_Howe", "2026-10-02 12:00", "2026-10-02 22:30", id="Lord Howe, half an hour to go"),
        pytest.param(
            "Australia/Lord_Howe", "2026-10-03 12:00", "2026-10-03 22:00", id="Lord Howe, half an hour forward"
        ),
        pytest.param("Australia/Lord_Howe", "2026-04-04 12:00", "2026-04-04 22:30", id="Lord Howe, half an hour back"),
        pytest.param("Africa/Casablanca", "2026-02-14 00:00", "2026-02-14 08:00", id="Casablanca before Ramadan"),
        pytest.param("Africa/Casablanca", "2026-02-15 00:00", "2026-02-15 09:00", id="Casablanca in Ramadan"),
        pytest.param("Africa/Casablanca", "2026-03-22 00:00", "2026-03-22 08:00", id="Casablanca after Ramadan"),
        pytest.param("Asia/Shanghai", "2026-03-28 22:00", "2026-03-29 01:00", id="Shanghai, which has no summer time"),
        pytest.param("Asia/Shanghai", "2026-10-24 22:00", "2026-10-25 01:00", id="Shanghai in autumn"),
        pytest.param("Asia/Kathmandu", "2026-10-24 22:00", "2026-10-25 03:15", id="Kathmandu, on the quarter"),
    ],
)
def test_opens_at_nine_by_the_clock_on_the_wall(zone: str, asked: str, opens: str) -> None:
    assert shown(opening(ms(asked), (zone,), DAYTIME)) == opens


def test_sends_to_the_last_millisecond_and_holds_from_the_hour() -> None:
    evening = ms("2026-07-01 19:00")  # 21:00 in Berlin
    assert opening(evening - 1, ("Europe/Berlin",), SERVICE) == 0
    morning = opening(evening, ("Europe/Berlin",), SERVICE)
    assert morning == ms("2026-07-02 06:00")
    assert opening(morning - 1, ("Europe/Berlin",), SERVICE) == morning
    assert opening(morning, ("Europe/Berlin",), SERVICE) == 0


def test_one_moment_is_day_in_london_and_night_in_shanghai() -> None:
    noon = ms("2026-07-01 13:00")
    assert opening(noon, zones_of(447700900123, "UTC"), DAYTIME) == 0
    assert shown(opening(noon, zones_of(8613800138000, "UTC"), DAYTIME)) == "2026-07-02 01:00"


def test_hours_may_differ_by_day() -> None:
    week = (Hours(9 * 60, 20 * 60, MON_TO_FRI), Hours(10 * 60, 14 * 60, SATURDAY))
    shut = [
        (shown(at_ms), shown(found))
        for at_ms in range(ms("2026-07-03 19:00"), ms("2026-07-06 12:00"), 12 * HOUR_MS)
        if (found := opening(at_ms, ("UTC",), *week))
    ]
    assert shut == [
        ("2026-07-04 07:00", "2026-07-04 10:00"),
        ("2026-07-04 19:00", "2026-07-06 09:00"),
        ("2026-07-05 07:00", "2026-07-06 09:00"),
        ("2026-07-05 19:00", "2026-07-06 09:00"),
        ("2026-07-06 07:00", "2026-07-06 09:00"),
    ]


def test_hours_that_overlap_or_meet_are_one() -> None:
    hours = (Hours(10 * 60, 12 * 60), Hours(9 * 60, 10 * 60), Hours(11 * 60, 13 * 60))
    assert shown(opening(ms("2026-07-01 08:00"), ("UTC",), *hours)) == "2026-07-01 09:00"
    assert {opening(ms("2026-07-01 09:00") + minute * MINUTE_MS, ("UTC",), *hours) for minute in range(240)} == {0}
    assert shown(opening(ms("2026-07-01 13:00"), ("UTC",), *hours)) == "2026-07-02 09:00"


# -- a clock that is set


@pytest.mark.parametrize(
    ("day", "opened_h"),
    [
        pytest.param("2026-03-29", 23, id="a day of 23 hours"),
        pytest.param("2026-10-25", 25, id="a day of 25 hours"),
        pytest.param("2026-07-05", 24, id="a day of 24 hours"),
    ],
)
def test_a_whole_day_is_as_long_as_it_is(day: str, opened_h: int) -> None:
    around = range(ms(f"{day} 00:00") - DAY_MS, ms(f"{day} 00:00") + 2 * DAY_MS, HOUR_MS)
    assert sum(opening(at_ms, ("Europe/Berlin",), Hours(days=SUNDAY)) == 0 for at_ms in around) == opened_h


def test_an_hour_that_comes_twice_is_open_twice() -> None:
    half_past = Hours(90, 150)  # 01:30 to 02:30; at 02:00 it is 01:00 again
    spoken = [
        shown(at_ms)
        for at_ms in range(ms("2026-11-01 04:00"), ms("2026-11-01 09:00"), 30 * MINUTE_MS)
        if not opening(at_ms, ("America/New_York",), half_past)
    ]
    assert spoken == ["2026-11-01 05:30", "2026-11-01 06:30", "2026-11-01 07:00"]


def test_an_hour_that_is_left_out_does_not_open() -> None:
    left_out = Hours(120, 180)
    assert shown(opening(ms("2026-03-08 06:00"), ("America/New_York",), left_out)) == "2026-03-09 06:00"
    only_sunday = Hours(120, 180, SUNDAY)
    assert shown(opening(ms("2026-03-07 06:00"), ("America/New_York",), only_sunday)) == "2026-03-15 06:00"


def test_any_hour_has_no_end_at_the_end_of_a_week() -> None:
    saturday_night = ms("2026-07-04 23:59")
    assert {opening(saturday_night + minute * MINUTE_MS, ("UTC",), Hours()) for minute in range(3)} == {0}


# -- several clocks


@pytest.mark.parametrize(
    ("number", "day", "opens", "closes"),
    [
        pytest.param(
            79161234567, "2026-01-14", "07:00", "08:00", id="Russia: Kaliningrad's morning, Kamchatka's evening"
        ),
        pytest.param(
            61412345678, "2026-07-01", "02:30", "09:30", id="Australia: from the Cocos' nine to Lord Howe's eight"
        ),
        pytest.param(34612345678, "2026-07-01", "08:00", "18:00", id="Spain: the Canaries get up, Madrid goes to bed"),
        pytest.param(18005550123, "2026-01-14", "23:00", "23:30", id="North America in winter: Guam's and St John's"),
        pytest.param(
            18005550123, "2026-07-15", "20:00", "22:30", id="North America in summer: all but Guam and Saipan"
        ),
    ],
)
def test_a_number_that_may_be_anywhere_waits_for_all(number: int, day: str, opens: str, closes: str) -> None:
    zones = zones_of(number, "UTC")
    minutes = range(ms(f"{day} 00:00"), ms(f"{day} 00:00") + DAY_MS, MINUTE_MS)
    spoken = [at_ms for at_ms in minutes if not opening(at_ms, zones, DAYTIME)]
    assert shown(spoken[0]) == f"{day} {opens}"
    assert shown(spoken[-1] + MINUTE_MS) == f"{day} {closes}"
    assert len(spoken) == (spoken[-1] - spoken[0]) // MINUTE_MS + 1


def test_clocks_that_never_agree_are_open_one_by_one() -> None:
    apart = ("Europe/London", "Pacific/Auckland")  # in winter 13 hours
    minutes = range(ms("2026-01-14 00:00"), ms("2026-01-15 00:00"), MINUTE_MS)
    for at_ms in minutes:
        assert (opening(at_ms, apart, DAYTIME) == 0) == any(reads_open(at_ms, zone, DAYTIME) for zone in apart)


@pytest.mark.parametrize("zones", COUNTRIES, ids=lambda zones: f"{len(zones)} zones")
def test_no_week_of_two_years_is_shut_with_the_hours_that_are_given(zones: tuple[str, ...]) -> None:
    begin = ms("2026-01-01 00:00")
    for hours in (DAYTIME, SERVICE):
        for at_ms in range(begin, begin + 730 * DAY_MS, 5 * HOUR_MS):
            assert opening(at_ms, zones, hours) <= at_ms + 2 * DAY_MS


moments = st.integers(ms("2000-01-01 00:00"), ms("2060-01-01 00:00"))
# Not the night, when clocks are set.
days = st.builds(
    lambda opens, length, days: Hours(opens, min(opens + length, 1440), days),
    st.integers(4 * 60, 1439),
    st.integers(1, 1200),
    st.integers(1, 127),
)
nights = st.builds(lambda opens, length: Hours(opens, opens + length), st.integers(0, 240), st.integers(1, 300))


@settings(max_examples=150, deadline=None)
@given(moments, st.sampled_from(PLACES), st.one_of(st.tuples(days), st.tuples(nights), st.tuples(days, days)))
def test_opens_at_the_first_minute_that_the_wall_clock_says(now_ms: int, zone: str, hours: tuple[Hours, ...]) -> None:
    found = opening(now_ms, (zone,), *hours)
    assert (found == 0) == reads_open(now_ms, zone, *hours)
    if found:
        assert now_ms < found <= now_ms + 8 * DAY_MS
        assert found % MINUTE_MS == 0
        assert opening(found, (zone,), *hours) == 0
        assert opening(found - MINUTE_MS, (zone,), *hours) == found
        for at_ms in range(now_ms, found, MINUTE_MS):
            assert not reads_open(at_ms, zone, *hours)
        assert reads_open(found, zone, *hours)


CHANGES = [
    pytest.param(zone, f"2026-{day} 00:00", id=f"{zone} {day}")
    for zone, changes in {
        "Europe/Berlin": ("03-29", "10-25"),
        "America/New_York": ("03-08", "11-01"),
        "Australia/Lord_Howe": ("04-05", "10-04"),
        "Africa/Casablanca": ("02-15", "03-22"),
        "Asia/Shanghai": ("03-29", "10-25"),
        "America/Santiago": ("04-05", "09-06"),  # at midnight
        "Antarctica/Troll": ("03-29", "10-25"),  # two hours
    }.items()
    for day in changes
]


@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_agrees_with_the_wall_clock_in_every_minute_around_a_change(zone: str, day: str) -> None:
    hours = (Hours(0, 45), Hours(90, 150), Hours(165, 1425))
    for at_ms in range(ms(day) - DAY_MS, ms(day) + 2 * DAY_MS, MINUTE_MS):
        assert (opening(at_ms, (zone,), *hours) == 0) == reads_open(at_ms, zone, *hours)


@settings(max_examples=60, deadline=None)
@given(moments, st.lists(st.sampled_from(PLACES), min_size=2, max_size=5, unique=True), st.tuples(days))
def test_several_zones_are_open_while_as_many_are_as_ever_in_the_week(
    now_ms: int, places: list[str], hours: tuple[Hours, ...]
) -> None:
    zones = tuple(places)
    sunday = (now_ms - 3 * DAY_MS) // (7 * DAY_MS) * 7 * DAY_MS + 3 * DAY_MS
    # How many are open changes at the edges of hours only: clocks are set at night, when these are shut.
    edges = {
        sunday + day * DAY_MS + (minute * MINUTE_MS - offset_ms) % DAY_MS
        for day in range(7)
        for window in hours
        for minute in (window.opens, window.closes)
        for zone in zones
        for offset_ms in offsets_ms(zone, sunday)
    }
    counts = {at_ms: sum(reads_open(at_ms, zone, *hours) for zone in zones) for at_ms in {sunday, *edges}}
    most = max(counts.values())
    is_open = sum(reads_open(now_ms, zone, *hours) for zone in zones) == most > 0
    found = opening(now_ms, zones, *hours)
    assert (found == 0) == is_open
    for at_ms, count in counts.items():
        assert (opening(at_ms, zones, *hours) == 0) == (count == most > 0)
    if found:
        assert now_ms < found <= now_ms + 15 * DAY_MS
        assert opening(found, zones, *hours) == 0
        assert opening(found - 1, zones, *hours) == found
        if most == len(zones):
            assert found <= now_ms + 8 * DAY_MS


def offsets_ms(zone: str, sunday: int) -> set[int]:
    found = set()
    for hour in range(0, 7 * 24 + 1, 6):
        offset = datetime.fromtimestamp(sunday // 1000 + 3600 * hour, ZoneInfo(zone)).utcoffset()
        assert offset is not None
        found.add(int(offset.total_seconds()) * 1000)
    return found


# -- the spread


def test_what_was_held_over_night_is_spread_over_half_an_hour() -> None:
    night, morning = ms("2026-07-01 02:00"), ms("2026-07-01 09:00")
    released = sorted(release(night, ("UTC",), DAYTIME, key=77_000_000 + row) for row in range(3000))
    assert morning <= released[0]
    assert released[-1] < morning + SPREAD_MS
    assert max(later - earlier for earlier, later in pairwise(released)) < 3_000  # 0.6 s on average
    first_minute = sum(at_ms < morning + MINUTE_MS for at_ms in released)
    assert 90 <= first_minute <= 110


def test_the_spread_of_a_message_does_not_move() -> None:
    evening, night = ms("2026-07-01 20:00"), ms("2026-07-02 08:59")
    assert release(evening, ("UTC",), DAYTIME, key=5) == release(night, ("UTC",), DAYTIME, key=5)
    assert release(ms("2026-07-02 09:00"), ("UTC",), DAYTIME, key=5) == 0


@given(st.integers(0, 2**64 - 1), st.integers(1, 90), st.integers(1, 90))
def test_the_spread_ends_with_the_hours_and_with_the_offer(key: int, open_minutes: int, offer_minutes: int) -> None:
    morning = ms("2026-07-01 09:00")
    hours = Hours(540, 540 + open_minutes)
    at_ms = release(morning - 1, ("UTC",), hours, key=key, before_ms=morning + offer_minutes * MINUTE_MS)
    assert morning <= at_ms < morning + min(open_minutes, offer_minutes, 30) * MINUTE_MS


# -- the verdict


def message(purpose: str, **fields: object) -> Message:
    return msgspec.structs.replace(Message(7, 447700900123, "x", purpose=purpose), **fields)


NIGHT, MORNING = ms("2026-07-01 02:00"), ms("2026-07-01 08:00")  # 3 and 9 in London


@pytest.mark.parametrize(
    ("purpose", "fields", "state"),
    [
        pytest.param("marketing", {}, State.HELD, id="marketing waits"),
        pytest.param("survey", {}, State.HELD, id="a survey waits"),
        pytest.param("research", {}, State.HELD, id="research waits"),
        pytest.param("service", {}, State.HELD, id="service waits"),
        pytest.param("transactional", {}, State.SENDING, id="what was bought or done is told at once"),
        pytest.param("legal", {}, State.SENDING, id="what the law wants is told at once"),
        pytest.param("service", {"lane": Lane.OTP}, State.SENDING, id="a one-time password"),
        pytest.param("marketing", {"in_reply_to": 9}, State.SENDING, id="an answer"),
        pytest.param("marketing", {"expires_ms": MORNING - 1}, State.EXPIRED, id="an offer that ends in the night"),
        pytest.param("marketing", {"expires_ms": MORNING}, State.EXPIRED, id="an offer that ends with the night"),
        pytest.param("marketing", {"expires_ms": MORNING + 1}, State.HELD, id="an offer that ends just after"),
    ],
)
def test_who_sleeps_is_not_disturbed_but_for_a_reason(purpose: str, fields: dict[str, object], state: State) -> None:
    verdict = may_disturb(message(purpose, **fields), ("Europe/London",), QUIET, NIGHT)
    assert verdict.state is state
    assert verdict.reason == ("" if verdict.sends else "quiet_hours")
    opens = ms("2026-07-01 07:00") if purpose == "service" else MORNING
    if state is State.HELD:
        assert opens <= verdict.until_ms < opens + SPREAD_MS
        assert may_disturb(message(purpose, **fields), ("Europe/London",), QUIET, verdict.until_ms) == SEND
    else:
        assert verdict.until_ms == 0


@pytest.mark.parametrize("purpose", PURPOSES)
def test_by_day_everything_goes(purpose: str) -> None:
    assert may_disturb(message(purpose), ("Europe/London",), QUIET, ms("2026-07-01 12:00")) == SEND


def test_a_lunch_offer_of_sunday_does_not_arrive_on_monday() -> None:
    weekdays = QuietHours(marketing=(Hours(540, 1200, MON_TO_FRI),))
    lunch = message("marketing", expires_ms=ms("2026-07-05 14:00"))
    assert may_disturb(lunch, ("UTC",), weekdays, ms("2026-07-04 10:00")) == Verdict(State.EXPIRED, "quiet_hours")


# -- settings


def test_hours_are_read_from_settings() -> None:
    given = {"marketing": [{"opens": 600, "closes": 1080, "days": 31}, {"opens": 660, "closes": 780, "days": 32}]}
    quiet = msgspec.convert(given, QuietHours)
    assert quiet.marketing == (Hours(600, 1080, 31), Hours(660, 780, 32))
    assert (quiet.survey, quiet.of("service")) == ((DAYTIME,), (SERVICE,))
    assert quiet.of("legal") == quiet.of("transactional") == ()


@pytest.mark.parametrize(
    ("given", "where"),
    [
        pytest.param({"survey": [{"opens": 600, "closes": 600}]}, "$.survey[0]", id="no time at all"),
        pytest.param({"survey": [{"opens": 1200, "closes": 480}]}, "$.survey[0]", id="over midnight"),
        pytest.param({"survey": [{}, {"closes": 1441}]}, "$.survey[1]", id="later than midnight"),
        pytest.param({"survey": [{"opens": -1}]}, "$.survey[0]", id="before midnight"),
        pytest.param({"survey": [{"days": 0}]}, "$.survey[0]", id="on no day"),
        pytest.param({"survey": [{"days": 128}]}, "$.survey[0]", id="an eighth day"),
        pytest.param({"survey": []}, "survey has no hours", id="never"),
        pytest.param({"legal": [{}]}, "legal", id="a purpose that has no hours"),
    ],
)
def test_hours_that_are_none_are_refused_by_their_place(given: dict[str, object], where: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(given, QuietHours)
    assert where in str(refused.value)


@pytest.mark.parametrize(
    ("zones", "hours"),
    [((), (Hours(),)), (("UTC",), ()), (("Europe/Nowhere",), (Hours(),)), (("UTC", ""), (Hours(),))],
)
def test_no_zone_an_unknown_zone_and_no_hours_are_refused(zones: tuple[str, ...], hours: tuple[Hours, ...]) -> None:
    with pytest.raises(Invalid):
        opening(NIGHT, zones, *hours)


@pytest.mark.parametrize("minutes", [1, 3, 30, 31, 600])
def test_what_is_held_can_go_when_it_is_let_go(minutes: int) -> None:
    """Whoever is let go in the last minutes would be held for the next day, and the next."""
    quiet = QuietHours(service=(Hours(600, 600 + minutes),))
    for key in range(200):
        held = may_disturb(message("service", id=key), ("Europe/London",), quiet, NIGHT)
        assert held.state is State.HELD
        assert may_disturb(message("service", id=key), ("Europe/London",), quiet, held.until_ms) == SEND


def test_the_end_of_a_week_is_no_evening() -> None:
    """In Auckland it is Sunday noon when the week of UTC ends."""
    asked = message("service")
    end_ms = ms("2026-07-05 00:00")
    for before_ms in (-1, 0, 1, ON_THE_WAY_MS // 2, ON_THE_WAY_MS):
        assert may_disturb(asked, ("Pacific/Auckland",), QUIET, end_ms - before_ms) == SEND
