"""SIGKILL of the real process, before and after its system calls: the model is honest.

Every call would take half a minute, so a stride goes through them here; ``killer.py FOLDER 1 1
1000`` visits each.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

KILLER = Path(__file__).with_name("killer.py")
FIRST, STRIDE, LIMIT = 2, 13, 60
# What is in the box after the record of that seq: two for the begin and the boot, then pairs.
BOX = [0, 0, 0]
for _n in range(1, 6):
    BOX += [BOX[-1] + _n, BOX[-1] + 11 * _n]


async def kills(folder: Path) -> list[dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(KILLER),
        str(folder),
        *map(str, (FIRST, STRIDE, LIMIT)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return [json.loads(line) for line in out.splitlines()]


async def test_a_killed_process_has_kept_what_it_was_told_is_safe(tmp_path: Path) -> None:
    found = await kills(tmp_path)
    assert found[-1]["ended"], "the last target lies behind the end of the story"
    assert len(found) > 15
    for one in found:
        assert one["ok"], one
        assert one["durable"] <= one["last"] <= max(one["staged"], 2), one
        assert one["box"] == BOX[one["last"]], one
    where = {one["where"] for one in found}
    assert {"before pwrite64", "after pwrite64"} <= where
    assert {name.split()[-1] for name in where if name} >= {"pwrite64", "fdatasync", "fsync"}
