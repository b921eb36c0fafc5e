"""``vendd``: the daemon's command line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from config.settings import load
from controller import app
from controller.faults import ConfigError, VenddError
from controller.guard import EXIT_CONFIG, EXIT_UNSAFE, GuardTimes, guard_main


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
        command.add_argument("--config", type=Path, required=True, metavar="FILE")
        command.add_argument(
            "--home", type=Path, metavar="DIR", help="stands for machine.home of the file"
        )
    given = parser.parse_args(arguments)
    try:
        settings = load(given.config, home=given.home)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_CONFIG
    if given.command == "check-config":
        sys.stdout.write(f"{given.config}: in order\n")
        return 0
    if given.command == "run":
        from controller.daemon import run  # noqa: PLC0415 - the guard stays small without it

        return run(settings)
    safe = app.safe_outputs(settings)
    if given.command == "safe-outputs":
        try:
            safe.drive()
        except VenddError as error:
            sys.stderr.write(f"vendd safe-outputs: {error}\n")
            return EXIT_UNSAFE
        return 0
    home = [] if given.home is None else ["--home", str(given.home)]
    return guard_main(
        [sys.executable, "-m", "controller", "run", "--config", str(given.config), *home],
        safe.drive,
        prepare=safe.prepare,
        times=GuardTimes(silence_s=settings.guard.heartbeat_timeout_ms / 1000),
    )
