"""Planted bugs about bills whose validator comes and goes: what came back is owed all the same."""

from __future__ import annotations

from typing import Any, Final

from controller.journal import records as rec
from controller.machine.cash import CashHandling
from controller.saga import give_back
from tests.mutants.planting import Mutant, Soil


def owe_what_a_reset_gave_back(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def gone_unseen(self: Any, held: Any, proof: str = "none") -> None:
            if proof == "counted" and not held.claimed:
                give_back.claim_escrow(self._desk, held.value)
            else:
                real(self, held, proof)

        return gone_unseen

    soil.wrap(CashHandling, "_gone_unseen", make)


def look_for_ever_for_what_a_reset_gave_back(soil: Soil) -> None:
    owe_what_a_reset_gave_back(soil)

    def make(real: Any) -> Any:
        def returned(self: Any, report: Any, answer: str, event: Any) -> None:
            held = self._desk.state.escrow
            if held is not None and held.claimed:
                self._desk.write(rec.DeviceNoted(device=report.device.value, answer=answer))
            else:
                real(self, report, answer, event)

        return returned

    soil.wrap(CashHandling, "_returned", make)


MUTANTS: Final = (
    Mutant("owe what a reset gave back", owe_what_a_reset_gave_back, "bill.resets"),
    Mutant(
        "look for ever for what a reset gave back",
        look_for_ever_for_what_a_reset_gave_back,
        "bill.resets",
    ),
)
