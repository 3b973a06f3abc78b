"""Runs import-linter on a checkout, as `./dev check` does, and lists the contracts that it is given."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

COMMAND = "from importlinter.cli import lint_imports_command as lint; lint()"


def lint_imports(root: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    """Check the named contracts, or all.  Exit code 0 if all are kept; stdout tells which is not, and why."""
    only = [word for contract in contracts for word in ("--contract", contract)]
    return subprocess.run(
        [sys.executable, "-P", "-c", COMMAND, "--no-logo", "--no-cache", *only],
        cwd=root,
        # The checkout that is looked at, not the one that this venv finds.
        env=os.environ | {"PYTHONPATH": str(root), "NO_COLOR": "1", "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def names(root: Path) -> dict[str, str]:
    """Each contract's id and its name in the report."""
    law = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    return {contract["id"]: contract["name"] for contract in law["contracts"]}
