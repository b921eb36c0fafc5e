"""What a vendd and its guard do not load: memory that nothing would use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
# A child that is measured as well has loaded what measures it.
ALONE = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
CHECK = """
import sys
from controller import lean
lean.hold_back()
from config.settings import load
from controller.vendd import _daemon
_daemon()
from gpiozero.pins.pi import PiFactory
idle = (
    "cloud", "cryptography", "httpx2", "tenacity", "paho", "aiomqtt", "typer", "rich", "greenlet",
    "sqlalchemy", "simulator", "drivers.cctalk.assembly", "drivers.cctalk.changer",
    "drivers.cctalk.bus", "drivers.climate.relays", "drivers.climate.thermometers",
    "drivers.gpio.pulse_acceptor", "controller.api.trace", "controller.recorder.recorder",
    "gpiozero.boards", "gpiozero.output_devices", "colorzero", "transitions.extensions.diagrams",
    "transitions.extensions.asyncio", "urllib.request", "http.client", "multiprocessing",
)
print([name for name in idle if sys.modules.get(name) is not None])
held = {name: sys.modules[name] for name in lean.HELD_BACK if name in sys.modules}
print([name for name, module in held.items() if type(module) is not lean.HeldBack])
"""


def test_a_daemon_loads_no_network_no_other_bus_and_nothing_of_one_command() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHECK],
        cwd=ROOT, env=ALONE, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.split("\n") == ["[]", "[]", ""]


LINKED = """
import sys
from controller import lean
lean.hold_back()
from config.settings import load
from controller.vendd import _daemon
_daemon()
import cloud.link.assembly
idle = (
    "cloud.contract.events", "cloud.fleet", "cloud.link.transport_https", "cryptography", "httpx2",
    "typer", "rich", "greenlet", "sqlalchemy", "simulator", "http.client", "http.cookiejar",
    "anyio", "h11", "multiprocessing",
)
print([name for name in idle if sys.modules.get(name) is not None])
held = {name: sys.modules[name] for name in lean.HELD_BACK if name in sys.modules}
print([name for name, module in held.items() if type(module) is not lean.HeldBack])
"""


def test_a_fleets_daemon_loads_no_second_openssl_no_https_and_nothing_of_the_server() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LINKED],
        cwd=ROOT, env=ALONE, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.split("\n") == ["[]", "[]", ""]


GUARD = """
import sys
import controller.guarding, drivers.gpio.factory
controller.guarding.lean.hold_back()
import gpiozero.pins.pi
idle = ("argparse", "asyncio", "concurrent", "config", "logging", "pydantic", "ssl", "structlog")
print([name for name in idle if name in sys.modules])
"""


def test_a_guard_loads_no_configuration_no_loop_and_no_openssl() -> None:
    done = subprocess.run(
        [sys.executable, "-c", GUARD],
        cwd=ROOT, env=ALONE, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
