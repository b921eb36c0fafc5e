"""What an operator's terminal shows is laid out as the technician's is: one code for both."""

from controller.cli.screen import (
    BAD,
    DIM,
    GOOD,
    WARN,
    Cell,
    console,
    error,
    line,
    note,
    table,
)

__all__ = ["BAD", "DIM", "GOOD", "WARN", "Cell", "console", "error", "line", "note", "table"]
