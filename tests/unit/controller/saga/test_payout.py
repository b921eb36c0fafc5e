"""Two proofs of a payout, held against each other."""

from __future__ import annotations

import pytest

from controller.ports import PayoutEvidence, TubeCounts
from controller.saga.payout import reconcile

TUBES = [(1, 10, 20), (2, 20, 20), (3, 50, 20)]


def counts(*tubes: int, defective: frozenset[int] = frozenset()) -> TubeCounts:
    return TubeCounts((0, *tubes, *[0] * (15 - len(tubes))), defective=defective)


def status(**coins: int) -> tuple[int, ...]:
    paid = [0] * 16
    for name, count in coins.items():
        paid[int(name.removeprefix("t"))] = count
    return tuple(paid)


def test_status_and_tubes_agree() -> None:
    done = reconcile(70, TUBES, PayoutEvidence(True, status(t2=1, t3=1), counts(20, 19, 19)))
    assert (done.amount, done.proof, done.certain) == (70, "both", True)
    assert done.paid == ((2, 20, 1), (3, 50, 1))


def test_tubes_alone_prove_a_level_two_payout() -> None:
    done = reconcile(70, TUBES, PayoutEvidence(True, None, counts(20, 19, 19)))
    assert (done.amount, done.proof, done.certain) == (70, "tubes", True)


def test_a_changer_that_paid_less_is_believed() -> None:
    done = reconcile(70, TUBES, PayoutEvidence(True, status(t3=1), counts(20, 20, 19)))
    assert (done.amount, done.certain) == (50, True)


def test_where_they_disagree_the_smaller_is_booked_and_nobody_is_sure() -> None:
    done = reconcile(70, TUBES, PayoutEvidence(True, status(t2=1, t3=1), counts(20, 20, 19)))
    assert (done.amount, done.certain) == (50, False)


def test_a_disagreement_above_the_order_owes_nothing_more() -> None:
    done = reconcile(50, TUBES, PayoutEvidence(True, status(t3=1), counts(20, 20, 18)))
    assert (done.amount, done.certain) == (50, True)


def test_a_reset_loses_the_status_but_not_the_tubes() -> None:
    done = reconcile(
        70, TUBES, PayoutEvidence(True, status(t2=9), counts(20, 20, 19), was_reset=True)
    )
    assert (done.amount, done.proof, done.certain) == (50, "tubes", True)


def test_capped_counts_prove_nothing() -> None:
    tubes = [(1, 10, 260)]
    done = reconcile(20, tubes, PayoutEvidence(True, None, counts(255)))
    assert (done.amount, done.certain) == (0, False)


def test_a_defective_tube_proves_nothing_and_the_others_what_they_paid() -> None:
    evidence = PayoutEvidence(True, None, counts(20, 0, 19, defective=frozenset({2})))
    done = reconcile(70, TUBES, evidence, frozenset({2, 3}))
    assert (done.amount, done.proof, done.certain) == (50, "tubes", False)


def test_a_defective_tube_that_was_not_asked_leaves_no_doubt() -> None:
    evidence = PayoutEvidence(True, None, counts(20, 0, 19, defective=frozenset({2})))
    assert reconcile(50, TUBES, evidence, frozenset({3})).certain
    assert reconcile(100, TUBES, evidence, frozenset({3})).certain
    assert not reconcile(100, TUBES, evidence).certain, "it picked the coins by itself"


def test_a_tube_that_cannot_tell_raises_no_doubt_about_what_others_paid_in_full() -> None:
    evidence = PayoutEvidence(True, None, counts(20, 0, 19, defective=frozenset({2})))
    assert reconcile(50, TUBES, evidence).certain


def test_a_tube_that_grew_hides_no_payment() -> None:
    done = reconcile(50, TUBES, PayoutEvidence(True, None, counts(22, 20, 19)))
    assert done.paid == ((3, 50, 1),)


def test_silence_is_unknown() -> None:
    done = reconcile(50, TUBES, PayoutEvidence(idle=False))
    assert (done.amount, done.proof, done.certain) == (0, "none", False)


def test_a_changer_that_may_still_be_paying_is_not_certain() -> None:
    done = reconcile(50, TUBES, PayoutEvidence(False, status(t3=1), None))
    assert (done.amount, done.certain) == (50, False)


def test_a_status_of_types_without_tubes_is_no_account() -> None:
    done = reconcile(50, TUBES, PayoutEvidence(True, status(t9=1), counts(20, 20, 19)))
    assert (done.amount, done.proof) == (50, "tubes")


def test_counts_above_255_prove_where_the_device_counts_further() -> None:
    tubes = [(3, 50, 900)]
    after = TubeCounts((0, 0, 0, 898), cap=65_535)
    done = reconcile(100, tubes, PayoutEvidence(True, None, after))
    assert (done.paid, done.certain) == (((3, 50, 2),), True)
    capped = reconcile(100, tubes, PayoutEvidence(True, None, TubeCounts((0, 0, 0, 255))))
    assert not capped.certain


@pytest.mark.parametrize("really", [5, 19, 20, 21, 60])
def test_what_a_tube_held_before_the_order_proves_more_than_what_was_believed_of_it(
    really: int,
) -> None:
    before, after = counts(20, 20, really), counts(20, 20, really - 2)
    for told in (None, status(t3=2)):
        evidence = PayoutEvidence(True, told, after, before=before)
        done = reconcile(100, TUBES, evidence)
        assert (done.paid, done.certain) == (((3, 50, 2),), True)


@pytest.mark.parametrize(
    ("before", "came", "after"),
    [
        (20, 1, 19),  # in the tube behind the first count, and told
        (21, 1, 19),  # in the tube before it, and told behind it
        (20, 0, 18),  # none
        (20, -1, 17),  # staff let one out
    ],
)
def test_coins_that_move_beside_a_payout_are_none_of_it(before: int, came: int, after: int) -> None:
    tubes = [(3, 50, 20 + came)]
    evidence = PayoutEvidence(
        True, None, TubeCounts((0, 0, 0, after)), before=TubeCounts((0, 0, 0, before))
    )
    done = reconcile(100, tubes, evidence, frozenset({3}), {3: came})
    assert (done.paid, done.certain) == (((3, 50, 2),), True)


def test_a_tube_that_was_full_beyond_counting_before_the_order_is_believed() -> None:
    tubes = [(3, 50, 256)]
    evidence = PayoutEvidence(
        True, None, TubeCounts((0, 0, 0, 254)), before=TubeCounts((0, 0, 0, 255))
    )
    assert not reconcile(100, tubes, evidence, frozenset({3})).certain
    known = reconcile(50, [(3, 50, 255)], evidence, frozenset({3}))
    assert (known.paid, known.certain) == (((3, 50, 1),), True)
