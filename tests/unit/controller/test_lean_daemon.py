"""What a vendd that lives alone, on an MDB, does not load: memory that nothing would use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
CHECK = """
import sys
from controller.vendd import _daemon
_daemon()
idle = (
    "cloud", "cryptography", "httpx2", "tenacity", "paho", "aiomqtt", "typer", "rich", "greenlet",
    "sqlalchemy", "simulator", "drivers.cctalk.assembly", "drivers.cctalk.changer",
    "drivers.cctalk.bus", "drivers.climate.relays", "drivers.climate.thermometers",
    "drivers.gpio.pulse_acceptor", "controller.api.trace", "controller.recorder.recorder",
)
print([name for name in idle if sys.modules.get(name) is not None])
"""


def test_a_daemon_loads_no_network_no_other_bus_and_nothing_of_one_command() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHECK],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


LINKED = """
import sys
from controller.vendd import _daemon
_daemon()
import cloud.link.assembly
idle = (
    "cloud.contract.events", "cloud.fleet", "cloud.link.transport_https", "cryptography", "httpx2",
    "typer", "rich", "greenlet", "sqlalchemy", "simulator",
)
print([name for name in idle if sys.modules.get(name) is not None])
"""


def test_a_fleets_daemon_loads_no_second_openssl_no_https_and_nothing_of_the_server() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LINKED],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
