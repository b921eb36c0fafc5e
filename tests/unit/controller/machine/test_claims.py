"""Claims: opened where nothing else is left, honoured once, guarded against guessing."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from controller.domain import accounts as acc
from controller.domain.policy import Policy
from controller.ports import DispenseOutcome, KeyPressed, RefundOutcome, Tone
from controller.saga.claims import mint
from controller.saga.redeem import MAX_WRONG, PAUSE_S
from simulator.clock import VirtualClock, VirtualLoop
from simulator.disk import Disk
from simulator.disk_sqlite import DiskStorage
from simulator.instant import InstantHardware
from simulator.shop import Shop


def virtually(test: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(test)


class Till:
    """A shop in virtual time that can be opened again on its disk."""

    def __init__(self) -> None:
        self.disk = Disk()
        self.clock = VirtualClock(asyncio.get_running_loop())
        self.shop: Shop | None = None

    async def open(self, hardware: InstantHardware | None = None, **policy: Any) -> Shop:
        self.shop = await Shop.open(DiskStorage(self.disk), self.clock, hardware, Policy(**policy))
        return self.shop


async def with_cash_claim(till: Till) -> tuple[Shop, str]:
    hardware = InstantHardware()
    hardware.changer.counts = [0] * 16
    shop = await till.open(hardware)
    await shop.coins(200)
    await shop.keys("*")
    return shop, next(iter(shop.state.claims.values())).code


async def key(shop: Shop, keys: str) -> None:
    for one in keys:
        shop.machine.inbox.notify(KeyPressed(one))
    await shop.until(lambda: shop.machine.quiet)


def test_a_cash_claim_is_keyed_in_and_becomes_credit_once() -> None:
    async def story() -> None:
        shop, code = await with_cash_claim(Till())
        await key(shop, "#" + code)
        assert shop.state.credit.cash == 200
        assert not shop.state.claims
        assert shop.balance(acc.CLAIMS_CASH) == 0
        await key(shop, "#" + code)
        assert shop.state.credit.cash == 200
        assert any("already paid" in line for line in shop.machine.screen)
        assert shop.state.wrong_codes == 0, "who has a code that was good is not guessing"
        shop.books_agree()
        await shop.stop()

    virtually(story())


def test_a_card_claim_buys_and_never_becomes_coins() -> None:
    async def story() -> None:
        shop = await Till().open()
        shop.hardware.dispenser.script = [DispenseOutcome.JAMMED] * 2
        shop.hardware.reader.refund = RefundOutcome.REFUSED
        await shop.keys("A1")
        code = next(iter(shop.state.claims.values())).code
        await key(shop, "#" + code)
        assert (shop.state.credit.product, shop.state.credit.cash) == (150, 0)
        await shop.keys("*")  # not wanted now: the claim again, and no coin
        assert shop.hardware.changer.paid == []
        again = next(iter(shop.state.claims.values()))
        assert (again.amount, again.tender) == (150, "card")
        await key(shop, "#" + again.code)
        await shop.coins(100)
        await shop.keys("B1")
        assert shop.state.closed[-1].result == "sold"
        assert shop.state.closed[-1].paid_back == 30
        assert shop.balance(acc.REVENUE_CARD) == -150
        assert shop.balance(acc.REVENUE_CASH) == -70
        shop.books_agree()
        await shop.stop()

    virtually(story())


def test_product_credit_of_a_failed_vend_stays_product_credit() -> None:
    async def story() -> None:
        shop = await Till().open()
        shop.hardware.dispenser.script = [DispenseOutcome.JAMMED] * 3
        shop.hardware.reader.refund = RefundOutcome.REFUSED
        await shop.keys("A1")
        await key(shop, "#" + next(iter(shop.state.claims.values())).code)
        await shop.coins(100)
        await shop.keys("B1")
        assert shop.state.credit.product == 150
        assert shop.state.closed[-1].paid_back == 100
        shop.books_agree()
        await shop.stop()

    virtually(story())


def test_five_wrong_codes_make_a_pause_that_a_restart_does_not_shorten() -> None:
    async def story() -> None:
        till = Till()
        shop, code = await with_cash_claim(till)
        for seq in range(500, 500 + MAX_WRONG):
            await key(shop, "#" + mint(b"x" * 32, "m1", seq, 100))
        await key(shop, "#" + code)
        assert shop.state.credit.total == 0
        assert any("15 minutes" in line for line in shop.machine.screen)
        await shop.stop()
        shop = await till.open(shop.hardware)
        await key(shop, "#" + code)
        assert shop.state.credit.total == 0
        await asyncio.sleep(PAUSE_S + 1)
        await key(shop, "#" + code)
        assert shop.state.credit.cash == 200
        await shop.stop()

    virtually(story())


def test_a_pause_that_a_restart_begins_anew_is_over_for_whoever_comes_later() -> None:
    """Else whoever came first behind any restart with a code in hand had to wait for it."""

    async def story() -> None:
        till = Till()
        shop, code = await with_cash_claim(till)
        for seq in range(500, 500 + MAX_WRONG):
            await key(shop, "#" + mint(b"x" * 32, "m1", seq, 100))
        await shop.stop()
        shop = await till.open(shop.hardware)
        await asyncio.sleep(PAUSE_S + 1)
        await key(shop, "#" + code)
        assert shop.state.credit.cash == 200
        await shop.stop()

    virtually(story())


def test_a_code_with_a_wrong_digit_is_a_wrong_code_as_any_other() -> None:
    """Who keys in digits at random seldom hits the check digits: that is a guess all the same."""

    async def story() -> None:
        shop, code = await with_cash_claim(Till())
        for digit in [d for d in "0123456789" if d != code[-1]][:MAX_WRONG]:
            await key(shop, "#" + code[:-1] + digit)
        assert shop.state.wrong_codes == MAX_WRONG
        await key(shop, "#" + code)
        assert shop.state.credit.total == 0
        assert any("15 minutes" in line for line in shop.machine.screen)
        await shop.stop()

    virtually(story())


def test_the_pause_is_fifteen_minutes_and_not_a_second_less() -> None:
    async def story() -> None:
        shop, code = await with_cash_claim(Till())
        for seq in range(500, 500 + MAX_WRONG):
            await key(shop, "#" + mint(b"x" * 32, "m1", seq, 100))
        assert PAUSE_S == 15 * 60
        await asyncio.sleep(PAUSE_S - 5)
        await key(shop, "#" + code)
        assert shop.state.credit.total == 0
        await asyncio.sleep(6)
        await key(shop, "#" + code)
        assert shop.state.credit.cash == 200
        await shop.stop()

    virtually(story())


def test_four_wrong_codes_make_no_pause_and_a_right_one_begins_anew() -> None:
    async def story() -> None:
        shop, code = await with_cash_claim(Till())
        for seq in range(500, 500 + MAX_WRONG - 1):
            await key(shop, "#" + mint(b"x" * 32, "m1", seq, 100))
        await key(shop, "#" + code)
        assert shop.state.credit.cash == 200
        assert shop.state.wrong_codes == 0
        await shop.stop()

    virtually(story())


def test_a_code_is_shown_and_beeped() -> None:
    async def story() -> None:
        shop, code = await with_cash_claim(Till())
        assert Tone.CLAIM in shop.hardware.panel.tones
        shown = "".join(shop.machine.screen).replace(" ", "")
        assert code in shown
        await shop.stop()

    virtually(story())


def test_a_code_that_was_honoured_is_not_honoured_by_the_next_life_either() -> None:
    async def story() -> None:
        till = Till()
        shop, code = await with_cash_claim(till)
        await key(shop, "#" + code)
        assert shop.state.credit.cash == 200
        await shop.stop()
        shop = await till.open(shop.hardware)
        await key(shop, "#" + code)
        assert shop.state.credit.cash == 200
        assert any("already paid" in line for line in shop.machine.screen)
        assert shop.state.wrong_codes == 0
        await shop.stop()

    virtually(story())


def test_another_machines_code_over_the_same_amount_is_none_of_ours() -> None:
    async def story() -> None:
        shop, code = await with_cash_claim(Till())
        claim = next(iter(shop.state.claims.values()))
        theirs = mint(b"their key", "m2", claim.seq, claim.amount)
        assert theirs != code
        await key(shop, "#" + theirs)
        assert shop.state.credit.total == 0
        assert shop.state.wrong_codes == 1
        await shop.stop()

    virtually(story())


@pytest.mark.parametrize(("keyed", "counted"), [("##", 0), ("#123*", 0), ("#123#", 1)])
def test_only_a_code_that_is_asked_about_counts(keyed: str, counted: int) -> None:
    async def story() -> None:
        shop, _ = await with_cash_claim(Till())
        await key(shop, keyed)
        assert shop.state.wrong_codes == counted
        await shop.stop()

    virtually(story())


def test_an_old_code_is_refused_only_when_the_time_is_known() -> None:
    async def story() -> None:
        till = Till()
        hardware = InstantHardware()
        hardware.changer.counts = [0] * 16
        shop = await till.open(hardware, claim_days=30)
        label, clock = shop.journal.label, till.clock
        label.confirm(int(clock.wall_utc().timestamp() * 1000), int(clock.monotonic_s() * 1000))
        await shop.coins(200)
        await shop.keys("*")
        code = next(iter(shop.state.claims.values())).code
        assert Policy().claim_days >= 14, "valid for weeks"
        await asyncio.sleep(31 * 86_400)
        await key(shop, "#" + code)
        assert shop.state.credit.total == 0
        assert shop.state.claims
        await shop.stop()

    virtually(story())


def test_a_code_is_honoured_on_its_last_day() -> None:
    async def story() -> None:
        till = Till()
        hardware = InstantHardware()
        hardware.changer.counts = [0] * 16
        shop = await till.open(hardware, claim_days=30)
        label, clock = shop.journal.label, till.clock
        label.confirm(int(clock.wall_utc().timestamp() * 1000), int(clock.monotonic_s() * 1000))
        await shop.coins(200)
        await shop.keys("*")
        code = next(iter(shop.state.claims.values())).code
        await asyncio.sleep(30 * 86_400 - 3_600)
        await key(shop, "#" + code)
        assert shop.state.credit.cash == 200
        await shop.stop()

    virtually(story())
