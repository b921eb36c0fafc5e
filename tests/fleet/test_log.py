"""The server's log: a line of JSON each, whoever wrote it."""

import json
import subprocess
import sys

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
