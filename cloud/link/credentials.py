"""Which certificate this machine shows: the one it was configured with, or that one's successor.

A renewed certificate and its key lie in one file of the machine's own folder, so that both change
in one step. It belongs to the configured certificate that it succeeds: another one that somebody
carries to the machine counts at once. Everything here waits for a disk: call it in a thread.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import structlog

from cloud.files import keep_names, write_whole
from cloud.link import trust

log = structlog.get_logger("link")


class Credentials:
    """The files.

    Args:
        ca: The fleet's authority.
        certificate: As configured.
        key: As configured.
        folder: Where successors are kept; made when there is one.

    Raises:
        OSError: A configured file can't be read, or is none (``ssl.SSLError``).
    """

    def __init__(self, ca: Path, certificate: Path, key: Path, folder: Path) -> None:
        self._ca = ca
        self._configured = certificate, key
        self._folder = folder
        name = sha256(certificate.read_bytes()).hexdigest()[:16]
        self._renewed = folder / f"{name}.pem"
        self._next = folder / f"{name}.next.pem"
        self._next_key = folder / f"{name}.next-key.pem"
        trust.context(ca, certificate, key)

    def _pair(self) -> tuple[Path, Path]:
        return (self._renewed, self._renewed) if self._renewed.exists() else self._configured

    def context(self) -> ssl.SSLContext:
        """Return how the fleet is checked and who we are, as of now."""
        try:
            return trust.context(self._ca, *self._pair())
        except OSError as error:
            log.warning("certificate.unreadable", file=str(self._renewed), error=str(error))
            return trust.context(self._ca, *self._configured)

    def certificate(self) -> dict[str, Any]:
        """Return the certificate that is shown now, as ``ssl`` tells it. Raises OSError."""
        try:
            return trust.own_certificate(self._ca, *self._pair())
        except OSError:
            if self._pair() == self._configured:
                raise
            return trust.own_certificate(self._ca, *self._configured)

    # ---------------------------------------------------------------------- the successor

    def next_key(self, make: bytes | None = None) -> bytes | None:
        """Return the key that a successor is asked for, PEM; with ``make`` keep that one."""
        if make is not None:
            self._write(self._next_key, make)
        with suppress(FileNotFoundError):
            return self._next_key.read_bytes()
        return None

    def keep_next(self, certificate: bytes) -> None:
        """Keep a successor, which is not shown yet.

        Raises:
            OSError: It can't be written, or is not this machine's, this fleet's or of this key.
        """
        key = self.next_key()
        assert key is not None, "it was asked for with this key"
        self._write(self._next, key + certificate)
        try:
            theirs = trust.own_certificate(self._ca, self._next, self._next)
            if theirs["subject"] != self.certificate()["subject"]:
                raise ssl.SSLError("it is another machine's")
        except OSError:
            self.drop_next()
            raise

    def has_next(self) -> bool:
        """Tell whether there is a successor that was not shown yet."""
        return self._next.exists()

    def next_context(self) -> ssl.SSLContext:
        """Return how it is shown for the first time. Raises OSError."""
        return trust.context(self._ca, self._next, self._next)

    def use_next(self) -> None:
        """Show the successor from now on: the fleet has taken it. Raises OSError."""
        self._next.replace(self._renewed)
        self._next_key.unlink(missing_ok=True)
        self._durable()

    def drop_next(self) -> None:
        """Forget a successor, and its key."""
        self._next.unlink(missing_ok=True)
        self._next_key.unlink(missing_ok=True)

    def _write(self, path: Path, content: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, content, 0o600)

    def _durable(self) -> None:
        keep_names(self._folder)
