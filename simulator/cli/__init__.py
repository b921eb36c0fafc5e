"""``vendsim``: run a simulated machine, do things to it, look at what is physically so."""

from __future__ import annotations

import sys

from simulator.cli.app import app
from simulator.client import SimulatorError


def main() -> None:
    """Run the command line; an explained failure ends with exit code 1."""
    try:
        app()
    except SimulatorError as error:
        print(f"vendsim: {error}", file=sys.stderr)
        raise SystemExit(1) from None
