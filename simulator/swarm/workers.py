"""Work that is shared out to processes: lives of a swarm, instants of stories, planted bugs."""

from __future__ import annotations

import gc
import logging
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import active_children, get_context, parent_process
from threading import Thread, current_thread, main_thread
from typing import Final, TypeVar

import structlog

J = TypeVar("J")
R = TypeVar("R")

AHEAD: Final = 2  # jobs for each worker, the one that it does included
ORPHANED: Final = 1  # exit code; nobody is left to read it
NOBODY_READS: Final = logging.CRITICAL
GARBAGE_AFTER: Final = 50_000  # objects; Python's own 700 cost a tenth of all time


def share_out(work: Callable[[J], R], jobs: Iterable[J], workers: int) -> Generator[R, None, None]:
    """Do jobs in processes, and yield what each came to, in the order of the jobs.

    Jobs are taken one by one, at most two for each worker ahead of what has been done. Who stops
    listening, by Ctrl-C or otherwise, waits for no job that is still being done; and no worker
    outlives its starter, whatever ends that.

    Args:
        work: A function of a module: a worker imports it.
        jobs: What it is called with, and can be pickled.
        workers: How many processes, one at least.
    """
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin)
    waiting: deque[Future[R]] = deque()
    try:
        for job in jobs:
            with _deaf():
                waiting.append(pool.submit(work, job))
            if len(waiting) >= AHEAD * workers:
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
def stopped_by_term() -> Iterator[None]:
    """Have SIGTERM do what Ctrl-C does: who ends a long search wants to hear what it found."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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


def _begin() -> None:
    Thread(target=_end_with_its_starter, daemon=True).start()
    quietly()


def _end_with_its_starter() -> None:
    """End this worker where its starter was killed: it would wait for its next job for ever."""
    starter = parent_process()
    assert starter is not None, "a worker was started by somebody"
    starter.join()
    os._exit(ORPHANED)


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
