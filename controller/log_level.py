"""What is said in the log, and how: a line of JSON each, by us and by libraries.

Of us it is as much as was asked for; of libraries never more than their information. At "debug" a
database's library tells every statement with its values: claim codes among them.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import structlog

_WRITTEN: Final = structlog.processors.JSONRenderer()


class Heedless:
    """Standard error, as long as it takes something.

    A disk that is full, or a reader that has gone, is no reason to leave a customer's money.
    """

    def write(self, text: str) -> None:
        """Write, if it can be."""
        with suppress(OSError, ValueError):
            sys.stderr.write(text)

    def flush(self) -> None:
        """Have it written, if it can be."""
        with suppress(OSError, ValueError):
            sys.stderr.flush()


class LibraryLines(logging.Formatter):
    """Writes what a library logs as we write our own lines, with the library's name.

    structlog has one that does more, and takes a mebibyte of an idle machine's memory for it.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        at = datetime.fromtimestamp(record.created, UTC)
        told = {
            "event": record.getMessage(),
            "logger": record.name,
            "level": record.levelname.lower(),
            "timestamp": at.isoformat().replace("+00:00", "Z"),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return str(_WRITTEN(None, "", told))


def configure_logging(level: str) -> None:
    """Log JSON lines to standard error, our own and the libraries', warnings and a crash too."""
    stream: Any = Heedless()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LibraryLines())
    logging.basicConfig(handlers=[handler])
    logging.captureWarnings(True)
    logging.getLogger("transitions").setLevel(logging.WARNING)  # it tells every callback
    sys.excepthook = _crashed
    set_level(
        level,
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,  # the fleet may ask for another level later
    )


def _crashed(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    logging.getLogger("vendd").critical("crashed", exc_info=(kind, error, trace))


def set_level(level: str, **more: Any) -> None:
    """Say so much from now on; ``more`` goes to ``structlog.configure``.

    Args:
        level: debug, info, warning or error.
        more: What else is set.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.getLogger().setLevel(max(number, logging.INFO))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(number), **more)
