"""Whatever happens on the bench, no money appears or disappears, and a run can be repeated."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.bench import BenchSettings, MdbBench
from simulator.clock import run_virtual
from simulator.conversation import ScriptedMaster
from simulator.peripherals.reader_settings import Card, ReaderSettings
from simulator.truth import TECHNICIAN, AuthState, Truth

COINS = (5, 10, 20, 50, 100, 200)
BILLS = (500, 1000, 2000, 5000)

physical = st.one_of(
    st.tuples(st.just("coin"), st.sampled_from((*COINS, 25))),
    st.tuples(st.just("bill"), st.sampled_from((*BILLS, 777))),
    st.tuples(st.just("card"), st.integers(0, 400)),
    st.tuples(st.just("wait"), st.sampled_from((0.05, 0.3, 1.0, 5.0, 130.0))),
    st.tuples(st.sampled_from(("lever", "take", "cancel", "cashbox", "pull")), st.just(0)),
    st.tuples(st.just("switch"), st.integers(0, 4)),
)
spoken = st.one_of(
    st.tuples(st.just("poll"), st.sampled_from(("0B", "33", "12"))),
    st.tuples(
        st.just("say"),
        st.sampled_from(
            ("0D 14", "0D 33", "0D F0", "0F 02 14", "0F 02 FF", "0F 03", "0F 04", "0A", "35 01",
             "35 00", "36", "13 00 00 78 00 07", "13 01", "13 02 00 07", "13 03", "13 04",
             "15 00 00 C8", "0C 00 3F 00 3F", "0C 00 00 00 00", "34 00 0F 00 0F",
             "34 00 0F 00 00", "34 00 00 00 00", "14 00", "14 01", "08", "30", "10",
             "11 00 03 00 00 00", "11 01 FF FF 00 00", "0F 01 00 00 00 07"),
        ),
    ),
)  # fmt: skip
broken = st.one_of(
    st.tuples(st.sampled_from(("break", "power")), st.just(0)),
    st.tuples(st.just("reset"), st.sampled_from(("changer", "bill", "cashless1"))),
    st.tuples(
        st.just("changer fault"),
        st.sampled_from(("jam_after", "reset_after", "short_by", "extra_coins", "misroutes",
                         "lost_credits", "double_arrivals", "repeated_items", "deaf_to_acks")),
    ),
    st.tuples(
        st.just("bill fault"),
        st.sampled_from(("jam_on_stack", "jam_on_return", "stack_when_returning", "rejects",
                         "return_when_stacking", "repeated_items")),
    ),
    st.tuples(st.just("weak stacker"), st.sampled_from(("lost", "late", "held", "uncounted", ""))),
    st.tuples(st.just("refund"), st.sampled_from(("", "error", "silent", "silent_paid"))),
)  # fmt: skip
actions = st.lists(st.one_of(physical, spoken, spoken, broken), min_size=5, max_size=60)


@dataclass
class Run:
    """One story, and what it leaves."""

    log: list[str] = field(default_factory=list)
    heard: list[bytes | None] = field(default_factory=list)


async def _start(bench: MdbBench, master: ScriptedMaster) -> None:
    await asyncio.sleep(0.5)
    for command in ("0B", "33", "12", "0F 01 00 00 00 07", "0C 00 3F 00 00", "34 00 0F 00 0F",
                    "11 00 03 00 00 00", "12", "11 01 FF FF 00 00", "14 01"):  # fmt: skip
        await master.ask(command)


def _customer(bench: MdbBench, what: str, how: object) -> None:
    match what, how:
        case "coin", int():
            bench.changer.insert_coin(how)
        case "bill", int():
            bench.bill.insert_bill(how)
        case "card", int():
            bench.reader.present_card(Card("card", balance=how))
        case "lever", _:
            bench.changer.press_lever()
        case "take", _:
            bench.truth.take_tray()
        case "cancel", _:
            bench.reader.cancel_session()
        case "pull", _:
            bench.bill.pull_from_escrow()


def _breakage(bench: MdbBench, what: str, how: object) -> None:
    match what, how:
        case "cashbox", _:
            bench.bill.remove_cashbox()
            bench.bill.insert_cashbox()
        case "switch", int():
            bench.changer.press_switch(how)
        case "break", _:
            bench.break_bus()
        case "changer fault", str():
            setattr(bench.changer.faults, how, 1)
        case "bill fault", str():
            setattr(bench.bill.faults, how, 1)
        case "weak stacker", str():
            bench.bill.faults.weak_stacker = how
        case "refund", str():
            bench.reader.faults.refund = how
        case "reset", str():
            next(device for device in bench.peripherals if device.name == how).self_reset()


async def _act(bench: MdbBench, master: ScriptedMaster, what: str, how: object, run: Run) -> None:
    match what, how:
        case "wait", float():
            await asyncio.sleep(how)
        case "poll" | "say", str():
            run.heard.append(await master.ask(how))
        case "power", _:
            bench.power_off()
            await asyncio.sleep(1)
            bench.power_on()
        case _:
            _customer(bench, what, how)
            _breakage(bench, what, how)


def _check(truth: Truth) -> None:
    totals = truth.totals()
    assert totals.balanced
    assert min(totals.tubes, totals.cashbox, totals.escrow, totals.stacker, totals.in_transit) >= 0
    spent = sum(account.spent for account in truth.accounts.values())
    charged = totals.card_approved + totals.card_captured - totals.card_credited
    assert spent == totals.inserted - totals.returned + charged


async def _play(story: list[tuple[str, object]]) -> Run:
    run = Run()
    bench = MdbBench(
        asyncio.get_running_loop(), BenchSettings(readers=(ReaderSettings(multivend=True),))
    )
    master = ScriptedMaster(bench)
    await _start(bench, master)
    for what, how in story:
        bench.truth.customer = f"customer {len(run.log) % 3}"
        await _act(bench, master, what, how, run)
        _check(bench.truth)
        run.log.append(f"{bench.loop.time()} {bench.truth.totals()}")
    await asyncio.sleep(300)
    _check(bench.truth)
    stuck = bench.bill.jammed or bench.bill.in_escrow
    assert stuck or bench.truth.totals().in_transit == 0, "nothing rolls for ever"
    run.log += [f"{fact}" for fact in bench.truth.log]
    bench.power_off()
    assert not bench.truth.open_cards(), "without power nothing stays open"
    _check(bench.truth)
    return run


@given(actions)
@settings(max_examples=150)
def test_no_money_appears_or_disappears(story: list[tuple[str, object]]) -> None:
    run_virtual(_play(story))


@given(actions)
@settings(max_examples=25)
def test_the_same_story_runs_the_same_way_to_the_byte(story: list[tuple[str, object]]) -> None:
    first, second = run_virtual(_play(story)), run_virtual(_play(story))
    assert first == second


@given(st.lists(st.sampled_from(COINS), max_size=60), st.integers(1, 5))
@settings(max_examples=40)
def test_each_coin_that_is_kept_is_told_exactly_once(coins: list[int], every: int) -> None:
    async def story() -> None:
        bench = MdbBench(asyncio.get_running_loop())
        master = ScriptedMaster(bench)
        await _start(bench, master)
        told: list[int] = []

        async def poll() -> None:
            answer = await master.ask("0B") or b""
            told.extend(COINS[answer[index] & 0x0F] for index in range(0, len(answer), 2))

        before = bench.truth.totals().held
        for number, value in enumerate(coins):
            bench.changer.insert_coin(value)
            await asyncio.sleep(0.25)
            if number % every == 0:
                await poll()
        await asyncio.sleep(1)
        for _ in range(3):
            await poll()
        assert sum(told) == bench.truth.totals().held - before

    run_virtual(story())


def test_a_card_is_charged_once_whatever_the_master_repeats() -> None:
    async def story() -> None:
        bench = MdbBench(asyncio.get_running_loop())
        master = ScriptedMaster(bench)
        await _start(bench, master)
        bench.reader.present_card(Card("card"))
        await asyncio.sleep(1)
        for command in ("12", "13 00 00 78 00 07", "13 00 00 78 00 07"):
            await master.ask(command)
        await asyncio.sleep(2)
        for command in ("12", "13 02 00 07", "13 02 00 07", "13 03", "13 02 00 07", "10", "10"):
            await master.ask(command)
        assert bench.truth.totals().card_captured == 120
        assert [entry.state for entry in bench.truth.authorisations.values()] == [
            AuthState.CAPTURED
        ]

    run_virtual(story())


def test_collected_money_is_accounted_for() -> None:
    async def story() -> None:
        bench = MdbBench(asyncio.get_running_loop())
        before = bench.truth.totals()
        bench.changer.empty_tube(4, 5)
        bench.changer.fill_tube(3, 4)
        after = bench.truth.totals()
        assert after.supplied - before.supplied == 4 * 50 - 5 * 100
        assert after.balanced
        assert bench.truth.count(TECHNICIAN) == 0, "the outside is not counted"

    run_virtual(story())
