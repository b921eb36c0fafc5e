"""How much is said in the log: by us as asked for, by libraries never more than their information.

At "debug" a database's library tells every statement with its values: claim codes among them.
"""

from __future__ import annotations

import logging
from typing import Any

import structlog


def set_level(level: str, **more: Any) -> None:
    """Say so much from now on; ``more`` goes to ``structlog.configure``.

    Args:
        level: debug, info, warning or error.
        more: What else is set.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.getLogger().setLevel(max(number, logging.INFO))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(number), **more)
