"""Field lesson 32: the link is lost at every step of a sale, and the sale is the same in the cloud.

Of others: what was created online and confirmed offline ended with a wrong status there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from cloud.link import assembly
from controller.journal.envelope import Record
from tests.scenarios.little_fleet import LittleFleet
from tests.scenarios.stage import Stage, play

Story = Callable[[Stage], Awaitable[object]]


async def coins(stage: Stage) -> None:
    await stage.coins(200)
    await stage.buys("A1")


async def card(stage: Stage) -> None:
    await stage.pays_by_card("A1")


async def coins_and_jam(stage: Stage) -> None:
    stage.breaks("A1", "jam")
    await stage.coins(200)
    await stage.buys("A1")


def sold_offline_from(story: Story, at: int, back: int | None) -> int:
    """Play a story; the line dies at its ``at``-th record, and lives ``back`` records later.

    Returns how many records the story wrote.
    """
    counted = 0

    async def played(stage: Stage) -> None:
        nonlocal counted
        assert stage.running is not None
        fleet = LittleFleet(stage)

        def follow(records: list[Record]) -> None:
            nonlocal counted
            for _ in records:
                counted += 1
                if counted == at:
                    fleet.up = False
                    fleet.cut()
                if back is not None and counted == at + back:
                    fleet.up = True

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(assembly.Ways, "transport", lambda _ways: fleet)
            fleet.tie()
            await stage.passes(2.0)
            stage.running.machine.on_commit.append(follow)
            await story(stage)
            await stage.quiet()
            stage.running.machine.on_commit.remove(follow)
            fleet.up = True
            books = stage.running.journal
            await stage.until(lambda: books.acked_seq == books.durable_seq, within_s=400.0)
            held = [(row[0], row[3]) async for row in books.rows()]
            assert fleet.chains == {books.journal_id.hex(): held}
            assert not fleet.wrong
            assert not stage.state.sagas, "every vend has ended"
            await fleet.untie()

    play(played, fold_idle=True)
    return counted


@pytest.mark.parametrize("story", [coins, card, coins_and_jam])
@pytest.mark.parametrize("back", [None, 1, 3], ids=["until the end", "for a record", "for some"])
def test_the_link_is_lost_at_every_step_of_a_sale(story: Story, back: int | None) -> None:
    at = written = 1
    while at <= written:
        written = sold_offline_from(story, at, back)
        at += 1
    assert at > 5, "a sale has many steps"
