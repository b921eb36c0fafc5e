"""A journal that breaks while somebody is served: the next one owes them what they had."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from controller.domain import accounts as acc
from controller.journal import records as rec
from controller.journal.envelope import Record, RecordData
from simulator.swarm import build, damage
from simulator.swarm.damage import IN_A_TURN
from simulator.swarm.draw import draw, luck
from simulator.swarm.inherited import Inherited
from simulator.swarm.plan import Act, Build, End, Life, Step
from simulator.swarm.play import play
from tests.mutants import heirs
from tests.mutants.planting import Mutant, Soil, planted

BASE = build.base_settings()
OLD = "ab" * 16


def broken(seed: int) -> list[str]:
    """Play a life of nobody but the last customer, whose journal breaks; return what is found."""
    return play(BASE, Life(seed, Build("native"), (), IN_A_TURN))[0].findings


@pytest.mark.parametrize(
    ("seed", "bug", "found"),
    [
        (23, heirs.owe_what_fell_before_the_journal_broke, "credit accounts say 0, the lots 100"),
        (
            9,
            heirs.earn_what_a_broken_journal_was_paying_out,
            "a broken journal's customers had 850 in cash, and the next one owes them 0",
        ),
        (
            2,
            heirs.forget_the_card_that_a_broken_journal_had_asked_for,
            "a broken journal's customers had 60 in cards, and the next one owes them 0",
        ),
    ],
)
def test_what_they_had_is_owed_on(seed: int, bug: Callable[[Soil], None], found: str) -> None:
    assert broken(seed) == []
    with planted(Mutant("one", bug)):
        assert found in broken(seed)


def test_a_card_that_was_asked_for_as_the_journal_broke_behind_power_cuts_is_given_back() -> None:
    # The new journal counted its starts anew, and took the cuts of the old one for its own: its
    # reader was never told of the failure, and owed for twice (seeds 8100008, 8100025).
    pays = (Act("coin", 50), Act("keys", text="B4", until="credit"))
    cut = End("power", "coins.deposited", 3)
    steps = (Step(1, pays, end=cut), Step(2, pays, end=cut))
    life = Life(89, Build("native"), steps, IN_A_TURN)
    assert play(BASE, life)[0].findings == []


def record(seq: int, data: RecordData, vend: int | None = None) -> Record:
    lines = data.postings()
    return Record(seq, 1, 0, True, 0, data.type, 1, vend, data, lines, b"", b"")


def test_what_fell_is_earned_and_what_nobody_lived_to_tell_is_judged_by_nobody() -> None:
    told = [
        record(1, rec.JournalBegun(journal=OLD, machine="one", currency="EUR")),
        record(2, rec.CreditAuthorised(coins=100, bills=0, lots=((1, 100),)), 2),
        record(3, rec.DispenseFinished(column="A1", outcome="dropped"), 2),
        record(4, rec.ApprovalRequested(device="cashless1", amount=30, item=1), 4),
    ]
    cash = (acc.CREDIT_COINS, 100)  # it had been put in before

    def next_one(last: int, *inherited: tuple[str, int]) -> list[str]:
        oracle = Inherited()
        for one in told:
            oracle.record(one)
        begun = rec.JournalBegun(
            journal="cd" * 16, machine="one", currency="EUR", previous=(OLD, last),
            inherited=inherited,
        )  # fmt: skip
        oracle.record(record(1, begun))
        return oracle.findings

    assert next_one(4, cash, (acc.HELD_CARD, -30)) == []
    assert next_one(3, cash) == []
    assert next_one(2, cash, (acc.HELD_CASH, -100)) == []
    assert next_one(5) == []
    assert next_one(4, cash) == [
        "a broken journal's customers had 30 in cards, and the next one owes them 0"
    ]
    assert next_one(3) == [
        "a broken journal's customers had -100 in cash, and the next one owes them 0"
    ]


def test_half_of_all_lives_end_so_at_one_moment_or_another() -> None:
    lives = [draw(BASE, seed, 0, luck("all")) for seed in range(1, 61)]
    ended = [life for life in lives if life.finale == IN_A_TURN]
    assert len(ended) >= len(lives) // 3
    ends = [damage.last_customer(life, BASE, 1).end for life in ended]
    assert {"dispense.intended", "payout.intended", "approval.requested", "settle.intended"} <= {
        end.when for end in ends if end is not None
    }
    assert not any(draw(BASE, seed, 0, luck("none")).finale for seed in range(1, 61))
