"""Planted bugs against the times of the MDB: between a driver and its device."""

from __future__ import annotations

from typing import Any, Final

from drivers.mdb import device
from drivers.mdb.scheduler import MdbBus
from tests.mutants.planting import Mutant, Soil

HASTE_S: Final = 1.0


def talk_right_behind_a_reset(soil: Soil) -> None:
    soil.put(device, "SETTLE_S", 0.0)


def give_a_silent_device_up_too_soon(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def attach(self: MdbBus, poll: bytes, listener: Any, silence_s: float) -> Any:
            return real(self, poll, listener, min(silence_s, HASTE_S))

        return attach

    soil.wrap(MdbBus, "attach", make)


def reset_a_silent_device_again_and_again(soil: Soil) -> None:
    soil.put(device, "RESET_RETRY_S", HASTE_S)


MUTANTS: Final = (
    Mutant("talk right behind a RESET", talk_right_behind_a_reset, "kill"),
    Mutant("give a silent device up too soon", give_a_silent_device_up_too_soon, "changer,bill"),
    Mutant(
        "reset a silent device again and again", reset_a_silent_device_again_and_again, "changer"
    ),
)
