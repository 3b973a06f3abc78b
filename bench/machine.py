"""What a figure was measured on: without it a figure says nothing."""

import datetime
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

from bench.peers import PEERS

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("Cython", "aiohttp", "uvloop", "lmdb", "msgspec", "msgpack", "phonenumbers")


def describe() -> dict[str, str]:
    """Processor, cores, system, Python and package versions, commit, date."""
    facts = {
        "processor": processor(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }
    for package in PACKAGES:
        facts[package] = version(package)
    facts |= {peer: version(peer) for peer in PEERS if version(peer) != "not installed"}
    facts["commit"] = commit()
    facts["date"] = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return facts


def processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def commit() -> str:
    """The commit, with + if the sources differ from it; unknown where git or the history is missing."""
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--abbrev=10", "--dirty=+", "--exclude=*"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return "unknown"
    return said.stdout.strip() or "unknown"
