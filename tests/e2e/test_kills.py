"""One SIGKILL right before and one right after the commit of each record type; then the money.

Each case starts a vendd whose disk is going to kill it (``crashing_vendd``), lets it recover from
the case before, holds the ledger against the truth, and plays customers or staff until it dies. A
plain vendd closes each chain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from controller.journal.records import REGISTRY
from simulator.real_machines import CCTALK, TOKENS
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
    empty_tubes,
    kept_in_order,
    of_the_day,
    places,
    rights_in_order,
    the_day,
)
from tests.e2e.scenes import Scene

# Some thirty starts of real processes, on however busy a machine.
pytestmark = pytest.mark.timeout(600)

WHEN = ("before", "after")
StartRig = Callable[..., Awaitable[Rig]]

# A machine that sees nothing fall, and whose owner trusts it all the same.
SIGHTLESS = {"fitted = true": "fitted = false", 'on_unknown = "refund"': 'on_unknown = "charge"'}
RECYCLES = {"accept = [500, 1_000, 2_000]": "recycle = [500]\naccept = [500, 1_000, 2_000]"}
LOADS = {"[policy]": "[policy]\nrevalue = true"}
KEEPS = {
    "credit_timeout_s = 0 ": 'on_credit_timeout = "keep"\ncredit_timeout_s = 1 ',
}


def at(scene: Scene, types: str, first: str = "") -> Case:
    return Case(scene, tuple(types.split()), first)


CHAINS = {
    "first-start": Chain((
        at(
            on_stage.first_start,
            "journal.begun boot.started stock.set device.identified stacker.counted tubes.counted "
            "boot.finished",
        ),
    )),
    "cash": Chain((
        at(
            on_stage.cash_with_change,
            "coins.deposited vend.opened credit.authorised dispense.intended dispense.finished "
            "vend.settled payout.intended payout.finished vend.closed",
        ),
        at(on_stage.changed_mind, "credit_return.opened"),
    ), links=BOTH),
    "bill": Chain((
        at(on_stage.bill, "bill.escrowed stack.intended bill.stacked"),
        at(on_stage.bill, "bill.returned", first="stack.intended"),
        at(on_stage.bill_and_technician, "bill.return_intended"),
        at(on_stage.cable, "fault.cleared"),
    ), links=BOTH),
    "card": Chain((
        at(
            on_stage.card,
            "approval.requested approval.finished settle.intended settle.finished",
        ),
        at(on_stage.card_changed_mind, "approval.cancel_intended"),
    )),
    "jam": Chain((
        at(on_stage.jam, "fault.raised column.disabled dispense.refused credit.restored"),
    )),
    "sightless": Chain(
        (at(on_stage.cash_with_change, "review.flagged dispense.decided"),),
        {"edits": SIGHTLESS},
    ),
    "claim": Chain(
        (
            at(on_stage.too_little_change, "shortfall.booked claim.opened"),
            at(on_stage.claim_keyed_in, "claim.redeemed"),
            at(on_stage.wrong_code, "claim.refused"),
            at(on_stage.claim_paid, "claim.closed"),
        ),
        before=empty_tubes,
    ),
    "forgotten": Chain(
        (at(on_stage.forgotten, "credit.kept"),), {"edits": KEEPS}, in_order=kept_in_order
    ),
    "staff": Chain((
        at(on_stage.service, "service.entered service.left"),
        at(on_stage.shelf, "price.set column.enabled"),
        at(on_stage.switches, "coins.released"),
        at(on_stage.stop, "stop.requested"),
    )),
    "office": Chain((
        at(on_stage.office, "operator.acted cash.collected reader.switched"),
        at(on_stage.goodwill, "credit.granted"),
    )),
    "age": Chain(
        (at(on_stage.too_young, "age.checked"),), {"edits": ADULTS}
    ),
    "rights": Chain(
        (
            at(on_stage.app_credit_ended, "right.ended"),
            at(on_stage.app_credit, "right.granted right.held right.used refund.requested"),
            at(on_stage.token, "token.inserted"),
            at(on_stage.app_credit_for_nothing, "right.returned"),
            at(on_stage.tokens_collected, "tokens.collected"),
        ),
        {"edits": TOKENS},
        in_order=rights_in_order,
    ),
    "revalue": Chain(
        (at(on_stage.cash_for_a_card, "revalue.opened revalue.intended revalue.finished"),),
        {"edits": LOADS},
    ),
    "late": Chain((at(on_stage.late_approval, "late_approval.opened"),)),
    # A customer gets a claim there, since a reader that refuses once is not asked again.
    "refund-refused": Chain((at(on_stage.refund_refused, "refund.refused"),)),
    "recycler": Chain(
        (
            at(on_stage.first_start, "recycler.counted"),
            at(on_stage.bill_by_hand, "bill.moved"),
        ),
        {"edits": RECYCLES},
    ),
    "climate": Chain(
        (
            at(on_stage.too_warm, "cooling.changed health.warmed health.exceeded"),
            at(on_stage.cool_again, "health.cooled"),
            at(on_stage.too_warm_and_served, "health.served"),
        ),
        {"edits": COOLED},
        in_order=cool_in_order,
    ),
    "cctalk": Chain((at(on_stage.first_start, "device.noted"),), {"edits": CCTALK}),
}  # fmt: skip

# A record that no scene can bring a real process to write, and why. "Too much work" is no reason.
ELSEWHERE = {
    **dict.fromkeys(
        ("command.started", "command.finished", "message.refused"),
        "needs a broker and a fleet's keys; tests/scenarios/test_remote_commands.py kills there",
    ),
    **dict.fromkeys(
        (
            "config.applied",
            "config.confirmed",
            "config.refused",
            "config.rolled_back",
            "planogram.applied",
        ),
        "needs a broker and a fleet's keys; tests/scenarios/test_configuration.py kills there",
    ),
    **dict.fromkeys(
        (
            "machine.locked",
            "machine.unlocked",
            "message.shown",
            "update.requested",
            "update.intended",
            "update.finished",
        ),
        "needs a broker and a fleet's keys; tests/scenarios/test_killed_commands.py kills there",
    ),
    **dict.fromkeys(
        ("claim.asked", "claim.granted"),
        "needs a fleet that answers; tests/scenarios/test_claims_elsewhere.py kills there",
    ),
    "revalue.heard": "comes behind a claim given in doubt, where the books and the truth differ on"
    " purpose; tests/scenarios/test_revalue.py kills there",
    "time.confirmed": "needs a fleet or a synchronised clock, and is about no money",
    **dict.fromkeys(
        ("checkpoint.signed", "checkpoint.countersigned"),
        "a machine of a fleet alone writes it; tests/scenarios/test_checkpoints.py kills there",
    ),
    "journal.forked": "in the contract, and written by no machine: the fleet tells of a fork",
    "record.carried": "written by the begin of a journal alone, in one commit with its first",
}


def test_every_record_type_is_killed_at_or_has_a_reason() -> None:
    killed = {name for chain in CHAINS.values() for case in chain.cases for name in case.kinds}
    assert set(REGISTRY) - killed - set(ELSEWHERE) == set(), "add a scene in which it is written"
    assert killed | set(ELSEWHERE) == set(REGISTRY), "there is no such type any more"
    assert not killed & set(ELSEWHERE)
    assert all(len(reason.split()) > 3 for reason in ELSEWHERE.values())


JOBS = [(name, link) for name, chain in CHAINS.items() for link in chain.links]


def test_each_chain_has_its_day() -> None:
    assert each_has_its_day(JOBS)


@pytest.mark.parametrize("place", places(JOBS))
async def test_money_is_right_after_a_kill_before_and_after_each_commit(
    rigs: StartRig, run_folder: Path, place: int
) -> None:
    day = the_day()
    chain, link = of_the_day(JOBS, place, day)
    found = CHAINS[chain]
    options = {"link": link, **found.options}
    rig_of = {when: await rigs(home=run_folder / when, **options) for when in WHEN}
    ended = await asyncio.gather(
        *(Killer(rig, found).run(when) for when, rig in rig_of.items()), return_exceptions=True
    )
    for error in ended:
        if error is not None:
            error.add_note(f"{chain}, {link}, {DAY}={day}")
            raise error
