"""The certificate that the door shows: that of its files, which are made again at times.

``vendcloud certificates --renew`` or somebody with other files changes them while the server runs.
Connections that stand go on; each new one is shown what the files held at the last look. Files
that do not fit each other, as in the middle of a change, are left for the next look.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import structlog

from cloud.fleet import authority
from cloud.fleet.door import peers
from cloud.fleet.home import Home
from cloud.fleet.own import LOOK_S

log = structlog.get_logger("vendcloud.door")

Marks = tuple[tuple[int, int, int], ...]


class Shown:
    """The door's TLS.

    Args:
        home: Where its files are.

    Raises:
        OSError: A file can't be read, or is no certificate.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._marks = self._look()
        self._now = peers.context(home)
        self.context = peers.context(home)  # of the listener, for as long as it listens
        self.context.sni_callback = self._choose

    @property
    def _certificate(self) -> Path:
        return self._home.tls / "door.pem"

    def _choose(
        self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext
    ) -> None:
        """Asked in each handshake, with a server's name or without."""
        connection.context = self._now

    def _look(self) -> Marks:
        files = (self._certificate, self._home.tls / "door-key.pem", self._home.tls / "ca.pem")
        found = [file.stat() for file in files]
        return tuple((one.st_mtime_ns, one.st_ino, one.st_size) for one in found)

    def refresh(self) -> bool:
        """Show what the files hold now; tells whether it is something else. Raises OSError."""
        marks = self._look()  # before they are read: what changes meanwhile is another change
        if marks == self._marks:
            return False
        self._now = peers.context(self._home)
        self._marks = marks
        return True

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                if await asyncio.to_thread(self.refresh):
                    pem = await asyncio.to_thread(self._certificate.read_bytes)
                    serial, ends = authority.serial_and_end(pem)
                    log.info("door.certificate", serial=serial, ends=f"{ends:%Y-%m-%d}")
            except (OSError, ValueError) as error:
                log.warning("door.certificate", error=str(error), file=str(self._certificate))
