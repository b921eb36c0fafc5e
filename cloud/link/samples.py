"""What a machine measures now and then, for curves: told while it is online, and never kept here.

A sample may be lost; what must not be lost is a record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import structlog

from cloud.contract.messages import Telemetry
from cloud.contract.topics import Topic
from cloud.link.transport import Connection
from controller.clock import Clock
from controller.machine.runner import Machine

log = structlog.get_logger("link")

_MINUTE_S: Final = 60.0


def samples(machine: Machine, backlog: int) -> dict[str, float]:
    """Return them: pieces of money by value, products, temperatures in °C, and how busy it is.

    ``served`` is 1 while money or a card is in, a vend is open, or a technician is at work.
    """
    desk = machine.desk
    state = desk.state
    found: dict[str, float] = {
        "served": float(bool(desk.credit) or not desk.mode.selling),
        "backlog": float(backlog),
        "stock": float(sum(state.stock.of(name).count for name in desk.planogram.columns)),
    }
    for kind, pieces in (("tube", state.tube_coins()), ("recycler", state.recycler_bills())):
        for _, value, count in pieces:
            if value:
                name = f"{kind}.{value}"
                found[name] = found.get(name, 0.0) + count
    if state.stacker_counted:
        found["stacker"] = float(state.stacker)
    for one in machine.brain.climate.view().get("thermometers", ()):
        if one["celsius"] is not None:
            found[f"celsius.{one['name']}"] = round(one["celsius"], 2)
    return found


class Sampler:
    """Says samples on one connection after the other, so many minutes apart.

    Args:
        clock: Measures.
        now_ms: The time as a record would be labelled.
        make: Makes the samples of now.
        minutes: Between two of them; 0: none.
    """

    def __init__(
        self,
        clock: Clock,
        now_ms: Callable[[], int],
        make: Callable[[], Mapping[str, float]],
        minutes: int,
    ) -> None:
        self._clock = clock
        self._now_ms = now_ms
        self._make = make
        self._every_s = minutes * _MINUTE_S
        self._due_s = 0.0  # monotonic

    async def run(self, connection: Connection) -> None:
        """Say them as long as the connection lasts.

        Raises:
            LinkLostError: The connection is gone.
        """
        while self._every_s:
            now = self._clock.monotonic_s()
            if now < self._due_s:
                await self._clock.sleep(self._due_s - now)
                continue
            self._due_s = now + self._every_s
            try:
                message = Telemetry(at=self._now_ms(), samples=dict(self._make()))
            except Exception:  # what can't be measured stops none of its records
                log.exception("samples.broke")
                continue
            await connection.say(Topic.TELEMETRY, message.to_bytes())
