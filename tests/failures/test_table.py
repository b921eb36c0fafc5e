"""Each cell of the failure table, played on the byte-real machine."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from controller.saga.failure_cells import Cell, Next, Phase, Tender
from controller.saga.failures import TABLE
from controller.saga.failures_page import page
from simulator.clock import run_virtual
from simulator.oracles import check
from simulator.world import Link
from tests.failures.acts import Play
from tests.failures.breaks import BREAKS, allowance, column, how_of, settings
from tests.failures.judge import judge
from tests.scenarios.stage import story_of

DOCS = Path(__file__).parents[2] / "docs"


def test_the_documented_table_is_current() -> None:
    assert (DOCS / "failures.md").read_text(encoding="utf-8") == page()


def test_every_failure_of_the_table_can_be_played() -> None:
    assert {cell.failure for cell in TABLE} == set(BREAKS)


def test_every_cell_has_a_name_of_its_own() -> None:
    assert len({cell.key for cell in TABLE}) == len(TABLE)


PLAYED: Final = [
    pytest.param(cell, link, id=cell.key if cell.link else f"{cell.key}-{link}")
    for cell in TABLE
    for link in ("adapter", "native")
    if cell.link in ("", link)
]


@pytest.mark.parametrize(("cell", "link"), PLAYED)
def test_a_cell(cell: Cell, link: Link) -> None:
    run_virtual(_play(cell, link))


async def _play(cell: Cell, link: Link) -> None:
    how = how_of(cell)
    play = Play(settings(cell), link=link, plan=how.world(settings(cell)))
    play.set_up(cell, column(cell), allowance(cell))
    await play.opens()
    try:
        await how.early(play)
        if how.pays and not inserts_only(cell):
            await (play.coins(*how.coins) if how.coins else play.pays())
        await how.ready(play)
        for part, fault, value in how.faults:
            play.breaks(part, fault, value)
        await _customer_and_fate(play, cell)
        if cell.then in (Next.RESTARTS, Next.STRANDED):
            await play.reads_the_journal()
        judge(play, cell)
        assert not play.never_struck
        assert how.sign(play)
        found = check(play, play.allowance)
        assert not [finding for finding in found if not finding.startswith(how.hides or "\0")]
        assert await play.stop() == "test"
    except BaseException as error:
        error.add_note(story_of(play))
        raise


def inserts_only(cell: Cell) -> bool:
    """Tell whether the cell is about a bill that comes in and nothing else."""
    return cell.phase is Phase.ESCROW and cell.tender is Tender.BILL


async def _customer_and_fate(play: Play, cell: Cell) -> None:
    """The customer goes on whatever happens; fate strikes at its moment."""
    how = how_of(cell)
    moment = play.loop.create_task(play.moment())
    if inserts_only(cell):
        assert play.world.insert_bill(500)
    elif (
        cell.phase is not Phase.MONEY
        and cell.tender is not Tender.ANY
        and cell.failure != "coins run out"
    ):
        play.strikes.append(play.chooses())
    await moment
    await how.strike(play)
    await how.ending(play)
    for task in play.strikes:
        task.cancel()
