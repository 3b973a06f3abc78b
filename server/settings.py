"""Settings from a TOML file and the environment, and the key file beside them.

Environment variables override the file: `CARILLON_HTTP_PORT=9000` sets `http.port`, `CARILLON_SIMS_<IMSI>_DAY=200` what
one SIM may send.  Ports and networks are written with commas between, hours and operators as JSON:
`CARILLON_QUIET_SERVICE='[{"opens": 480, "closes": 1260}]'`.
"""

import contextlib
import os
import secrets
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from engine.config import PEPPER_OCTETS, Settings, SimSettings, validate
from engine.errors import ConfigError

PREFIX: Final = "CARILLON_"
KEY_FILE: Final = "carillon.key"
# Not settings: a token to let in, and nothing that belongs into a file.
_OTHERS: Final = frozenset({"CARILLON_TOKEN"})
_SECTIONS: Final = ("house", "modems", "traffic", "http", "quiet", "sims", "keep", "routes", "webhooks", "caps")
_LISTS: Final = frozenset({"modems_ports", "webhooks_allow_private"})
_JSON: Final = frozenset({"routes_operators", "house_other_names", "house_opt_out_words"})


def load(path: Path | None, environment: Mapping[str, str]) -> Settings:
    """The settings in `path`, overridden by the environment.  Raises ConfigError naming the key."""
    raw: dict[str, Any] = {}
    if path is not None:
        try:
            raw = tomllib.loads(path.read_text("utf-8"))
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: {error}") from error
    for name, value in environment.items():
        if name.startswith(PREFIX) and name not in _OTHERS:
            _override(raw, name, value)
    try:
        settings = msgspec.convert(raw, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path or 'the environment'}: {_where(str(error), raw)}") from error
    return validate(settings)


def _override(raw: dict[str, Any], name: str, value: str) -> None:
    words = name.removeprefix(PREFIX).lower()
    section, _, key = words.partition("_")
    if section not in _SECTIONS or not key:
        raw[words] = value
        return
    inside = _section(raw, section)
    imsi, _, limit = key.partition("_")
    if section == "sims" and limit:
        _section(inside, imsi)[limit] = value
    elif section == "quiet" or words in _JSON:
        try:
            inside[key] = msgspec.json.decode(value)
        except msgspec.DecodeError as error:
            raise ConfigError(f"{section}.{key}: is not JSON") from error
    else:
        inside[key] = [entry for entry in value.split(",") if entry] if words in _LISTS else value


def _section(raw: dict[str, Any], name: str) -> dict[str, Any]:
    inside = raw.setdefault(name, {})
    if not isinstance(inside, dict):
        raise ConfigError(f"{name}: is a section, not a value")
    return inside


def _wrong_sim(sims: dict[str, Any]) -> str:
    """Whose section it is that cannot be read: msgspec does not say."""
    for imsi, given in sims.items():
        try:
            msgspec.convert(given, SimSettings, strict=False)
        except msgspec.ValidationError:
            return str(imsi)
    return "?"


def _where(complaint: str, raw: dict[str, Any]) -> str:
    text, _, path = complaint.partition(" - at `$.")
    if path.startswith("sims[...]"):
        path = f"sims.{_wrong_sim(raw['sims'])}{path.removeprefix('sims[...]')}"
    return f"{path.rstrip('`')}: {text}" if path else text


def key_path(config: Path | None, settings: Settings) -> Path:
    """Where the key file is: beside the settings, else beside the data directory, never in it."""
    return (config.absolute().parent if config else Path(settings.data).absolute().parent) / KEY_FILE


def _make_key(path: Path) -> None:
    """Written beside it, and given its name when it is whole: a death on the way leaves no key that is none."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # for our eyes only
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(PEPPER_OCTETS))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # somebody else was quicker, and his is as good
            os.link(name, path)
    finally:
        os.unlink(name)


def read_key(path: Path) -> bytes:
    """The secret that keys hashes and signs sessions; made, for our eyes only, where there is none.

    Raises ConfigError where it cannot be read or is not ours.
    """
    try:
        if not os.path.lexists(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _make_key(path)
    except FileExistsError:
        pass  # its folder is a file: what reading says is clearer
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    try:
        key = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    if len(key) != PEPPER_OCTETS:
        raise ConfigError(f"{path}: is {len(key)} octets, not {PEPPER_OCTETS}: it is not a key file of ours")
    if path.stat().st_mode & 0o077:
        raise ConfigError(f"{path}: others may read it: chmod 600")
    return key
