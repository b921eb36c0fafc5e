"""``vendsim``: run a simulated machine, do things to it, look at what is physically so."""

from __future__ import annotations

from config.extras import lacking
from controller.cli import screen
from simulator.cli.app import app
from simulator.client import SimulatorError


def main() -> None:
    """Run the command line; an explained failure ends with exit code 1."""
    try:
        app()
    except SimulatorError as error:
        screen.error(f"vendsim: {error}")
        raise SystemExit(1) from None
    except ModuleNotFoundError as error:
        words = lacking(error, "vendsim")
        if words is None:
            raise
        screen.error(words)
        raise SystemExit(1) from None
