"""``vendcloud``: the fleet server, and its shell until there are pages."""

from __future__ import annotations


def main() -> None:
    """Run ``vendcloud``; the entry point of the console script."""
    try:
        from cloud.fleet.cli.app import main as run  # noqa: PLC0415 - it may lack its libraries
    except ModuleNotFoundError as error:
        from config.extras import lacking  # noqa: PLC0415 - nobody else needs it

        words = lacking(error, "vendcloud")
        if words is None:
            raise
        raise SystemExit(words) from None
    run()
