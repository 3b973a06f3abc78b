"""Reads a checkout without importing it: which files there are, and what each of them imports.

Python is parsed; Cython is read with regular expressions, since its grammar is not Python's.
"""

import ast
import fnmatch
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PRODUCT = ("engine", "server")
# Folders of code, each a package; tests are collected by path instead.
PACKAGES = (*PRODUCT, "bench", "tools")
CODE = (*PACKAGES, "tests")
CODE_SUFFIXES = {".py", ".pyx", ".pxd", ".pyi"}


@dataclass(frozen=True)
class Import:
    """One imported name: `from engine import _pdu` and `import engine._pdu` both name `engine._pdu`."""

    name: str
    line: int


def files(root: Path, *folders: str) -> list[Path]:
    """Every file under the folders that .gitignore does not name, sorted."""
    ignored = ignore_patterns(root)
    found = []
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            parts = path.relative_to(root).parts
            if path.is_file() and not any(is_ignored(part, ignored) for part in parts):
                found.append(path)
    return found


@cache
def is_ignored(part: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatch(part, glob) for glob in patterns)


def ignore_patterns(root: Path) -> tuple[str, ...]:
    """The plain patterns of .gitignore (`build/`, `*.so`), read without git: it need not be installed."""
    source = root / ".gitignore"
    lines = source.read_text(encoding="utf-8").splitlines() if source.exists() else []
    patterns = [line.strip().strip("/") for line in lines if line.strip() and not line.startswith("#")]
    return ("__pycache__", *patterns)


def code(root: Path, *folders: str) -> list[Path]:
    return [path for path in files(root, *folders) if path.suffix in CODE_SUFFIXES]


def python(root: Path, *folders: str) -> list[Path]:
    return [path for path in files(root, *folders) if path.suffix == ".py"]


def cython(root: Path) -> list[Path]:
    """Sources of native modules and their declarations, wherever in the product they lie."""
    return [path for path in files(root, *PRODUCT) if path.suffix in {".pyx", ".pxd"}]


def parse(path: Path) -> ast.Module:
    return parse_text(path.read_text(encoding="utf-8"), path.name)


@cache
def parse_text(text: str, name: str) -> ast.Module:
    return ast.parse(text, name)


def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All nodes of a file's tree."""
    return nodes_of(path.read_text(encoding="utf-8"), path.name)


@cache
def nodes_of(text: str, name: str) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(parse_text(text, name)))


def package_of(root: Path, path: Path) -> tuple[str, ...]:
    """The package that a relative import in this file starts from."""
    return path.relative_to(root).parent.parts


def absolute(package: tuple[str, ...], level: int, module: str) -> str:
    """`from ..x` in package a.b.c, level 2, is a.b.x."""
    if not level:
        return module
    above = package[: len(package) - (level - 1)]
    return ".".join([*above, module] if module else above)


def python_imports(root: Path, path: Path) -> tuple[Import, ...]:
    """Every spelling: import, from, relative, under TYPE_CHECKING, by a string given to an importer."""
    return _python_imports(path.read_text(encoding="utf-8"), path.name, package_of(root, path))


@cache
def _python_imports(text: str, name: str, package: tuple[str, ...]) -> tuple[Import, ...]:
    return tuple(_imports_among(nodes_of(text, name), package))


def _imports_among(found: Iterable[ast.AST], package: tuple[str, ...]) -> Iterator[Import]:
    for node in found:
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield Import(alias.name, node.lineno)
            case ast.ImportFrom(module=module, names=names, level=level):
                origin = absolute(package, level, module or "")
                for alias in names:
                    yield Import(f"{origin}.{alias.name}", node.lineno)
            case ast.Call(func=func, args=[ast.Constant(value=str(name)), *_]):
                called = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
                if called in {"import_module", "__import__"}:
                    tail = name.lstrip(".")
                    yield Import(absolute(package, len(name) - len(tail), tail), node.lineno)


CYTHON_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<origin>\.*[\w.]*)[ \t]+)?c?import[ \t]+(?P<names>\([^)]*\)|[^\n(]+)",
    re.MULTILINE,
)


def cython_imports(root: Path, path: Path) -> Iterator[Import]:
    """`import`, `cimport` and their `from` forms."""
    package = package_of(root, path)
    text = re.sub(r"\\\n", "  ", path.read_text(encoding="utf-8"))
    # An `include` and an `extern from` of a project file would be a way round; neither is used here.
    for found in CYTHON_IMPORT.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        names = re.sub(r"#[^\n]*", "", found["names"]).strip("() \t\n")
        for part in names.split(","):
            name = part.split(" as ")[0].strip()
            if not name:
                continue
            origin = found["origin"]
            if origin is None:
                yield Import(name, line)
            else:
                level = len(origin) - len(origin.lstrip("."))
                yield Import(f"{absolute(package, level, origin.lstrip('.'))}.{name}", line)


def imports(root: Path, path: Path) -> Iterable[Import]:
    return python_imports(root, path) if path.suffix in {".py", ".pyi"} else cython_imports(root, path)


def is_or_is_in(name: str, module: str) -> bool:
    return name == module or name.startswith(module + ".")
