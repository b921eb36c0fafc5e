"""What the swarm found: each failing seed as a short story, which must come out right for good."""

from __future__ import annotations

from dataclasses import replace

from simulator.swarm import build
from simulator.swarm.plan import Act, Build, End, Life, Step, Trouble
from simulator.swarm.play import play
from simulator.swarm.verdict import Verdict


def coins(*values: int) -> tuple[Act, ...]:
    return tuple(Act("coin", value) for value in values)


def keys(text: str, until: str = "credit") -> Act:
    return Act("keys", text=text, until=until)


def told(machine: Build, *acts: Act, troubles: tuple[Trouble, ...] = ()) -> Verdict:
    """Play one customer's story."""
    life = Life(1, machine, (Step(1, acts, troubles),))
    return play(build.base_settings(), life)[0]


def test_a_debt_is_paid_in_as_many_orders_as_it_takes_while_each_pays_in_full() -> None:
    # The owner keeps some coins back; a changer that pays by value takes them all the same.
    machine = Build("native", lowest_first=True, escrow=False, tubes=(5, 6, 5, 2, 0))
    troubles = (Trouble("sensor", "latch_stuck"),)
    assert told(machine, *coins(200, 20, 20), keys("B2"), troubles=troubles).findings == []


def test_a_token_that_the_reader_cannot_give_back_is_owed_at_the_price() -> None:
    machine = Build(reader_refunds=False)
    troubles = (Trouble("B1", "seized"),)
    card = Act("card", text="token", until="card")
    verdict = told(machine, keys("B1", ""), card, troubles=troubles)
    assert verdict.findings == []
    assert verdict.hits["vend claimed"] == 1


def test_a_reader_that_never_heard_of_the_delivery_is_not_left_waiting() -> None:
    for link in ("adapter", "native"):
        card = Act("card", text="card", until="card")
        troubles = (Trouble("line", "dead", when="settle.intended", for_s=17.0),)
        verdict = told(Build(link), keys("A2", ""), card, troubles=troubles)
        assert verdict.findings == []
        assert verdict.hits["vend sold"] == 1


def test_coins_of_a_tube_that_jams_and_is_mended_are_counted_again() -> None:
    troubles = (Trouble("changer", "jam_after", 1, for_s=5.4),)
    machine = Build("native", changer_level=2)
    assert told(machine, *coins(200), keys("B4"), troubles=troubles).findings == []


def test_a_bill_that_a_reset_gave_back_is_not_owed_as_well() -> None:
    # A count that ran while the validator was being reset stood for the one after the reset.
    troubles = (Trouble("bill", "mute_s", 8.0, for_s=43.0),)
    machine = Build("adapter", bill_stacks_at_power_up=True)
    acts = (Act("bill", 500, after_s=0.4), keys("B3"), Act("wait", after_s=12.0))
    assert told(machine, *acts, troubles=troubles).findings == []


def test_a_changer_that_was_silent_is_heard_before_it_is_reset() -> None:
    # A coin in the cash box that nobody was told of can never be found by counting.
    troubles = (Trouble("changer", "mute_s", 8.0),)
    for level in (2, 3):
        machine = Build("native", changer_level=level)
        acts = (*coins(200), Act("wait", after_s=14.0), keys("A3"))
        verdict = told(machine, *acts, troubles=troubles)
        assert verdict.findings == []
        assert verdict.hits["vend sold"] == 1


def test_a_second_coin_behind_a_lost_poll_is_flagged_when_it_may_be_a_repeat() -> None:
    # The acknowledgement of the first is not proved, and the second has the very same bytes.
    troubles = (Trouble("changer", "silent_commands", 1, when="coins.deposited"),)
    acts = (*coins(200, 200), keys("B2"), Act("wait", after_s=0.5, until="end"))
    for link in ("adapter", "native"):
        assert told(Build(link), *acts, troubles=troubles).findings == []


def test_an_approval_that_was_never_told_is_not_charged_by_asking_for_it() -> None:
    troubles = (Trouble("cashless1", "dies_at", "request", for_s=53.0),)
    card = Act("card", text="card", until="card")
    acts = (*coins(5), keys("B1"), card, Act("wait", after_s=30.0))
    assert told(Build(), *acts, troubles=troubles).findings == []


def test_a_latch_that_a_power_cut_cleared_proves_nothing_to_the_second_life_either() -> None:
    # The first life after the cut died before it had asked; the second saw no power cut at all.
    for then in (End("stop", "", 2), End("kill", "", 30)):
        for after in (54, 60, 66):
            end = End("power", "dispense.intended", after, again=(then,))
            step = Step(1, (*coins(100, 50), keys("A2")), end=end)
            verdict = play(build.base_settings(), Life(1, Build("native"), (step,)))[0]
            assert verdict.findings == [], (then, after)


def test_two_answers_that_collide_are_no_reset_of_a_reader_that_approves_afterwards() -> None:
    # Two ACKs at once read like JUST RESET; the reader goes on with the request that it has.
    troubles = (Trouble("bill", "chatter", at_s=2.251, for_s=4.4),)
    card = Act("card", text="prepaid", after_s=1.0, until="card")
    verdict = told(Build(), keys("B4", ""), card, troubles=troubles)
    assert verdict.findings == []


def test_nor_are_collisions_one_behind_the_other() -> None:
    # The second one had the request forgotten that the first one had left to be failed, and a
    # RESET charged the approval (seed 990000835).
    chatter = Trouble("cashless1", "chatter", 3, "approval.requested", 0.0, 2.5)
    machine = Build("adapter", second_reader=True, cctalk=True)
    asks = (
        Act("keys", text="B2", after_s=1.0, until="credit"),
        Act("wait", after_s=3.0, until="end"),
    )
    card = Act("card", 1, "card", 0.5, until="card")
    steps = Step(25, (card,)), Step(26, asks, (chatter,))
    verdict = play(build.base_settings(), Life(990000835, machine, steps))[0]
    assert verdict.findings == []


def test_nor_is_one_that_heads_the_approval_itself() -> None:
    # Another's ACK stood before the approval in one text: the request was taken for reset away, the
    # approval was never failed, and no RESET came, which would have charged it (seed 993000144).
    chatter = Trouble("cashless2", "chatter", 3, at_s=3.531, for_s=10.45)
    acts = (
        Act("card", text="token"),
        Act("wait", after_s=1.5),
        Act("keys", text="B2", until="credit"),
    )
    step = Step(38, acts, (chatter,))
    life = Life(993000144, Build("adapter", second_reader=True), (step,))
    verdict = play(build.base_settings(), life)[0]
    assert verdict.findings == []
    assert verdict.hits["vend sold"] == 1


def test_a_changer_that_comes_back_right_before_its_reset_is_heard_all_the_same() -> None:
    # Between the last poll that it missed and its RESET a tenth of a second went by; in it the
    # changer was back, with coins that a RESET makes it forget.
    for tenths in range(20, 40):
        troubles = (Trouble("changer", "silent", for_s=tenths / 10),)
        acts = (*coins(50, 20), Act("wait", after_s=8.0), keys("B4"))
        verdict = told(Build("adapter"), *acts, troubles=troubles)
        assert (tenths, verdict.findings) == (tenths, [])


def test_one_lost_answer_of_a_silent_changer_is_asked_for_again_before_its_reset() -> None:
    for tenths in range(20, 40, 2):
        troubles = (
            Trouble("changer", "silent", for_s=tenths / 10),
            Trouble("changer", "lost_answers", 1, for_s=9.0),
        )
        acts = (*coins(50, 20), Act("wait", after_s=8.0), keys("B4"))
        verdict = told(Build("adapter"), *acts, troubles=troubles)
        assert (tenths, verdict.findings) == (tenths, [])


def test_a_coin_that_an_adapter_acknowledged_after_the_kill_is_found_by_the_count() -> None:
    # The poll was sent, the life ended, and the adapter took the answer for nobody.
    end = End("kill", "coins.deposited", after=2, dark_s=5.0)
    for after_s in (0.3, 0.4, 0.5, 0.6):
        acts = (Act("coin", 20), Act("coin", 10, after_s=after_s))
        verdict = play(build.base_settings(), Life(1, Build(), (Step(1, acts, end=end),)))[0]
        assert verdict.findings == [], after_s


def test_a_coin_that_falls_while_vendd_starts_is_heard_before_the_reset() -> None:
    # The changer was left enabled by a vendd that was killed; the greeting was over already.
    for after in (0.6, 0.8, 1.0):
        end = End("kill", "coins.deposited", 4, dark_s=1.0)
        late = Act("coin", 10, after_s=after)
        step = Step(1, (*coins(100), Act("coin", 100, after_s=0.8), late, *coins(20)), end=end)
        verdict = play(build.base_settings(), Life(1, Build(changer_level=2), (step,)))[0]
        assert (after, verdict.findings) == (after, [])


def test_a_validator_whose_setup_collided_with_an_ack_is_asked_again() -> None:
    # 00 in front of an answer leaves its checksum right, and shifts every field of it.
    troubles = (
        Trouble("changer", "chatter", 3, when="coins.deposited", for_s=9.0),
        Trouble("bill", "resets", 1, for_s=16.0),
    )
    assert told(Build(), *coins(50), keys("A1"), troubles=troubles).findings == []


def test_an_approval_that_has_been_handed_over_is_not_cancelled_any_more() -> None:
    # The coin return, or a stop, came between the approval and the turn that took it: the vend went
    # on, and its card was given the money back.
    wrong = {}
    for after in range(28, 40):
        end = End("stop", "vend.opened", after)
        acts = (*coins(10), keys("A2"), Act("card", text="card", until="card"))
        verdict = play(build.base_settings(), Life(1, Build(), (Step(1, acts, end=end),)))[0]
        if verdict.findings:
            wrong[after] = verdict.findings
    assert wrong == {}


def test_a_level_1_reader_that_took_the_failure_before_a_restart_is_no_proof_of_a_charge() -> None:
    # It had refunded; asked again it says "out of sequence", and level 1 says no more than that.
    troubles = (
        Trouble("B3", "no_start", when="vend.opened"),
        Trouble("disk", "write_fails", 1, when="dispense.finished"),
    )
    card = Act("card", text="card")
    machine = Build("native", changer_level=2, reader_level=1)
    acts = (card, Act("wait", after_s=1.5), keys("B3"))
    assert told(machine, *acts, troubles=troubles).findings == []


READERS = (
    Build("adapter"),
    Build("native", reader_level=2),
    Build("adapter", always_idle=False),
    Build("native", always_idle=False, reader_level=1),
    Build("native", second_reader=True),
)


def late_approval(
    machine: Build, silent_s: float, *, end: End | None = None, card: str = "prepaid"
) -> Verdict:
    """Play a reader that falls silent over a request, and approves it meanwhile."""
    acts: tuple[Act, ...] = (Act("card", text=card), Act("wait", after_s=1.5), keys("A2", ""))
    if machine.always_idle and machine.reader_level == 3:
        acts = (keys("A2", ""), Act("card", text=card, until="card"))
    trouble = Trouble(
        "cashless1", "mute_s", 60.0, when="approval.requested", at_s=0.1, for_s=silent_s
    )
    step = Step(1, (*acts, Act("wait", after_s=30.0)), (trouble,), end)
    return play(build.base_settings(), Life(1, machine, (step,)))[0]


def test_a_reader_that_approves_late_is_told_of_the_failure_before_its_reset() -> None:
    # It was given up over the request, and was back in the very moment between that and its RESET,
    # which charges what it had just told.
    troubles = (Trouble("cashless1", "dies_at", "request", when="vend.opened", for_s=90.0),)
    for machine in (*READERS, Build("native", cctalk=True, always_idle=False)):
        for ms in (0, 37, 74, 111, 148, 185):
            card = Act("card", text="prepaid", after_s=ms / 1000)
            acts: tuple[Act, ...] = (card, Act("wait", after_s=1.5), keys("A2", ""))
            if machine.always_idle and machine.reader_level == 3:
                acts = (keys("A2", ""), replace(card, until="card"))
            verdict = told(machine, *acts, troubles=troubles)  # mended as the vend ends
            assert (machine, ms, verdict.findings) == (machine, ms, [])


def test_a_late_approval_that_the_reader_cannot_give_back_is_a_claim() -> None:
    owed = 0
    for machine in READERS:
        for refunds in (True, False):
            for silent_s in (20.1, 20.4, 23.0, 28.0):
                verdict = late_approval(
                    replace(machine, reader_refunds=refunds), silent_s, card="one-way"
                )
                assert (machine, silent_s, verdict.findings) == (machine, silent_s, [])
                owed += verdict.hits.get("vend claimed", 0)
    assert owed > 10


def test_a_late_approval_outlives_the_end_of_a_life() -> None:
    for link in ("adapter", "native"):
        for how in ("kill", "power", "stop"):
            for after in range(1, 24, 2):
                for again in ((), (End("kill", "", 9),)):
                    end = End(how, "late_approval.opened", after, again=again)
                    verdict = late_approval(Build(link), 23.0, end=end, card="one-way")
                    assert (link, how, after, verdict.findings) == (link, how, after, [])


def test_a_claim_behind_a_restart_is_over_what_the_card_was_charged() -> None:
    # The approval, of less than was asked for, came between two lives; its refund failed.
    troubles = (Trouble("cashless1", "refund", "error", when="approval.requested", for_s=40.0),)
    acts = (Act("card", text="discount"), Act("wait", after_s=1.5), keys("A2", ""))
    for link in ("adapter", "native"):
        machine = Build(link, always_idle=False)
        step = Step(1, acts, troubles, End("kill", "approval.requested", 12, dark_s=20.0))
        verdict = play(build.base_settings(), Life(1, machine, (step,)))[0]
        assert (link, verdict.findings) == (link, [])
        assert verdict.hits["vend claimed"] == 1


def test_an_approval_that_the_line_lost_before_its_reader_reset_itself_is_flagged() -> None:
    # An adapter hears a damaged answer as silence, as while a reader starts anew.
    jam = Trouble("B1", "jam", when="vend.opened", for_s=25.0)
    resets = Trouble("cashless1", "resets_at", "approval", when="approval.requested", at_s=0.1)
    for at_s in (0.05, 0.5, 1.0, 1.5):
        flips = Trouble("bus", "flip_answers", 1, when="approval.requested", at_s=at_s)
        acts = (keys("B1", ""), Act("card", text="card", until="card"))
        verdict = told(Build(cctalk=True), *acts, troubles=(jam, resets, flips))
        assert (at_s, verdict.findings) == (at_s, [])


def test_a_reader_that_resets_itself_over_a_refund_leaves_it_unknown() -> None:
    # It had acknowledged VEND FAILURE, and gave the money back before its reset.
    jam = Trouble("B1", "jam", when="vend.opened", for_s=25.0)
    for link in ("adapter", "native"):
        for ms in (50, 90, 130, 170, 210, 250):
            resets = Trouble("cashless1", "resets", 1, when="settle.intended", at_s=ms / 1000)
            acts = (keys("B1", ""), Act("card", text="card", until="card"))
            verdict = told(Build(link), *acts, troubles=(jam, resets))
            assert (link, ms, verdict.findings) == (link, ms, [])


def test_a_refund_error_that_an_adapter_told_a_dying_vendd_is_flagged() -> None:
    # The reader says it once, and the adapter acknowledged it for nobody.
    troubles = (Trouble("B3", "jam", when="vend.opened", for_s=25.0),)
    acts = (Act("card", text="one-way"), Act("wait", after_s=1.5), keys("B3"))
    for after in range(8, 22):
        end = End("kill", "dispense.finished", after, dark_s=0.6)
        machine = Build("adapter", always_idle=False)
        verdict = play(build.base_settings(), Life(1, machine, (Step(1, acts, troubles, end),)))[0]
        assert (after, verdict.findings) == (after, [])


def in_a_happy_hour(machine: Build, step: Step) -> Verdict:
    """Play a customer to whom an offer holds: the clock was set to the morning, and confirmed."""
    clock = Trouble("clock", "jump_s", 3.2e8, for_s=15.0)
    end = End("kill", "coins.deposited", 6)
    before = Step(1, (*coins(100, 50), keys("A2")), (clock,), end)
    return play(build.base_settings(), Life(1, machine, (before, step)))[0]


def test_a_discount_on_a_price_that_was_just_raised_is_nobodys_loss() -> None:
    dearer = Trouble("config", "price", 10, for_s=30.0)
    acts = (*coins(200), keys("A3"), Act("wait", after_s=5.0, until="end"))
    assert in_a_happy_hour(Build(offers=True), Step(2, acts, (dearer,))).findings == []


def test_what_the_owner_charges_for_an_unseen_drop_is_judged_by_the_list_price() -> None:
    # An offer's discount was counted as the customer's loss.
    machine = Build(offers=True, on_unknown="charge")
    for after in (1, 3, 8):
        end = End("power", "dispense.intended", after, dark_s=5.0)
        verdict = in_a_happy_hour(machine, Step(2, (*coins(200), keys("A3")), end=end))
        assert (after, verdict.findings) == (after, [])


def test_a_bill_that_a_validator_let_go_while_the_disk_was_slow_is_no_claim() -> None:
    # Its escrow time was over when "stack" came: it refused twice, and said "returned" just after.
    troubles = (Trouble("disk", "latency_s", 30.0, for_s=15.0),)
    machine = Build(bill_waits="keep", cctalk=True)
    acts = (Act("bill", 1_000), Act("keys", text="A2", after_s=0.1, until="credit"))
    assert told(machine, *acts, troubles=troubles).findings == []


def test_identical_coins_behind_lost_acknowledgements_are_counted_or_flagged() -> None:
    # Seeds 50103, 5026 and 2026: a second coin of the cash box, heard right behind the repeats of
    # the first (or behind polls that were lost), was taken for one repeat more, and not flagged.
    wrong = []
    for link, gap_s, part, name, value, hundredths in (
        ("native", 0.2, "line", "lose_host_acks", 3, (30, 42, 60)),
        ("native", 0.2, "changer", "deaf_to_acks", 3, (30, 48)),
        ("native", 0.3, "changer", "lost_answers", 2, (72, 78)),
        ("native", 0.3, "changer", "naks", 3, (66,)),
        ("native", 0.3, "changer", "silent_commands", 2, (72, 78)),
        ("native", 0.3, "line", "flip_answers", 3, (66, 72, 84)),
        ("adapter", 0.3, "changer", "bad_checksums", 1, (66, 78)),
        ("adapter", 0.3, "changer", "silent_commands", 3, (66, 72)),
    ):
        gaps_s = (0.25, gap_s, gap_s)
        paid = tuple(Act("coin", 200, after_s=pause_s) for pause_s in gaps_s)
        machine = Build(link, changer_level=2)  # type: ignore[arg-type]  # one of the two links
        for at in hundredths:
            trouble = Trouble(part, name, value, at_s=at / 100, for_s=5.0)
            verdict = told(machine, *paid, Act("wait", after_s=2.0), troubles=(trouble,))
            if verdict.findings:
                wrong.append((link, trouble.key, at, verdict.findings))
    assert wrong == []


def test_a_block_that_a_spoilt_line_held_up_is_late_for_the_next_customer_too() -> None:
    # The judge's mistake: the line's excuse went with the customer, the block was still on its way
    # (seeds 834 and 7001).
    for tenth in range(10, 16):
        trouble = Trouble("line", "loss", 0.05, at_s=tenth / 10)
        first = Step(1, (Act("coin", 10), Act("wait", after_s=1.0)), (trouble,))
        verdict = play(build.base_settings(), Life(1, Build(), (first, Step(2))))[0]
        assert (tenth, verdict.findings) == (tenth, [])


def test_coins_that_come_as_fast_as_they_can_are_told_apart_on_a_sound_line() -> None:
    # Nothing is lost, and nothing flagged, wherever in the rhythm of polls they fall (seed 800290).
    for link in ("adapter", "native"):
        for twentieth in range(0, 60, 2):
            acts = Act("wait", after_s=twentieth / 20), *(Act("coin", 200, after_s=0.2),) * 4
            verdict = told(Build(link), *acts)
            assert (link, twentieth, verdict.findings) == (link, twentieth, [])


def test_a_reset_that_never_arrived_leaves_the_coin_that_is_told_again_a_repeat() -> None:
    # The line was cut between a coin's record and its acknowledgement; every RESET was lost with
    # it, the changer told the coin again, and it was credited twice (seed 800196).
    for link in ("adapter", "native"):
        for tenths in range(20, 110, 10):
            trouble = Trouble("line", "dead", when="coins.deposited", for_s=tenths / 10)
            verdict = told(Build(link), *coins(200), Act("wait", after_s=15.0), troubles=(trouble,))
            assert (link, tenths, verdict.findings) == (link, tenths, [])


def test_an_acceptor_that_is_silent_for_a_while_tells_its_coins_when_it_is_back() -> None:
    # Up to five of them: of more its counter tells how many, and they are flagged.
    machine = Build(cctalk=True)
    for tenths in (2, 5, 8, 11):
        for paid in (coins(20), coins(100, 200, 50), coins(5, 10, 5, 10, 5, 10, 20)):
            trouble = Trouble("acceptor", "silent", at_s=tenths / 10, for_s=8.0)
            verdict = told(machine, *paid, Act("wait", after_s=3.0), troubles=(trouble,))
            assert (tenths, len(paid), verdict.findings) == (tenths, len(paid), [])


def test_a_machine_begins_anew_whatever_became_of_its_journal() -> None:
    # A page below the last snapshot is read by nobody at a start; hoppers are counted by hand.
    for finale in ("old", "page", "deleted"):
        for machine in (Build(), Build(cctalk=True)):
            for seed in range(3):
                steps = [Step(n, (*coins(100, 50), keys("A1"))) for n in (1, 2, 3)]
                life = Life(seed, machine, tuple(steps), finale)
                verdict = play(build.base_settings(), life)[0]
                assert (finale, machine.cctalk, seed, verdict.findings) == (
                    finale, machine.cctalk, seed, [],
                )  # fmt: skip


def test_a_bill_that_a_start_found_in_escrow_is_told_of_by_its_counter_after_a_power_cut() -> None:
    # Read while vendd started, before it had asked whether this validator counts: the power went,
    # the bill came out, and its customer got a claim as well.
    paid = Act("coin", 200), Act("bill", 2_000, until="credit")
    for instant in (120, 160, 204, 250):
        ends = End("kill", "dispense.intended", 19, 0.6, (End("power", "boot.started", instant),))
        step = Step(1, (*paid, Act("keys", text="B1", after_s=0.8)), end=ends)
        life = Life(1, Build(cctalk=True, bill_waits="keep"), (step,))
        assert (instant, play(build.base_settings(), life)[0].findings) == (instant, [])


def test_a_validator_that_was_away_is_told_again_before_anybody_owes_its_bill() -> None:
    # Neither "stack" nor "return" was heard; back, it still held the bill, which was a claim by
    # then, and which it gave back as well when its time was over.
    for for_s in (3.0, 5.0, 9.16):
        trouble = Trouble("billcc", "silent", when="stack.intended", for_s=for_s)
        for acts in ([Act("bill", 1_000)], [Act("bill", 500), Act("wait", after_s=4.0)]):
            verdict = told(Build(cctalk=True), *acts, troubles=(trouble,))
            assert (for_s, len(acts), verdict.findings) == (for_s, len(acts), [])


def test_a_recycler_that_never_told_of_a_stacked_bill_pays_the_next_customer_all_the_same() -> None:
    # Its driver took that bill for one in escrow for ever, and paid nothing out: a claim, though
    # the recycler was full (seed 830218).
    for link in ("adapter", "native"):
        machine = Build(link, tube_fill=3, recycler=True, bill_needs_change=False)
        trouble = Trouble("bill", "weak_stacker", "lost", when="bill.escrowed", for_s=14.0)
        steps = Step(1, (Act("bill", 2_000),), (trouble,)), Step(2, (keys("B4"),))
        verdict = play(build.base_settings(), Life(1, machine, steps))[0]
        assert (link, verdict.findings) == (link, [])
        assert verdict.hits["vend sold"] == 1
        assert verdict.hits.get("claim.opened", 0) == 0


def test_a_pulsed_coin_on_record_is_known_after_two_ends_in_a_row() -> None:
    # The judge's mistake: the second life ended before anybody had read what the first had written
    # (seed 840082).
    for instant in range(36, 60, 2):
        again = End("power", "", 57, 5.0)
        step = Step(
            1, coins(100, 5, 5, 20), end=End("kill", "coins.deposited", instant, 5.0, (again,))
        )
        verdict = play(build.base_settings(), Life(1, Build(pulse=True), (step,)))[0]
        assert (instant, verdict.findings) == (instant, [])


def test_a_tube_coin_that_is_told_again_behind_a_newer_one_is_known_by_its_count() -> None:
    # On record, not acknowledged; the changer told the newer one first (seed 730410).
    fails = Trouble("disk", "sync_fails", 1, for_s=11.5)
    for tenths in (1, 2, 3):
        turned = Trouble("changer", "reversed_items", 1, at_s=tenths / 10, for_s=6.0)
        for machine in (Build("native", changer_level=2), Build("native")):
            verdict = told(machine, *coins(5, 100, 50), troubles=(fails, turned))
            assert (tenths, verdict.findings) == (tenths, [])


def test_a_product_that_falls_late_is_not_taken_for_the_next_one_of_a_basket() -> None:
    # Its neighbour fell in the extra turn, it fell itself while the next item's motor stood still:
    # "dropped", and the customer had paid for what never came (seed 2100000137).
    machine = Build(changer_level=2, basket=True)
    troubles = (Trouble("B3", "late_drop", 1), Trouble("A1", "seized", for_s=40.0))
    acts = (*coins(200, 200), keys("B3"), keys("A1"), keys("#"))
    verdict = told(machine, *acts, troubles=troubles)
    assert verdict.findings == []
    assert verdict.hits["vend sold"] == 2  # another column had the second one


def test_a_bill_that_is_told_to_be_stacked_as_its_validator_is_back_is_not_asked_back() -> None:
    # Counted behind its return, it was asked back as well, in the same turn (seed 992001522).
    machine = Build("native", cctalk=True, basket=True, bill_waits="hold", always_idle=False)
    silent = Trouble("billcc", "silent", when="bill.escrowed", for_s=200.0)
    steps = (
        Step(1, (keys("B4#"),)),
        Step(3, (*coins(100), keys("B3#"))),
        Step(4, (Act("bill", 500), keys("B4#")), (silent,)),
    )
    verdict = play(build.base_settings(), Life(992001522, machine, steps))[0]
    assert verdict.findings == []
