"""Many seeds, over many processes: draw, play, and shrink what fails."""

from __future__ import annotations

import gc
import logging
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import active_children, get_context
from threading import current_thread, main_thread
from typing import Final

import structlog

from simulator.swarm import build
from simulator.swarm.draw import draw, luck
from simulator.swarm.plan import Life
from simulator.swarm.play import play
from simulator.swarm.shrink import shrink
from simulator.swarm.verdict import Verdict
from simulator.world import Link


@dataclass(frozen=True, slots=True)
class Order:
    """One seed to play."""

    seed: int
    vends: int
    faults: str = "all"
    link: Link | None = None
    only: tuple[int, ...] = ()  # the steps to play; () for all
    shrink: bool = True
    fold: bool = True
    life: Life | None = None  # this one, whatever the seed says


def life_of(order: Order) -> Life:
    """Return the life that an order asks for. Raises UnknownFaultsError."""
    if order.life is not None:
        return order.life
    life = draw(build.base_settings(), order.seed, order.vends, luck(order.faults), order.link)
    if order.only:
        wanted = set(order.only)
        life = life.with_steps(tuple(step for step in life.steps if step.number in wanted))
    return life


def carry_out(order: Order) -> Verdict:
    """Play one seed, and shrink it when it fails."""
    quietly()
    base = build.base_settings()

    def once(life: Life) -> Verdict:
        return play(base, life, fold=order.fold)[0]

    verdict = once(life_of(order))
    if verdict.findings and order.shrink:
        verdict = shrink(verdict, once)
    return verdict


def carry_out_all(orders: Iterable[Order], workers: int = 1) -> Iterator[Verdict]:
    """Play many seeds, in the order of the seeds; with more than one worker in processes.

    Orders are taken one by one, at most two for each worker ahead of what has been played. Who
    stops listening, by Ctrl-C or otherwise, waits for no life that is still being played.
    """
    if workers <= 1:
        yield from map(carry_out, orders)
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=quietly)
    waiting: deque[Future[Verdict]] = deque()
    try:
        for order in orders:
            with _deaf():
                waiting.append(pool.submit(carry_out, order))
            if len(waiting) >= 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BaseException:
        for worker in active_children():
            worker.terminate()
        raise
    finally:
        with suppress(OSError):
            pool.shutdown(cancel_futures=True)


@contextmanager
def _deaf() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: whoever started them ends them."""
    if current_thread() is not main_thread():
        yield  # which alone may set such a thing
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


NOBODY_READS: Final = logging.CRITICAL


GARBAGE_AFTER: Final = 50_000  # objects; Python's own 700 cost a tenth of all time


def quietly() -> None:
    """Log nothing: a swarm's controllers say too much for anybody to read.

    And look for garbage in rings less often, not among what was there before the first life.
    """
    if gc.get_threshold()[0] != GARBAGE_AFTER:
        gc.collect()
        gc.freeze()
        gc.set_threshold(GARBAGE_AFTER, 10, 10)
    logging.disable(NOBODY_READS)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(NOBODY_READS),
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=False,
    )
