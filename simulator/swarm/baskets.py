"""The oracle of baskets: one that begins is paid for, and one with a claim in it is over.

Behind a claim its code has to be read: whoever stands there is asked for nothing more. And where no
card could pay for the rest, what is there pays for all of it, or nothing of it is sold: the price
of each item is taken off once, and a right buys one thing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from controller.journal import records as rec
from controller.journal.envelope import Record
from simulator.peripherals.reader_settings import OPTION_ALWAYS_IDLE, ReaderState
from simulator.swarm.evidence import Evidence
from simulator.swarm.plan import Act
from simulator.whole import Whole

ADDS: Final = ("coin", "bill", "wait", "app", "free")  # what ends no basket, keys aside
ENDS: Final = (
    rec.RightEnded, rec.MachineLocked, rec.ServiceEntered, rec.ColumnDisabled, rec.StopRequested,
)  # fmt: skip


@dataclass(slots=True)
class _Basket:
    of: int
    opened: int = 0
    claimed: bool = False
    others: bool = False  # something else than what is there may pay for it, or one has failed


class Baskets:
    """Follows the baskets of one machine."""

    def __init__(self, machine: Whole) -> None:
        """Nobody has chosen anything."""
        self._machine = machine
        self._vends: dict[int, _Basket] = {}  # by each open vend of a basket
        self._begun: dict[int, _Basket] = {}
        self._ended = False  # by a customer who has thought better of it, or a card
        self.rules: dict[type[Any], Callable[[Record, Any, Evidence], None]] = {
            rec.VendOpened: self._opens,
            rec.ClaimOpened: self._claims,
            rec.VendClosed: self._closes,
        }

    def acts(self, act: Act) -> None:
        """A customer does something."""
        if act.what == "keys":
            self._ended = self._ended or "*" in act.text or act.text[:2] in self._uncertain()
        else:
            self._ended = self._ended or act.what not in ADDS

    def _uncertain(self) -> set[str]:
        """Return the columns of what asks for an age, or may get too warm: no money decides."""
        settings = self._machine.settings
        food = {product for health in settings.health for product in health.products}
        food |= {product.id for product in settings.products if product.min_age}
        return {column.selection for column in settings.columns if column.product in food}

    def _opens(self, record: Record, opened: rec.VendOpened, evidence: Evidence) -> None:
        if not opened.basket:
            return
        basket = self._begun.get(opened.basket)
        if basket is None:
            basket = self._begun[opened.basket] = _Basket(opened.of)
            before = opened.place > 1 or record.boot != self._machine.state.boot
            basket.others = before or self._in_session()
        basket.opened += 1
        self._vends[record.seq] = basket
        if basket.claimed:
            evidence.findings.append(
                f"{opened.selection} is bought behind a claim, and its code has to be read"
            )

    def _claims(self, record: Record, claim: rec.ClaimOpened, evidence: Evidence) -> None:
        del claim, evidence
        if record.vend in self._vends:
            self._vends[record.vend].claimed = True

    def _closes(self, record: Record, closed: rec.VendClosed, evidence: Evidence) -> None:
        del evidence
        basket = self._vends.pop(record.vend or 0, None)
        if basket is not None:
            basket.others = basket.others or closed.result != "sold"

    def check(self, evidence: Evidence) -> None:
        """A customer has left, and nothing moves."""
        begun, self._begun = self._begun, {}
        ended, self._ended = self._ended, False
        if ended or evidence.ends or evidence.struck or evidence.of(*ENDS) or not self._plain():
            return
        for basket in begun.values():
            if basket.opened < basket.of and not basket.others:
                evidence.findings.append(
                    f"a basket of {basket.of} was begun, and what was there paid for"
                    f" {basket.opened}"
                )

    def _in_session(self) -> bool:
        """Tell whether a card is in a reader, perhaps one of somebody before."""
        readers = self._machine.world.readers.values()
        return any(reader.state > ReaderState.ENABLED for reader in readers)

    def _plain(self) -> bool:
        """Tell whether no card may pay for the rest, and no hour changes a price."""
        readers = self._machine.world.readers.values()
        asked = any(reader.settings.options & OPTION_ALWAYS_IDLE for reader in readers)
        return not (asked or self._machine.settings.offers)
