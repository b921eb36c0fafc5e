"""Devices of other makers: each of their ways sells, and breaks nothing."""

from __future__ import annotations

import pytest

from simulator.swarm import build
from simulator.swarm.makes import BILLS, CHANGERS, READERS
from simulator.swarm.plan import Act, Build, Life, Step, Trouble
from simulator.swarm.play import play
from simulator.world import Link

BILL = (Act("bill", 500), Act("keys", text="B1", until="credit"), Act("wait", until="end"))
COINS = (
    Act("coin", 200), Act("coin", 50), Act("keys", text="B1", until="credit"),
    Act("wait", until="end"),
)  # fmt: skip
CARD = (Act("keys", text="B1"), Act("card", text="card", until="card"), Act("wait", until="end"))


@pytest.mark.parametrize("link", ["native", "adapter"])
@pytest.mark.parametrize(
    ("make", "acts"),
    [
        *((f"changer {way}", COINS) for way in CHANGERS),
        *((f"bill {way}", BILL) for way in BILLS),
        *((f"reader {way}", CARD) for way in READERS),
    ],
    ids=lambda it: it if isinstance(it, str) else "",
)
def test_a_device_of_another_maker_sells(make: str, acts: tuple[Act, ...], link: Link) -> None:
    machine = Build(link, recycler=True, makes=(make,))
    verdict = play(build.base_settings(), Life(1, machine, (Step(1, acts), Step(2, acts))))[0]
    assert verdict.findings == []
    assert verdict.hits["vend sold"] == 2


def test_a_reader_that_boots_slowly_is_polled_while_others_are_set_up() -> None:
    """They sent one command after the other, and it was silent: none of them gave way."""
    slow = "changer needs its five milliseconds", "reader boots slowly"
    machine = Build("adapter", recycler=True, makes=slow)
    assert play(build.base_settings(), Life(1, machine, (Step(1),)))[0].findings == []


def test_what_one_card_told_of_refunds_holds_for_no_other() -> None:
    """The simulated reader kept it behind the session's end (seed 982000128)."""
    machine = Build(reader_refunds=False, wide=True, flagged=True, dear=True)
    proof = (Act("keys", text="A3"), Act("card", text="grown-up", until="proof"))
    dear = (
        Act("bill", 500),
        Act("keys", text="B2", until="credit"),
        Act("card", text="card", until="card"),
    )
    jam = Trouble("B2", "no_start", when="vend.opened", for_s=25.0)
    life = Life(1, machine, (Step(1, proof), Step(2, dear, (jam,))))
    verdict = play(build.base_settings(), life)[0]
    assert verdict.findings == []
    assert verdict.hits["vend sold"] == 1
    assert verdict.hits["vend claimed"] == 1
