"""The files under systemd/ are what systemd takes them for, and the unit is well confined."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SYSTEMD = ROOT / "systemd"
UNIT = SYSTEMD / "system" / "vendd.service"
UNITS = sorted((SYSTEMD / "system").glob("*.service"))

# Programs of the distribution, which the set-up or the system itself brings.
OF_DEBIAN = ("/usr/sbin/mosquitto", "/bin/kill")

# 100 is wide open, 25 a service that could do little harm if it were taken over.
EXPOSURE_LIMIT = 25


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_the_unit_is_confined(unit: Path) -> None:
    _run("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_LIMIT}", unit)


@pytest.mark.parametrize("shipped", UNITS, ids=lambda unit: unit.stem)
def test_systemd_understands_every_line_of_the_unit(shipped: Path, tmp_path: Path) -> None:
    # The programs are looked for, too: those of this environment stand in for the installed ones.
    unit = tmp_path / shipped.name
    programs = Path(sys.executable).parent
    unit.write_text(shipped.read_text().replace("/opt/vendd/.venv/bin", str(programs)))

    said = _run("systemd-analyze", "verify", "--man=no", unit)

    assert unit.name not in said


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_the_unit_starts_programs_that_this_project_installs(unit: Path) -> None:
    commands = re.findall(r"^Exec\w+=(\S+)", unit.read_text(), flags=re.MULTILINE)

    assert commands
    for command in commands:
        if command in OF_DEBIAN:
            continue
        assert Path(command).parent == Path("/opt/vendd/.venv/bin")
        assert (Path(sys.executable).parent / Path(command).name).exists()


def test_the_unit_gives_commands_that_vendd_knows() -> None:
    vendd = Path(sys.executable).parent / "vendd"

    commands = re.findall(r"^Exec\w+=\S+/vendd (\S+)", UNIT.read_text(), flags=re.MULTILINE)
    assert set(commands) == {"guard", "safe-outputs"}
    for command in commands:
        assert "--config" in _run(vendd, command, "--help")


def test_the_servers_units_give_commands_that_vendcloud_knows() -> None:
    vendcloud = Path(sys.executable).parent / "vendcloud"
    text = "".join(unit.read_text() for unit in UNITS if unit.name.startswith("vendcloud"))

    commands = re.findall(r"^Exec\w+=\S+/vendcloud --home \S+ (\S+)(.*)", text, flags=re.MULTILINE)
    assert {command for command, _ in commands} == {"serve", "signer", "worker"}
    for command, options in commands:
        said = _run(vendcloud, command, "--help")
        assert all(option in said for option in re.findall(r"--\w+", options))


def test_server_and_worker_are_confined_alike() -> None:
    """A line that one of them needs, or must not have, is the other's as well."""
    lines = {
        name: [
            line
            for line in (SYSTEMD / "system" / name).read_text().splitlines()
            if not line.startswith(("#", "Description=", "After=", "ExecStart="))
        ]
        for name in ("vendcloud.service", "vendcloud-worker@.service")
    }
    assert lines["vendcloud.service"] == lines["vendcloud-worker@.service"]


@pytest.mark.parametrize("name", ["vendd", "vendcloud"])
def test_the_users_and_groups_can_be_made(name: str) -> None:
    _run("systemd-sysusers", "--dry-run", SYSTEMD / "sysusers.d" / f"{name}.conf")


def test_the_folders_can_be_made(tmp_path: Path) -> None:
    # On a root folder of its own, owned by whoever runs the test.
    conf = tmp_path / "vendd.conf"
    text = (SYSTEMD / "tmpfiles.d" / "vendd.conf").read_text()
    conf.write_text(text.replace("root root", "- -"))

    _run("systemd-tmpfiles", f"--root={tmp_path}", "--create", conf)

    assert (tmp_path / "etc" / "vendd").is_dir()


@pytest.mark.parametrize(
    "line",
    [
        line
        for line in (SYSTEMD / "udev" / "60-vendd.rules").read_text().splitlines()
        if line and not line.startswith("#")
    ],
)
def test_each_udev_rule_matches_something_and_sets_something(line: str) -> None:
    token = re.compile(r'([A-Z]+)(\{[^}]+\})?(==|!=|\+=|=)"([^"]*)"')
    tokens = [token.fullmatch(part.strip()) for part in line.split(",")]

    assert all(tokens), line
    operators = {part[3] for part in tokens if part is not None}
    assert "==" in operators
    assert "=" in operators


def test_every_module_that_is_loaded_is_the_driver_of_a_device_that_is_allowed() -> None:
    driver_of = {"i2c-dev": "char-i2c", "usbserial": "char-ttyUSB", "cdc_acm": "char-ttyACM"}
    lines = (SYSTEMD / "modules-load.d" / "vendd.conf").read_text().splitlines()
    modules = [line for line in lines if line and not line.startswith("#")]

    allowed = set(re.findall(r"^DeviceAllow=(\S+) ", UNIT.read_text(), flags=re.MULTILINE))
    assert modules == list(driver_of)
    assert set(driver_of.values()) <= allowed


def test_every_file_has_its_line_in_the_readme() -> None:
    readme = (SYSTEMD / "README.md").read_text()

    for path in SYSTEMD.rglob("*"):
        if path.is_file() and path.name != "README.md":
            assert f"`{path.relative_to(SYSTEMD)}`" in readme


def test_the_tools_that_these_tests_need_are_installed_by_the_set_up() -> None:
    assert shutil.which("systemd-analyze")
    assert "systemd" in (ROOT / "run").read_text()


def test_a_stop_has_the_time_that_the_daemon_takes() -> None:
    from controller.daemon import END_S, STOP_S

    said = re.search(r"^TimeoutStopSec=(\d+)s$", UNIT.read_text(), re.MULTILINE)
    assert said is not None
    assert int(said[1]) > STOP_S + END_S
    source = (ROOT / "controller" / "daemon.py").read_text()
    assert f"the unit allows {said[1]} s" in source


@pytest.mark.parametrize("call", ["adjtimex", "clock_adjtime"])
def test_vendd_may_ask_the_kernel_whether_its_clock_is_kept_right(call: str) -> None:
    """Without a capability that is all that these calls do (`controller.ntp`)."""
    text = UNIT.read_text()
    assert not re.search(r"^ProtectClock=", text, re.MULTILINE), "its filter has them fail"
    assert re.search(r"^CapabilityBoundingSet=$", text, re.MULTILINE)
    allowed: set[str] = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", text, re.MULTILINE):
        names = line.removeprefix("~").split()
        sets = [name for name in names if name.startswith("@")]
        calls = set(names).difference(sets).union(*map(_calls_of, sets))
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    assert call in allowed


def _calls_of(name: str) -> set[str]:
    """Return the system calls of one of systemd's sets, and of those in it."""
    lines = _run("systemd-analyze", "syscall-filter", name).splitlines()
    found = {line.strip() for line in lines if line.startswith(" ") and "#" not in line}
    inner = [one for one in found if one.startswith("@")]
    return found.difference(inner).union(*map(_calls_of, inner))
