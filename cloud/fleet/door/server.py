"""The door's web server: one port, which several processes may share."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Final

import uvicorn

from cloud.fleet.database import FleetDatabase
from cloud.fleet.door import peers
from cloud.fleet.door.app import Door
from cloud.fleet.door.broker_https import HttpsBroker
from cloud.fleet.door.roll import Roll
from cloud.fleet.door.shown import Shown
from cloud.fleet.home import Home
from config.fleet import ConfigError, FleetHttps

CONNECTIONS: Final = 4_000  # of one process: some hundred kilobytes each, two for a machine
BACKLOG: Final = 1_024  # machines that come back all at once after a break
STOP_S: Final = 3.0  # for requests that are on their way when the process ends


class QuietServer(uvicorn.Server):
    """uvicorn without its own signal handlers: ours end the whole process."""

    def capture_signals(self) -> Any:
        """Leave signals to the process."""
        return nullcontext()


class DoorServer:
    """Serves the door.

    Args:
        settings: Where.
        home: The server's folder, for its certificates.
        database: Who may come in, and what lies ready for them.
        broker: Where messages go.
        now_ms: UTC in ms since 1970.

    Raises:
        ConfigError: The door's certificate is missing or none.
    """

    def __init__(
        self,
        settings: FleetHttps,
        home: Home,
        database: FleetDatabase,
        broker: HttpsBroker,
        now_ms: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._bell = broker.bell
        self.roll = Roll(database, now_ms)
        try:
            self.shown = Shown(home)
        except OSError as error:
            raise ConfigError(
                f"{home.tls / 'door.pem'}: {error.strerror or error}: "
                "`vendcloud certificates --renew` makes it"
            ) from error
        self._server = QuietServer(
            uvicorn.Config(
                Door(database, home, broker, now_ms, self.roll.seen).app(),
                http=peers.PeerProtocol,
                ws="none",
                ssl_context_factory=lambda _config, _default: self.shown.context,
                timeout_keep_alive=peers.IDLE_S,
                limit_concurrency=CONNECTIONS,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
            )
        )
        self._running: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Serve until cancelled.

        Raises:
            OSError: The port can't be had.
        """
        listener = _listener(self._settings)
        loop = asyncio.get_running_loop()
        self._running = loop.create_task(self._server.serve([listener]))
        beside = [loop.create_task(self.roll.run()), loop.create_task(self.shown.run())]
        try:
            await asyncio.shield(self._running)
        finally:
            for task in beside:
                task.cancel()
            listener.close()

    async def stop(self) -> None:
        """Answer what is on its way, and close."""
        self._bell.close()
        self._server.should_exit = True
        if self._running is not None:
            await asyncio.wait({self._running}, timeout=STOP_S)
            self._running.cancel()


def _listener(settings: FleetHttps) -> socket.socket:
    """Return a socket that other processes of this server may share; the kernel deals them out."""
    family, _, _, _, address = socket.getaddrinfo(
        settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(address)
        made.listen(BACKLOG)
    except OSError:
        made.close()
        raise
    return made
