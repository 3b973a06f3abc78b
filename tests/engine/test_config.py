"""engine/config.py: every setting is possible, or named."""

import math

import msgspec
import pytest

from engine.config import (
    ANY_HOUR,
    Caps,
    Hours,
    House,
    Http,
    Keep,
    Limits,
    Modems,
    QuietHours,
    Settings,
    SimSettings,
    Traffic,
    Webhooks,
    validate,
)
from engine.errors import ConfigError


def test_the_defaults_are_possible() -> None:
    assert validate(Settings()) == Settings()


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        (Settings(house=House(language="fr")), "house.language"),
        (Settings(house=House(country="de")), "house.country"),
        (Settings(house=House(country="DEU")), "house.country"),
        (Settings(house=House(time_zone="Mars/Base")), "house.time_zone"),
        (Settings(house=House(time_zone="../../etc/passwd")), "house.time_zone"),
        (Settings(house=House(time_zone="")), "house.time_zone"),
        pytest.param(
            Settings(house=House(time_zone="Europe")),
            "house.time_zone",
        ),
        (Settings(modems=Modems(baud=230_400)), "modems.baud"),
        (Settings(modems=Modems(pin="12")), "modems.pin"),
        (Settings(modems=Modems(pin="１２３４")), "modems.pin"),
        (Settings(modems=Modems(command_gap_ms=-1)), "modems.command_gap_ms"),
        (Settings(modems=Modems(prompt_timeout_s=0)), "modems.prompt_timeout_s"),
        (Settings(modems=Modems(result_timeout_s=math.nan)), "modems.result_timeout_s"),
        (Settings(traffic=Traffic(feed_ahead_s=0.5)), "traffic.feed_ahead_s"),
        (Settings(traffic=Traffic(feed_ahead_s=math.inf)), "traffic.feed_ahead_s"),
        (Settings(traffic=Traffic(delay_alert_s=0)), "traffic.delay_alert_s"),
        (Settings(http=Http(port=65_536)), "http.port"),
        (Settings(house=House(approval_over=-1)), "house.approval_over"),
        (Settings(sims={"12345": SimSettings()}), "sims.12345"),
        (Settings(sims={"１２３４５６": SimSettings()}), "sims."),
        (Settings(sims={"0123456": SimSettings()}), "sims.0123456"),
        (Settings(sims={"2620112": SimSettings(month=-1)}), "sims.2620112.month"),
        (Settings(keep=Keep(messages_days=-1)), "keep.messages_days"),
        (Settings(keep=Keep(received_days=36_501)), "keep.received_days"),
        (Settings(keep=Keep(events_days=-1)), "keep.events_days"),
        (Settings(webhooks=Webhooks(("localhost",))), "webhooks.allow_private"),
        (Settings(keep=Keep(consents_days=100)), "keep.consents_days"),
        (Settings(house=House(currency="yuan")), "house.currency"),
        (Settings(house=House(other_names=("",))), "house.other_names"),
        (Settings(house=House(opt_out_words=())), "house.opt_out_words"),
        (Settings(caps=Caps(marketing_a_day=-1)), "caps.marketing_a_day"),
        (Settings(caps=Caps(marketing_in_30_days=51)), "caps.marketing_in_30_days"),
        (Settings(caps=Caps(same_text_hours=721)), "caps.same_text_hours"),
    ],
)
def test_what_is_impossible_is_refused_by_its_key(settings: Settings, key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        validate(settings)


def test_settings_are_frozen_and_unknown_keys_are_refused() -> None:
    with pytest.raises(AttributeError):
        Settings().data = "x"  # type: ignore[misc]
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"house": {"langauge": "en"}}, Settings)


def test_a_refused_pin_is_not_told() -> None:
    with pytest.raises(ConfigError) as refused:
        validate(Settings(modems=Modems(pin="98765x")))
    assert "98765" not in str(refused.value)


def test_a_sim_without_a_section_has_no_limit() -> None:
    assert not SimSettings().are_any
    assert not Limits().are_any
    assert all(SimSettings(**{name: 1}).are_any for name in SimSettings.__struct_fields__)


def test_hours_that_are_none_are_refused() -> None:
    for wrong in ((-1, 5), (5, 5), (6, 5), (0, 1441), (0, 1440, 0), (0, 1440, 128)):
        with pytest.raises(ValueError, match=r"hours|days"):
            Hours(*wrong)
    with pytest.raises(ValueError, match="service has no hours"):
        QuietHours(service=())


def test_any_hour_is_any_hour_of_every_purpose_that_has_hours() -> None:
    for purpose in QuietHours.__struct_fields__:
        assert ANY_HOUR.of(purpose) == (Hours(0, 1440, 0b1111111),)
    assert ANY_HOUR.of("transactional") == ()
