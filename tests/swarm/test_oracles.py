"""Each oracle bites: one thing is made wrong behind everybody's back, and it is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from controller.domain import accounts as acc
from controller.journal import records as rec
from controller.journal.envelope import Record
from simulator.clock import run_virtual
from simulator.swarm import build, doubts
from simulator.swarm.evidence import Evidence, Watch
from simulator.swarm.judge import Judge
from simulator.swarm.plan import Act, Build, Life, Step, Trouble
from simulator.swarm.play import Player
from simulator.swarm.troubles import BY_KEY, Excuse
from simulator.swarm.verdict import Verdict
from simulator.truth import (
    CASHBOX,
    CUSTOMER,
    ESCROW,
    SLOT,
    TECHNICIAN,
    TRANSPORT,
    TRAY,
    Kind,
    Thing,
    tube,
)

BUYS = Step(1, (Act("coin", 50), Act("keys", text="B4", until="credit")))
Spoil = Callable[[Player], None]


def judged(spoil: Spoil, machine: Build | None = None) -> list[str]:
    """Let one customer buy, make something wrong before the verdict, and return it."""
    players: list[Player] = []

    async def run() -> Verdict:
        player = Player(build.base_settings(), Life(1, machine or Build("native"), (BUYS,)))
        players.append(player)
        with spoilt(player, spoil):
            return await player.play()

    return run_virtual(run()).findings


@contextmanager
def spoilt(player: Player, spoil: Spoil) -> Iterator[None]:
    check = Judge.check

    def spoiling(judge: Judge, evidence: Evidence) -> list[str]:
        spoil(player)
        return check(judge, evidence)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Judge, "check", spoiling)
        yield


def steal_a_coin(player: Player) -> None:
    changer = player.machine.world.changer
    assert changer is not None
    thing = next(iter(player.machine.world.truth.things(tube(3))))
    player.machine.world.truth.move(thing, tube(3), TECHNICIAN, why="stolen")


def drop_a_coin_into_the_box(player: Player) -> None:
    truth = player.machine.world.truth
    truth.move(next(iter(truth.things(tube(3)))), CUSTOMER, CASHBOX)


def take_a_product(player: Player) -> None:
    player.machine.world.cabinet.empty("A1")


def book_something(player: Player) -> None:
    ledger = player.machine.state.ledger
    ledger.post(((acc.CASH_TUBES, 5), (acc.OPERATOR, -5)))


def book_a_card_that_nobody_charged(player: Player) -> None:
    ledger = player.machine.state.ledger
    ledger.post(((acc.CARD_RECEIVABLE, 50), (acc.REVENUE_CARD, -50)))


def pay_cash_that_nobody_put_in(player: Player) -> None:
    record = player.watch.evidence.records[-1]
    data = rec.VendSettled(cash=90, lots=())
    player.watch.evidence.records.append(
        Record(**{**{n: getattr(record, n) for n in fields_of(record)}, "data": data})
    )


def poll_late(player: Player) -> None:
    running = player.machine.running
    assert running is not None
    running.bus.bus.counters.worst_late_s = 0.3


def flag(player: Player, reason: str = "payout unknown") -> None:
    record = player.watch.evidence.records[-1]
    data = rec.ReviewFlagged(reason=reason, amount=10)
    player.watch.evidence.records.append(
        Record(**{**{n: getattr(record, n) for n in fields_of(record)}, "data": data})
    )


def fields_of(record: Record) -> tuple[str, ...]:
    return tuple(getattr(type(record), "__slots__", ())) or tuple(vars(record))


def turn_a_motor(player: Player) -> None:
    player.watch.motor_on(17)


def acknowledge_early(player: Player) -> None:
    player.watch._acked += 100
    player.watch.life_ended(power=False)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (steal_a_coin, "cash.tubes"),
        (drop_a_coin_into_the_box, "cash.cashbox: off by 50"),
        (take_a_product, "column A1: believed stock went wrong"),
        (book_something, "cash.tubes"),
        (book_a_card_that_nobody_charged, "card.receivable: 0 was charged, 50 is booked"),
        (pay_cash_that_nobody_put_in, "90 became cash that nobody had put in"),
        (poll_late, "a device was polled 0.300 s late"),
        (flag, "flagged 'payout unknown'"),
        (lambda player: flag(player, "made up"), "a flag that no oracle knows"),
        (turn_a_motor, "motor pin 17 is on and no durable record says why"),
        (acknowledge_early, "100 was acknowledged before it was durable"),
    ],
)
def test_an_oracle_says(spoil: Spoil, says: str) -> None:
    found = judged(spoil)
    assert any(says in finding for finding in found), found


def test_nothing_is_said_when_nothing_is_wrong() -> None:
    assert judged(lambda player: None) == []


def test_an_output_that_is_on_too_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave_on(player: Player) -> None:
        motor = player.machine.settings.columns[0].motor
        assert motor.type == "direct"
        longest = {motor.pin.number: 9.0}
        monkeypatch.setattr(
            player.machine.world.board, "longest_on_s", lambda pin: longest.get(pin, 0.0)
        )

    assert any("was on for 9.00 s" in finding for finding in judged(leave_on))


def evidence_with(trouble: Trouble, at_s: float, *, struck: bool = True) -> Evidence:
    evidence = Evidence()
    evidence.open(BY_KEY[trouble.key], trouble, at_s)
    evidence.close(trouble, at_s + 5.0, struck=struck)
    return evidence


def test_an_excuse_holds_from_its_trouble_on_and_only_if_it_struck() -> None:
    stall = Trouble("changer", "stall")
    assert evidence_with(stall, 10.0).excused(Excuse.PAYOUT, at_s=12.0)
    assert evidence_with(stall, 10.0).excused(Excuse.PAYOUT, at_s=60.0)
    assert not evidence_with(stall, 10.0).excused(Excuse.PAYOUT, at_s=9.0)
    assert not evidence_with(stall, 10.0).excused(Excuse.DROP, at_s=12.0)
    assert not evidence_with(stall, 10.0, struck=False).excused(Excuse.PAYOUT, at_s=12.0)


def test_an_excuse_ends_with_its_customer() -> None:
    async def run() -> None:
        player = Player(build.base_settings(), Life(1))
        watch: Watch = player.watch
        watch.evidence.open(BY_KEY["changer.stall"], Trouble("changer", "stall"), 0.0)
        watch.begin()
        assert not watch.evidence.excused(Excuse.PAYOUT)

    run_virtual(run())


def test_bills_alone_are_pulled_out_of_a_validator_and_no_coins_or_tokens_of_a_jam() -> None:
    async def run() -> None:
        player = Player(build.base_settings(), Life(1))
        truth, evidence = player.machine.world.truth, player.watch.evidence
        for coin in (Thing(Kind.COIN, 50), Thing(Kind.COIN, name="token")):
            truth.move(coin, CUSTOMER, SLOT, 2)
            truth.move(coin, SLOT, TRAY, 2, why="jam cleared")
        assert evidence.pulled == 0
        truth.move(Thing(Kind.BILL, 500), CUSTOMER, ESCROW)
        truth.move(Thing(Kind.BILL, 500), ESCROW, TRAY, why="pulled out")
        assert evidence.pulled == 500

    run_virtual(run())


def test_a_journal_that_folds_to_another_state_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    players: list[Player] = []

    async def run() -> Verdict:
        player = Player(build.base_settings(), Life(1, Build(), (BUYS,)))
        players.append(player)
        last_check = player._last_check

        async def spoilt_check() -> list[str]:
            player.machine.state.counters = replace(player.machine.state.counters, vends=99)
            return await last_check()

        monkeypatch.setattr(player, "_last_check", spoilt_check)
        return await player.play()

    assert "folding the journal again gives another state" in run_virtual(run()).findings


def turned(column: str, at_s: float) -> Record:
    """Return a record of a turn."""
    data = rec.DispenseIntended(column=column, attempt=1)
    return Record(
        1, 1, 0, confirmed=False, mono_ms=round(at_s * 1000), type=data.type, version=1, vend=1,
        data=data, postings=(), body=b"", hash=b"",
    )  # fmt: skip


def test_products_are_in_doubt_where_a_column_is_out_of_order_or_turned_from_then_on() -> None:
    evidence = Evidence()
    evidence.records += [turned("B1", 5.0), turned("B3", 20.0)]
    late = Trouble("A1", "late_drop")
    evidence.open(BY_KEY["column.late_drop"], late, 10.0)
    assert doubts.columns(evidence) == {"A1", "B3"}
    evidence.open(BY_KEY["stock.gone"], Trouble("stock", "gone", "A2"), 10.0)
    assert doubts.columns(evidence) == {"A1", "A2", "B3"}
    evidence.hide("the end of a life", 30.0, Excuse.DROP)
    assert doubts.columns(evidence) == {"A1", "A2", "B1", "B3"}


def test_tokens_may_be_lost_as_far_as_any_came() -> None:
    evidence = Evidence()
    assert doubts.tokens(evidence, 2) == (0, 0)
    evidence.ends.append("kill")
    assert doubts.tokens(evidence, 2) == (0, 2)
    assert doubts.tokens(evidence, 0) == (0, 0)


def test_a_payment_is_in_doubt_where_a_flag_asks_about_it() -> None:
    evidence = Evidence()
    evidence.ends.append("kill")
    assert not doubts.cards(evidence)
    evidence.hide("the end of a life", 1.0, Excuse.REFUND)
    assert doubts.cards(evidence)


def test_a_bill_that_stands_in_its_way_is_why_a_recycler_pays_nothing() -> None:
    # The oracle's mistake: one that an earlier customer left there (seed 8700046).
    could: list[bool] = []

    def stand_in_the_way(player: Player) -> None:
        bill, truth = player.machine.world.bill, player.machine.world.truth
        assert bill is not None
        kind = bill.settings.recycles[0]
        bill.fill_recycler(kind, 2)
        player.machine.state.recycler[kind] = 2
        player.machine.state.tubes.clear()
        could.append(player.watch._could_pay(2_000))
        truth.move(bill._thing(2), CUSTOMER, TRANSPORT, why="stuck")
        could.append(player.watch._could_pay(2_000))

    judged(stand_in_the_way, Build("native", recycler=True, tube_fill=0))
    assert could == [True, False]
