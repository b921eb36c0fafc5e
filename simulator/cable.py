"""The bus's cable as a pseudo terminal that a controller opens like a serial port.

While nobody has it open its bytes are lost, as with a serial port; a controller that dies and
comes back opens it again. Unplugging closes it under the controller's hands and removes its name.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

READ_BYTES: Final = 4_096

# A hung-up master can only be asked, not waited for. Nobody notices ten milliseconds at an opening.
LOOK_EVERY_S: Final = 0.01


class HostSide(Protocol):
    """What the cable needs of a wire."""

    def attach(self, sink: Callable[[bytes], None]) -> None:
        """Send what the host receives to ``sink``."""
        ...

    def detach(self, sink: Callable[[bytes], None]) -> None:
        """Stop sending to ``sink``."""
        ...

    def feed(self, data: bytes) -> None:
        """Take bytes from the host."""
        ...


class PtyCable:
    """A pseudo terminal between a wire and a host, with a name of its own.

    Args:
        loop: The running loop.
        wire: The far side.
        path: Its name, a symbolic link that is replaced.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, wire: HostSide, path: Path) -> None:
        self._loop = loop
        self._wire = wire
        self._path = path
        self._master: int | None = None
        self._looking: asyncio.TimerHandle | None = None
        self.connected = False
        self.overruns = 0  # bytes that a host did not take in time

    def plug(self) -> None:
        """Make the terminal and its name; harmless when it is there.

        Raises:
            FileExistsError: Something that is no symbolic link has the name.
        """
        if self._master is not None:
            return
        if self._path.exists() and not self._path.is_symlink():
            raise FileExistsError(f"{self._path} is there already and is no link of ours")
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        name = os.ttyname(slave)
        os.close(slave)
        self._master = master
        link = self._path.with_name(f".{self._path.name}.new")
        link.unlink(missing_ok=True)
        link.symlink_to(name)
        link.replace(self._path)
        self._look()

    def unplug(self) -> None:
        """Hang up and take the name away; harmless when it is gone."""
        if self._master is None:
            return
        self._disconnect()
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        os.close(self._master)
        self._master = None
        with suppress(FileNotFoundError):
            self._path.unlink()

    def _look(self) -> None:
        """See whether a host has opened it."""
        self._looking = None
        if self._master is None:
            return
        poller = select.poll()
        poller.register(self._master, select.POLLIN)
        if any(event & select.POLLHUP for _, event in poller.poll(0)):
            self._looking = self._loop.call_later(LOOK_EVERY_S, self._look)
            return
        self.connected = True
        self._wire.attach(self._to_host)
        self._loop.add_reader(self._master, self._from_host)

    def _disconnect(self) -> None:
        if self.connected and self._master is not None:
            self.connected = False
            self._loop.remove_reader(self._master)
            self._wire.detach(self._to_host)

    def _from_host(self) -> None:
        assert self._master is not None
        try:
            data = os.read(self._master, READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            data = b""
        if data:
            self._wire.feed(data)
            return
        self._disconnect()
        self._looking = self._loop.call_later(LOOK_EVERY_S, self._look)

    def _to_host(self, data: bytes) -> None:
        if self._master is None:
            return
        try:
            sent = os.write(self._master, data)
        except BlockingIOError:
            sent = 0
        except OSError:  # it hung up just now; reading notices
            return
        self.overruns += len(data) - sent
