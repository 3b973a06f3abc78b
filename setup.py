"""Finds every engine/_*.pyx and compiles them side by side, in parallel.

Directives live here and nowhere else, the same for every module.  ENGINE_CHECKED=1 adds bounds
checks and the address and undefined-behaviour sanitizers; it never changes what the code means.
"""

import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from Cython.Compiler.Errors import CompileError
from setuptools import Extension, setup

CHECKED = os.environ.get("ENGINE_CHECKED") == "1"

DIRECTIVES = {
    "language_level": "3",
    "boundscheck": CHECKED,
    "initializedcheck": CHECKED,
    "wraparound": False,
    "cdivision": True,
    "autotestdict": False,
}

CHECKS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer", "-g"]
SANITIZERS = CHECKS if CHECKED else []

extensions = [
    Extension(
        f"engine.{source.stem}",
        [source.as_posix()],
        extra_compile_args=["-O3", "-Wno-unreachable-code-fallthrough", *SANITIZERS],
        extra_link_args=SANITIZERS[:1],
    )
    for source in sorted(Path("engine").glob("_*.pyx"))
]

try:
    modules = cythonize(
        extensions,
        compiler_directives=DIRECTIVES,
        nthreads=os.cpu_count() or 1,
        build_dir="build/cython",
        quiet=True,
    )
except CompileError as error:
    # Cython has already shown the line; the tracebacks of its worker processes would hide it.
    sys.exit(f"setup.py: {error} does not compile")

setup(ext_modules=modules)
