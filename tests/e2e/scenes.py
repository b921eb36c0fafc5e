"""What customers and staff do to a machine while somebody waits to kill its vendd."""

from __future__ import annotations

from controller.saga.claims import mint
from simulator.real_scenes import (
    Scene,
    app_credit,
    app_grant,
    bill,
    card,
    cash_with_change,
    changed_mind,
    credited,
    jam,
    jammed_card,
    token,
    too_little_change,
)
from simulator.rig import Rig

__all__ = [
    "Scene", "app_credit", "bill", "card", "cash_with_change", "changed_mind", "credited", "jam",
    "jammed_card", "token", "too_little_change",
]  # fmt: skip


async def first_start(rig: Rig) -> None:
    await rig.api.until_selling()


async def tokens_collected(rig: Rig) -> None:
    """A technician takes tokens out and says so."""
    await rig.api.act("collect", cashbox=0, stacker=0, bills=0, tokens=1)


async def app_credit_for_nothing(rig: Rig) -> None:
    """Somebody has paid in an app, and nothing falls."""
    await rig.sim.jam("B3")
    await rig.api.act("grant.app", grant=app_grant(), amount=120, lives_s=60.0, column="B3")
    await rig.sim.press_keys("B3")


async def too_young(rig: Rig) -> None:
    """Somebody wants a product that is not for everybody, and gives up."""
    await rig.sim.press_keys("A3")
    await rig.sim.wait_for(display="prove", timeout_s=15.0)
    await rig.sim.press_keys("*")


async def app_credit_ended(rig: Rig) -> None:
    """Somebody has paid in an app and changed their mind."""
    grant = app_grant()
    await rig.api.act("grant.app", grant=grant, amount=150, lives_s=60.0, column="A1")
    await rig.api.act("grant.end", grant=grant)


async def service(rig: Rig) -> None:
    """A technician comes and goes."""
    await rig.api.act("service.enter")
    await rig.api.act("service.leave")


async def shelf(rig: Rig) -> None:
    """A technician changes a price, fills a column and closes another for a while."""
    await rig.api.act("price.set", column="B4", price=50)
    await rig.api.act("stock.fill", column="B4")
    await rig.api.act("stock.disable", column="B4", reason="wet")
    await rig.api.act("stock.enable", column="B4")


async def office(rig: Rig) -> None:
    """A technician has the coins counted, a reader take cards, and collects what is not there."""
    await rig.api.act("coins.count")
    await rig.api.act("reader.enable", device="cashless1", on=True)
    await rig.api.act("collect", cashbox=0, stacker=0, bills=0)


async def goodwill(rig: Rig) -> None:
    """A technician gives credit, and takes it back."""
    await rig.api.act("credit.grant", amount=50, reason="test")


async def claim_keyed_in(rig: Rig) -> None:
    """A customer keys in the code that was written down."""
    claims = (await rig.api.call("credit.show"))["claims"]
    await rig.sim.press_keys(f"#{claims[0]['code']}")


async def wrong_code(rig: Rig) -> None:
    """A customer keys in the code of another machine."""
    await rig.sim.press_keys(f"#{mint(b'another key', 'another machine', 1, 200)}")


async def claim_paid(rig: Rig) -> None:
    """A technician pays a claim from the own pocket."""
    claims = (await rig.api.call("credit.show"))["claims"]
    await rig.api.act("claim.close", code=claims[0]["code"], how="cash")


async def bill_and_technician(rig: Rig) -> None:
    """A bill is in escrow before anybody hears of it, and nothing is sold any more."""
    await rig.sim.set_fault("bill", "mute_s", 1.0)
    assert await rig.sim.insert_bill(500)
    await rig.api.act("service.enter")


async def late_drop(rig: Rig) -> None:
    """The product hangs at the end of the first turn."""
    await rig.sim.set_fault("A1", "hang", 1)
    await cash_with_change(rig)


async def card_changed_mind(rig: Rig) -> None:
    """The reader waits for a card, and the customer wants no more."""
    await rig.sim.press_keys("B1")
    await rig.api.until_record("approval.requested")
    await rig.sim.wait_for(display="Hold your card", timeout_s=15.0)
    await rig.sim.press_keys("*")


async def late_approval(rig: Rig) -> None:
    """A reader falls silent over a request, approves it meanwhile, and is back too late."""
    await rig.sim.press_keys("B1")
    await rig.api.until_record("approval.requested")
    await rig.sim.wait_for(display="Hold your card", timeout_s=15.0)
    await rig.sim.set_fault("cashless1", "mute_s", 23.0)
    await rig.sim.present_card()


async def cash_for_a_card(rig: Rig) -> None:
    """A card is in the reader, and a coin goes onto it."""
    await rig.sim.present_card("prepaid")
    await rig.sim.wait_for(display="Card accepted", timeout_s=30.0)
    await rig.sim.insert_coin(200)
    await rig.sim.wait_for(display="load card", timeout_s=30.0)
    await rig.sim.press_keys("C")


async def refund_refused(rig: Rig) -> None:
    """A card has paid, nothing falls, and the reader can't give it back."""
    await rig.sim.set_fault("cashless1", "refund", "error")
    await jammed_card(rig)


async def bill_by_hand(rig: Rig) -> None:
    """A technician puts a bill into the recycler's own slot."""
    await rig.api.act("service.enter")
    await rig.sim.fill_recycler(500)
    rig.staff_moved(500)


async def too_warm(rig: Rig) -> None:
    """The cabinet is too warm for too long."""
    await rig.sim.temperature(12.0)


async def cool_again(rig: Rig) -> None:
    """The cabinet was too warm for a while."""
    await rig.sim.temperature(12.0)
    await rig.api.until_record("health.warmed")
    await rig.sim.temperature(2.0)


async def too_warm_and_served(rig: Rig) -> None:
    """The cabinet was too warm for too long, and a technician has seen to it."""
    await rig.sim.temperature(12.0)
    await rig.api.until_record("health.exceeded")
    await rig.sim.temperature(2.0)
    await rig.api.act("health.served")


async def forgotten(rig: Rig) -> None:
    """A customer goes away and leaves credit behind, which this machine keeps."""
    await rig.sim.insert_coin(50)
    await credited(rig, 50)
    rig.left_behind(50)


async def cable(rig: Rig) -> None:
    """The validator's cable is pulled and put back."""
    await rig.sim.unplug("bill")
    await rig.api.until_record("fault.raised")
    await rig.sim.plug("bill")


async def switches(rig: Rig) -> None:
    """A technician lets two coins out by the changer's own switch."""
    await rig.api.act("service.enter")
    while not await rig.sim.press_switch(20, 2):  # it is switched on within some polls
        await rig.sim.wait_for(still_s=0.1)
    rig.staff_moved(-40)


async def motor_test(rig: Rig) -> None:
    """A technician turns a motor; the column is empty."""
    await rig.sim.unload("B2")
    await rig.api.act("service.enter")
    await rig.api.act("motor.test", column="B2")


async def coins_out(rig: Rig) -> None:
    """A technician has the changer pay."""
    await rig.api.act("service.enter")
    rig.staff_granted(70)
    await rig.api.act("coins.payout", amount=70)


async def stop(rig: Rig) -> None:
    """The service manager stops the machine."""
    assert rig.vendd is not None
    rig.vendd.process.terminate()
