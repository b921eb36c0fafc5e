"""From settings to what the brain goes by: its plan, and the judgement of one that was proposed.

Used at the start, and while the machine runs; then in a thread, for a whole configuration is some
thousand checks, and the bus waits for nobody.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationError

from config.explain import explain
from config.machine import MachineSettings
from config.models import (
    Bill,
    CcTalkAcceptor,
    CcTalkBill,
    Changer,
    Price,
    ProductId,
    Pulse,
    Section,
    Selection,
)
from config.models import Column as ColumnSettings
from config.remote import NAME, PLANOGRAM, merged
from controller.climate_plan import climate_plan, health_rules
from controller.domain.offers import Offer, Offers
from controller.domain.planogram import Column, Planogram, Product
from controller.domain.policy import Policy
from controller.faults import ConfigError
from controller.journal.records import Shelf, Ware
from controller.journal.store import Journal
from controller.machine.configuring import roll_back
from controller.machine.plan import Judged, Plan, Proposal
from controller.panel.layout import Glass
from controller.panel.render import Renderer
from controller.panel.texts import load_shipped
from controller.state.config import Held, laid
from controller.state.config import Shelf as HeldShelf
from controller.state.config import Ware as HeldWare
from controller.state.state import State

_MINUTE_S: Final = 60.0


def planogram_of(settings: MachineSettings) -> Planogram:
    """Return what the configuration sells."""
    return Planogram(
        [Product(p.id, p.name, p.sold_out == "product", p.min_age) for p in settings.products],
        [
            Column(
                c.selection,
                c.product,
                settings.price_of(c),
                c.capacity,
                c.item_number,
                extra_turn=c.extra_turn,
                sells_on=c.sold_out == "sensor",
            )
            for c in settings.columns
        ],
    )


def offers_of(settings: MachineSettings) -> Offers:
    """Return the windows of the day in which something costs less, or nothing."""
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

    def minute(text: str) -> int:
        return int(text[:2]) * 60 + int(text[3:])

    return Offers(
        tuple(
            Offer(
                offer.name,
                offer.percent,
                frozenset(
                    column.selection
                    for column in settings.columns
                    if not (offer.products or offer.columns)
                    or column.product in offer.products
                    or column.selection in offer.columns
                ),
                frozenset(days.index(day) for day in offer.days),
                minute(offer.start),
                minute(offer.end),
                offer.step,
            )
            for offer in settings.offers
        ),
        ZoneInfo(settings.machine.timezone),
    )


def policy_of(settings: MachineSettings) -> Policy:
    """Return what the owner decided."""
    policy, cctalk = settings.policy, settings.cctalk
    changer: Changer | CcTalkAcceptor | Pulse = settings.pulse or settings.mdb.changer
    bill: Bill | CcTalkBill = settings.mdb.bill
    kept = dict(settings.mdb.changer.keep)
    if cctalk is not None:
        changer, bill = cctalk.acceptor or changer, cctalk.bill or bill
        for hopper in cctalk.hoppers:
            kept[hopper.value] = max(hopper.keep, kept.get(hopper.value, 0))
    return Policy(
        max_credit=policy.max_credit,
        max_change=policy.max_change,
        on_unknown=policy.on_unknown,
        credit_timeout_s=policy.credit_timeout_s,
        exact_change_margin=policy.exact_change_margin,
        escrow=policy.escrow,
        bill_needs_change=policy.bill_needs_change,
        column_retries=policy.column_retries,
        multi_vend=policy.multi_vend,
        basket=policy.basket,
        claim_days=policy.claim_days,
        session_timeout_s=policy.session_timeout_s,
        approval_timeout_s=policy.approval_timeout_s,
        refund_deadline_s=policy.refund_deadline_s,
        after_failure=policy.after_failure,
        on_credit_timeout=policy.on_credit_timeout,
        column_refunds_max=policy.column_refunds_max,
        machine_refunds_max=policy.machine_refunds_max,
        must_vend=policy.must_vend,
        languages=settings.machine.languages,
        language_key=settings.language_key(),
        revalue_key=settings.revalue_key(),
        coins_accepted=None if changer.accept is None else frozenset(changer.accept),
        bills_accepted=None if bill.accept is None else frozenset(bill.accept),
        bill_max=bill.max_value,
        tokens_buy=frozenset(
            column.selection
            for column in settings.columns
            if column.product in settings.tokens.products
            or column.selection in settings.tokens.columns
        ),
        tubes_kept=tuple(sorted((value, count) for value, count in kept.items() if count)),
    )


def renderer(settings: MachineSettings) -> Renderer:
    """Return what puts views into the machine's languages."""
    display = settings.display
    glass = Glass() if display is None else Glass(display.cols, display.rows)
    return _renderer(tuple(settings.machine.languages), settings.machine.locale, glass)


@lru_cache(maxsize=4)  # of one machine, and what a configuration on trial would change of it
def _renderer(languages: tuple[str, ...], locale: str, glass: Glass) -> Renderer:
    return Renderer(load_shipped(languages), locale, glass)


class _Ware(Section):
    """A product of a planogram; ranges and words are judged with the whole."""

    name: str
    price: Price | None = None
    sold_out: Literal["product", "column"] = "product"
    min_age: int = 0


class _Slot(Section):
    """A column of a planogram; what it does not say stays as it is."""

    product: ProductId | None = None
    price: Price | None = None
    capacity: int | None = None


class _Planogram(Section):
    currency: str = ""
    products: Mapping[ProductId, _Ware] = Field(default_factory=dict)
    columns: Mapping[Selection, _Slot] = Field(default_factory=dict)


class SettingsPlanner:
    """Plans over one machine's own file.

    Args:
        local: The file, as loaded.
        aside: Judge in a thread; False where there are none (virtual time).
    """

    def __init__(self, local: MachineSettings, *, aside: bool) -> None:
        self._local = local
        self._aside = aside

    def plan(self, held: Held, prices: Mapping[str, int]) -> Plan:
        """Return the plan of a configuration that holds.

        Prices that were set by hand are the desk's to lay over it, and no reason to refuse it.

        Raises:
            ConfigError: It does not fit the machine's file (any more).
        """
        del prices
        if not (held.settings or held.products or held.shelves):
            return plan_of(self._local)
        products = {name: _product(ware) for name, ware in held.products.items()}
        columns = {name: _column(shelf) for name, shelf in held.shelves.items()}
        return plan_of(merged(self._local, held.settings, products, columns))

    async def judge(self, proposal: Proposal, held: Held, prices: Mapping[str, int]) -> Judged:
        """Judge a proposal over what holds; never raises for what is wrong with it."""
        if self._aside:
            return await asyncio.to_thread(self.judged, proposal, held, prices)
        return self.judged(proposal, held, prices)

    def judged(self, proposal: Proposal, held: Held, prices: Mapping[str, int]) -> Judged:
        """Do it."""
        try:
            return self._judged(proposal, held, prices)
        except ConfigError as error:
            return Judged(errors=tuple(str(error).splitlines()))
        except Exception as error:  # noqa: BLE001 - a revision stops no machine, whatever is in it
            return Judged(errors=(f"it could not be judged: {error!r}",))

    def _judged(self, proposal: Proposal, held: Held, prices: Mapping[str, int]) -> Judged:
        planogram = _planogram(proposal)
        if planogram.currency not in ("", self._local.machine.currency):
            raise ConfigError(
                f"planogram.currency = {planogram.currency}: this machine sells in "
                f"{self._local.machine.currency}"
            )
        wares = {name: Ware(**ware.model_dump()) for name, ware in planogram.products.items()}
        settings = dict(proposal.settings if proposal.revision else held.settings)
        settings.pop(PLANOGRAM, None)
        products, below = laid(held, wares, {}, proposal.revision)
        shelves = dict(self._shelves(planogram, products, below, prices))
        _, all_shelves = laid(held, wares, shelves, proposal.revision)
        columns = {name: _column(shelf) for name, shelf in all_shelves.items()}
        for name, price in prices.items():
            if name not in shelves:
                columns[name] = {**columns.get(name, {}), "price": price}
        whole = merged(
            self._local,
            settings,
            {name: _product(ware) for name, ware in products.items()},
            columns,
        )
        return Judged(plan_of(whole), (), wares, shelves)

    def _shelves(
        self,
        planogram: _Planogram,
        products: Mapping[str, HeldWare],
        below: Mapping[str, HeldShelf],
        prices: Mapping[str, int],
    ) -> Iterator[tuple[str, Shelf]]:
        """Yield what each named column holds from then on. Raises ConfigError."""
        known: dict[str, int | None] = {one.id: one.price for one in self._local.products}
        known |= {name: ware.price for name, ware in products.items()}
        there = {column.selection: column for column in self._local.columns}
        mistakes = []
        for name, slot in planogram.columns.items():
            key = f"planogram.columns.{name}"
            if name not in there:
                mistakes.append(f"{key}: there is no such column; there are: {', '.join(there)}")
                continue
            now = self._now(there[name], below, known)
            product = slot.product or now.product
            if product not in known:
                allowed = ", ".join(sorted(known))
                mistakes.append(
                    f'{key}.product = "{product}": is no product; allowed: {allowed}, or one of '
                    "planogram.products"
                )
                continue
            price = slot.price
            if price is None:
                kept = prices.get(name, now.price)
                price = kept if product == now.product else known[product]
            if price is None:
                mistakes.append(f"{key}.price: is missing, and {product} has none either")
                continue
            capacity = now.capacity if slot.capacity is None else slot.capacity
            yield name, Shelf(product=product, price=price, capacity=capacity)
        if mistakes:
            raise ConfigError("\n".join(mistakes))

    def _now(
        self,
        column: ColumnSettings,
        below: Mapping[str, HeldShelf],
        known: Mapping[str, int | None],
    ) -> HeldShelf:
        """Return what a column holds without the proposal."""
        found = below.get(column.selection)
        if found is not None:
            return found
        price = column.price if column.price is not None else known.get(column.product)
        return HeldShelf(column.product, price or 0, column.capacity)


async def holding(planner: SettingsPlanner, journal: Journal[State]) -> Plan:
    """Return the plan that a start begins with: of what holds, else of the last good one.

    What is taken back is on the disk before anything goes by it.

    Raises:
        JournalError: It can't be written.
    """
    while True:
        config = journal.state.config
        why = config.failed()
        if not why:
            try:
                return planner.plan(config.held, journal.state.prices)
            except ConfigError as error:
                why = f"it does not fit the machine's own file: {error}"
        try:
            plan = planner.plan(config.good or Held(), {})
        except ConfigError:
            plan = planner.plan(Held(), {})
        if journal.read_only:
            return plan  # nothing is sold
        roll_back(journal.stage, config, why, plan.planogram)
        await journal.commit()


def plan_of(settings: MachineSettings) -> Plan:
    """Return what a whole configuration decides of the brain's work."""
    cloud = settings.cloud
    return Plan(
        planogram_of(settings),
        policy_of(settings),
        offers_of(settings),
        climate_plan(settings),
        health_rules(settings),
        renderer(settings),
        0.0 if cloud is None else cloud.state_minutes * _MINUTE_S,
    )


def _planogram(proposal: Proposal) -> _Planogram:
    raw: Any = proposal.settings.get(PLANOGRAM, {}) if proposal.revision else proposal.planogram
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{PLANOGRAM} = {json.dumps(raw)}: is no table; allowed: a table")
    try:
        return _Planogram.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        lines = explain(NAME, raw, error, _Planogram)
        texts = [line.removeprefix(f"{NAME}: ") for line in lines]
        raise ConfigError("\n".join(f"{PLANOGRAM}.{text}" for text in texts)) from error


def _product(ware: HeldWare) -> dict[str, Any]:
    return {
        "name": ware.name,
        "price": ware.price,
        "sold_out": ware.sold_out,
        "min_age": ware.min_age,
    }


def _column(shelf: HeldShelf) -> dict[str, Any]:
    return {"product": shelf.product, "price": shelf.price, "capacity": shelf.capacity}
