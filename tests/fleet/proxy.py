"""A line between two ends that can be cut, slowed down and held up."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Proxy:
    """Forwards TCP connections to a port; ``cut`` drops them and refuses new ones.

    ``silent`` holds every byte back, and nobody is told: what a line does that is broken somewhere
    far away. New connections are taken then, and hear nothing.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.delay_s = 0.0  # each way
        self.bytes_per_s: float | None = None  # upwards
        self.up = 0
        self._cut = False
        self._heard = asyncio.Event()
        self._heard.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        assert self._server is not None
        self._server.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Drop every connection and take no new one."""
        self._cut = True
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()

    @property
    def silent(self) -> bool:
        return not self._heard.is_set()

    @silent.setter
    def silent(self, silent: bool) -> None:
        if silent:
            self._heard.clear()
        else:
            self._heard.set()

    def mend(self) -> None:
        self._cut = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        for source, sink, upwards in ((reader, far_writer, True), (far_reader, writer, False)):
            task = asyncio.ensure_future(self._pump(source, sink, upwards=upwards))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, upwards: bool
    ) -> None:
        loop = asyncio.get_running_loop()
        free_at = loop.time()
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(64)

        async def deliver() -> None:
            while True:
                due, data = await queue.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                await self._heard.wait()
                sink.write(data)
                await sink.drain()
                queue.task_done()

        delivering = asyncio.ensure_future(deliver())
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                while data := await source.read(4096):
                    if upwards:
                        self.up += len(data)
                        if self.bytes_per_s is not None:
                            free_at = max(free_at, loop.time()) + len(data) / self.bytes_per_s
                            await asyncio.sleep(max(0.0, free_at - loop.time()))
                    await queue.put((loop.time() + self.delay_s, data))
                await queue.join()
        finally:
            delivering.cancel()
            sink.transport.abort()
            self._writers.discard(sink)
