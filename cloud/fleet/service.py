"""``vendcloud serve`` and ``vendcloud worker``: the parts of a server, composed and run."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import signal
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final

import structlog
import uvicorn
from fastapi import FastAPI, Response

from cloud.contract.messages import Countersigned, Signed
from cloud.contract.topics import Address
from cloud.fleet import ends, orders
from cloud.fleet.broker import Broker as BrokerPort
from cloud.fleet.broker import Connection
from cloud.fleet.broker_mqtt import MqttBroker
from cloud.fleet.database import FleetDatabase
from cloud.fleet.door.broker_https import HttpsBroker
from cloud.fleet.door.server import DoorServer, QuietServer
from cloud.fleet.duties import Duty
from cloud.fleet.home import Home
from cloud.fleet.ingest import presence
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.migrate import NotMigratedError, current, newest, upgrade
from cloud.fleet.moves import Moves
from cloud.fleet.now import now_ms
from cloud.fleet.reach import broker_of, tls_of
from cloud.fleet.signatory import signatory_of
from cloud.fleet.worker import Worker
from config.fleet import ConfigError, FleetHttp, FleetSettings

log = structlog.get_logger("vendcloud")

# Objects made before the garbage collector looks: a run of batches makes some ten thousand, which
# live as long as their transaction; looking at them every 700 costs a tenth of the time.
COLLECT_EVERY: Final = 50_000
ANSWER_S: Final = 3.0  # of a database that is well; a supervisor's patience is longer
SILENCE_S: Final = 60.0  # between two looks for machines that say nothing any more
OUTBOX_S: Final = 1.0  # between two looks for commands that a shell has signed


class Service:
    """One process of the server.

    Args:
        settings: Its configuration.
        home: Its folder.
        shared: One of several workers.
        name: This process among others, for the broker.
    """

    def __init__(
        self, settings: FleetSettings, home: Home, *, shared: bool = False, name: str = "serve"
    ) -> None:
        self.settings = settings
        self._home = home
        self._signatory = signatory_of(settings.signer, home, now_ms)
        self.database = FleetDatabase(home.database_url(settings))
        self._moves = Moves(self.database, self._signatory)
        self._asking: asyncio.Task[bool] | None = None
        unique = uuid.uuid4().hex  # noqa: TID251 - a process's name among others
        self.ways: dict[str, Worker] = {}
        if settings.broker.enabled:
            client = f"vendcloud-{name}-{unique[:8]}" if shared else f"vendcloud-{name}"
            broker = broker_of(settings, home, client)
            tls = partial(tls_of, home) if broker.tls else None
            self.ways["broker"] = self._worker(MqttBroker(broker, shared=shared, tls=tls))
        self.door: DoorServer | None = None
        if settings.https is not None:
            posted = HttpsBroker()
            self.ways["https"] = self._worker(posted)
            self.door = DoorServer(settings.https, home, self.database, posted, now_ms)
        duty = partial(Duty, self.database, holder=f"{name}-{unique}"[-64:], now_ms=now_ms)
        # What one process does for all: of a fleet of workers alone one of them.
        self.duties = (
            duty("ends", every_s=ends.EVERY_S, work=self._look_for_ends),
            duty("silence", every_s=SILENCE_S, work=self._look_for_silence, able=self._hears),
        )

    def _worker(self, broker: BrokerPort) -> Worker:
        """Return an ingest worker on one way in; each has a memory of its own, as processes do."""
        ingest = Ingest(self.database, countersign=self._countersign)
        return Worker(ingest, broker, now_ms, self._appeared, self._publish)

    async def prepare(self, *, migrate: bool) -> None:
        """Look at the database's version; bring it to ours when asked to.

        Raises:
            NotMigratedError: It is another one.
        """
        if migrate:
            await upgrade(self.database)
        found = await current(self.database)
        if found != newest():
            raise NotMigratedError(
                f"the database is at {found or 'nothing'}, this software needs {newest()}: "
                "`vendcloud migrate` first"
            )

    async def _appeared(self, address: Address, connection: Connection) -> None:
        count = await orders.publish_open(self.database, connection, address, now_ms())
        log.info("machine.online", machine=str(address), commands=count)

    async def _countersign(self, address: Address, word: Countersigned) -> Signed:
        return await self._signatory.countersign(address, word)

    async def _publish(self, connection: Connection) -> None:
        outbox = orders.Outbox(self.database)
        while True:
            await self._moves.look(now_ms())
            await outbox.publish_new(connection, now_ms())
            await asyncio.sleep(OUTBOX_S)

    async def _look_for_ends(self) -> None:
        keys = self._home.folder / self.settings.signer.keys
        await ends.look(self.database, self._home, keys, now_ms())
        count = await orders.sign_again(self.database, self._signatory, now_ms() + ends.OWN_MS)
        if count:
            log.info("desired.signed_again", count=count)

    def _hears(self) -> bool:
        worker = self.ways.get("broker")
        return worker is not None and worker.connected.is_set()

    async def _look_for_silence(self) -> None:
        """Tell who has been silent for too long, while we hear the broker's."""
        since_ms = self.ways["broker"].connected_ms
        silent = await presence.sweep(self.database, since_ms, now_ms())
        if silent:
            log.warning("machines.silent", count=len(silent))

    async def ready(self) -> dict[str, bool]:
        """Return what works."""
        database = await self._database_answers()
        ways = {name: worker.connected.is_set() for name, worker in self.ways.items()}
        return {"database": database, **ways}

    async def _database_answers(self) -> bool:
        """Tell whether it does, soon; questions to one that hangs do not pile up."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._ask_database())
        await asyncio.wait({self._asking}, timeout=ANSWER_S)
        return self._asking.done() and self._asking.result()

    async def _ask_database(self) -> bool:
        with suppress(Exception):  # whatever a driver raises: the answer is no
            return await self.database.alive()
        return False

    def web(self) -> FastAPI:
        """Return the health endpoints."""
        app = FastAPI(title="vendcloud", docs_url=None, redoc_url=None, openapi_url=None)

        @app.get("/health/live")
        async def live() -> dict[str, str]:
            return {"status": "alive"}

        @app.get("/health/ready")
        async def ready(response: Response) -> dict[str, Any]:
            parts = await self.ready()
            good = all(parts.values())
            response.status_code = 200 if good else 503
            return {"status": "ready" if good else "not ready", **parts}

        return app

    async def run(self, *, http: FleetHttp | None) -> None:
        """Work until SIGTERM or SIGINT.

        Args:
            http: Where the health endpoints are; None: nowhere.

        Raises:
            ConfigError: The port of the health endpoints can't be had.
        """
        # Before anything is taken: a second server of this folder ends here, with nothing done.
        listener = None if http is None else _listener(http)
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        if listener is not None:
            host, port = listener.getsockname()[:2]
            log.info("serving", home=str(self._home.folder), health=f"http://{host}:{port}/health")
        async with self.database_closed():
            # What was imported stays: looking through it again and again would cost a third more.
            gc.collect()
            gc.freeze()
            gc.set_threshold(COLLECT_EVERY, 20, 20)
            tasks = [loop.create_task(worker.run()) for worker in self.ways.values()]
            if self.door is not None:
                tasks.append(loop.create_task(self.door.run()))
            if listener is not None:
                tasks.append(loop.create_task(self._serve_http(listener)))
            tasks += [loop.create_task(duty.run()) for duty in self.duties]
            waiting = loop.create_task(stopping.wait())
            try:
                done, _ = await asyncio.wait({*tasks, waiting}, return_when=asyncio.FIRST_COMPLETED)
                for task in done - {waiting}:
                    task.result()  # it never returns: raise what ended it
            finally:
                if self.door is not None:
                    await self.door.stop()
                for task in (*tasks, waiting):
                    task.cancel()
                await asyncio.gather(*tasks, waiting, return_exceptions=True)

    @asynccontextmanager
    async def database_closed(self) -> AsyncIterator[None]:
        """Close the database at the end."""
        try:
            yield
        finally:
            if self._asking is not None:
                self._asking.cancel()
                await asyncio.gather(self._asking, return_exceptions=True)
            await self.database.close()

    async def _serve_http(self, listener: socket.socket) -> None:
        server = QuietServer(
            uvicorn.Config(self.web(), log_config=None, access_log=False, lifespan="off")
        )
        await server.serve([listener])


def _listener(settings: FleetHttp) -> socket.socket:
    """Return the health endpoints' socket. Raises ConfigError."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        where = f"http: {settings.host}:{settings.port}"
        hint = ": does another server run here?" if error.errno == errno.EADDRINUSE else ""
        # Its own words name the address once more; a name that is none has a number of its own.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise ConfigError(f"{where}: {reason}{hint}") from error
