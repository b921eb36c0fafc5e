"""A worker that runs in the test's own loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from cloud.fleet.broker_mqtt import MqttBroker
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.worker import Worker
from cloud.mqtt import Broker
from tests.fleet.machines import START


@asynccontextmanager
async def working(
    database: FleetDatabase, broker: Broker, *, shared: bool = False, now_ms: int = START
) -> AsyncIterator[Worker]:
    """Run one until the block ends; it is connected when the block begins."""
    worker = Worker(Ingest(database), MqttBroker(broker, shared=shared), lambda: now_ms)
    task = asyncio.create_task(worker.run())
    try:
        async with asyncio.timeout(60):
            await worker.connected.wait()
        yield worker
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
