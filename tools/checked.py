"""`./dev checked`: the native modules under the address and undefined-behaviour sanitizers.

Builds them in a tree of their own, for the files of both builds have the same names; runs the tests of each native
module there, and a part of `bench fuzz`.  `--count` is how many PDUs that is.  Exit 1 where anything failed.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
TREE: Final = ROOT / "build" / "checked"
COPIED: Final = ("engine", "bench", "tests", "tools", "setup.py", "pyproject.toml", "README.md", "LICENSE")
# What has no module of its name: the face, the properties of all of them, and what several of them do together.
TOGETHER: Final = ("sms", "codec_properties", "clusters", "wap")
COUNT: Final = 100_000


def copy() -> None:
    """What is built and run; binaries that were built before stay, for setup.py to judge them by their dates."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("*.so", "__pycache__")
            shutil.copytree(source, TREE / name, ignore=ignored, dirs_exist_ok=True)
        else:
            shutil.copy2(source, TREE / name)


def sanitizer(compiler: str) -> str:
    """The library that must be loaded before Python's own."""
    said = subprocess.run([compiler, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    return said.stdout.strip()


def tests() -> list[str]:
    """The tests of the native modules that there are."""
    names = [path.stem.removeprefix("_") for path in sorted((TREE / "engine").glob("_*.pyx"))]
    files = [f"tests/engine/test_{name}.py" for name in (*names, *TOGETHER)]
    return [file for file in files if (TREE / file).exists()]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev checked", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=COUNT, help="PDUs to fuzz the decoder with")
    count = parser.parse_args(arguments).count
    copy()
    compiler = os.environ.get("CC") or shutil.which("cc") or "gcc"
    environment = {**os.environ, "ENGINE_CHECKED": "1", "PYTHONPATH": str(TREE)}
    building = [sys.executable, "setup.py", "-q", "build_ext", "--inplace", "-j", str(os.cpu_count() or 1)]
    if subprocess.run(building, cwd=TREE, env=environment, check=False).returncode:
        return 1
    environment |= {
        "LD_PRELOAD": sanitizer(compiler),
        "PYTHONMALLOC": "malloc",  # CPython's own arenas would hide a read behind the end
        "ASAN_OPTIONS": "detect_leaks=0",
    }
    runs: list[list[str]] = [
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *tests()],
        [sys.executable, "-m", "bench", "fuzz", "--count", str(count)],
    ]
    return max([min(subprocess.run(run, cwd=TREE, env=environment, check=False).returncode, 1) for run in runs])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
