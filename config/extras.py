"""What to say where a part of the distribution lacks the libraries of its extra."""

from __future__ import annotations

import re
from importlib.metadata import requires
from typing import Final

_EXTRA: Final = re.compile(r"""^(?P<name>[\w.-]+).*\bextra == ["'](?P<extra>\w+)["']""")


def lacking(error: ImportError, program: str) -> str | None:
    """Say which extra brings the library that could not be imported.

    Args:
        error: What the import said.
        program: Who needs it.

    Returns:
        The words; None if no extra of vendd names the library, so that something else is wrong.
    """
    library = (error.name or "").partition(".")[0]
    for line in requires("vendd") or ():
        found = _EXTRA.match(line)
        if found and found["name"].partition("[")[0] == library:
            return (
                f"{program}: {library} is not installed here: this needs the extra"
                f" {found['extra']!r}, which a vending machine goes without"
                f" (./run setup, or pip install 'vendd[{found['extra']}]')"
            )
    return None
