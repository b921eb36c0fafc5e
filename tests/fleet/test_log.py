"""The server's log: a line of JSON each, whoever wrote it."""

import json
import subprocess
import sys
from pathlib import Path

WROTE = """
import logging
import structlog
from cloud.fleet.cli.running import log_to

log_to("info")
structlog.get_logger("vendcloud").info("ours", machine="acme/lobby-1")
logging.getLogger("uvicorn.error").warning("Invalid HTTP request %s.", "received")
logging.getLogger("uvicorn.access").info("too much")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("somebody.else").exception("two\\nlines")
"""

TALKS = """
import asyncio, sys
from sqlalchemy import text
from cloud.fleet.cli.running import log_to
from cloud.fleet.database import FleetDatabase

log_to("debug")

async def keep():
    database = FleetDatabase(f"sqlite+aiosqlite:///{sys.argv[1]}")
    async with database.writing() as connection:
        await connection.execute(text("SELECT :code"), {"code": "00000177294033431702"})
    await database.close()

asyncio.run(keep())
"""


def test_no_library_tells_the_values_of_a_statement(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TALKS, str(tmp_path / "fleet.db")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stderr == ""


def test_a_line_of_a_library_is_json_as_well() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WROTE], capture_output=True, text=True, timeout=120, check=True
    )
    ours, theirs, broke = [json.loads(line) for line in done.stderr.splitlines()]
    assert (ours["event"], ours["machine"], ours["level"]) == ("ours", "acme/lobby-1", "info")
    assert (theirs["event"], theirs["level"]) == ("Invalid HTTP request received.", "warning")
    assert theirs["logger"] == "uvicorn.error"
    assert "ZeroDivisionError" in broke["exception"]
    assert all("timestamp" in line for line in (ours, theirs, broke))


def test_a_log_that_cannot_be_written_stops_nobody() -> None:
    wrote = WROTE + "print('it goes on', flush=True)\n"
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-c", wrote], stderr=full, stdout=subprocess.PIPE, timeout=120,
            check=False,
        )  # fmt: skip
    assert done.stdout == b"it goes on\n"
