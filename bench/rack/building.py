"""Compiles the C programs of this folder when they are needed, into the build folder, which git ignores."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

SOURCES: Final = Path(__file__).resolve().parent
BUILD: Final = SOURCES.parent.parent / "build" / "bench"
_FLAGS: Final = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-Wno-format-truncation")
_LIBRARY_FLAGS: Final = ("-shared", "-fPIC")


def program(name: str) -> Path:
    """The program made from `name`.c.  Raises RuntimeError where there is no compiler or it refuses."""
    return _built(name, BUILD / name, ())


def library(name: str) -> Path:
    """The library to be preloaded that is made from `name`.c.  Raises RuntimeError as `program` does."""
    return _built(name, BUILD / f"{name}.so", _LIBRARY_FLAGS)


def _built(name: str, target: Path, flags: tuple[str, ...]) -> Path:
    source = SOURCES / f"{name}.c"
    newest_ns = max(file.stat().st_mtime_ns for file in (source, *SOURCES.glob("*.h")))
    if target.exists() and target.stat().st_mtime_ns >= newest_ns:
        return target
    compiler = os.environ.get("CC") or shutil.which("cc")
    if compiler is None:
        raise RuntimeError("there is no C compiler called cc")
    BUILD.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    done = subprocess.run(
        [compiler, *_FLAGS, *flags, "-o", str(fresh), str(source), "-lutil", "-ldl"],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{source.name} does not compile:\n{done.stderr}")
    fresh.replace(target)
    return target
