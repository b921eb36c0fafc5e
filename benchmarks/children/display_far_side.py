"""The far end of the display's bus: acknowledges each write at once, until it is terminated."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from benchmarks.children.given import given
from simulator.i2c_server import I2cBus, I2cServer


class Glass:
    """A display that shows nothing."""

    def write(self, data: bytes) -> None:
        """Take it."""


async def _serve(path: Path, address: int) -> None:
    bus = I2cBus()
    bus.attach(address, Glass())
    server = I2cServer(bus)
    await server.start(str(path))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def main() -> None:
    """Serve ``--path``."""
    options = given(__doc__, path=Path, address=int)
    asyncio.run(_serve(options.path, options.address))


if __name__ == "__main__":
    main()
