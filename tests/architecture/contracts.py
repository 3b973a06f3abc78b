"""Runs import-linter on a checkout, as `./dev check` does, and lists the contracts that it is given."""

import atexit
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

# Reads tasks, a line of JSON each, and answers with an exit code: import-linter takes longer to be imported than to
# look at a checkout, so it is imported once, and each checkout has a fork of its own.
LINTER = """
import json, os, sys
from importlinter.cli import lint_imports_command
for line in sys.stdin:
    root, said, arguments = json.loads(line)
    child = os.fork()
    if not child:
        file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.chdir(root)
        # The checkout that is looked at, not the one that this venv finds.
        sys.path.insert(0, root)
        sys.argv = ["lint-imports", *arguments]
        lint_imports_command()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Checked(NamedTuple):
    """Exit code 0 if all are kept; `stdout` tells which is not, and why."""

    returncode: int
    stdout: str


@cache
def _linter() -> "subprocess.Popen[str]":
    made = subprocess.Popen(
        [sys.executable, "-P", "-c", LINTER],
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        | {"NO_COLOR": "1", "COLUMNS": "200"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(made.communicate)
    return made


def lint_imports(root: Path, *contracts: str) -> Checked:
    """Check the named contracts, or all."""
    only = [word for contract in contracts for word in ("--contract", contract)]
    linter = _linter()
    assert linter.stdin is not None
    assert linter.stdout is not None
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as said:
        linter.stdin.write(json.dumps([str(root), said.name, ["--no-logo", "--no-cache", *only]]) + "\n")
        linter.stdin.flush()
        code = int(linter.stdout.readline())
        return Checked(code, said.read())


def names(root: Path) -> dict[str, str]:
    """Each contract's id and its name in the report."""
    law = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    return {contract["id"]: contract["name"] for contract in law["contracts"]}
