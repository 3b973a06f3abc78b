"""The law as it stands: every rule and every contract, on this checkout."""

from pathlib import Path

import pytest

from tests.architecture.contracts import lint_imports
from tests.architecture.rules import RULES, Rule

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__.replace("_", " "))
def test_the_sources_keep_the_rule(rule: Rule) -> None:
    broken = rule(ROOT)
    assert not broken, "\n" + "\n".join(broken)


def test_the_imports_keep_the_contracts() -> None:
    checked = lint_imports(ROOT)
    assert checked.returncode == 0, checked.stdout
