"""Many seeds, over many processes: draw, play, and shrink what fails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from simulator.swarm import build
from simulator.swarm.draw import draw, luck
from simulator.swarm.plan import Life
from simulator.swarm.play import play
from simulator.swarm.shrink import shrink
from simulator.swarm.verdict import Verdict
from simulator.swarm.workers import quietly, share_out
from simulator.world import Link


@dataclass(frozen=True, slots=True)
class Order:
    """One seed to play."""

    seed: int
    vends: int
    faults: str = "all"
    link: Link | None = None
    only: tuple[int, ...] = ()  # the steps to play; () for all
    shrink: bool = True
    fold: bool = True
    life: Life | None = None  # this one, whatever the seed says


def life_of(order: Order) -> Life:
    """Return the life that an order asks for. Raises UnknownFaultsError."""
    if order.life is not None:
        return order.life
    life = draw(build.base_settings(), order.seed, order.vends, luck(order.faults), order.link)
    if order.only:
        wanted = set(order.only)
        life = life.with_steps(tuple(step for step in life.steps if step.number in wanted))
    return life


def carry_out(order: Order) -> Verdict:
    """Play one seed, and shrink it when it fails."""
    quietly()
    base = build.base_settings()

    def once(life: Life) -> Verdict:
        return play(base, life, fold=order.fold)[0]

    verdict = once(life_of(order))
    if verdict.findings and order.shrink:
        verdict = shrink(verdict, once)
    return verdict


def carry_out_all(orders: Iterable[Order], workers: int = 1) -> Iterator[Verdict]:
    """Play many seeds, in the order of the seeds; with more than one worker in processes."""
    return map(carry_out, orders) if workers <= 1 else share_out(carry_out, orders, workers)
