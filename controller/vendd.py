"""``vendd``: the daemon's command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from controller import lean
from controller.faults import ConfigError, VenddError
from controller.guard import EXIT_CONFIG, EXIT_UNSAFE, OURS

if TYPE_CHECKING:
    from config.machine import MachineSettings


def main(arguments: list[str] | None = None) -> int:
    """``vendd``: run, guard, check-config, safe-outputs."""
    parser = argparse.ArgumentParser(
        prog="vendd", description="The vending machine controller's daemon."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, words in (
        ("run", "sell until stopped"),
        ("guard", "run under a parent that switches every output off when vendd can't"),
        ("check-config", "check a configuration file and say every mistake in it"),
        ("safe-outputs", "drive every output to its safe level"),
    ):
        command = commands.add_parser(name, help=words, description=words)
        if name == "check-config":
            command.add_argument("file", type=Path, nargs="?", metavar="FILE")
        command.add_argument("--config", type=Path, required=name != "check-config", metavar="FILE")
        command.add_argument(
            "--home", type=Path, metavar="DIR", help="stands for machine.home of the file"
        )
    given = parser.parse_args(arguments)
    if given.command == "check-config":
        if (given.file is None) == (given.config is None):
            parser.error("check-config takes one FILE, by itself or behind --config")
        given.config = given.config or given.file
    if given.command in ("run", "guard"):
        lean.hold_back()
    from config.settings import load  # noqa: PLC0415 - behind what is held back

    try:
        settings = load(given.config, home=given.home)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_CONFIG
    if given.command == "check-config":
        sys.stdout.write(f"{given.config}: in order\n")
        return 0
    if given.command == "run":
        # Before the rest is loaded, which then takes the room of what is let go here.
        from controller.panel.lean import amounts_alone  # noqa: PLC0415 - the guard shows none

        machine = settings.machine
        amounts_alone(machine.languages[0], machine.locale, machine.currency)
        return _daemon()(settings)
    from controller.outputs import Outputs  # noqa: PLC0415 - as the settings

    outputs = Outputs.of(settings)
    if given.command == "guard":
        from controller.guarding import become_guard  # noqa: PLC0415 - as the settings

        home = [] if given.home is None else ["--home", str(given.home)]
        become_guard(
            [*OURS, "controller", "run", "--config", str(given.config), *home],
            outputs,
            settings.guard.heartbeat_timeout_ms / 1000,
        )
    try:
        outputs.reach().drive()
    except VenddError as error:
        sys.stderr.write(f"vendd safe-outputs: {error}\n")
        return EXIT_UNSAFE
    return 0


def _daemon() -> Callable[[MachineSettings], int]:
    """Load the daemon: what the guard does without, fast and lean."""
    with lean.lean_import():
        from controller.daemon import run  # noqa: PLC0415 - the guard stays small without it
    return run
