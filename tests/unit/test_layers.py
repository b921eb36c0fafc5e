"""What import-linter can't say: pure modules, and the narrow doors between the packages."""

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("controller", "drivers", "cloud", "config", "simulator")

# Tables and codecs of the wire, which both of its ends may read.
WIRE = (
    "drivers.mdb.blocks",
    "drivers.mdb.fields",
    "drivers.mdb.money",
    "drivers.mdb.*_codec",
    "drivers.mdb.*_commands",
    "drivers.mdb.*_words",
    "drivers.links.*_codec",
    "drivers.links.parmrk",
)

# Bytes or values in, values out. They run on a laptop, in a browser, in a test of a million cases.
PURE = (
    "controller.money",
    "controller.faults",
    "controller.domain*",
    "controller.journal.records*",
    "controller.journal.chain",
    "controller.journal.fold",
    "controller.machine.table",
    "controller.state*",
    "controller.saga.outcome",
    *WIRE,
)
IMPURE = frozenset(
    """
    aiosqlite asyncio concurrent fcntl gpiozero io logging multiprocessing os pathlib pty queue
    random secrets select selectors serial shutil signal smbus2 socket sqlite3 structlog subprocess
    sys tempfile termios threading time tty uuid
    """.split()
)

# importer -> imported package -> what of it may be imported.
DOORS: dict[str, dict[str, tuple[str, ...]]] = {
    "drivers": {
        "controller": (
            "controller.ports",
            "controller.clock",
            "controller.money",
            "controller.faults",
        )
    },
    # The simulator shares the tables of the wire, never the drivers' logic.
    "simulator": {
        "drivers": (
            "drivers.mdb.blocks",
            "drivers.mdb.*_codec",
            "drivers.links.*_codec",
            "drivers.cctalk.frames",
            "drivers.cctalk.headers",
            "drivers.cctalk.*_codec",
        )
    },
    "config": {
        "controller": ("controller.money", "controller.faults", "controller.domain*"),
    },
}

# Composition roots, which join what does not know each other: vendd and its world in one process.
ROOTS = ("simulator.whole",)


def _modules(package: str) -> list[str]:
    found = []
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


def _source(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _imports(module: str) -> Iterator[str]:
    """Every module that `module` names in an import, `from x import y` as both x and x.y."""
    for node in ast.walk(ast.parse(_source(module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if _source(full).exists() else node.module


ALL = [module for package in PACKAGES for module in _modules(package)]


@pytest.mark.parametrize(
    "module", [m for m in ALL if any(fnmatch(m, pattern) for pattern in PURE)] or ["controller"]
)
def test_a_pure_module_imports_nothing_that_touches_the_world(module: str) -> None:
    touched = sorted({name for name in _imports(module) if name.split(".")[0] in IMPURE})
    assert touched == []


@pytest.mark.parametrize(("importer", "imported"), [(a, b) for a in DOORS for b in DOORS[a]])
def test_a_package_uses_only_the_doors_of_its_neighbour(importer: str, imported: str) -> None:
    doors = DOORS[importer][imported]
    strays = {
        f"{module} -> {name}"
        for module in _modules(importer)
        if module not in ROOTS
        for name in _imports(module)
        if name.split(".")[0] == imported and not any(fnmatch(name, door) for door in doors)
    }
    assert sorted(strays) == []


def test_no_module_has_the_name_of_a_module_of_the_standard_library() -> None:
    import sys

    assert set(PACKAGES).isdisjoint(sys.stdlib_module_names)
