"""The composition root: the only package that names concrete classes.

``compose`` builds a machine from its configuration and from ``Parts``, which are what differs
between a Pi, the simulator beside it, and virtual time in one process.
"""

from controller.app.assembly import compose, composed
from controller.app.books import BUILT, SOFTWARE, boot_info
from controller.app.box import RECORDINGS
from controller.app.devices import cctalk_plan, pulse_plan
from controller.app.link import fleet, root_key
from controller.app.parts import Parts, real_parts, system_boot
from controller.app.refusal import open_display, switch_off, take_nothing
from controller.app.running import Running

__all__ = [
    "BUILT",
    "RECORDINGS",
    "SOFTWARE",
    "Parts",
    "Running",
    "boot_info",
    "cctalk_plan",
    "compose",
    "composed",
    "fleet",
    "open_display",
    "pulse_plan",
    "real_parts",
    "root_key",
    "switch_off",
    "system_boot",
    "take_nothing",
]
