"""Journals that the real controller wrote in virtual time, with customers, faults and kills."""

from __future__ import annotations

from dataclasses import dataclass, replace

from controller.state.state import State
from simulator.clock import run_virtual
from simulator.swarm import build
from simulator.swarm.draw import draw, luck
from simulator.swarm.play import Player


@dataclass(slots=True)
class Lived:
    """What a machine has written, and what it knows at the end."""

    rows: list[tuple[int, int, bytes, bytes]]
    journal: bytes
    state: State


class _Watched(Player):
    lived: Lived | None = None

    async def _close(self) -> None:
        running = self.machine.running
        assert running is not None, self.verdict.findings
        await self.machine.quiet()
        journal = running.journal
        self.lived = Lived(
            [row async for row in journal.rows()],
            journal.journal_id,
            State.decode(journal.state.encode()),
        )
        await super()._close()


def live(seed: int, customers: int, faults: str = "all") -> Lived:
    """Let a machine live; must be called outside of any other loop."""
    base = build.base_settings()
    life = replace(draw(base, seed, customers, luck(faults)), finale="")
    players: list[_Watched] = []

    async def run() -> None:
        players.append(_Watched(base, life))
        await players[0].play()

    run_virtual(run())
    lived = players[0].lived
    assert lived is not None
    return lived
