"""A machine's log: a line of JSON each, whoever wrote it, and no claim's code in any."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

WROTE = """
import asyncio, logging, warnings
import aiosqlite
import structlog
from controller.log_level import configure_logging

configure_logging("debug")
structlog.get_logger("link").info("ours", seq=7)
logging.getLogger("vendd.mqtt").warning("failed to receive on socket: %s", OSError("gone"))
warnings.warn("old ways")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("asyncio").exception("two\\nlines")

async def keep():
    async with aiosqlite.connect(":memory:") as database:
        await database.execute("CREATE TABLE claim (code TEXT)")
        await database.execute("INSERT INTO claim VALUES (?)", ["00000177294033431702"])

asyncio.run(keep())
raise RuntimeError("nobody foresaw this")
"""

FULL = """
import logging
import structlog
from controller.log_level import configure_logging

configure_logging("info")
for _ in range(3):
    structlog.get_logger("link").info("ours", text="x" * 10_000)
    logging.getLogger("theirs").warning("x" * 10_000)
print("it goes on", flush=True)
"""


def lines(program: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert "00000177294033431702" not in done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_lines_of_libraries_warnings_and_a_crash_are_json_as_ours_are() -> None:
    ours, theirs, warned, broke, crashed = lines(WROTE)
    assert (ours["event"], ours["seq"], ours["level"]) == ("ours", 7, "info")
    assert theirs["event"] == "failed to receive on socket: gone"
    assert (theirs["logger"], theirs["level"]) == ("vendd.mqtt", "warning")
    assert "old ways" in warned["event"]
    assert (broke["event"], broke["level"]) == ("two\nlines", "error")
    assert "ZeroDivisionError" in broke["exception"]
    assert (crashed["event"], crashed["level"]) == ("crashed", "critical")
    assert "nobody foresaw this" in crashed["exception"]
    for line in (theirs, warned, broke, crashed):
        assert line["timestamp"][-1] == ours["timestamp"][-1] == "Z"
        assert len(line["timestamp"]) == len(ours["timestamp"])


def test_a_log_that_cannot_be_written_stops_nobody() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-c", FULL], stderr=full, stdout=subprocess.PIPE, timeout=120,
            check=False,
        )  # fmt: skip
    assert done.stdout == b"it goes on\n"
