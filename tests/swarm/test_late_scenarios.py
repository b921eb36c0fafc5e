"""What a hunt among devices of other makers found beside them, each as a short story of its own."""

from __future__ import annotations

import pytest

from simulator.swarm import build
from simulator.swarm.plan import Act, Build, End, Life, Step, Trouble
from simulator.swarm.play import play
from simulator.swarm.verdict import Verdict


def lived(machine: Build, *steps: Step) -> Verdict:
    """Play these customers, one after the other."""
    return play(build.base_settings(), Life(1, machine, steps))[0]


def coins(*values: int, after_s: float = 0.3) -> tuple[Act, ...]:
    return tuple(Act("coin", value, after_s=after_s) for value in values)


def test_who_tries_before_the_machine_heard_of_their_coins_has_not_tried_with_them() -> None:
    # A selection without credit at a dead bus opened the way for whatever was put in behind it:
    # a must-vend machine changed money (seed 985000152).
    dead = Trouble("bus", "dead", for_s=21.51)
    acts = (
        *coins(20, 100, after_s=0.6),
        Act("chord", text="1B", after_s=0.4, until="credit"),
        Act("keys", text="B2", until="credit"),
    )
    lever = Act("lever", after_s=0.5, until="credit")
    steps = Step(18, acts, (dead,)), Step(19, (lever,))
    assert lived(Build(must_vend=True), *steps).findings == []


def test_a_position_that_an_acceptor_told_once_is_known_though_it_says_no_later() -> None:
    # It was asked again behind a silence, answered NAK, and its coins were worth nothing
    # (seed 985000184).
    troubles = (
        Trouble("acceptor", "silent", when="coins.deposited", at_s=0.806, for_s=8.67),
        Trouble("acceptor", "naks", 2, when="coins.deposited", for_s=7.52),
    )
    step = Step(10, coins(200, 20, after_s=0.6), troubles)
    assert lived(Build("native", cctalk=True), Step(9), step).findings == []


def test_the_time_of_a_debt_runs_while_the_tubes_are_counted_over_a_dead_line() -> None:
    # Whoever waited for coins was promised them seven seconds late (seed 985000967).
    troubles = (
        Trouble("A1", "seized", when="vend.opened", for_s=25.0),
        Trouble("cctalk", "dead", when="payout.intended", at_s=0.393, for_s=200.0),
    )
    chords = (
        Act("chord", text="1B", after_s=0.4, until="credit"),
        Act("keys", text="B4", until="credit"),
    )
    acts = (
        Act("bill", 500),
        Act("keys", text="A1", after_s=1.0, until="credit"),
        Act("keys", text="*", after_s=1.0, until="end"),
    )
    machine = Build(multi_vend=True, bill_waits="hold", cctalk=True)
    assert lived(machine, Step(1, chords), Step(2, acts, troubles)).findings == []


def test_a_claim_over_the_last_of_three_discounts_is_none_over_the_first_two() -> None:
    # The oracle's mistake: they had one item and one amount (seed 985000499).
    bars = (
        Act("keys", text="B3", after_s=0.6),
        Act("keys", text="B3", after_s=0.6),
        Act("keys", text="#", after_s=0.8, until="credit"),
    )
    card = Act("card", text="discount", after_s=0.5, until="card")
    steps = Step(1, (Act("keys", text="B3", after_s=0.6),)), Step(6, (card,)), Step(7, bars)
    machine = Build("native", reader_level=1, stock=2, basket=True, multivend_reader=True)
    assert lived(machine, *steps).findings == []


def test_a_bill_that_was_pulled_out_of_a_jam_is_missing_a_while_later() -> None:
    # The oracle's mistake: where a validator says nothing of its being disabled, the bill that it
    # holds no more is looked for half a minute longer (seed 985001291).
    jam = Trouble("bill", "jam_on_stack", for_s=3.79)
    acts = Act("bill", 500), Act("card", text="empty", after_s=0.5, until="card")
    machine = Build(makes=("bill does not say that it is disabled",))
    assert lived(machine, Step(20, acts, (jam,))).findings == []


def test_a_visit_that_is_over_at_once_gives_food_the_time_of_a_filling() -> None:
    # The oracle's mistake: it knew of whole visits alone (seed 1795416779).
    cold = Trouble("cabin", "warm", 8.0, for_s=54.83)
    service = Trouble("config", "service", for_s=16.05)
    buys = Act("bill", 500), Act("keys", text="A1", after_s=1.0, until="credit")
    steps = (
        Step(4, buys, (cold,)),
        Step(7, (Act("keys", text="A2", after_s=0.1, until="credit"),), (service,)),
        Step(9, (Act("keys", text="B3", after_s=1.0, until="credit"),)),
    )
    machine = Build(heated=20.0, ordered=True, makes=("changer counts in cents",))
    assert lived(machine, *steps).findings == []


def test_nobody_is_judged_before_a_validator_s_reset_was_read() -> None:
    # The oracle's mistake: a bill came out of escrow by it, the line took a second to be heard
    # again, and an empty list of events looked like one that was read (seed 640040).
    resets = Trouble("billcc", "resets", 1, when="bill.escrowed", for_s=18.3)
    buys = Act("bill", 500), Act("keys", text="B3#", until="credit")
    nothing = Step(3, (Act("keys", text="#"),))
    machine = Build(cctalk=True, dear=True)
    assert lived(machine, nothing, Step(4, buys, (resets,))).findings == []


def test_four_devices_that_are_all_silent_behind_a_power_cut_have_to_wait_for_each_other() -> None:
    # The oracle's mistake: it knew of three (seed 988000843).
    slow = ("bill is slow", "reader boots slowly")
    machine = Build("native", second_reader=True, makes=slow)
    life = Life(1, machine, (Step(40, ()),), finale="old")
    assert play(build.base_settings(), life)[0].findings == []


@pytest.mark.parametrize(("put_in", "extra"), [((200,), 2), ((200, 100), 1)])
def test_a_changer_that_says_nothing_of_payouts_and_pays_too_much_is_counted(
    put_in: tuple[int, ...], extra: int
) -> None:
    # The tubes were counted between two coins too many, and that was taken for the end
    # (seed 989000614). Behind the last coin that was ordered it is one, so what falls then is found
    # by the next count: the oracle knew of none.
    too_many = Trouble("changer", "extra_coins", extra, when="payout.intended", for_s=12.0)
    lever = Act("lever", after_s=0.5, until="credit"), Act("wait", after_s=3.0)
    step = Step(35, (*coins(*put_in, after_s=0.6), *lever), (too_many,))
    silent = "changer says nothing of a payout", "changer pays fast"
    assert lived(Build("native", changer_level=2, makes=silent), step).findings == []


def test_a_line_that_is_opened_anew_hides_what_was_on_its_way_from_whom_it_struck() -> None:
    # The oracle's mistake: it looked for a flag of it at the next customer's (seed 989001535).
    dead = Trouble("line", "dead", when="dispense.intended", for_s=12.47)
    redeems = Act("redeem", after_s=0.5), Act("keys", text="B1", after_s=1.0, until="credit")
    twice = (
        Act("keys", text="A3", after_s=0.1, until="credit"),
        Act("keys", text="A3", until="credit"),
        Act("wait", after_s=0.5, until="end"),
    )
    free = Act("free", text="free-00b1050b53ff A1 60")
    steps = (
        Step(24, coins(200, after_s=0.25)),
        Step(25, (Act("keys", text="*", after_s=1.0, until="end"),)),
        Step(27, redeems, end=End("power", "claim.redeemed", 2, dark_s=5.0)),
        Step(28, (free, Act("keys", text="A1", after_s=0.5, until="credit"))),
        Step(32, twice, (dead,)),
        Step(33, ()),
    )
    machine = Build(reader_level=1, reconfigured=True, load_limit=0, pulse=True)
    assert play(build.base_settings(), Life(989001535, machine, steps))[0].findings == []


def test_a_coin_that_falls_as_a_slow_disk_lets_the_one_before_it_be_acknowledged_is_flagged() -> (
    None
):
    # The oracle's mistake: the same word comes at the poll right behind the first ACK for it, and
    # nobody can tell whether that was heard (seed 989002394).
    slow = Trouble("disk", "latency_s", 0.5, for_s=21.87)
    machine = Build("native", display=False)
    assert lived(machine, Step(28, coins(200, 200, after_s=0.6), (slow,))).findings == []


def test_a_machine_that_may_only_read_its_journal_is_stopped_like_any_other() -> None:
    # The swarm's mistake: such a one was started, and nothing of it ran (seed 989003187).
    fails = Trouble("disk", "write_fails", 1, at_s=1.689, for_s=12.35)
    again = End("stop", "", 12, dark_s=20.0)
    killed = End("kill", "coins.deposited", 2, dark_s=1.0, again=(again,))
    step = Step(12, coins(200), (fails,), end=killed)
    assert lived(Build("native"), step).findings == []


def test_who_keys_what_a_waiting_bill_does_not_pay_has_tried_to_buy() -> None:
    # The oracle's mistake: a bill in escrow was no credit to it (seed 995001583).
    keys = Act("bill", 500), Act("keys", text="A3", until="credit")
    lever = Act("lever", after_s=0.5, until="credit")
    machine = Build(flagged=True, must_vend=True, dear=True)
    assert lived(machine, Step(17, keys), Step(18, (*coins(50), lever))).findings == []
