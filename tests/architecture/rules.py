"""The rules.  Each takes the root of a checkout and returns what breaks it, one line per place; none is good.

When a rule is wrong, change it here, and the contracts in pyproject.toml with it, and say why in the commit.
"""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.architecture import tree

# One sitting.
LONGEST_LINES = 500

# Words that hide a noun.
REFUSED_WORDS = {"manager", "helper", "util", "utils", "processor", "base", "common", "core", "data", "info"}

# 3GPP TS 27.007 calls a modem's answer an information text response.
NAMES_OF_OTHERS = {"engine/_at.pyx": {"Info"}, "engine/_at.pyi": {"Info"}}

# Which native module may cimport which.  A new one is entered here, with its floor.
CIMPORTS: dict[str, set[str]] = {
    "_octets": set(),
    "_national": set(),
    "_grapheme_classes": set(),
    "_graphemes": {"_grapheme_classes"},
    "_cuts": set(),
    "_ucs2": {"_octets"},
    "_gsm7": {"_octets", "_national"},
    "_template": set(),
    "_look_alikes": set(),
    "_header": {"_octets", "_national"},
    "_fields": {"_octets", "_gsm7"},
    "_envelope": {"_octets", "_header", "_fields"},
    "_segmentation": {
        "_octets",
        "_national",
        "_look_alikes",
        "_graphemes",
        "_cuts",
        "_ucs2",
        "_gsm7",
        "_header",
        "_fields",
        "_envelope",
    },
    "_content": {"_octets", "_ucs2", "_gsm7", "_header", "_fields"},
    "_tpdu": {"_octets", "_fields", "_envelope", "_content"},
    "_reports": {"_octets", "_fields", "_content"},
    "_reading": {"_octets", "_ucs2", "_gsm7", "_fields", "_content", "_tpdu", "_reports"},
    "_pdu": {"_octets", "_template", "_fields", "_envelope", "_segmentation"},
    "_at": set(),
    "_wire": set(),
    "_exchange": {"_at", "_wire"},
    "_chain": set(),
    "_due_heap": {"_chain"},
    "_route_classes": set(),
    "_queue": {"_chain", "_due_heap", "_route_classes"},
    "_walk": set(),
    "_documents": {"_walk"},
    "_nodes": set(),
    "_conditions": {"_documents", "_nodes", "_walk"},
    "_number_lengths": set(),
    "_numbers": {"_number_lengths"},
    "_digests": set(),
    "_seen": {"_octets", "_digests"},
    "_suppressed": {"_octets", "_digests"},
    "_sheet": {"_seen"},
    "_plain": {"_octets", "_sheet"},
    "_intake": {"_digests", "_numbers", "_plain", "_seen", "_sheet", "_suppressed"},
    "_pair_page": {"_octets"},
    "_runs": {"_octets", "_pair_page"},
    "_staging": {"_pair_page", "_runs"},
    "_words": {"_pair_page", "_runs"},
    "_slots": {"_octets"},
    "_packed": set(),
    "_flights": {"_at", "_packed"},
    "_settling": {"_octets", "_slots", "_packed", "_flights"},
}

# The one Python face of each native module, or the few.
CODEC_FACE = {"engine/sms.py"}
FACES: dict[str, set[str]] = {
    "_octets": set(),
    "_national": CODEC_FACE,
    "_grapheme_classes": set(),
    "_graphemes": CODEC_FACE,
    "_cuts": set(),
    "_ucs2": CODEC_FACE,
    "_gsm7": CODEC_FACE,
    "_template": CODEC_FACE,
    "_look_alikes": CODEC_FACE,
    "_header": CODEC_FACE,
    "_fields": CODEC_FACE,
    "_envelope": CODEC_FACE,
    "_segmentation": CODEC_FACE,
    "_content": CODEC_FACE,
    "_tpdu": CODEC_FACE,
    "_reports": CODEC_FACE,
    "_reading": CODEC_FACE,
    "_pdu": CODEC_FACE,
    "_at": {"engine/modem/at.py", "engine/modem/submission.py"},
    "_wire": {"engine/modem/port.py"},
    "_exchange": {"engine/modem/dialogue.py", "engine/modem/tc35i.py"},
    "_chain": set(),
    "_due_heap": set(),
    "_route_classes": set(),
    "_queue": {"engine/traffic/precedence.py", "engine/traffic/scheduler.py"},
    "_walk": set(),
    "_documents": set(),
    "_nodes": set(),
    "_conditions": {"engine/crm/people/programs.py"},
    "_number_lengths": set(),
    "_numbers": {"engine/numbers.py"},
    "_digests": set(),
    "_seen": {
        "engine/crm/marketing/recipients.py",
        "engine/crm/marketing/arrival.py",
        "engine/crm/people/import_work.py",
    },
    "_suppressed": {"engine/crm/people/suppressions.py"},
    "_sheet": {
        "engine/traffic/sheets.py",
        "engine/crm/marketing/recipients.py",
        "engine/crm/marketing/uploads.py",
    },
    "_plain": set(),
    "_intake": {"engine/crm/marketing/arrival.py"},
    "_pair_page": set(),
    "_runs": {"engine/store/runs.py"},
    "_staging": {"engine/crm/people/import_fresh.py", "engine/crm/people/import_work.py"},
    "_words": {"engine/crm/people/import_fresh.py", "engine/crm/people/import_rows.py"},
    "_slots": {"engine/traffic/slots.py"},
    "_flights": {
        "engine/traffic/precedence.py",
        "engine/traffic/ahead.py",
        "engine/traffic/scheduler.py",
        "engine/traffic/settling.py",
    },
    "_packed": {f"engine/traffic/{name}.py" for name in ("lengths", "pins", "routing", "scheduler", "sheets")},
    "_settling": {"engine/traffic/settling.py", "engine/traffic/sims.py"},
}

# Who may ask what time it is.  Everybody else is told: time is an argument.
WALL_CLOCK_READERS = {
    "engine/wiring.py",
    "server/cli.py",
    "server/demo.py",
    # The simulated service centre stamps what it receives, as a real one does.
    "engine/sim/rack.py",
}
WALL_CLOCKS = {
    "time.time",
    "time.time_ns",
    "time.clock_gettime",
    "time.clock_gettime_ns",
    "time.ctime",
    "time.gmtime",
    "time.localtime",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
}

# Where everything is caught: a modem's task, what came over one of many lines, a change in the writer, a text that
# somebody sent, a file that somebody brought, a request.  The others must go on, and a text that an application trips
# over, or a campaign that cannot be fed, must not stop the next start.
CATCH_ALL = {
    "engine/_wire.pyx",
    "engine/crm/people/import_work.py",
    "engine/modem/pool.py",
    "engine/modem/tc35i.py",
    "engine/store/environment.py",
    "engine/traffic/inbound.py",
    "engine/traffic/feeder.py",
    "engine/traffic/scheduler.py",
    "server/middleware.py",
}


def place(root: Path, path: Path, line: int = 0) -> str:
    name = path.relative_to(root).as_posix()
    return f"{name}:{line}" if line else name


def native_modules(root: Path) -> list[str]:
    """By name, those with a source and those that are only declarations."""
    return sorted({path.stem for path in tree.cython(root)})


def native_modules_lie_in_engine(root: Path) -> list[str]:
    """engine/_<name>.pyx, where setup.py's glob finds it."""
    return [
        f"{place(root, path)} is not engine/_<name>{path.suffix}"
        for path in tree.cython(root)
        if path.parent != root / "engine" or not path.name.startswith("_")
    ]


def native_modules_have_a_floor(root: Path) -> list[str]:
    """Each is listed in CIMPORTS and FACES."""
    return [
        f"engine/{stem} is not listed in CIMPORTS and FACES of {Path(__file__).name}"
        for stem in native_modules(root)
        if stem not in CIMPORTS or stem not in FACES
    ]


def native_modules_cimport_downward(root: Path) -> list[str]:
    """A native module reaches those that CIMPORTS names and `engine.errors`, nothing else of the project."""
    broken = []
    for path in tree.cython(root):
        allowed = {f"engine.{stem}" for stem in CIMPORTS.get(path.stem, set())}
        # Its own .pxd, and what can go wrong.
        allowed |= {f"engine.{path.stem}", "engine.errors"}
        for found in tree.imports(root, path):
            ours = found.name.split(".")[0] in tree.CODE
            if ours and not any(tree.is_or_is_in(found.name, module) for module in allowed):
                broken.append(f"{place(root, path, found.line)} imports {found.name}")
    return broken


def native_modules_are_not_included(root: Path) -> list[str]:
    """No `include`: names come from somewhere."""
    return [
        f"{place(root, path, number)} includes a file"
        for path in tree.cython(root)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.match(r"\s*include\s+['\"]", line)
    ]


def only_its_face_imports_a_native_module(root: Path) -> list[str]:
    """The codec through `engine.sms`, the due line through `engine.traffic.scheduler`, and so on."""
    broken = []
    for path in tree.python(root, *tree.PRODUCT):
        name = place(root, path)
        for found in tree.imports(root, path):
            if not found.name.startswith("engine."):
                continue
            for stem, faces in FACES.items():
                if tree.is_or_is_in(found.name, f"engine.{stem}") and name not in faces:
                    broken.append(f"{name}:{found.line} imports engine.{stem}")
            if found.name == "engine.*":
                broken.append(f"{name}:{found.line} imports everything")
    return broken


def every_pyx_has_a_stub(root: Path) -> list[str]:
    return [
        f"{place(root, path)} has no {path.stem}.pyi"
        for path in tree.cython(root)
        if path.suffix == ".pyx" and not path.with_suffix(".pyi").exists()
    ]


def every_stub_has_a_pyx(root: Path) -> list[str]:
    return [
        f"{place(root, path)} describes nothing"
        for path in tree.code(root, *tree.PRODUCT)
        if path.suffix == ".pyi" and not path.with_suffix(".pyx").exists()
    ]


def every_pxd_is_cimported(root: Path) -> list[str]:
    """A .pxd is for others; what only one module uses stands in its .pyx."""
    used = {
        found.name
        for path in tree.cython(root)
        for found in tree.imports(root, path)
        if not found.name.startswith(f"engine.{path.stem}")
    }
    return [
        f"{place(root, path)} is cimported by nobody"
        for path in tree.cython(root)
        if path.suffix == ".pxd" and not any(tree.is_or_is_in(name, f"engine.{path.stem}") for name in used)
    ]


def every_folder_of_code_is_a_package(root: Path) -> list[str]:
    """import-linter passes over a folder without __init__.py, and with it over what lies inside."""
    folders = {path.parent for path in tree.code(root, *tree.PACKAGES)}
    above = {parent for folder in folders for parent in folder.parents if root in parent.parents}
    return [
        f"{place(root, folder)}/ has no __init__.py"
        for folder in sorted(folders | above)
        if not (folder / "__init__.py").exists()
    ]


def roots_import_nothing(root: Path) -> list[str]:
    """`engine/__init__.py` is the map.  It stands on no floor, so import-linter would not see its imports."""
    return [
        f"{place(root, init, found.line)} imports {found.name}"
        for init in (root / top / "__init__.py" for top in tree.PRODUCT)
        if init.exists()
        for found in tree.imports(root, init)
    ]


def no_file_is_longer_than_a_sitting(root: Path) -> list[str]:
    sittings = [*tree.code(root, *tree.CODE), root / "setup.py"]
    lengths = {path: len(path.read_bytes().splitlines()) for path in sittings}
    return [
        f"{place(root, path)} has {lines} lines, {LONGEST_LINES} are a sitting"
        for path, lines in lengths.items()
        if lines > LONGEST_LINES
    ]


def no_foreign_javascript(root: Path) -> list[str]:
    """What npm gives is fetched when building; in the repository lies what we wrote."""
    broken = []
    for path in tree.files(root, *tree.PRODUCT):
        if re.search(r"\.min\.(js|css)$|\.map$|\.bundle\.js$", path.name) or "node_modules" in path.parts:
            broken.append(f"{place(root, path)} is not our writing")
        elif path.suffix in {".js", ".mjs", ".css", ".html"}:
            lines = path.read_bytes().splitlines()
            if len(lines) > LONGEST_LINES:
                broken.append(f"{place(root, path)} has {len(lines)} lines")
            elif any(len(line) > 1000 for line in lines):
                broken.append(f"{place(root, path)} is minified")
    return broken


def words(name: str) -> set[str]:
    """The words of snake_case or CamelCase, in lower case: PduHTTPInfo has three."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def names_say_the_noun(root: Path) -> list[str]:
    """No file and no class is called by a word that hides what it is."""
    broken = []
    for path in tree.code(root, *tree.PACKAGES):
        for part in path.relative_to(root).with_suffix("").parts:
            broken += [f"{place(root, path)} is called {part}"] * bool(words(part) & REFUSED_WORDS)
        allowed = NAMES_OF_OTHERS.get(place(root, path), set())
        for name, line in classes(path):
            if name in allowed:
                continue
            broken += [f"{place(root, path, line)} class {name}"] * bool(words(name) & REFUSED_WORDS)
    return broken


def classes(path: Path) -> Iterator[tuple[str, int]]:
    if path.suffix in {".py", ".pyi"}:
        for node in tree.nodes(path):
            if isinstance(node, ast.ClassDef):
                yield node.name, node.lineno
        return
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if found := re.match(r"\s*(?:ctypedef\s+|cdef\s+|cpdef\s+)*(?:class|struct|enum)\s+(\w+)", line):
            yield found[1], number


def dotted(node: ast.expr, names: dict[str, str]) -> str:
    """`dt.now` after `from datetime import datetime as dt` is datetime.datetime.now; "" if not a name."""
    match node:
        case ast.Name(id=name):
            return names.get(name, "")
        case ast.Attribute(value=value, attr=attr):
            origin = dotted(value, names)
            return f"{origin}.{attr}" if origin else ""
    return ""


def imported_names(path: Path) -> dict[str, str]:
    """What each name bound by an import statement of this file stands for."""
    names = {}
    for node in tree.nodes(path):
        match node:
            case ast.Import(names=aliases):
                for alias in aliases:
                    top = alias.name.split(".")[0]
                    names[alias.asname or top] = alias.name if alias.asname else top
            case ast.ImportFrom(module=str(module), names=aliases, level=0):
                for alias in aliases:
                    names[alias.asname or alias.name] = f"{module}.{alias.name}"
    return names


def only_the_wiring_reads_the_clock(root: Path) -> list[str]:
    """Named, not only called: `clock=time.time` as a default is a reading too.  Monotonic time is free."""
    broken = []
    for path in tree.python(root, *tree.PRODUCT):
        name = place(root, path)
        if name in WALL_CLOCK_READERS:
            continue
        names = imported_names(path)
        for node in tree.nodes(path):
            if isinstance(node, ast.Name | ast.Attribute) and dotted(node, names) in WALL_CLOCKS:
                # time.gmtime(seconds) and the like convert; without an argument they read.
                if dotted(node, names) in CONVERTERS and id(node) in converting(path, names):
                    continue
                broken.append(f"{name}:{node.lineno} reads {dotted(node, names)}")
    readings = r"time\.time(_ns)?|clock_gettime|gettimeofday|CLOCK_REALTIME|datetime\.(now|utcnow|today)"
    clock = re.compile(rf"\b({readings})\b")
    for path in tree.cython(root):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if clock.search(line.split("#")[0]):
                broken.append(f"{place(root, path, number)} reads the clock")
    return broken


CONVERTERS = {"time.gmtime", "time.localtime", "time.ctime"}


def converting(path: Path, names: dict[str, str]) -> set[int]:
    """The ids of name nodes that are called with a time to convert."""
    return {
        id(node.func)
        for node in tree.nodes(path)
        if isinstance(node, ast.Call) and node.args and dotted(node.func, names) in CONVERTERS
    }


def catch_all_lives_in_few_places(root: Path) -> list[str]:
    """`except Exception`, `except BaseException`, a bare `except`, `suppress(Exception)`.

    A handler of BaseException that ends in a bare `raise` only tidies up, and may stand anywhere.
    """
    broken = []
    for path in tree.python(root, *tree.PRODUCT):
        name = place(root, path)
        if name in CATCH_ALL:
            continue
        for node in tree.nodes(path):
            caught: set[str] = set()
            match node:
                case ast.ExceptHandler(type=None):
                    caught = {"BaseException"}
                case ast.ExceptHandler(type=ast.expr() as kind):
                    caught = exception_names(kind)
                case ast.Call(func=ast.Name(id="suppress") | ast.Attribute(attr="suppress"), args=args):
                    caught = set().union(*map(exception_names, args))
            broad = caught & {"Exception", "BaseException"}
            if isinstance(node, ast.ExceptHandler) and broad == {"BaseException"} and reraises(node):
                continue
            broken += [f"{name}:{getattr(node, 'lineno', 0)} catches {kind}" for kind in sorted(broad)]
    for path in tree.cython(root):
        if place(root, path) in CATCH_ALL:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.match(r"\s*except\s*(\(?.*\b(Base)?Exception\b.*)?:", line):
                broken.append(f"{place(root, path, number)} catches everything")
    return broken


def exception_names(kind: ast.expr) -> set[str]:
    if isinstance(kind, ast.Tuple):
        return set().union(*map(exception_names, kind.elts))
    return {kind.attr if isinstance(kind, ast.Attribute) else getattr(kind, "id", "")}


def reraises(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


Rule = Callable[[Path], list[str]]

RULES: list[Rule] = [
    native_modules_lie_in_engine,
    native_modules_have_a_floor,
    native_modules_cimport_downward,
    native_modules_are_not_included,
    only_its_face_imports_a_native_module,
    every_pyx_has_a_stub,
    every_stub_has_a_pyx,
    every_pxd_is_cimported,
    every_folder_of_code_is_a_package,
    roots_import_nothing,
    no_file_is_longer_than_a_sitting,
    no_foreign_javascript,
    names_say_the_noun,
    only_the_wiring_reads_the_clock,
    catch_all_lives_in_few_places,
]
