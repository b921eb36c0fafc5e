"""What the swarm's long hunts found, one life in some hundred: each as a short story of its own."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from simulator.swarm import build
from simulator.swarm.draw import draw, luck
from simulator.swarm.plan import Act, Build, End, Life, Step, Trouble
from simulator.swarm.play import play
from simulator.swarm.verdict import Verdict

PAID = ("coins", "bill", "card", "mixed")
VISIT = Step(90, visit=True)


def lived(machine: Build, *steps: Step) -> Verdict:
    """Play these customers, one after the other."""
    return play(build.base_settings(), Life(1, machine, steps))[0]


def coins(*values: int) -> tuple[Act, ...]:
    return tuple(Act("coin", value) for value in values)


def test_a_bill_that_was_stacked_unheard_is_found_by_the_count_of_a_later_start() -> None:
    # Of the machine's last words about it nothing came, and a validator without escrow is asked
    # for its count at starts alone: what is flagged then was hidden from somebody before.
    unheard = Trouble("bill", "weak_stacker", "lost", for_s=34.0)
    machine = Build("native", escrow=False, bill_stacks_at_power_up=True)
    buys = (Act("coin", 200), Act("keys", text="A2", until="credit"))
    verdict = lived(
        machine,
        Step(1, (Act("bill", 2_000),), (unheard,)),
        Step(2, buys, end=End("kill", "dispense.intended", 5, 0.6)),
    )
    assert verdict.findings == []
    assert verdict.hits["vend refunded"] == 1


def test_a_coin_in_a_hopper_whose_event_went_with_the_power_is_found_at_the_next_visit() -> None:
    # The acceptor's own count tells that there was one; what it was, nobody can say.
    step = Act("coin", 50), Act("coin", 100, after_s=0.2)
    for instant in range(1, 30, 4):
        cut = End("power", "coins.deposited", instant, 5.0)
        buys = Step(2, (*coins(100), Act("keys", text="B4", until="credit")))
        verdict = lived(Build("native", cctalk=True), Step(1, step, end=cut), buys, VISIT, buys)
        assert (instant, verdict.findings) == (instant, [])


def test_another_device_s_ack_in_the_tubes_counts_shifts_no_count() -> None:
    # The checksum stays right: what was paid out was read off counts that belonged to other tubes
    # (seed 2200000389).
    machine = Build("native", changer_level=2, tube_fill=79, second_reader=True)
    acts = (*coins(20, 200), Act("keys", text="B4", until="credit"))
    stuck = Trouble("sensor", "latch_stuck", when="vend.opened", for_s=2.1)
    for fiftieths in range(36, 54):
        chatter = Trouble("cashless2", "chatter", 3, "dispense.intended", fiftieths / 50, 2.5)
        verdict = lived(machine, Step(1, acts, (stuck, chatter)))
        assert (fiftieths, verdict.findings) == (fiftieths, [])


def test_an_approval_that_is_taken_back_behind_a_restart_may_be_an_unknown_refund() -> None:
    # The life that asked is gone, so its approval is failed; this reader is silent over that.
    silent = Trouble("cashless1", "refund", "silent_paid", "approval.requested", 0.1, 22.0)
    card = Act("card", text="prepaid"), Act("wait", after_s=1.5), Act("keys", text="B1")
    for instant in (5, 17, 31):
        killed = End("kill", "approval.requested", instant)
        step = Step(1, (*coins(20), *card), (silent,), killed)
        verdict = lived(Build(always_idle=False), step)
        assert (instant, verdict.findings) == (instant, [])


def test_a_bill_that_is_written_off_does_not_hide_what_is_found_beside_it() -> None:
    # The doubtful bill of one customer was missing in the sum that the next one's lost coin was in.
    held = Trouble("bill", "weak_stacker", "uncounted", for_s=8.2)
    dies = Trouble("disk", "read_only", for_s=18.3)
    first = (*coins(50), Act("bill", 2_000), Act("keys", text="B2", until="credit"))
    second = Act("coin", 200, after_s=0.6), Act("keys", text="A3", after_s=1.0, until="credit")
    machine = Build("native", pulse=True, bill_needs_change=False)
    verdict = lived(machine, Step(1, first, (held,)), Step(2, second, (dies,)))
    assert verdict.findings == []
    assert verdict.hits["journal failed"] == 1


def test_a_bill_that_a_validator_stacks_unread_when_its_power_comes_back_is_flagged() -> None:
    # It was on its way when the power went, and vendd was dead again when it had been stacked.
    machine = Build("adapter", changer_level=2, bill_stacks_at_power_up=True)
    for instant in (20, 40, 63):
        again = End("kill", "boot.started", instant, 20.0)
        end = End("power", "coins.deposited", 4, 5.0, (again,))
        verdict = lived(machine, Step(1, (Act("coin", 10), Act("bill", 500)), end=end))
        assert (instant, verdict.findings) == (instant, [])
    # In escrow by then, and in no record either (seed 2200401102).
    for instant in (40, 48):
        again = End("power", "boot.started", instant, 5.0)
        end = End("kill", "coins.deposited", 2, 1.0, (again,))
        verdict = lived(machine, Step(1, (Act("coin", 200), Act("bill", 1_000)), end=end))
        assert (instant, verdict.findings) == (instant, [])


def test_a_bill_that_is_freed_from_a_jam_is_missed_though_nobody_could_change_another() -> None:
    # Its customer has it and a claim for it: the validator must tell that it is free (seed 877).
    jam = Trouble("bill", "jam_on_return", 1, for_s=26.3)
    machine = Build("native", tube_fill=0, bill_waits="hold", recycler=True)
    returned = Act("bill", 1_000), Act("keys", text="*", until="credit")
    verdict = lived(machine, Step(1, coins(200)), Step(2, returned, (jam,)))
    assert verdict.findings == []
    assert verdict.hits["bill.jam_on_return"] == 1


def test_food_that_was_fresh_when_its_turn_was_decided_is_sold_behind_a_slow_disk() -> None:
    # Two commits of 30 s stand between the decision and the turn.
    slow = Trouble("disk", "latency_s", 30.0, "coins.deposited", for_s=48.0)
    buys = (Act("coin", 200), Act("keys", text="A3"))
    verdict = lived(Build("adapter", cooled=20.0), Step(19, buys, (slow,)))
    assert verdict.findings == []
    assert verdict.vends == 1


def test_a_price_that_stands_again_behind_a_damaged_journal_is_set_back_before_anybody_buys() -> (
    None
):
    # The record that had set it back was the one that was lost (seed 2200001256).
    troubles = (
        Trouble("cashless1", "refund", "error", "approval.requested", 0.0, 90.0),
        Trouble("B1", "jam", when="approval.requested", for_s=20.0),
        Trouble("config", "price", 50, "credit.authorised", 0.0, 16.4),
    )
    acts = (
        Act("keys", text="B1"),
        Act("card", text="card", until="card"),
        Act("wait", until="end"),
        Act("redeem", after_s=0.5),
        Act("keys", text="B4", after_s=1.0, until="credit"),
    )
    for seed in (1, 2):
        life = Life(seed, Build(), (Step(1, acts, troubles),), "log")
        assert (seed, play(build.base_settings(), life)[0].findings) == (seed, [])


def test_a_journal_that_can_be_read_to_the_middle_of_a_visit_is_gone_on_with() -> None:
    # The technician is still in the cabinet then, and leaves it first (seed 2200300219).
    buys = (*coins(50), Act("keys", text="B4", until="credit"))
    step = Step(91, buys, end=End("power", "dispense.finished", 10, 0.6))
    for seed in (3, 27, 31):
        life = Life(seed, Build(tube_fill=79), (VISIT, step), "page")
        assert (seed, play(build.base_settings(), life)[0].findings) == (seed, [])


def test_an_app_whose_credit_stands_again_behind_a_damaged_journal_is_asked_once_more() -> None:
    # It had lapsed, and was asked back, in what can't be read any more (seed 500001778).
    lapses = Act("app", 150, text="app-1 A3 8"), Act("wait", after_s=12.0)
    killed = End("kill", "dispense.intended", 53, 0.6)
    buys = Step(36, (*coins(200), Act("keys", text="B4", until="credit")), end=killed)
    for seed in range(2, 5):
        life = Life(seed, Build(), (Step(24, lapses), buys), "page")
        assert (seed, play(build.base_settings(), life)[0].findings) == (seed, [])


def test_a_reader_that_approves_behind_what_reads_like_its_reset_is_asked_by_recovery() -> None:
    # Another reader's ACK was read as its JUST RESET, and so nobody asked it: it waited for the end
    # of its vend for good (seed 9500120).
    machine = Build(
        "native", changer_level=2, always_idle=False, second_reader=True, reader_level=1
    )
    acts = Act("card", text="token", after_s=0.3), Act("keys", text="A2", after_s=0.3)
    chatter = Trouble("cashless2", "chatter", 3, at_s=0.99, for_s=17.6)
    for instant in (6, 8, 10):
        killed = End("kill", "approval.requested", instant, 3.0)
        for refunds in (True, False):
            reader = replace(machine, reader_refunds=refunds)
            verdict = lived(reader, Step(15, acts, (chatter,), killed))
            assert (instant, refunds, verdict.findings) == (instant, refunds, [])


def test_lives_end_in_a_turn_with_their_last_record_damaged() -> None:
    # Its four cells of the failure table: the credit to choose again, or a claim for a card. The
    # first seeds end while something else is done, the others while a motor turns.
    met: Counter[str] = Counter()
    for seed in (*range(5), 18, 65):
        for machine in (Build("native"), Build("adapter", reader_refunds=False)):
            verdict = play(build.base_settings(), Life(seed, machine, (), "record"))[0]
            assert (seed, machine.link, verdict.findings) == (seed, machine.link, [])
            met.update(verdict.cells)
    assert {f"the-last-record-is-corrupt/{paid}/turn" for paid in PAID} <= set(met)


def test_a_second_product_that_falls_before_the_next_of_a_basket_turns_is_not_its() -> None:
    # It falls between the look at the sensor and the turn, which a slow disk keeps apart.
    for rule in ("charge", "refund"):
        machine = Build("native", basket=True, on_unknown=rule)
        double = Trouble("B3", "double_drop", 1, "dispense.intended", 0.57, 5.0)
        slow = Trouble("disk", "latency_s", 30.0, "vend.settled", 0.0, 12.0)
        basket = (
            *coins(200, 100),
            Act("keys", text="B3", until="credit"),
            Act("keys", text="B1", after_s=0.6),
            Act("keys", text="#", after_s=0.8),
        )
        verdict = lived(machine, Step(1, basket, (double, slow)))
        assert (rule, verdict.findings, verdict.vends) == (rule, [], 2)


def test_a_recycler_that_stood_still_before_is_tried_again_where_nothing_else_can_pay() -> None:
    # It is mended, and nobody knows (seed 500001147).
    machine = Build("native", pulse=True, recycler=True, escrow=False)
    stall = Trouble("bill", "dispense_stall", for_s=60.0, at_s=0.5)
    back = (*coins(200, 200, 100), Act("keys", text="*", after_s=1.0, until="credit"))
    verdict = lived(machine, Step(1, back, (stall,)), Step(2, back))
    assert verdict.findings == []
    assert verdict.hits["bill.dispense_stall"] == 1


def test_a_coin_that_an_acceptor_forgets_with_its_own_reset_is_flagged() -> None:
    # Its accept counter tells that there was one: in the cash box, or in a hopper.
    for value in (200, 50):
        for fortieths in range(16, 24):
            reset = Trouble("acceptor", "resets", 1, at_s=fortieths / 40, for_s=5.0)
            step = Step(1, (Act("coin", value, after_s=0.3), Act("keys", text="A3")), (reset,))
            verdict = lived(Build("native", cctalk=True), step)
            assert (value, fortieths, verdict.findings) == (value, fortieths, [])


def test_a_coin_that_fell_while_vendd_was_dead_and_is_pulsed_to_its_next_life_was_put_in() -> None:
    # Its pulses wait for those of the coins before it, and nobody switches the acceptor off.
    machine = Build("native", pulse=True)
    acts = tuple(Act("coin", value, after_s=0.3) for value in (5, 50, 10, 20, 50, 10, 5))
    for instant in range(26, 50, 4):
        verdict = lived(machine, Step(1, acts, end=End("kill", "coins.deposited", instant, 0.6)))
        assert (instant, verdict.findings) == (instant, [])


def test_a_request_that_dies_on_record_behind_a_restart_of_its_reader_is_not_in_doubt() -> None:
    # Its reader had never ended a session, and got a RESET 0.2 s before the request was recorded:
    # the next life heard the JUST RESET, took it for a later one, and made a claim.
    never = Trouble("cashless1", "no_end", 1, for_s=40.0)
    card = Act("keys", text="B4"), Act("card", text="card", until="card")
    for link in ("adapter", "native"):
        for tenths in (60, 61, 63):
            mixed = Act("coin", 20, after_s=18.0), Act("keys", text="B3", after_s=tenths / 10)
            end = End("kill", "credit.authorised", 0, 0.6)
            verdict = lived(Build(link), Step(1, (*card, *mixed), (never,), end=end))
            assert (link, tenths, verdict.findings) == (link, tenths, [])


def test_coins_of_a_changer_that_comes_back_behind_its_last_poll_are_found_by_the_count() -> None:
    # The judge's mistake: other devices' polls may stand between that poll and the RESET
    # (seed 610000014).
    for hundredths in (364, 366, 367, 369):
        silent = Trouble("changer", "silent", at_s=0.982, for_s=hundredths / 100)
        acts = *coins(20, 50, 10, 100), Act("wait", after_s=6.0)
        verdict = lived(Build("native"), Step(1, acts, (silent,)))
        assert (hundredths, verdict.findings) == (hundredths, [])


def test_a_column_that_a_late_drop_emptied_is_set_right_by_its_switch() -> None:
    # The count is right again, and the product that nobody paid for is missing all the same
    # (seed 500005522).
    machine = Build("adapter", stock=2, basket=True)
    late = Trouble("A3", "late_drop", 1, "credit.authorised", 0.0, 20.0)
    twice = (Act("keys", text="A3", until="credit"), Act("keys", text="A3#", after_s=0.6))
    verdict = lived(machine, Step(1, (*coins(200, 200), *twice), (late,)))
    assert verdict.findings == []
    assert (verdict.vends, verdict.hits["column.late_drop"]) == (2, 1)


def test_a_bill_over_a_slow_disk_is_not_overdue_by_the_time_of_the_one_before() -> None:
    # The timer of the first rang while the second one's record was being written, and was heard
    # behind it: told to be stacked, the second was asked back at once (seed 500006770).
    slow = Trouble("disk", "latency_s", 30.0, for_s=13.0)
    first, second = Act("bill", 1_000), Act("bill", 500)
    for machine in (Build(cctalk=True), Build(), Build("native")):
        for pause in (0.0, 0.5, 1.0):
            bills = Step(1, (first,)), Step(2, (replace(second, after_s=0.3 + pause),), (slow,))
            verdict = lived(machine, *bills)
            assert (machine.cctalk, pause, verdict.findings) == (machine.cctalk, pause, [])
            assert verdict.hits.get("bill.return_intended", 0) == 0


def test_a_coin_that_waits_for_a_slow_disk_is_judged_when_it_is_on_record() -> None:
    # The judge's mistake: while the first coin's record was being written the second one was not
    # read, or on no record yet, and nothing else moved (seed 7700036).
    slow = Trouble("disk", "latency_s", 30.0, for_s=8.8)
    coins_ = Act("coin", 50), Act("coin", 100, after_s=0.6)
    verdict = lived(Build(cctalk=True), Step(18, coins_, (slow,)))
    assert verdict.findings == []


def test_a_claim_over_one_item_of_a_basket_is_none_over_the_one_before_it() -> None:
    # The judge's mistake: both had the same discount, and the one that was sold was taken for the
    # one that was claimed (seed 500007830).
    machine = Build(reader_level=1, basket=True, multivend_reader=True, dear=True)
    choose = Act("keys", text="B2#"), Act("card", text="discount", until="card")
    left = Act("bill", 500), Act("keys", text="B2#", until="credit")
    rest = Act("coin", 100), Act("coin", 20), Act("keys", text="B3#", until="credit")
    for instant in range(49, 62, 2):
        end = End("kill", "dispense.finished", instant, 20.0)
        steps = Step(38, choose[:1]), Step(39, (*left, choose[1])), Step(40, rest, end=end)
        verdict = lived(machine, Step(37, (Act("card", text="one-way"),)), *steps)
        assert (instant, verdict.findings) == (instant, [])


def test_a_coin_that_a_full_disk_let_no_life_write_down_is_lost_behind_five_others() -> None:
    # The acceptor was read, and its reader died of that very record; what the machine flags at its
    # next start is true, and no life but a dead one had the coin's event (seed 800001142).
    full = Trouble("disk", "full", True, for_s=14.0)
    verdict = lived(Build("native", cctalk=True), Step(1, coins(10, 50, *[5] * 7), (full,)))
    assert verdict.findings == []
    assert verdict.hits["journal failed"] == 1


def test_a_light_has_a_minute_to_follow_a_clock_that_is_right_again() -> None:
    # The judge's mistake: the clock's trouble ended with its customer, and the light, which looks
    # at the clock once a minute, was asked for at once (seed 20051).
    base = build.base_settings()
    life = draw(base, 20051, 40, luck("all"))
    assert life.build.light == "schedule"
    assert any(trouble.part == "clock" for step in life.steps for trouble in step.troubles)
    assert play(base, life)[0].findings == []


def test_a_code_is_read_behind_a_basket_that_waits_for_a_card_in_vain() -> None:
    # The oracle's mistake: whoever waited to copy it had left before that wait was over (seed
    # 980000541).
    machine = Build(reader_level=1, tube_fill=0, basket=True, ordered=True)
    card = Act("card", text="card", after_s=0.5, until="card")
    first = *coins(10), Act("keys", text="B1#", until="credit"), card
    order = Act("order", 3, "c-1 good refund.local {}", 0.0)
    second = order, Act("keys", text="A2#", after_s=1.0, until="credit")
    verdict = lived(machine, Step(1, first), Step(2, second))
    assert verdict.findings == []
    assert verdict.hits["vend sold"] == 1


def test_a_code_among_many_is_read_when_its_turn_comes() -> None:
    # The oracle's mistake: whoever waited to copy it had left while those of customers before were
    # shown, page by page, as nobody has keyed them in yet (seed 990000477).
    machine = Build(reader_level=2, glass=(20, 2), credit_timeout=3.0, pulse=True)
    card = Act("card", text="card", after_s=0.5, until="card")
    chooses = Act("keys", text="B4", after_s=1.0, until="credit")
    pulls = (
        Act("keys", text="B2"),
        Act("card", text="discount", until="card"),
        Act("pull", after_s=3.7),
    )
    before = [
        Step(8, (Act("coin", 50, after_s=0.6),)),
        Step(9),
        Step(10, (*coins(50), card)),
        Step(11, (Act("coin", 200, after_s=0.6),)),
        Step(15),
        Step(16, (*coins(50), Act("keys", text="*", after_s=1.33))),
        Step(17, (*coins(20, 50, 20), chooses)),
        Step(18, pulls),
    ]
    selects = Act("keys", text="A2", after_s=0.1, until="credit")
    last = Step(22, (Act("coin", 50, after_s=0.6), selects, *coins(50, 100)))
    assert lived(machine, *before, last).findings == []


def test_a_claimed_bill_that_nobody_finds_is_given_up_while_another_is_served() -> None:
    # The oracle's mistake: it asked what hid it from whoever stood there by then (seed 983000611).
    silent = Trouble("bill", "weak_stacker", "uncounted", when="bill.escrowed", for_s=16.4)
    later = Act("keys", text="B2", until="credit")
    steps = Step(34, (Act("bill", 2000),), (silent,)), Step(35, (later,))
    assert lived(Build("native"), *steps).findings == []


def test_a_column_turns_in_the_millisecond_in_which_its_light_barrier_sees_again() -> None:
    # The oracle's mistake: records have whole milliseconds (seed 984000397).
    blind = Trouble("sensor", "blind", at_s=0.863, for_s=1.56)
    acts = *coins(5, 5, 100, 10), Act("keys", text="B3", until="credit")
    assert lived(Build("adapter"), Step(13, acts, (blind,))).findings == []


def test_a_question_of_age_ends_before_a_bill_goes_back() -> None:
    # The oracle's mistake: the first "*" is for the question, and the next one for the bill
    # (seed 983002056).
    asks = (
        Act("keys", text="A3", after_s=0.6, until="credit"),
        Act("keys", text="*", after_s=2.0, until="end"),
    )
    machine = Build("native", flagged=True, dear=True)
    assert lived(machine, Step(1, (Act("bill", 500),)), Step(2, asks)).findings == []
