"""The command line as a program uses it: what is printed, on which stream, with which exit code."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bench.rig import ROOT, TOKEN, Rig, rig
from engine.access import tokens
from engine.store.environment import Store
from engine.traffic import messages
from engine.wiring import TABLES
from server.cli import main

QUICK_S = 15.0
ANYWHERE = "0.0.0.0"  # noqa: S104


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


Carillon = Callable[..., Done]


@pytest.fixture
def carillon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Carillon:
    """The command's own entry point in this process, since a new one takes half a second to begin."""

    def call(*arguments: str, **environment: str) -> Done:
        with monkeypatch.context() as changes:
            changes.chdir(tmp_path)
            for name in [name for name in os.environ if name.startswith("CARILLON_")]:
                changes.delenv(name)
            for name, value in {"COLUMNS": "80", **environment}.items():
                changes.setenv(name, value)
            changes.setattr(sys, "argv", ["carillon", *arguments])
            capfd.readouterr()
            with pytest.raises(SystemExit) as ended:
                main()
        return Done(int(ended.value.code or 0), *capfd.readouterr())

    return call


def process(folder: Path, *arguments: str, **environment: str) -> Done:
    """The command as a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CARILLON_")}
    done = subprocess.run(
        [sys.executable, "-m", "server", *arguments], cwd=folder, check=False, capture_output=True, text=True,
        env={**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "80", **environment}, timeout=QUICK_S,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


def refused(done: Done, code: int, *said: str) -> None:
    """One line, on stderr, that says what and why."""
    assert "Traceback" not in done.stderr
    for words in said:
        assert words in " ".join(done.stderr.split())
    assert (done.returncode, done.stdout) == (code, "")


def one_line(done: Done) -> None:
    assert len(done.stderr.strip().split("\n")) == 1, done.stderr


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path, 1) as made:
        yield made


def process_of(made: Rig, name: str = "server") -> "subprocess.Popen[bytes]":
    return made._processes[name]


# -- what is wrong is one line and an exit code


def test_the_demo_refuses_a_port_in_use(tmp_path: Path, taken_port: int) -> None:
    done = process(tmp_path, "demo", "--port", str(taken_port))
    refused(done, 2, f"carillon: http: cannot listen on 127.0.0.1:{taken_port}: Address already in use")
    one_line(done)


def test_a_server_refuses_a_port_in_use(carillon: Carillon, taken_port: int) -> None:
    done = carillon("serve", "--data", "d/data", "--port", str(taken_port))
    refused(done, 2, f"cannot listen on 127.0.0.1:{taken_port}")


def test_only_this_machine_is_served_without_a_token(carillon: Carillon) -> None:
    done = carillon("serve", "--data", "d/data", "--host", ANYWHERE, "--port", "0")
    refused(done, 2, "http.host", "carillon token NAME")


def test_a_token_too_short_is_refused(carillon: Carillon) -> None:
    done = carillon("serve", "--data", "d/data", "--port", "0", CARILLON_TOKEN="short")
    refused(done, 2, "CARILLON_TOKEN")
    assert "short." not in done.stderr


def test_a_refusal_is_one_line_however_long(carillon: Carillon) -> None:
    one_line(carillon("serve", "--data", "d/data", "--host", ANYWHERE, "--port", "0"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("serve", "--port", "70000"), "http.port: 70000", id="a port that is none"),
        pytest.param(("serve", "--config", "none.toml"), "none.toml", id="no such settings"),
        pytest.param(("serve", "--simulate", "1", "--latency-ms", "fast"), "--latency-ms", id="no latency"),
        pytest.param(("serve", "--simulate", "1001", "--port", "0"), "modems: 1 to 1000", id="too many modems"),
        pytest.param(("serve", "--simulate", "-1", "--port", "0"), "modems: 1 to 1000", id="fewer than none"),
        pytest.param(("simulate", "--modems", "0"), "--modems", id="a rack of none"),
        pytest.param(("simulate", "--modems", "1001"), "--modems", id="a rack of too many"),
        pytest.param(("simulate", "--latency-ms", "fast"), "--latency-ms", id="a rack without a latency"),
        pytest.param(("serve", "--colour"), "--colour", id="an unknown option"),
        pytest.param(("dance",), "dance", id="an unknown command"),
        pytest.param(("token",), "Missing argument", id="a token for nobody"),
    ],
)
def test_a_wrong_call_is_exit_2_and_names_what_is_wrong(
    carillon: Carillon, arguments: tuple[str, ...], said: str
) -> None:
    refused(carillon(*arguments), 2, said)


@pytest.mark.parametrize(
    ("text", "environment", "said"),
    [
        pytest.param("[http]\nprot = 1\n", {}, "prot", id="an unknown key"),
        pytest.param("[http]\nport = 'x'\n", {}, "http.port", id="a wrong value"),
        pytest.param("[modems]\nbaud = 1\n", {}, "modems.baud", id="an impossible value"),
        pytest.param("", {"CARILLON_HTTP_PORT": "x"}, "http.port", id="a wrong variable"),
        pytest.param("a = [", {}, "c.toml", id="no TOML"),
    ],
)
def test_settings_that_are_wrong_are_refused_before_anything_is_made(
    carillon: Carillon, tmp_path: Path, text: str, environment: dict[str, str], said: str
) -> None:
    (tmp_path / "c.toml").write_text(text)
    done = carillon("serve", "--check-config", "--config", "c.toml", **environment)
    refused(done, 2, said)
    one_line(done)
    assert [path.name for path in tmp_path.iterdir()] == ["c.toml"]


def test_settings_that_are_good_are_said_to_be_and_nothing_is_made(carillon: Carillon, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[http]\nport = 1\n")
    done = carillon("serve", "--check-config", "--config", "c.toml")
    assert (done.returncode, done.stderr, "good" in done.stdout) == (0, "", True)
    assert [path.name for path in tmp_path.iterdir()] == ["c.toml"]


def test_a_data_directory_that_cannot_be_is_refused_in_a_line(carillon: Carillon, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused(carillon("serve", "--data", "file", "--port", "0"), 1, "file")


def test_a_key_file_that_others_may_read_keeps_the_server_from_starting(carillon: Carillon, tmp_path: Path) -> None:
    (tmp_path / "carillon.key").write_bytes(bytes(32))
    (tmp_path / "carillon.key").chmod(0o644)
    done = carillon("serve", "--data", "data", "--port", "0")
    refused(done, 2, "carillon.key", "chmod 600")
    assert not (tmp_path / "data").exists()


def test_help_names_every_command_and_what_it_is_for(carillon: Carillon) -> None:
    done = carillon("--help")
    assert done.returncode == 0
    for command in ("demo", "serve", "simulate", "token", "check", "bench"):
        assert re.search(rf"\b{command}  +[A-Z]", done.stdout), command


# -- check


def test_check_wants_a_directory_that_is_one(carillon: Carillon, tmp_path: Path) -> None:
    (tmp_path / "noise").mkdir()
    (tmp_path / "noise" / "data.mdb").write_bytes(os.urandom(100_000))
    for name in ("nothing", "noise"):
        done = carillon("check", "--data", name)
        refused(done, 1, name)
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param(lambda txn, name: messages.BY_NUMBER.remove(txn, 8613900000011, name), "missing", id="one gone"),
        pytest.param(
            lambda txn, name: messages.BY_NUMBER.add(txn, 8613900000012, name), "leads nowhere", id="one more"
        ),
    ],
)
def test_check_names_the_table_and_the_key_of_a_damaged_entry(
    carillon: Carillon, tmp_path: Path, damage: Any, said: str
) -> None:
    store = Store(tmp_path / "data", TABLES)
    made = store.write_now(messages.enqueue, messages.Message(0, 8613900000011, "x"), 1_770_000_000_000)
    store.close()
    assert carillon("check", "--data", "data").returncode == 0
    store = Store(tmp_path / "data", TABLES)
    store.write_now(damage, made.id)
    store.close()
    done = carillon("check", "--data", "data")
    assert (done.returncode, "Whole" in done.stdout) == (1, False)
    assert re.search(rf"messages_by_number: \(\d+, {made.id}\) (is )?{said}", done.stderr)


# -- token


def test_a_token_is_shown_once_and_kept_as_a_hash(carillon: Carillon, tmp_path: Path) -> None:
    done = carillon("token", "till", "--data", "data")
    token = done.stdout.strip()
    assert (done.returncode, token.startswith("car_"), len(token)) == (0, True, 47)
    store = Store(tmp_path / "data", TABLES, read_only=True)
    with store.read() as txn:
        entry = tokens.find(txn, token)
    store.close()
    assert (entry is not None and entry.name) == "till"
    assert token.encode() not in (tmp_path / "data" / "data.mdb").read_bytes()


def test_a_token_has_the_scopes_that_are_named_and_no_others(carillon: Carillon, tmp_path: Path) -> None:
    wrong = carillon("token", "till", "--data", "data", "--scope", "messages:read", "--scope", "fun")
    refused(wrong, 2, "--scope", "'fun' is not a right", "messages:send")
    assert not (tmp_path / "data").exists()
    done = carillon("token", "till", "--data", "data", "--scope", "messages:send", "--scope", "messages:read")
    store = Store(tmp_path / "data", TABLES, read_only=True)
    with store.read() as txn:
        entry = tokens.find(txn, done.stdout.strip())
    store.close()
    assert entry is not None
    assert entry.rights == {"messages:read", "messages:send"}


# -- a server's life


def started(made: Rig, *more: str) -> None:
    """A server with its own simulated rack, up and ready."""
    made._start("server", "serve", "--data", str(made.data), "--port", str(made.port), "--command-gap-ms", "0",
                "--simulate", "1", *more)  # fmt: skip
    made._await("server", lambda: made._answers("/readyz"))


def test_one_directory_is_one_servers(carillon: Carillon, town: Rig) -> None:
    started(town)
    for command in (("serve", "--port", "0"), ("token", "till")):
        done = carillon(*command, "--data", str(town.data))
        refused(done, 1, "carillon:", "in use by another process")
    assert carillon("check", "--data", str(town.data)).returncode == 0
    modes = {
        path.name: path.stat().st_mode & 0o777
        for path in (town.data, *town.data.iterdir(), town.folder / "carillon.key")
    }
    assert modes == {
        "data": 0o700,
        "data.mdb": 0o600,
        "lock.mdb": 0o600,
        "carillon.lock": 0o600,
        "carillon.page": 0o600,
        "carillon.key": 0o600,
    }
    began = time.monotonic()
    process_of(town).send_signal(signal.SIGINT)
    assert process_of(town).wait(QUICK_S) == 0
    assert time.monotonic() - began < 5
    assert "Traceback" not in (town.folder / "server.log").read_text()


def test_a_second_sigint_ends_it_at_once_and_what_was_in_the_air_is_unknown(town: Rig) -> None:
    started(town, "--latency-ms", "60000")
    name = town.call("POST", "/v1/messages", {"to": "+8613900000011", "text": "x", "purpose": "transactional"})["id"]
    waiting = town.call("POST", "/v1/messages", {"to": "+8613900000012", "text": "y", "purpose": "transactional"})["id"]
    town._await("server", lambda: town.call("GET", f"/v1/messages/{name}")["state"] == "sending")
    process_of(town).send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process_of(town).wait(0.5)
    began = time.monotonic()
    process_of(town).send_signal(signal.SIGINT)
    assert process_of(town).wait(QUICK_S) == -signal.SIGINT
    assert time.monotonic() - began < 1
    started(town)
    town._await("server", lambda: town.call("GET", f"/v1/messages/{waiting}")["state"] == "sent")
    assert town.call("GET", f"/v1/messages/{name}")["state"] == "unknown"
    town.kill_server()
    town.check()


def test_nothing_that_was_accepted_is_lost_by_kill_9(town: Rig) -> None:
    started(town)
    texts = [{"to": f"+86139{place:08d}", "text": "x"} for place in range(300)]
    names = [message["id"] for message in town.call("POST", "/v1/messages", {"messages": texts})["messages"]]
    town.kill_server()
    town.check()
    for path in [path for path in town.folder.rglob("*") if path.is_file()]:
        assert TOKEN.encode() not in path.read_bytes(), path.name
    started(town)
    kept = town.call("GET", "/v1/messages?limit=1000")["items"]
    assert sorted(message["id"] for message in kept) == names
    assert town.stop("server") == 0


def test_a_first_token_is_shown_once_and_lets_in(town: Rig) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CARILLON_")}
    command = [sys.executable, "-m", "server", "serve", "--data", str(town.data), "--port", str(town.port)]
    shown = []
    for _ in range(2):
        with subprocess.Popen(
            command, cwd=town.folder, env={**environment, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline()]
            process.terminate()
            lines += process.stdout.readlines()
            assert process.wait(QUICK_S) == 0
        assert re.fullmatch(r"Carillon listens on http://127\.0\.0\.1:\d+/\n", lines[0])
        shown.append([line for line in lines if "car_" in line])
    assert (len(shown[0]), shown[1]) == (1, [])


def test_a_rack_for_other_programs_ends_by_sigint_and_takes_its_links_away(town: Rig) -> None:
    town.start_rack()
    assert (town.folder / "rack" / "modem-00").is_symlink()
    process = process_of(town, "rack")
    process.send_signal(signal.SIGINT)
    assert process.wait(QUICK_S) == 0
    assert not (town.folder / "rack" / "modem-00").is_symlink()
    assert not (town.folder / "rack" / "rack.json").exists()
