"""Sell, one customer after the other, and tell how long each vend took."""

from __future__ import annotations

import argparse
import asyncio
import gc
import time
from pathlib import Path
from typing import Any

from benchmarks.children.given import hand_back
from benchmarks.children.till import Till
from benchmarks.syscalls import Marks

WARM_UP = 20


async def _sell(folder: Path, count: int, pause_every: int, pause_s: float) -> dict[str, Any]:
    till = await Till.open(folder)
    mark = Marks()
    for _ in range(WARM_UP):
        await till.sell()
    gc.collect()
    gc.freeze()  # as vendd does when it is up
    till.dispenser.on_turn = lambda: mark("motor")
    whole: list[float] = []
    key_to_motor: list[float] = []
    mark("begin")
    begun = time.perf_counter()
    for number in range(1, count + 1):
        mark("vend")
        sold = await till.sell(at_key=lambda: mark("key"))
        mark("sold")
        whole.append(sold.whole_s)
        key_to_motor.append(sold.key_to_motor_s)
        if pause_every and number % pause_every == 0:
            await asyncio.sleep(pause_s)
    took = time.perf_counter() - begun
    mark("end")
    till.shop.books_agree()
    await till.shop.stop()
    return {"per_s": count / took, "whole": whole, "key_to_motor": key_to_motor}


def main() -> None:
    """Sell ``--count`` products on a journal in ``--folder``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--pause-every", type=int, default=0)
    parser.add_argument("--pause", type=float, default=0.0)
    given = parser.parse_args()
    found = asyncio.run(_sell(given.folder, given.count, given.pause_every, given.pause))
    hand_back(found)


if __name__ == "__main__":
    main()
