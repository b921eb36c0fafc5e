"""How ``vendctl`` ends: exit codes that scripts may rely on, and the errors that lead to them."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes; ``vendctl --help`` lists them."""

    OK = 0
    NO = 1  # the answer is no: a journal that does not verify, an exchange with errors
    USAGE = 2  # wrong arguments
    NOT_RUNNING = 3  # nobody answers on the socket
    NOT_PERMITTED = 4
    REFUSED = 5  # vendd will not do it now, or not so
    NOT_FOUND = 6  # no such column, vend, record or file
    FAILED = 7  # something is broken: vendd, the disk, the answer


class CliError(Exception):
    """An error that is explained to the technician."""

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        """Keep the exit code beside the words."""
        super().__init__(message)
        self.code = code
