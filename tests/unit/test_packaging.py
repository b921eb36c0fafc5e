"""The lock, the distribution and the script `run` say the same as `pyproject.toml`."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable, Iterator
from importlib.metadata import distribution, packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


MACHINE_LOCK = (ROOT / "requirements-machine.lock").read_text(encoding="utf-8")
SERVER = ("alembic", "apsw", "dbos", "fastapi", "psycopg", "sqlalchemy", "starlette", "uvicorn")

TESTS = ("coverage", "hypothesis", "import-linter", "mypy", "pytest", "ruff", "trustme")


def _entries(lock: str) -> dict[str, str]:
    entries = re.split(r"\n(?=[a-z0-9])", lock.strip())
    return {entry.partition("==")[0]: entry for entry in entries}


def _closure(requirements: Iterable[str]) -> set[str]:
    """Return the names of all that these need on this computer, as what is installed says."""
    names: set[str] = set()
    wanted = [Requirement(text) for text in requirements]
    while wanted:
        each = wanted.pop()
        name = canonicalize_name(each.name)
        if name in names or (each.marker is not None and not each.marker.evaluate({"extra": ""})):
            continue
        names.add(name)
        wanted += [Requirement(text) for text in distribution(name).requires or ()]
    return names


def _declared() -> Iterator[Requirement]:
    project = PROJECT["project"]
    groups = [*project["optional-dependencies"].values(), *PROJECT["dependency-groups"].values()]
    for text in [*project["dependencies"], *(line for group in groups for line in group)]:
        yield Requirement(text)


def _locked() -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", LOCK, flags=re.MULTILINE))


def test_the_lock_names_no_address() -> None:
    assert "://" not in LOCK
    assert "--index" not in LOCK
    assert not (ROOT / "uv.lock").exists()
    assert not (ROOT / "pylock.toml").exists()


def test_every_version_in_the_lock_has_its_hashes() -> None:
    entries = _entries(LOCK)

    assert len(entries) == len(_locked())
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries.values())


def test_a_vending_machine_gets_no_server_library_and_nothing_of_the_tests() -> None:
    whole, machine = _entries(LOCK), _entries(MACHINE_LOCK)

    assert not [name for name in machine if name.startswith((*SERVER, *TESTS))]
    assert [name for name in whole if name.startswith((*SERVER, *TESTS))]
    assert {name: whole[name] for name in machine} == machine


def test_a_vending_machine_gets_all_that_it_needs() -> None:
    build = PROJECT["dependency-groups"]["build"]
    assert _closure([*PROJECT["project"]["dependencies"], *build]) <= _entries(MACHINE_LOCK).keys()
    assert "lgpio" in _entries(MACHINE_LOCK)


def test_the_lock_holds_what_the_project_declares_within_its_bounds() -> None:
    locked = _locked()

    for requirement in _declared():
        version = locked.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is not locked: make the lock again"
        assert requirement.specifier.contains(version, prereleases=True), (requirement, version)


def test_what_is_installed_is_what_is_locked() -> None:
    locked = _locked()

    for requirement in _declared():
        if requirement.marker is not None:
            continue  # the pins of a computer that has some
        installed = distribution(requirement.name).version
        assert installed == locked[canonicalize_name(requirement.name)]


def test_everything_that_is_required_is_used() -> None:
    distributions = packages_distributions()
    used = {
        canonicalize_name(distribution_name)
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for module in re.findall(r"^\s*(?:import|from) (\w+)", path.read_text(), re.MULTILINE)
        for distribution_name in distributions.get(module, [])
    }
    used.add(canonicalize_name("tzdata"))  # data, which the standard library reads

    required = {
        canonicalize_name(Requirement(text).name) for text in PROJECT["project"]["dependencies"]
    }
    assert required - used == set()


@pytest.mark.parametrize("name", sorted(PROJECT["project"]["scripts"]))
def test_every_console_script_leads_to_a_function(name: str) -> None:
    (script,) = distribution("vendd").entry_points.select(group="console_scripts", name=name)

    assert callable(script.load())


def test_the_commands_of_other_packages_are_found_by_the_technicians_tool() -> None:
    commands = distribution("vendd").entry_points.select(group="vendctl.commands")

    assert {command.name for command in commands} == {"decode"}
    assert all(callable(command.load()) for command in commands)


def test_the_wheel_holds_every_package_with_its_data(tmp_path: Path) -> None:
    assert sorted(PACKAGES) == sorted(
        path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "benchmarks"
    )

    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())

    here = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert here <= held


@pytest.mark.parametrize("script", ["run", "tests/bare/try.sh"])
def test_a_script_is_posix_shell(script: str) -> None:
    dash = shutil.which("dash")
    assert dash is not None
    subprocess.run([dash, "-n", ROOT / script], check=True, timeout=10)


def test_the_trial_on_a_bare_debian_says_how_it_is_called() -> None:
    script = ROOT / "tests" / "bare" / "try.sh"
    done = subprocess.run([script], capture_output=True, text=True, timeout=10, check=False)

    assert done.returncode == 2
    assert "tests/bare/try.sh bookworm /var/tmp/bare12 demo check\n" in done.stderr
    assert "set -eu" not in done.stderr, "the head of the script alone"


def test_run_alone_prints_its_commands() -> None:
    done = subprocess.run([ROOT / "run"], capture_output=True, text=True, timeout=10, check=True)

    for command in ("demo", "test", "check", "bench", "soak", "setup"):
        assert f"\n  {command} " in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80, "a terminal's usual width"


def _pretend(path: Path, does: str) -> None:
    path.write_text(f"#!/bin/sh\n{does}\n", encoding="utf-8")
    path.chmod(0o755)


def _pretend_python(path: Path, *, fit: bool) -> None:
    _pretend(path, f"exit {int(not fit)}")


@pytest.mark.parametrize(
    ("system", "other", "found"),
    [(True, True, "system"), (False, True, "python3"), (True, False, "system")],
)
def test_the_systems_python_is_taken_before_any_other(
    tmp_path: Path, system: bool, other: bool, found: str
) -> None:
    _pretend_python(tmp_path / "system", fit=system)
    _pretend_python(tmp_path / "python3", fit=other)
    script = (ROOT / "run").read_text(encoding="utf-8")
    functions = re.findall(r"^(?:python_is_\w+|find_python)\(\) \{$.*?^\}$", script, re.M | re.S)
    assert len(functions) == 3
    told = "\n".join([f"SYSTEM_PYTHON={tmp_path}/system", *functions, "find_python"])
    done = subprocess.run(
        ["/bin/sh", "-c", told],
        env={"PATH": f"{tmp_path}"}, capture_output=True, text=True, timeout=10, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == str(tmp_path / found)


def test_without_a_network_another_python_does_for_a_system_one_without_its_venv(
    tmp_path: Path,
) -> None:
    _pretend(tmp_path / "system", "case $2 in *version_info*) exit 0 ;; esac; exit 1")
    _pretend(tmp_path / "python3", "exit 0")
    _pretend(tmp_path / "apt-get", "exit 100")
    _pretend(tmp_path / "id", "echo 0")
    script = (ROOT / "run").read_text(encoding="utf-8")
    names = r"(?:say|die|python_is_\w+|find_python|may_install|install_packages|complete\w+)"
    functions = re.findall(rf"^{names}\(\) \{{(?: [^\n]* \}}$|$.*?^\}}$)", script, re.M | re.S)
    told = ["set -eu", f"SYSTEM_PYTHON={tmp_path}/system", *functions]
    done = subprocess.run(
        ["/bin/sh", "-c", "\n".join([*told, "complete_system_python", "find_python"])],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True, text=True, timeout=10, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == str(tmp_path / "python3")
    assert "could not install: python3-venv" in done.stderr


def test_run_refuses_what_it_does_not_know() -> None:
    done = subprocess.run(
        [ROOT / "run", "dance"], capture_output=True, text=True, timeout=10, check=False
    )

    assert done.returncode != 0
    assert "unknown command: dance" in done.stderr
