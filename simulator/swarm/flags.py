"""What the controller flags, and what may have taken the evidence away: no other flag is right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from simulator.swarm.troubles import Excuse

UNREAD: Final = "bills in the stacker that no record explains"
GIVEN_UP: Final = "bill in escrow unknown"
FORGOTTEN: Final = (
    "coins taken before the acceptor's power went, and not read",
    "coins that the acceptor took, and has no event of any more",
)

FLAGS: Final[Mapping[str, frozenset[Excuse]]] = {
    "drop not known": frozenset({Excuse.DROP}),
    "payout unknown": frozenset({Excuse.PAYOUT}),
    "payout paid too much": frozenset({Excuse.OVERPAID, Excuse.PAYOUT}),
    "reader gone while it was asked": frozenset({Excuse.APPROVAL}),
    # An approval that is taken back at once, by a cancel or after a restart, is a refund as well.
    "approval unknown": frozenset({Excuse.APPROVAL, Excuse.REFUND}),
    "card refund unknown": frozenset({Excuse.REFUND, Excuse.APPROVAL}),
    "card refund already": frozenset({Excuse.REFUND, Excuse.APPROVAL}),
    "revalue unknown": frozenset({Excuse.REVALUE, Excuse.APPROVAL, Excuse.REFUND}),
    "double drop": frozenset({Excuse.GOODS}),
    "coin not told from a repeat": frozenset({Excuse.REPEAT}),
    "an answer of the changer came damaged, and may have told of a coin": frozenset({Excuse.LINE}),
    "an answer of the validator came damaged, and may have told of a bill": frozenset(
        {Excuse.LINE}
    ),
    "pulses that are no coin": frozenset({Excuse.PULSE}),
    **dict.fromkeys(FORGOTTEN, frozenset({Excuse.LOST})),
    "events of the bill validator were lost, and may have told of a bill": frozenset({Excuse.LOST}),
    "a coin of which nobody knows the value": frozenset({Excuse.LINE}),
    "a bill of which nobody knows the value": frozenset({Excuse.LINE}),
    "silent validator": frozenset({Excuse.BILL}),
    GIVEN_UP: frozenset({Excuse.BILL}),
    UNREAD: frozenset({Excuse.BILL, Excuse.LOST}),
}
