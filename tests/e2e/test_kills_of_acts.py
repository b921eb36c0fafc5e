"""One SIGKILL between each kind of act and the record of its outcome; then the money.

Twice for acts that take a while: in the middle of it (on the adapter's link), and when it has ended
and nobody has written down how (on the native one); bills and cards on both, since an adapter has
acknowledged what the other one tells again. ``kill_kit`` says how a chain of kills goes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import get_args

import pytest

from controller.machine.effects import Effect
from simulator.rig import Rig
from tests.e2e import scenes as on_stage
from tests.e2e.kill_kit import (
    ADULTS,
    BOTH,
    COOLED,
    DAY,
    Case,
    Chain,
    Killer,
    cool_in_order,
    each_has_its_day,
    of_the_day,
    places,
    the_day,
)
from tests.e2e.scenes import Scene

# Some twenty starts of real processes, on however busy a machine.
pytestmark = pytest.mark.timeout(600)

StartRig = Callable[..., Awaitable[Rig]]

ADAPTER = ("adapter",)


def at(scene: Scene, acts: str, first: str = "") -> Case:
    return Case(scene, tuple(acts.split()), first)


CHAINS = {
    "boot": Chain((
        at(on_stage.first_start, "Greet AskTime CountTubes CountStacker"),
    )),
    "cash": Chain((
        at(on_stage.cash_with_change, "CheckSensor Turn ReportCashSale Payout Beep Wake"),
        at(on_stage.late_drop, "ExtraTurn"),
        at(on_stage.cash_with_change, "ReadEvidence", first="dispense.intended"),
        at(on_stage.cash_with_change, "PayoutEvidenceAfterRestart", first="payout.intended"),
    )),
    "bill": Chain((
        at(on_stage.bill, "StackBill"),
        at(on_stage.bill_and_technician, "ReturnBill"),
    ), links=BOTH),
    "card": Chain((
        at(on_stage.card, "RequestApproval SettleSuccess EndSession"),
        at(on_stage.card_changed_mind, "CancelApproval"),
        at(on_stage.card, "CancelApprovalAfterRestart", first="approval.requested"),
        at(on_stage.jammed_card, "SettleFailure"),  # last: its column is off then
    ), links=BOTH),
    "staff": Chain((
        at(on_stage.motor_test, "TestTurn"),
        at(on_stage.coins_out, "Payout"),
        at(on_stage.stop, "Exit"),
    )),
    "age": Chain((at(on_stage.too_young, "VerifyAge CancelAge"),), {"edits": ADULTS}),
    "climate": Chain(
        (at(on_stage.too_warm, "SwitchClimate"),), {"edits": COOLED}, in_order=cool_in_order
    ),
}  # fmt: skip
# These go on until the machine ends, or are over at once: there is one moment in them.
AMID = {
    "boot": Chain(
        (at(on_stage.first_start, "Greet StartDevice CountTubes CountStacker"),), links=ADAPTER
    ),
    "cash": Chain((
        at(on_stage.cash_with_change, "CheckSensor Turn Payout"),
        at(on_stage.late_drop, "ExtraTurn"),
    ), links=ADAPTER),
    "bill": CHAINS["bill"],
    "card": Chain((
        at(on_stage.card, "RequestApproval SettleSuccess"),
        at(on_stage.card_changed_mind, "CancelApproval"),
        at(on_stage.jammed_card, "SettleFailure"),
    ), links=ADAPTER),
    "staff": Chain(
        (at(on_stage.motor_test, "TestTurn"), at(on_stage.coins_out, "Payout")), links=ADAPTER
    ),
}  # fmt: skip

# Acts that no scene can kill at, and why.
ELSEWHERE = {
    "PourCoins": "staff's hands did it; tests/scenarios/test_cctalk.py kills around its note",
    **dict.fromkeys(
        ("HandOver", "JudgeConfig"),
        "needs a broker and a fleet's keys; tests/scenarios/test_killed_commands.py and "
        "test_configuration.py kill there",
    ),
    **dict.fromkeys(
        ("AskRevalueLimit", "Revalue", "RevalueEvidence"),
        "off unless its owner wants it; tests/scenarios/test_revalue.py kills between the order "
        "and its answer, on both links, and test_kills.py around each record",
    ),
    "CancelReading": "over when it has begun; moves no money, and nobody waits for its answer",
    "SyncNow": "has the link try at once; moves no money and no part",
    "RestoreBallast": "moves no money and no part, a minute after a disk was full",
}


def test_every_kind_of_act_is_killed_at_or_has_a_reason() -> None:
    killed = {
        name
        for chains in (CHAINS, AMID)
        for chain in chains.values()
        for case in chain.cases
        for name in case.kinds
    }
    kinds = {kind.__name__ for kind in get_args(Effect)}
    here = {kind for kind in kinds if any(kind in name for name in killed)}
    assert kinds - here - set(ELSEWHERE) == set(), "add a scene in which it is done"
    assert not here & set(ELSEWHERE)
    assert {name for name in killed if not any(kind in name for kind in kinds)} == set()


# When vendd is killed, in which chain, and on which link.
JOBS = [
    (when, chains[name], link)
    for when, chains in (("done", CHAINS), ("amid", AMID))
    for name in chains
    for link in chains[name].links
]


def test_each_chain_has_its_day() -> None:
    assert each_has_its_day(JOBS)


@pytest.mark.parametrize("place", places(JOBS))
async def test_money_is_right_after_a_kill_in_the_middle_of_an_act_or_before_its_outcome_is_written(
    rigs: StartRig, place: int
) -> None:
    day = the_day()
    when, chain, link = of_the_day(JOBS, place, day)
    try:
        await Killer(await rigs(link=link, **chain.options), chain).run(when)
    except BaseException as error:
        error.add_note(f"{when}, {link}, {DAY}={day}: {chain.cases}")
        raise
