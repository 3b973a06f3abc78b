"""Settings from a file and the environment, and the key file beside them."""

import os
from pathlib import Path

import pytest

from engine.config import PEPPER_OCTETS, Hours, Routing, Settings, SimSettings
from engine.errors import ConfigError
from server.settings import KEY_FILE, key_path, load, read_key

FULL = """
data = "/srv/carillon"
[house]
name_en = "Lotus"
name_zh = "荷花"
language = "zh"
country = "CN"
time_zone = "Asia/Shanghai"
other_names = ["Lotus Hotel"]
opt_out_words = ["TD"]
currency = "CNY"
approval_over = 0
link_base = "https://go.example.com/x/"
[modems]
ports = ["/dev/ttyUSB*", "/dev/ttyS0"]
baud = 9600
hardware_flow = true
pin = "0000"
command_gap_ms = 0
prompt_timeout_s = 5
result_timeout_s = 60.5
[traffic]
feed_ahead_s = 30
delay_alert_s = 45
[http]
host = "::1"
port = 9000
[quiet]
marketing = [{opens = 600, closes = 720, days = 31}, {opens = 840, closes = 1080}]
survey = [{}]
research = [{closes = 600}]
service = [{opens = 1439}]
[sims."262011234567890"]
minute = 1
hour = 2
day = 3
month = 4
day_recipients = 5
month_recipients = 6
[sims."460001234567890"]
day = 200
[keep]
messages_days = 400
received_days = 90
events_days = 7
texts_days = 365
consents_days = 800
audit_days = 900
[routes]
sticky = true
[routes.operators]
"China Mobile" = ["+86134", "+86139"]
[webhooks]
allow_private = ["10.0.0.0/8", "::1/128"]
[caps]
marketing_a_day = 2
marketing_in_30_days = 8
same_text_hours = 48
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "carillon.toml"
    path.write_text(text, "utf-8")
    return path


# -- the file


def test_without_a_file_everything_has_a_default() -> None:
    assert load(None, {}) == Settings()


def test_every_key_can_be_set_in_the_file(tmp_path: Path) -> None:
    settings = load(written(tmp_path, FULL), {})
    assert (settings.data, settings.house.name_zh, settings.http.host) == ("/srv/carillon", "荷花", "::1")
    assert settings.modems.ports == ("/dev/ttyUSB*", "/dev/ttyS0")
    assert settings.quiet.marketing == (Hours(600, 720, 31), Hours(840, 1080))
    assert settings.sims == {"262011234567890": SimSettings(1, 2, 3, 4, 5, 6), "460001234567890": SimSettings(day=200)}
    assert settings.routes.operators == {"China Mobile": ("+86134", "+86139")}
    assert settings.webhooks.allow_private == ("10.0.0.0/8", "::1/128")
    usual = Settings()
    for name in Settings.__struct_fields__:
        section, default = getattr(settings, name), getattr(usual, name)
        for field in getattr(section, "__struct_fields__", ()):
            assert getattr(section, field) != getattr(default, field), f"{name}.{field} is not in the file"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("[http]\nprot = 1", "prot", id="an unknown key"),
        pytest.param("[htpt]\nport = 1", "htpt", id="an unknown section"),
        pytest.param("colour = 1", "colour", id="an unknown key of no section"),
        pytest.param("http = 5", "http", id="a value where a section belongs"),
        pytest.param('[http]\nport = "x"', "http.port", id="a word for a number"),
        pytest.param("[http]\nport = 65536", "http.port", id="a port beyond the last"),
        pytest.param("[http]\nport = -1", "http.port", id="a port before the first"),
        pytest.param("[http]\nport = 1.5", "http.port", id="half a port"),
        pytest.param('[house]\nlanguage = "de"', "house.language", id="a language we do not speak"),
        pytest.param('[house]\ncountry = "cn"', "house.country", id="a country in small letters"),
        pytest.param('[house]\ncountry = "CHN"', "house.country", id="a country of three letters"),
        pytest.param('[house]\ntime_zone = "Moon/Sea"', "house.time_zone", id="a zone that is none"),
        pytest.param('[house]\ntime_zone = "../etc/passwd"', "house.time_zone", id="a zone outside the folder"),
        pytest.param('[house]\ntime_zone = ""', "house.time_zone", id="no zone"),
        pytest.param("[modems]\nbaud = 12345", "modems.baud", id="a rate that is none"),
        pytest.param('[modems]\npin = "12a4"', "modems.pin", id="a letter in the PIN"),
        pytest.param('[modems]\npin = "123"', "modems.pin", id="a PIN too short"),
        pytest.param("[modems]\ncommand_gap_ms = -1", "modems.command_gap_ms", id="a gap before the command"),
        pytest.param("[modems]\nprompt_timeout_s = 0", "modems.prompt_timeout_s", id="no time at all"),
        pytest.param("[modems]\nresult_timeout_s = nan", "modems.result_timeout_s", id="a time that is none"),
        pytest.param("[traffic]\nfeed_ahead_s = inf", "traffic.feed_ahead_s", id="for ever ahead"),
        pytest.param("[house]\napproval_over = -1", "house.approval_over", id="fewer than nobody"),
        pytest.param('[house]\nlink_base = "go.example.com"', "house.link_base", id="an address without its scheme"),
        pytest.param('[house]\nlink_base = "https://x.example/?a="', "house.link_base", id="an address with a query"),
        pytest.param("[quiet]\nservice = []", "service has no hours", id="no hours at all"),
        pytest.param("[quiet]\nservice = [{opens = 9, closes = 9}]", "quiet.service[0]", id="hours that are none"),
        pytest.param("[quiet]\nservice = [{closes = 1441}]", "quiet.service[0]", id="a day of 1441 minutes"),
        pytest.param("[quiet]\nservice = [{days = 0}]", "quiet.service[0]", id="no day of the week"),
        pytest.param("[quiet]\nservice = [{open = 540}]", "quiet.service[0]", id="an unknown key of hours"),
        pytest.param("[quiet]\nlegal = [{}]", "legal", id="a purpose that may go at any hour"),
        pytest.param('[sims."12345"]', "sims.12345", id="an IMSI too short"),
        pytest.param('[sims."1234567890123456"]', "sims.1234567890123456", id="an IMSI too long"),
        pytest.param('[sims."26201x"]', "sims.26201x", id="a letter in the IMSI"),
        pytest.param('[sims."012345678901234"]', "sims.012345678901234", id="an IMSI of no network"),
        pytest.param('[sims."262011"]\n[sims."262012"]\nday = -1', "sims.262012.day", id="less than nothing"),
        pytest.param('[sims."262011"]\n[sims."262012"]\ndaily = 1', "sims.262012", id="an unknown limit"),
        pytest.param('[sims]\n"262011" = 5', "sims.262011", id="a value where a SIM's section belongs"),
        pytest.param('[webhooks]\nallow_private = ["10.0.0.1/8"]', "webhooks.allow_private", id="a host for a network"),
        pytest.param("a = [", "carillon.toml", id="no TOML"),
        pytest.param("a = 1\na = 2", "carillon.toml", id="a key twice"),
        pytest.param(
            'data = ""', "data", id="no directory",
        ),
        pytest.param(
            '[http]\nhost = ""', "http.host", id="no host",
        ),
        pytest.param(
            '[house]\ncountry = "ZZ"', "house.country", id="a country that is none",
        ),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_refused_by_its_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load(written(tmp_path, text), {})
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_pin_is_in_no_refusal(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refusal:
        load(written(tmp_path, '[modems]\npin = "12345678901"'), {})
    assert "12345" not in str(refusal.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    with pytest.raises(ConfigError, match=r"none\.toml: No such file"):
        load(path, {})
    path.write_bytes(b'data = "\xff"')
    with pytest.raises(ConfigError, match=r"none\.toml"):
        load(path, {})
    with pytest.raises(ConfigError, match="directory"):
        load(tmp_path, {})


# -- the environment


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, FULL)
    changed = {
        "CARILLON_DATA": "/var/elsewhere",
        "CARILLON_HTTP_PORT": "9001",
        "CARILLON_MODEMS_PORTS": "/dev/ttyS1,/dev/ttyS2",
        "CARILLON_MODEMS_HARDWARE_FLOW": "false",
        "CARILLON_TRAFFIC_FEED_AHEAD_S": "2.5",
        "CARILLON_HOUSE_NAME_ZH": "钟",
        "PATH": "/bin",
        "CARILLON_TOKEN": "not a setting",
    }
    settings = load(path, changed)
    assert (settings.data, settings.http.port, settings.http.host) == ("/var/elsewhere", 9001, "::1")
    assert settings.modems.ports == ("/dev/ttyS1", "/dev/ttyS2")
    assert (settings.modems.hardware_flow, settings.traffic.feed_ahead_s, settings.house.name_zh) == (False, 2.5, "钟")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        pytest.param("CARILLON_HTTP_PORT", "x", "http.port", id="a word for a number"),
        pytest.param("CARILLON_HTTP_PORT", "", "http.port", id="nothing for a number"),
        pytest.param("CARILLON_HTTP_PROT", "1", "prot", id="an unknown key"),
        pytest.param("CARILLON_COLOUR", "red", "colour", id="an unknown word"),
        pytest.param("CARILLON_HTTP", "80", "http", id="a section"),
        pytest.param("CARILLON_QUIET_SERVICE", "9 to 5", "quiet.service", id="hours in words"),
        pytest.param("CARILLON_QUIET_SERVICE", '[{"opens": 1440}]', "quiet.service[0]", id="hours that are none"),
        pytest.param("CARILLON_SIMS_262011_DAY", "many", "sims.262011.day", id="a word for a limit"),
        pytest.param("CARILLON_SIMS_262011", "5", "sims.262011", id="a SIM's section"),
        pytest.param("CARILLON_MODEMS_HARDWARE_FLOW", "perhaps", "modems.hardware_flow", id="neither yes nor no"),
    ],
)
def test_a_wrong_variable_is_refused_by_its_key(name: str, value: str, said: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load(None, {name: value})
    assert said in str(refusal.value)


def test_a_variable_over_a_section_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="http"):
        load(written(tmp_path, "http = 5"), {"CARILLON_HTTP_PORT": "80"})


def test_hours_and_limits_can_be_said_in_the_environment(tmp_path: Path) -> None:
    changed = {
        "CARILLON_QUIET_SERVICE": '[{"opens": 60}]',
        "CARILLON_SIMS_262011234567890_DAY_RECIPIENTS": "7",
        "CARILLON_SIMS_262020000000001_MINUTE": "9",
    }
    settings = load(written(tmp_path, FULL), changed)
    assert (settings.quiet.service, settings.quiet.survey) == ((Hours(60),), (Hours(),))
    assert settings.sims["262011234567890"] == SimSettings(1, 2, 3, 4, 7, 6)
    assert settings.sims["262020000000001"] == SimSettings(minute=9)


def test_an_empty_list_can_be_said_in_the_environment() -> None:
    assert load(None, {"CARILLON_MODEMS_PORTS": ""}).modems.ports == ()


def test_networks_are_written_with_commas_in_the_environment() -> None:
    settings = load(None, {"CARILLON_WEBHOOKS_ALLOW_PRIVATE": "10.0.0.0/8,::1/128"})
    assert settings.webhooks.allow_private == ("10.0.0.0/8", "::1/128")


# -- the key file


def test_a_key_is_made_once_for_our_eyes_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / KEY_FILE
    umask = os.umask(0)
    try:
        made = read_key(path)
    finally:
        os.umask(umask)
    assert (len(made), path.stat().st_mode & 0o777) == (PEPPER_OCTETS, 0o600)
    assert read_key(path) == made
    assert read_key(tmp_path / "other.key") != made


def test_the_key_is_beside_the_settings_and_never_in_the_data() -> None:
    assert key_path(Path("/etc/carillon/c.toml"), Settings(data="/srv/data")) == Path("/etc/carillon") / KEY_FILE
    assert key_path(None, Settings(data="/srv/data")) == Path("/srv") / KEY_FILE


@pytest.mark.parametrize("octets", [b"", b"x", b"x" * 31, b"x" * 33, b"x" * 1_000_000])
def test_a_key_of_a_wrong_size_is_not_ours_and_stays_as_it_is(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / KEY_FILE
    path.write_bytes(octets)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=rf"is {len(octets)} octets, not 32"):
        read_key(path)
    assert path.read_bytes() == octets


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644, 0o620, 0o602, 0o601, 0o777])
def test_a_key_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / KEY_FILE
    read_key(path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_key(path)


def test_a_key_that_is_a_folder_or_a_link_to_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("folder", "link"):
        with pytest.raises(ConfigError, match=name):
            read_key(tmp_path / name)
    assert not (tmp_path / "nowhere").exists()


def test_a_key_where_nothing_can_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="Not a directory"):
        read_key(tmp_path / "file" / KEY_FILE)


def test_operators_are_written_as_json_in_the_environment_and_must_be_prefixes() -> None:
    named = {"CARILLON_ROUTES_STICKY": "true", "CARILLON_ROUTES_OPERATORS": '{"D1": ["+49170", "+49171"]}'}
    assert load(None, named).routes == Routing(sticky=True, operators={"D1": ("+49170", "+49171")})
    with pytest.raises(ConfigError, match=r"routes.operators: is not JSON"):
        load(None, {"CARILLON_ROUTES_OPERATORS": "D1"})
    with pytest.raises(ConfigError, match=r"routes.operators.D1: '49170' is no prefix"):
        load(None, {"CARILLON_ROUTES_OPERATORS": '{"D1": ["49170"]}'})
