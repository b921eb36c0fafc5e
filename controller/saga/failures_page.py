"""Draws the failure table: ``python -m controller.saga.failures_page > docs/failures.md``."""

from __future__ import annotations

import sys
from typing import Final

from controller.saga.failures import TABLE

_HEAD: Final = """# Every failure

Drawn from `controller/saga/failures.py` by `python -m controller.saga.failures_page`; a test plays
each row on both links and fails when this page is not what the table says.

| failure | tender | when | the customer gets | journaled | the machine | flagged |
|---|---|---|---|---|---|---|
"""


def page() -> str:
    """Return the whole document."""
    rows = (
        f"| {cell.failure} | {cell.tender} | {cell.phase} | {cell.gets} "
        f"| {', '.join(f'`{name}`' for name in cell.journaled)} | {cell.then} "
        f"| {'yes' if cell.flagged else ''} |"
        for cell in TABLE
    )
    return _HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
