"""Commands, keys and stops at moments that nobody planned: each is answered, and money is right."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from controller.domain import commands as cmd
from controller.faults import FaultCode, InvariantError
from controller.machine.inputs import CommandRefused
from controller.machine.table import Mode
from simulator.oracles import Allowance
from simulator.world import Link
from tests.scenarios.stage import Stage, play, with_policy

STOP_S = 25.0  # the daemon's patience with a graceful stop


def mode(stage: Stage) -> Mode:
    assert stage.running is not None
    return stage.running.machine.desk.mode


async def both(stage: Stage, command: cmd.Command) -> list[object]:
    """Have the same command twice at once; what became of each."""
    calls = [stage.act(command), stage.act(command)]
    async with asyncio.timeout(30.0):
        return list(await asyncio.gather(*calls, return_exceptions=True))


# --------------------------------------------------------------------------------- commands


def test_a_reader_that_is_switched_off_takes_no_card_from_now_on(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.EnableReader("cashless1", on=False))
        await stage.passes(2.0)
        assert not stage.world.present_card()
        stage.press("A1")
        await stage.passes(2.0)
        assert mode(stage) is Mode.IDLE, "nobody waits for a card"
        assert "card" not in stage.screen.lower()
        await stage.act(cmd.EnableReader("cashless1", on=True))
        await stage.passes(2.0)
        await stage.pays_by_card("A1")
        assert stage.spent == 150

    play(scenario, link)


@pytest.mark.parametrize("how", ["kill", "power"])
def test_a_reader_that_was_switched_off_stays_off_after_a_restart(how: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.EnableReader("cashless1", on=False))
        if how == "kill":
            await stage.kill()
        else:
            await stage.cut_power()
            await stage.restore_power()
        await stage.opens()
        await stage.passes(2.0)
        assert not stage.world.present_card()
        assert "card" not in stage.screen.lower()
        await stage.act(cmd.EnableReader("cashless1", on=True))
        await stage.kill()
        await stage.opens()
        await stage.passes(2.0)
        await stage.pays_by_card("A1")
        assert stage.spent == 150
        switched = [(data.on, data.by) for data in stage.records("reader.switched")]
        assert switched == [(False, "tech"), (True, "tech")]

    play(scenario, link)


def test_only_a_reader_is_switched_off_as_a_reader(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        with pytest.raises(CommandRefused, match="cashless1, cashless2"):
            await stage.act(cmd.EnableReader("changer", on=False))

    play(scenario, link)


def test_a_reader_that_this_machine_has_not_got_is_not_switched(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        for on in (True, False):
            with pytest.raises(CommandRefused, match="has no cashless2; its readers: cashless1"):
                await stage.act(cmd.EnableReader("cashless2", on=on))
        assert stage.records("reader.switched") == []

    play(scenario, link)


def test_two_technicians_who_count_at_once_are_both_answered(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        first, second = await both(stage, cmd.CountTubes())
        assert isinstance(first, dict)
        assert isinstance(second, CommandRefused)

    play(scenario, link)


def test_two_technicians_who_want_the_machine_while_a_card_is_awaited_are_both_answered(
    link: Link,
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.press("A1")
        await stage.until(lambda: "approval" in stage.intents)
        first, second = await both(stage, cmd.EnterService())
        assert isinstance(first, dict)
        assert isinstance(second, CommandRefused)
        await stage.act(cmd.LeaveService())

    play(scenario, link)


def test_a_price_that_nobody_can_plan_change_for_is_refused(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        for price in (-5, 10_000_000, 10**30):
            with pytest.raises(CommandRefused, match="0 to 9999999"):
                await stage.act(cmd.SetPrice("A1", price))
        await stage.act(cmd.SetPrice("A1", 9_999_999))
        await stage.coins(200)
        await stage.buys("A3")

    play(scenario, link)


# ------------------------------------------------------------------------------ out of service


def test_credit_comes_back_on_request_although_nothing_is_sold(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("sensor", "blind")
        await stage.coins(200, 50)
        await stage.buys("B2")
        await stage.shows("out of")
        assert stage.credit == 250
        await stage.gives_back()
        assert stage.spent == 0
        stage.mends("sensor", "blind")
        await stage.shows("welcome", within_s=60.0)

    play(scenario, link, settings=with_policy(after_failure="keep"))


def test_a_blind_sensor_is_looked_at_again_however_long_the_refund_takes(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200, 20, 20)
        stage.breaks("sensor", "blind")
        stage.world.unplug("changer")
        await stage.until(lambda: stage.has_fault("changer", FaultCode.DEVICE_SILENT))
        stage.press("B2")
        await stage.closes()
        assert stage.claimed == 240
        stage.mends("sensor", "blind")
        await stage.shows("welcome", within_s=90.0)
        stage.world.plug("changer")
        await stage.passes(20.0)

    play(scenario, link, settings=with_policy(refund_deadline_s=45.0))


# --------------------------------------------------------------------------------- stops

Moment = Callable[[Stage], Awaitable[None]]


async def idle(stage: Stage) -> None:
    await stage.passes(1.0)


async def credit(stage: Stage) -> None:
    await stage.coins(200)


async def card_awaited(stage: Stage) -> None:
    stage.press("A1")
    await stage.until(lambda: "approval" in stage.intents)
    await stage.passes(1.0)


async def card_awaited_beside_cash(stage: Stage) -> None:
    await stage.coins(100)
    await card_awaited(stage)


async def turning(stage: Stage) -> None:
    await stage.coins(200, 50)
    stage.press("B2")
    await stage.until(lambda: "dispense" in stage.intents)


async def turning_for_a_card(stage: Stage) -> None:
    stage.press("B2")
    await stage.until(lambda: "approval" in stage.intents)
    assert stage.world.present_card()
    await stage.until(lambda: "dispense" in stage.intents)


async def paying(stage: Stage) -> None:
    await stage.coins(200, 100)
    stage.press("B4")
    await stage.until(lambda: "payout" in stage.intents)


async def owing_without_changer(stage: Stage) -> None:
    await stage.coins(200, 50)
    stage.world.unplug("changer")
    await stage.until(lambda: stage.has_fault("changer", FaultCode.DEVICE_SILENT))
    stage.press("*")
    await stage.passes(1.0)
    assert stage.state.sagas


async def served(stage: Stage) -> None:
    await stage.act(cmd.EnterService())


async def trying(stage: Stage) -> None:
    await served(stage)
    test = asyncio.ensure_future(stage.act(cmd.TryVend("B1")))
    test.add_done_callback(lambda done: done.cancelled() or done.exception())
    await stage.until(lambda: "dispense" in stage.intents)


async def stacking(stage: Stage) -> None:
    await stage.until(lambda: stage.world.insert_bill(500), within_s=10.0)
    await stage.until(lambda: stage.state.escrow is not None)


MOMENTS: tuple[Moment, ...] = (
    idle, credit, card_awaited, card_awaited_beside_cash, turning, turning_for_a_card, paying,
    owing_without_changer, served, trying, stacking,
)  # fmt: skip


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_stop_ends_in_time_and_leaves_nothing_open(
    moment: Moment, times: int, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        await moment(stage)
        assert stage.running is not None
        if times > 1:
            stage.running.machine.stop("asked before")
        started = stage.loop.time()
        await stage.stop()
        assert stage.loop.time() - started < STOP_S
        assert stage.told[-1].type == "stop.requested"
        await stage.kill()  # nothing of it is left
        await stage.passes_without(5.0)
        stage.world.plug("changer")
        await stage.boot()
        await stage.until(lambda: stage.state.recovered)
        assert not stage.records("boot.finished")[-1].sagas, "nothing was left to recover"
        if stage.state.service_by:
            await stage.act(cmd.LeaveService())
        await stage.sells()

    tested = 180 if moment is trying else 0  # a technician's product is not sold
    play(scenario, link, allowance=Allowance(unseen=tested))


@pytest.mark.parametrize("how", ["unplugged", "mute"])
def test_a_stop_ends_in_time_though_the_changer_falls_silent_in_a_payout(
    how: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        changer = stage.world.changer
        assert changer is not None
        await paying(stage)
        if how == "mute":
            changer.mute(60.0)
        else:
            stage.world.unplug("changer")
        await in_time(stage)
        stage.world.plug("changer")
        changer.unmute()
        await stage.opens()

    play(scenario, link, allowance=Allowance(blind=True))


def test_a_stop_ends_in_time_though_the_validator_falls_silent_with_the_bill(link: Link) -> None:
    """The vend is undone; what became of its bill the next start finds out."""
    settings = with_policy(escrow="hold")

    async def scenario(stage: Stage) -> None:
        await stacking(stage)
        await stage.quiet()
        stage.press("A3")
        await stage.until(lambda: bool(stage.records("stack.intended")))
        stage.world.unplug("bill")
        await stage.passes(1.0)
        await in_time(stage)
        stage.world.plug("bill")
        await stage.opens()
        await stage.quiet()
        assert stage.products == []
        assert stage.spent - stage.credit - stage.claimed == 0

    play(scenario, link, settings=settings)


async def in_time(stage: Stage) -> None:
    """Ask it to stop, see that it does, and leave nothing of it."""
    assert stage.running is not None
    started = stage.loop.time()
    stage.running.machine.stop("test")
    await stage.ends()
    assert stage.loop.time() - started < STOP_S
    assert not stage.state.sagas
    await stage.kill()


def test_an_act_that_breaks_ends_the_daemon_and_the_next_one_makes_it_right(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        async def broken(column: str, *, extra: bool = False) -> None:
            raise OSError(f"the pins are gone: {column} {extra}")

        assert stage.running is not None
        await stage.coins(200)
        stage.running.machine.hands.dispenser.turn = broken  # type: ignore[method-assign, assignment]  # a broken part
        stage.press("A3")
        with pytest.raises(InvariantError, match="the pins are gone"):
            await stage.passes(60.0)
        await stage.kill()
        await stage.opens()
        await stage.quiet()
        assert stage.spent == 0

    play(scenario, link)


def test_a_motor_that_runs_on_after_the_drop_is_a_fault_of_its_column(link: Link) -> None:
    """What fell was seen, and settled; the motor is stopped before the next product falls."""

    async def scenario(stage: Stage) -> None:
        stage.breaks("B3", "no_home")
        await stage.coins(100, 20)
        await stage.buys("B3")
        assert stage.last.result == "sold"
        assert stage.products == ["bar"]
        assert stage.has_fault("B3", FaultCode.COLUMN_NO_HOME)
        assert stage.state.stock.of("B3").disabled
        await stage.coins(100, 20)
        stage.press("B3")
        await stage.shows("B3")
        assert mode(stage) is Mode.CREDIT

    play(scenario, link)


@pytest.mark.parametrize("open_act", [False, True])
def test_a_stop_that_comes_before_the_start_has_begun(open_act: bool, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200, 50)
        if open_act:
            stage.press("B2")
            await stage.until(lambda: "dispense" in stage.intents)
        await stage.kill()
        await stage.boot()
        await stage.stop()
        await stage.kill()
        await stage.opens()
        if not open_act:
            await stage.gives_back()
        assert stage.spent == 0

    play(scenario, link)


# ----------------------------------------------------------------------- money that waits


@pytest.mark.parametrize("how", ["unplugged", "silent", "unplugged over a restart"])
def test_a_bill_that_went_away_with_its_validator_is_claimed(how: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stacking(stage)
        if how == "silent":
            stage.breaks("bill", "silent")
        else:
            if how != "unplugged":
                await stage.kill()
            stage.world.unplug("bill")
            if how != "unplugged":
                await stage.opens()
        await stage.until(lambda: stage.claimed == 500, within_s=90.0)
        await stage.shows("write down")
        assert "silent validator" in stage.flags
        if how == "silent":
            stage.mends("bill", "silent")
        else:
            stage.world.plug("bill")
        await stage.until(lambda: stage.state.escrow is None, within_s=60.0)
        assert stage.credit == 0, "it came back, or was stacked, and the claim stands for it"

    play(scenario, link, allowance=Allowance(unseen=500))


def test_a_validator_that_is_soon_back_settles_its_bill_without_a_claim(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stacking(stage)
        stage.world.unplug("bill")
        await stage.passes(15.0)
        stage.world.plug("bill")
        await stage.until(lambda: stage.state.escrow is None, within_s=30.0)
        await stage.passes(60.0)
        assert stage.claimed == 0
        assert stage.spent == stage.credit

    play(scenario, link)


def test_no_reset_is_believed_in_when_a_count_of_the_stacker_gets_lost(link: Link) -> None:
    """Without one the bill is still in escrow, whatever the next count says."""

    async def scenario(stage: Stage) -> None:
        stage.breaks("bill", "weak_stacker", "held")
        await stacking(stage)
        await stage.until(
            lambda: stage.has_fault("bill", FaultCode.BILL_STUCK_IN_ESCROW), within_s=60.0
        )
        stage.breaks("bill", "silent_commands", 8)
        await stage.passes(120.0)
        await stage.quiet()
        assert stage.spent == stage.claimed

    play(scenario, link)


def test_credit_is_not_forgotten_while_the_door_is_open(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(100)
        stage.world.cabinet.set_door(True)
        await stage.shows("out of")
        await stage.passes(40.0)
        stage.world.cabinet.set_door(False)
        await stage.until(lambda: not stage.credit, within_s=30.0)
        await stage.quiet()
        assert stage.spent == 0

    play(scenario, link, settings=with_policy(credit_timeout_s=10.0))


def test_credit_that_staff_gave_is_forgotten_like_any_other(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.GrantCredit(100, "goodwill"))
        await stage.closes(within_s=30.0)
        assert stage.credit == 0

    play(
        scenario, link, settings=with_policy(credit_timeout_s=10.0), allowance=Allowance(unseen=100)
    )


def test_the_next_customer_waits_for_a_refund_that_staff_began_with_the_door_open(
    link: Link,
) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200, 200)
        stage.world.cabinet.set_door(True)
        await stage.shows("out of")
        paying_back = asyncio.ensure_future(stage.act(cmd.ReturnCredit()))
        await stage.until(lambda: "payout" in stage.intents)
        stage.world.cabinet.set_door(False)
        stage.press("A1")
        await stage.passes(0.3)
        assert len(stage.state.sagas) == 1
        assert (await paying_back)["paid_back"] == 400
        await stage.shows("welcome")

    play(scenario, link)
