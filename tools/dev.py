"""Sets up the checkout, only where something changed, and runs the command that was asked for.

Owns `.venv` and the extensions built into `engine/`.  Standard library only, since it runs before anything is
installed; and nothing outside the checkout is written.

The package is found through one relative line in `.venv/lib/python3.x/site-packages/carillon.pth`, so that
the venv's python imports the checkout from any directory.  An editable install would compile a second time.
`.venv/bin/carillon` is a two-line script.

Stamps say what is up to date, each the hash of what it was made from: the interpreter, the requirements in
`pyproject.toml`, and per native module its own source with `setup.py` and every `.pxd`.  When all are,
nothing is written, so that a checkout set up by one user can be run by another.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMPS = VENV / "carillon-stamps.json"

USAGE = """\
./dev demo    [options]   a simulated rack, a seeded town and the console on http://127.0.0.1:8080
./dev test    [pytest…]   the test suite; no hardware needed
./dev check               ruff, mypy --strict, import-linter, cython-lint, stubs
./dev checked [--count N] the native modules under sanitizers: their tests, and a fuzz of N PDUs
./dev bench   [names…]    the tables of bench/README.md, on this machine; --peers installs what they compare with
./dev build               set up and compile, run nothing
./dev clean               remove what this script made
./dev <other> [options]   any other command of `carillon`: serve, simulate, send, … (./dev carillon --help)
"""

MISSING = """\
carillon cannot be set up here: {missing}. Install what is missing with

    Debian, Ubuntu   sudo apt-get install python3-venv python3-dev gcc libc6-dev
    Fedora           sudo dnf install python3-devel gcc
    macOS            xcode-select --install && brew install python@3.13

and run ./dev again.
"""

# Relative, as the .pth line is: a checkout may be moved, and its path may hold spaces.
CARILLON = """\
#!/bin/sh
exec "$(dirname -- "$(readlink -f -- "$0")")/python" -P -m server "$@"
"""

# Of each check that fails; the rest is one command away.
LINES_SHOWN = 40

# What each command needs beyond the run-time dependencies.
PEERS = "--peers"  # of `./dev bench`: the codecs of others, which nothing else needs
EXTRAS = {"test": ("test",), "check": ("test", "check"), "checked": ("test",), "bench": ("test",)}


class Trouble(Exception):
    """Set-up cannot go on; the text is for the person at the keyboard, `status` for the shell."""

    def __init__(self, text: str, status: int = 1) -> None:
        super().__init__(text)
        self.status = status


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def digest(*pieces: str | bytes) -> str:
    total = hashlib.sha256()
    for piece in pieces:
        octets = piece.encode() if isinstance(piece, str) else piece
        total.update(len(octets).to_bytes(8, "big") + octets)
    return total.hexdigest()[:32]


def read_stamps() -> dict[str, str]:
    try:
        stamps = json.loads(STAMPS.read_bytes())
    except (OSError, ValueError):
        return {}
    return stamps if isinstance(stamps, dict) else {}


def write_stamps(stamps: dict[str, str]) -> None:
    fresh = STAMPS.with_suffix(".new")
    fresh.write_text(json.dumps(stamps, indent=1, sort_keys=True) + "\n")
    fresh.replace(STAMPS)


@contextlib.contextmanager
def timed(title: str) -> Iterator[None]:
    say(f"carillon: {title} …")
    begun = time.monotonic()
    yield
    say(f"carillon: {title}: {time.monotonic() - begun:.1f} s")


def run(arguments: Sequence[str | Path], title: str, **environment: str) -> None:
    """Run one step of the set-up quietly.  Raises Trouble with its whole output if it fails."""
    done = subprocess.run(
        [str(argument) for argument in arguments],
        cwd=ROOT,
        env=step_environment() | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise Trouble(f"{done.stdout.rstrip()}\ncarillon: {title} failed (exit {done.returncode})")


def step_environment() -> dict[str, str]:
    """The caller's environment, less what would make pip or uv write elsewhere."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "VIRTUAL_ENV"}
    }
    # A cache in the home directory only where the caller named one.
    if "PIP_CACHE_DIR" not in environment:
        environment["PIP_NO_CACHE_DIR"] = "1"
    environment.setdefault("UV_CACHE_DIR", str(ROOT / "build" / "uv-cache"))
    return environment | {
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIP_USER": "0",
    }


# What the machine lacks ---------------------------------------------------------------------


def find_compiler() -> str | None:
    """The C compiler that setuptools would call, else any that is on PATH, else None."""
    configured = str(sysconfig.get_config_var("CC") or "cc")
    for command in (os.environ.get("CC", ""), configured, "cc", "gcc", "clang"):
        words = shlex.split(command)
        if words and shutil.which(words[0]):
            return command
    return None


def find_headers() -> bool:
    return (Path(sysconfig.get_path("include")) / "Python.h").is_file()


def compiles(compiler: str) -> bool:
    """Whether the compiler, Python.h and the C library's headers work together."""
    tried = subprocess.run(
        [*shlex.split(compiler), "-fsyntax-only", "-I", sysconfig.get_path("include"), "-x", "c", "-"],
        input=b"#include <Python.h>\n",
        capture_output=True,
        check=False,
    )
    return tried.returncode == 0


def missing(*, environment: bool) -> list[str]:
    """What must be installed before the extensions (and the venv, if `environment`) can be made."""
    lacks = []
    if environment and not shutil.which("uv") and not has_ensurepip():
        lacks.append("Python's venv module (ensurepip)")
    compiler = find_compiler()
    if compiler is None:
        lacks.append("a C compiler")
    if not find_headers():
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        lacks.append(f"Python.h, the headers of Python {version}")
    elif compiler is not None and not compiles(compiler):
        lacks.append(f"the C library's headers ({compiler} cannot compile Python.h)")
    return lacks


def has_ensurepip() -> bool:
    # Asked of a child: Debian's ensurepip exists in part without python3-venv, and fails only when imported.
    asked = subprocess.run([base_python(), "-c", "import venv, ensurepip"], capture_output=True, check=False)
    return asked.returncode == 0


def base_python() -> str:
    """The interpreter that a new venv is made from: ours, or the one behind the venv that we run in."""
    return str(getattr(sys, "_base_executable", "") or sys.executable)


# Set-up -------------------------------------------------------------------------------------


def environment_stamp() -> str:
    return f"{sys.implementation.cache_tag} {os.path.realpath(base_python())}"


def make_environment() -> None:
    if VENV.is_symlink() or VENV.is_file():
        raise Trouble(f"carillon: {VENV} is not a folder that ./dev made; move it away")
    with timed("environment"):
        if shutil.which("uv"):
            # Cleared by hand: `uv venv` does not replace, and its `--clear` is younger than many a uv.
            shutil.rmtree(VENV, ignore_errors=True)
            run(["uv", "venv", "--quiet", "--python", base_python(), VENV], "uv venv")
        else:
            run([base_python(), "-m", "venv", "--clear", VENV], "python -m venv")
        site = next((VENV / "lib").glob("python3*/site-packages"))
        # Relative to the .pth file: the checkout may be moved.
        (site / "carillon.pth").write_text(os.path.relpath(ROOT, site) + "\n")
        script = VENV / "bin" / "carillon"
        script.write_text(CARILLON)
        script.chmod(0o755)


def requirements(extras: Sequence[str]) -> list[str]:
    """What pyproject.toml asks for: to build, to run, and for each of the extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    for extra in extras:
        wanted += project["project"]["optional-dependencies"][extra]
    return [str(requirement) for requirement in wanted]


def install(extras: Sequence[str]) -> None:
    title = "dependencies" + (f" with {', '.join(extras)}" if extras else "")
    with timed(title):
        if shutil.which("uv"):
            pip: list[str | Path] = ["uv", "pip", "install", "--quiet", "--python", PYTHON]
        else:
            if not (VENV / "bin" / "pip").exists():  # made by uv, which has gone since
                run([PYTHON, "-m", "ensurepip", "--default-pip"], "ensurepip")
            pip = [PYTHON, "-m", "pip", "install", "--quiet"]
        run([*pip, *requirements(extras)], "the installation of dependencies")


def sources() -> list[Path]:
    return sorted((ROOT / "engine").glob("_*.pyx"))


def binary(source: Path) -> Path:
    suffix = str(sysconfig.get_config_var("EXT_SUFFIX"))
    return source.with_name(source.stem + suffix)


def module_stamps() -> dict[str, str]:
    """Per native module, the hash of all that its binary is made from."""
    shared = [path.read_bytes() for path in sorted((ROOT / "engine").glob("_*.pxd"))]
    shared.append((ROOT / "setup.py").read_bytes())
    shared.append(os.environ.get("ENGINE_CHECKED", "").encode())
    return {f"module {path.stem}": digest(path.read_bytes(), *shared) for path in sources()}


def compile_modules(stale: Sequence[str]) -> None:
    jobs = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with timed(f"compiling {len(stale)} of {len(sources())} native modules, {jobs} at a time"):
        for stem in stale:
            # setuptools and Cython compare dates, and a checkout's dates say nothing about its contents.
            (ROOT / "build" / "cython" / "engine" / f"{stem}.c").unlink(missing_ok=True)
            for old in (ROOT / "engine").glob(f"{stem}.*.so"):
                old.unlink()
        settings = {}
        compiler = find_compiler()
        if compiler and compiler != sysconfig.get_config_var("CC"):
            settings["CC"] = compiler
        run([PYTHON, "setup.py", "build_ext", "--inplace", "-j", str(jobs)], "compilation", **settings)


def remove_orphans() -> None:
    """Binaries whose source is gone would still be importable, and hide the mistake."""
    stems = {path.stem for path in sources()}
    for old in (ROOT / "engine").glob("_*.so"):
        if old.name.partition(".")[0] not in stems:
            old.unlink()


def set_up(extras: Sequence[str]) -> None:
    """Make environment, dependencies and binaries what the sources say.

    Raises Trouble, with status 2 if the machine lacks something.
    """
    stale = outdated(extras)
    if not any(stale):
        return
    try:
        (ROOT / "build").mkdir(exist_ok=True)
        with (ROOT / "build" / "dev.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two terminals: the second waits, then finds all done
            repair(extras)
    except PermissionError as error:
        raise Trouble(f"carillon: {error.filename} is not writable, and the set-up is out of date") from error


def outdated(extras: Sequence[str]) -> tuple[bool, bool, list[str]]:
    """Environment, dependencies, and the native modules that have to be made again."""
    stamps = read_stamps()
    no_environment = stamps.get("environment") != environment_stamp() or not PYTHON.exists()
    no_dependencies = any(stamps.get(name) != value for name, value in dependency_stamps(extras).items())
    modules = [
        name.removeprefix("module ")
        for name, value in module_stamps().items()
        if stamps.get(name) != value or not binary(ROOT / "engine" / name.removeprefix("module ")).exists()
    ]
    return no_environment, no_dependencies, modules


def dependency_stamps(extras: Sequence[str]) -> dict[str, str]:
    runtime = {"dependencies": digest(*requirements([]))}
    return runtime | {f"extra {extra}": digest(*requirements([extra])) for extra in extras}


def repair(extras: Sequence[str]) -> None:
    no_environment, no_dependencies, modules = outdated(extras)
    if no_environment or modules:
        lacks = missing(environment=no_environment)
        if lacks:
            raise Trouble(MISSING.format(missing="; ".join(lacks) + " not found"), status=2)
    if no_environment:
        make_environment()
        write_stamps({"environment": environment_stamp()})
        no_environment, no_dependencies, modules = outdated(extras)
    if no_dependencies:
        # Together with the extras of before, so that one resolution satisfies all of them.
        before = [name.removeprefix("extra ") for name in read_stamps() if name.startswith("extra ")]
        known = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        every = sorted({*extras, *before} & set(known["optional-dependencies"]))
        install(every)
        write_stamps(read_stamps() | dependency_stamps(every))
    if modules:
        fresh = module_stamps()
        compile_modules(modules)
        remove_orphans()
        kept = {name: value for name, value in read_stamps().items() if not name.startswith("module ")}
        write_stamps(kept | fresh)


# Commands -----------------------------------------------------------------------------------


def become(arguments: Sequence[str | Path], *, at_root: bool) -> int:
    """Replace this process, so that signals and the exit code are the command's own."""
    if at_root:
        os.chdir(ROOT)
    words = [str(argument) for argument in arguments]
    sys.stdout.flush()
    os.execv(words[0], words)


def checks() -> dict[str, list[str | Path]]:
    """What `./dev check` runs, by name."""
    # Scripts are given to the venv's python: their first line names the place where they were installed.
    commands = VENV / "bin"
    wanted: dict[str, list[str | Path]] = {
        "ruff check": [PYTHON, "-m", "ruff", "check", "--output-format=concise", "."],
        "ruff format": [PYTHON, "-m", "ruff", "format", "--check", "--output-format=concise", "."],
        "mypy --strict": [PYTHON, "-m", "mypy", "--strict"],
        "import-linter": [PYTHON, commands / "lint-imports", "--no-logo"],
    }
    modules = [f"engine.{path.stem}" for path in sources()]
    if modules:
        native = [*sources(), *sorted((ROOT / "engine").glob("_*.pxd"))]
        wanted["cython-lint"] = [
            PYTHON,
            commands / "cython-lint",
            *[path.relative_to(ROOT) for path in native],
        ]
        allowed = [f"--allowlist={ROOT / 'tools' / 'stubtest.allow'}", "--ignore-unused-allowlist"]
        for module in modules:
            wanted[f"stubtest {module}"] = [PYTHON, "-m", "mypy.stubtest", module, *allowed]
    return wanted


def check() -> int:
    """Run every check, even after one failed.  1 if any did."""
    failed = []
    for name, arguments in checks().items():
        begun = time.monotonic()
        done = subprocess.run(
            [str(argument) for argument in arguments],
            cwd=ROOT,
            # cython-lint calls pycodestyle by its name.
            env=os.environ | {"PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        verdict = "FAILED" if done.returncode else "ok"
        print(f"{name:<28} {verdict:<6} {time.monotonic() - begun:5.1f} s", flush=True)
        if done.returncode:
            failed.append(name)
            said = done.stdout.rstrip().splitlines()
            if len(said) > LINES_SHOWN:
                command = shlex.join(map(str, arguments))
                said[LINES_SHOWN:] = [f"… {len(said) - LINES_SHOWN} more lines from: {command}"]
            print("\n".join(f"    {line}" for line in said), flush=True)
    print(f"check: {', '.join(failed)} failed" if failed else f"check: all {len(checks())} passed")
    return 1 if failed else 0


def clean() -> int:
    """Remove what this script and the tools that it calls made.  A demo's data is kept."""
    caches = (
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".import_linter_cache",
        ".hypothesis",
        ".benchmarks",
    )
    for name in ("build", "dist", *caches):
        shutil.rmtree(ROOT / name, ignore_errors=True)
    if not VENV.is_symlink():
        shutil.rmtree(VENV, ignore_errors=True)
    for binary_file in (ROOT / "engine").glob("_*.so"):
        binary_file.unlink()
    for top in ("engine", "server", "bench", "tests", "tools"):
        for cache in list((ROOT / top).rglob("__pycache__")):
            shutil.rmtree(cache, ignore_errors=True)
    return 0


def main(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        print(USAGE, end="")
        return 0 if arguments else 2
    command, *rest = arguments
    if command == "clean":
        return clean()
    extras = EXTRAS.get(command, ())
    if command == "bench" and PEERS in rest:
        rest.remove(PEERS)
        extras = (*extras, "peers")
    try:
        set_up(extras)
    except Trouble as trouble:
        say(str(trouble))
        return trouble.status
    match command:
        case "build":
            return 0
        case "check":
            return check()
        case "test":
            return become([PYTHON, "-m", "pytest", *rest], at_root=True)
        case "checked":
            return become([PYTHON, ROOT / "tools" / "checked.py", *rest], at_root=True)
        case "bench":
            return become([PYTHON, "-m", "bench", *rest], at_root=True)
        case "demo":
            return become([PYTHON, "-m", "server", "demo", *rest], at_root=True)
        case "carillon":
            return become([PYTHON, "-P", "-m", "server", *rest], at_root=False)
        case _:
            # Where the caller stands, since `./dev import towns.csv` names a file there; -P keeps a folder
            # called `server` there from being taken for ours.
            return become([PYTHON, "-P", "-m", "server", *arguments], at_root=False)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
