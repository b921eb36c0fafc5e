"""A search that somebody stops in its middle."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator

from simulator.swarm import run
from simulator.swarm.run import Order
from simulator.swarm.verdict import Verdict


def stopped_in_the_third(
    number: signal.Signals, orders: Iterable[Order], workers: int = 1
) -> Iterator[Verdict]:
    """Play two lives, and have this process be sent a signal in the third."""
    del workers
    for played, order in enumerate(orders):
        if played == 2:
            signal.raise_signal(number)
        yield run.carry_out(order)
