"""Technicians at any moment: whatever they do amid whatever customers do, with an end behind it.

Each seed draws customers, commands from several terminals, doors, jams and ends of vendd. Books,
stock and truth must be equal at the end, and nobody has paid for nothing or got anything for it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import pytest

from controller.domain import accounts as acc
from controller.domain import commands as cmd
from controller.machine.inputs import CommandRefused
from simulator import oracles
from simulator.clock import run_virtual
from simulator.truth import AuthState
from tests.scenarios import card_kit
from tests.scenarios.stage import Stage, story_of, with_policy

COLUMNS: Final = ("A1", "A2", "A3", "B1", "B2", "B3", "B4")
OWNERS: Final[tuple[dict[str, Any], ...]] = (
    {}, {"basket": True}, {"multi_vend": True}, {"after_failure": "keep"}, {"escrow": "hold"},
    {"escrow": "keep"}, {"basket": True, "escrow": "hold"}, {"column_retries": 2},
)  # fmt: skip
STANDS_STILL: Final = ("jam", "no_start", "seized")


class Crowd:
    """Everybody who stands in front of one machine, or has a terminal."""

    def __init__(self, stage: Stage, rng: random.Random) -> None:
        self._stage = stage
        self._rng = rng
        self._asked: set[asyncio.Task[None]] = set()
        self.tests_lost = 0  # whose end nobody heard of

    def acts(self) -> None:
        """Do something."""
        if self._rng.random() < 0.6:
            self._customer()
        else:
            self.tells(self._command())

    def _customer(self) -> None:
        stage, world, rng = self._stage, self._stage.world, self._rng
        match rng.randrange(9):
            case 0 | 1 | 2:
                world.insert_coin(rng.choice((10, 20, 50, 50, 100, 200)))
            case 3:
                world.insert_bill(rng.choice((500, 1_000)))
            case 4 | 5:
                stage.press(rng.choice(COLUMNS))
            case 6:
                stage.press(rng.choice("#*"))
            case 7:
                world.present_card("card")
            case _:
                self._fate()

    def _fate(self) -> None:
        stage, column = self._stage, self._rng.choice(COLUMNS)
        if self._rng.random() < 0.5:
            stage.world.cabinet.set_door(not stage.world.cabinet.door_open)
        elif self._rng.random() < 0.7:
            stage.breaks(column, self._rng.choice(STANDS_STILL))
        else:
            stage.breaks(column, "hang", self._rng.choice((1, 2)))

    def _command(self) -> cmd.Command:
        rng, column = self._rng, self._rng.choice(COLUMNS)
        id_ = f"grant-{rng.random()}"
        if rng.random() < 0.4:
            return rng.choice((cmd.EnterService(), cmd.EnterService(), cmd.LeaveService()))
        return rng.choice(
            (
                cmd.TryVend(column),
                cmd.TryMotor(column),
                cmd.EnableColumn(column),
                cmd.DisableColumn(column, "spoiled"),
                cmd.PayCoins(rng.choice((10, 50, 200, 330))),
                cmd.CountTubes(),
                cmd.FillCoins(on=rng.random() < 0.5),
                cmd.GrantCredit(rng.choice((50, 100)), "goodwill"),
                cmd.ReturnCredit(),
                cmd.LockMachine("recall"),
                cmd.UnlockMachine(),
                cmd.EnableReader("cashless1", on=rng.random() < 0.6),
                cmd.GiveFreeVend(id_, rng.choice((5.0, 60.0)), "sorry", rng.choice(("", column))),
                cmd.GrantAppCredit(id_, 150, rng.choice((5.0, 60.0)), column),
            )
        )

    def tells(self, command: cmd.Command) -> None:
        """Ask from a terminal, and wait for no answer."""
        asking = asyncio.ensure_future(self._asks(command))
        self._asked.add(asking)
        asking.add_done_callback(self._asked.discard)

    async def _asks(self, command: cmd.Command) -> None:
        try:
            await self._stage.act(command)
        except CommandRefused:
            pass
        except asyncio.CancelledError:
            self.tests_lost += isinstance(command, cmd.TryMotor)

    async def goes(self) -> None:
        """Leave the machine as it should be, so that it sells again."""
        stage = self._stage
        stage.world.cabinet.set_door(False)
        for column in COLUMNS:
            for fault in STANDS_STILL:
                stage.mends(column, fault)
        for _ in range(30):
            for command in (cmd.UnlockMachine(), cmd.LeaveService()):
                self.tells(command)
                await stage.passes(5.0)
            if not stage.state.sagas and stage.mode in ("idle", "credit"):
                break
        await stage.passes(100.0)
        await stage.quiet()


async def ends(stage: Stage, rng: random.Random) -> None:
    """End vendd, in its own time or not, and start it again."""
    await stage.passes(rng.choice((0.05, 0.5)))
    if rng.random() < 0.5:
        await stage.stop()
    await stage.kill()
    await stage.passes_without(rng.choice((1.0, 5.0)))
    await stage.boot()
    await stage.passes(rng.choice((0.05, 1.0, 20.0)))


def wrong(stage: Stage, crowd: Crowd) -> Iterator[str]:
    """Tell what is not as it should be."""
    yield from oracles.books_equal_cash(stage)
    yield from oracles.ledger_balances(stage.state)
    yield from oracles.everything_ended(stage)
    yield from oracles.outputs_are_off(stage)
    if not crowd.tests_lost:
        yield from oracles.stock_is_right(stage)
    for account in (acc.UNCLAIMED, acc.MISSING):
        if stage.state.ledger.balance(account):
            yield f"{account}: {stage.state.ledger.balance(account)}"
    cards = stage.world.truth.authorisations.values()
    charged = sum(one.amount for one in cards if one.state is AuthState.CAPTURED)
    if charged != stage.state.ledger.balance(acc.CARD_RECEIVABLE):
        yield f"cards were charged {charged}"
    if stage.flags:
        yield f"flagged: {stage.flags}"
    opened = {one.seq for one in stage.told if one.type == "vend.opened"}
    fell = {
        one.vend
        for one in stage.told
        if one.type == "dispense.finished" and one.data.outcome == "dropped"  # type: ignore[union-attr]
    }
    for one in stage.told:
        if one.type == "vend.closed" and one.vend in opened:
            result: str = one.data.result  # type: ignore[union-attr]
            if result != "tested" and (result == "sold") != (one.vend in fell):
                yield f"vend {one.vend} is {result}, and its product {one.vend in fell and 'fell'}"


@pytest.mark.parametrize("seed", range(12))
def test_books_stock_and_truth_are_equal_whatever_technicians_do_amid_whatever(seed: int) -> None:
    async def life() -> None:
        rng = random.Random(seed)
        settings, plan = (
            with_policy(**rng.choice(OWNERS)),
            card_kit.plan(rng.choice(card_kit.KINDS)),
        )
        stage = Stage(settings, link="native", seed=seed, plan=plan, fold_idle=True)
        await stage.opens()
        crowd = Crowd(stage, rng)
        try:
            for _ in range(rng.randint(3, 7)):
                for _ in range(rng.randint(4, 14)):
                    crowd.acts()
                    await stage.passes_without(rng.choice((0.0, 0.02, 0.1, 0.3, 1.0, 2.2, 4.0)))
                if rng.random() < 0.4:
                    await ends(stage, rng)
            await crowd.goes()
            assert list(wrong(stage, crowd)) == []
        except BaseException as error:
            error.add_note(story_of(stage))
            raise
        finally:
            with suppress(asyncio.CancelledError):
                await stage.kill()

    run_virtual(life())
