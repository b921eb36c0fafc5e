"""The sign of life that vendd gives: to its guard through a pipe, and on to the service manager.

On the pipe a line is a message for the service manager (``READY=1``), an empty line a beat. A vendd
that was started without a guard talks to the service manager itself.
Source: sd_notify(3).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, MutableMapping
from typing import Final

HEARTBEAT_VARIABLE: Final = "VENDD_HEARTBEAT_FD"
NOTIFY_VARIABLE: Final = "NOTIFY_SOCKET"

# Five beats fit into the guard's 500 ms.
BEAT_EVERY_S: Final = 0.1
# The service manager counts in seconds (WatchdogSec): it need not hear every beat.
WATCHDOG_EVERY_S: Final = 1.0


def sd_notify(address: str, state: str) -> None:
    """Send one message to the service manager; one that is gone is not our trouble."""
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
        connection.setblocking(False)
        try:
            connection.sendto(state.encode(), address)
        except OSError:
            return


class ServiceManager:
    """Passes messages on, and one beat a second as ``WATCHDOG=1``."""

    def __init__(self, address: str | None, monotonic_s: Callable[[], float]) -> None:
        self._address = address
        self._now = monotonic_s
        self._next_watchdog = 0.0

    def beat(self) -> None:
        """Pass on that vendd lives."""
        if self._address is not None and self._now() >= self._next_watchdog:
            self._next_watchdog = self._now() + WATCHDOG_EVERY_S
            sd_notify(self._address, "WATCHDOG=1")

    def tell(self, state: str) -> None:
        """Pass on any other message."""
        if self._address is not None:
            sd_notify(self._address, state)


class Heartbeat:
    """vendd's side, the controller's ``Heartbeat`` port; call ``beat`` each ``BEAT_EVERY_S``.

    Args:
        fd: The pipe to the guard; None without a guard.
        manager: The service manager, for a vendd without a guard.
        guard_lost: Called once when the guard is found dead: switch outputs off and end, for
            nobody watches any more.
    """

    def __init__(
        self, fd: int | None, manager: ServiceManager, guard_lost: Callable[[], None]
    ) -> None:
        self._fd = fd
        self._manager = manager
        self._guard_lost = guard_lost

    @classmethod
    def from_environment(
        cls,
        environ: MutableMapping[str, str],
        monotonic_s: Callable[[], float],
        guard_lost: Callable[[], None],
    ) -> Heartbeat:
        """Find guard and service manager; takes the guard's pipe out of ``environ``."""
        given = environ.pop(HEARTBEAT_VARIABLE, "")
        fd = int(given) if given.isdecimal() else None
        if fd is not None:
            os.set_inheritable(fd, False)
            os.set_blocking(fd, False)
        return cls(fd, ServiceManager(environ.get(NOTIFY_VARIABLE), monotonic_s), guard_lost)

    def beat(self) -> None:
        """Say that the loop is alive."""
        if self._fd is None:
            self._manager.beat()
        else:
            self._write("\n")

    def tell(self, state: str) -> None:
        """Tell the service manager something: ``READY=1``, ``STOPPING=1``, ``STATUS=...``."""
        if self._fd is None:
            self._manager.tell(state)
        else:
            self._write(state.replace("\n", " ") + "\n")

    def _write(self, line: str) -> None:
        if self._fd is None:
            return
        try:
            os.write(self._fd, line.encode())
        except BlockingIOError:
            return  # the guard does not read; it hears the rest when it does
        except OSError:
            os.close(self._fd)
            self._fd = None
            self._guard_lost()
