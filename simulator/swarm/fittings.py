"""What a machine may have besides: a new device or policy is one fitting, and a row in FITTINGS.

A fitting draws what this seed's machine has of it (fields of ``plan.Build``), tells the controller
(settings) and puts it into the world (plan).
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Final

from config.machine import MachineSettings
from simulator.peripherals.reader_settings import OPTION_32_BIT, OPTION_MULTI_CURRENCY
from simulator.plan import WorldPlan
from simulator.swarm.cctalk import CcTalkCash
from simulator.swarm.cold import Cold
from simulator.swarm.comforts import Comforts
from simulator.swarm.fitting import Fitting
from simulator.swarm.loading import Loads
from simulator.swarm.makes import OtherMakes
from simulator.swarm.orders import Ordered
from simulator.swarm.plan import Build
from simulator.swarm.pulse_coins import PulseCoins
from simulator.swarm.recorded import BlackBox
from simulator.swarm.rights import BasketShop, GrownUps, HappyHours, Nights, TokenSlot, Youths

EXPANDS: Final = 3  # the level of readers that have options
DEAREST: Final = "B2"  # of the demo machine
DEAR: Final = 740  # more than a bill of 5.00


class Habits(Fitting):
    """What the owner has decided about credit."""

    name = "habits"

    def draw(self, rng: random.Random, build: Build) -> Build:
        """Most owners give the money of a failed vend back at once."""
        return replace(build, after_failure=rng.choice(("refund", "refund", "keep")))

    def settings(self, settings: MachineSettings, build: Build) -> MachineSettings:
        """Set the policy."""
        policy = settings.policy.model_copy(update={"after_failure": build.after_failure})
        return settings.model_copy(update={"policy": policy})


class Purses(Fitting):
    """How much money the owner has in the machine of a customer, and for how long."""

    name = "purses"

    def draw(self, rng: random.Random, build: Build) -> Build:
        """Most owners leave it at what machines do."""
        few = rng.random() < 0.35
        return replace(
            build,
            max_credit=rng.choice((450, 1_000, 2_500)) if few else build.max_credit,
            max_change=rng.choice((250, 900)) if rng.random() < 0.25 else build.max_change,
            must_vend=rng.random() < 0.08,
            credit_timeout=rng.choice((3.0, 12.0)) if rng.random() < 0.15 else 0.0,
            on_credit_timeout=rng.choice(("pay", "pay", "keep")),
        )

    def settings(self, settings: MachineSettings, build: Build) -> MachineSettings:
        """Set the policy."""
        policy = settings.policy.model_copy(
            update={
                "max_credit": build.max_credit,
                "max_change": build.max_change,
                "must_vend": build.must_vend,
                "credit_timeout_s": build.credit_timeout,
                "on_credit_timeout": build.on_credit_timeout,
            }
        )
        return settings.model_copy(update={"policy": policy})


class WaitingBills(Fitting):
    """What the owner does with a bill in escrow, and what may be dearer than one."""

    name = "waiting bills"

    def draw(self, rng: random.Random, build: Build) -> Build:
        """Most owners leave it to the machine."""
        waits = rng.choice(("auto", "auto", "hold", "keep"))
        return replace(build, bill_waits=waits, dear=rng.random() < 0.3)

    def settings(self, settings: MachineSettings, build: Build) -> MachineSettings:
        """Set policy and prices."""
        policy = settings.policy.model_copy(update={"escrow": build.bill_waits})
        columns = tuple(
            column.model_copy(update={"price": DEAR})
            if build.dear and column.selection == DEAREST
            else column
            for column in settings.columns
        )
        return settings.model_copy(update={"policy": policy, "columns": columns})


class Recycler(Fitting):
    """A validator that pays fives and tens out again."""

    name = "recycler"

    def draw(self, rng: random.Random, build: Build) -> Build:
        """Some have one."""
        return replace(build, recycler=rng.random() < 0.4)

    def settings(self, settings: MachineSettings, build: Build) -> MachineSettings:
        """Name the bills that are recycled."""
        recycle = RECYCLED if build.recycler else ()
        bill = settings.mdb.bill.model_copy(update={"recycle": recycle})
        mdb = settings.mdb.model_copy(update={"bill": bill})
        return settings.model_copy(update={"mdb": mdb})


class SecondReader(Fitting):
    """A second card reader; customers take either."""

    name = "second reader"

    def draw(self, rng: random.Random, build: Build) -> Build:
        """A few have one."""
        return replace(build, second_reader=rng.random() < 0.2)

    def settings(self, settings: MachineSettings, build: Build) -> MachineSettings:
        """Enable it."""
        if not build.second_reader:
            return settings
        second = settings.mdb.cashless1.model_copy()
        mdb = settings.mdb.model_copy(update={"cashless2": second})
        return settings.model_copy(update={"mdb": mdb})


class WideReaders(Fitting):
    """Readers in expanded currency mode, where they are of level 3."""

    name = "wide readers"

    def draw(self, rng: random.Random, build: Build) -> Build:
        """Some know it."""
        return replace(build, wide=build.reader_level >= EXPANDS and rng.random() < 0.6)

    def plan(self, plan: WorldPlan, build: Build) -> WorldPlan:
        """They offer it, and are told to use it."""
        if not build.wide:
            return plan
        readers = {
            name: replace(reader, options=reader.options | OPTION_32_BIT | OPTION_MULTI_CURRENCY)
            for name, reader in plan.readers.items()
        }
        return replace(plan, readers=readers)


class NewOwners(Fitting):
    """Every second start finds the policies of another owner in the file."""

    name = "new owners"

    def draw(self, rng: random.Random, build: Build) -> Build:
        """A few change hands."""
        return replace(build, reconfigured=rng.random() < 0.2)


def of_the_other_owner(settings: MachineSettings) -> MachineSettings:
    """Return the same machine with other policies: what is open must end well all the same."""
    policy = settings.policy
    other = policy.model_copy(
        update={
            "on_unknown": "charge" if policy.on_unknown == "refund" else "refund",
            "after_failure": "keep" if policy.after_failure == "refund" else "refund",
            "multi_vend": not policy.multi_vend,
            "escrow": "auto" if policy.escrow == "keep" else "keep",
            "column_retries": 0 if policy.column_retries else 1,
            "column_refunds_max": 2 if policy.column_refunds_max != 2 else 0,
            "machine_refunds_max": 3 if policy.machine_refunds_max != 3 else 4,
        }
    )
    return settings.model_copy(update={"policy": other})


RECYCLED: Final = (500, 1_000)


class Shelves(Fitting):
    """When a column is sold out, and how soon one that fails is off."""

    name = "shelves"

    def draw(self, rng: random.Random, build: Build) -> Build:
        """Most owners leave that to the machine, too."""
        return replace(
            build,
            column_retries=rng.choice((0, 0, 0, 2)),
            bill_needs_change=rng.random() < 0.8,
            sells_on=rng.random() < 0.2,
            by_itself=rng.random() < 0.2,
            column_refunds_max=rng.choice((3, 3, 2, 0)),
            machine_refunds_max=rng.choice((6, 6, 3, 2)),
        )

    def settings(self, settings: MachineSettings, build: Build) -> MachineSettings:
        """Set policy, columns and products."""
        policy = settings.policy.model_copy(
            update={
                "column_retries": build.column_retries,
                "column_refunds_max": build.column_refunds_max,
                "machine_refunds_max": build.machine_refunds_max,
                "bill_needs_change": build.bill_needs_change,
            }
        )
        columns = tuple(
            column.model_copy(update={"sold_out": "sensor"})
            if build.sells_on and column.empty is not None
            else column
            for column in settings.columns
        )
        products = tuple(
            product.model_copy(update={"sold_out": "column" if build.by_itself else "product"})
            for product in settings.products
        )
        return settings.model_copy(
            update={"policy": policy, "columns": columns, "products": products}
        )


class OtherGlass(Fitting):
    """A display of another size: what does not fit it comes page by page."""

    name = "other glass"

    def draw(self, rng: random.Random, build: Build) -> Build:
        """Most have the usual one."""
        return replace(build, glass=rng.choice((*(((20, 4),) * 5), *GLASSES)))

    def settings(self, settings: MachineSettings, build: Build) -> MachineSettings:
        """Set the size."""
        if settings.display is None:
            return settings
        cols, rows = build.glass
        display = settings.display.model_copy(update={"cols": cols, "rows": rows})
        return settings.model_copy(update={"display": display})


GLASSES: Final = ((16, 2), (16, 4), (20, 2), (20, 4), (40, 2))  # all that a file may name

FITTINGS: Final[tuple[Fitting, ...]] = (
    Habits(),
    Purses(),
    WaitingBills(),
    Shelves(),
    Recycler(),
    SecondReader(),
    WideReaders(),
    TokenSlot(),
    BasketShop(),
    Cold(),
    PulseCoins(),
    CcTalkCash(),
    NewOwners(),
    HappyHours(),
    Nights(),
    GrownUps(),
    Youths(),
    BlackBox(),
    Ordered(),
    OtherGlass(),
    Loads(),
    Comforts(),
    OtherMakes(),
)
