"""A device that says that it takes nothing is not offered; where none is left, the panel says so.

It goes on being asked and enabled: the changer and the validator tell of being mended by what they
say while they are enabled.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from config.machine import MachineSettings
from controller.domain import accounts as acc
from simulator.world import Link
from tests.scenarios.stage import SETTINGS, Stage, play


def only(*names: str) -> MachineSettings:
    """The demo machine with these money devices and no others; a bill needs no change."""
    devices = {
        name: getattr(SETTINGS.mdb, name).model_copy(update={"enabled": name in names})
        for name in ("changer", "bill", "cashless1")
    }
    return SETTINGS.model_copy(
        update={
            "mdb": SETTINGS.mdb.model_copy(update=devices),
            "policy": SETTINGS.policy.model_copy(update={"bill_needs_change": False}),
        }
    )


def _break_reader(stage: Stage) -> None:
    stage.world.reader().malfunction(0x80)


def _mend_reader(stage: Stage) -> None:
    stage.world.reader().clear_malfunction()


TROUBLES: dict[str, tuple[Callable[[Stage], None], Callable[[Stage], None]]] = {
    "cashless1": (_break_reader, _mend_reader),
    "bill": (
        lambda stage: stage.breaks("bill", "broken", "motor"),
        lambda stage: stage.mends("bill", "broken"),
    ),
    "bill by itself": (
        lambda stage: stage.breaks("bill", "disabled"),
        lambda stage: stage.mends("bill", "disabled"),
    ),
    "changer": (
        lambda stage: stage.breaks("changer", "acceptor_unplugged"),
        lambda stage: stage.mends("changer", "acceptor_unplugged"),
    ),
    "changer whose flight deck is open": (
        lambda stage: stage.breaks("changer", "diagnostic", 0x1110),
        lambda stage: stage.mends("changer", "diagnostic"),
    ),
    "changer whose cassette is out": (
        lambda stage: stage.breaks("changer", "diagnostic", 0x1502),
        lambda stage: stage.mends("changer", "diagnostic"),
    ),
}


@pytest.mark.parametrize("device", TROUBLES)
def test_where_nothing_takes_money_the_panel_says_so_and_takes_it_back(
    device: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        harm, mend = TROUBLES[device]
        welcome = stage.screen
        assert "Out of service" not in welcome
        harm(stage)
        await stage.shows("Out of service", within_s=15.0)
        mend(stage)
        await stage.until(lambda: stage.screen == welcome, within_s=30.0)

    play(scenario, link, settings=only(device.split(maxsplit=1)[0]))


@pytest.mark.parametrize(
    ("broken", "left", "words"),
    [
        ("cashless1", ("cashless1", "changer"), "Cash only"),
        ("changer", ("cashless1", "changer"), "Cards only"),
        ("changer whose flight deck is open", ("cashless1", "changer"), "Cards only"),
        ("changer whose cassette is out", ("cashless1", "changer"), "Cards only"),
        ("bill", ("cashless1", "bill"), "Cards only"),
        ("bill by itself", ("cashless1", "bill"), "Cards only"),
    ],
)
def test_a_device_that_takes_nothing_is_not_offered(
    broken: str, left: tuple[str, ...], words: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        harm, mend = TROUBLES[broken]
        harm(stage)
        await stage.shows(words, within_s=15.0)
        mend(stage)
        await stage.until(lambda: words not in stage.screen, within_s=30.0)

    play(scenario, link, settings=only(*left))


@pytest.mark.parametrize("code", [0x80, 0x91, 0xA2], ids="{:02X}".format)
def test_a_reader_that_does_not_work_is_asked_for_nothing(code: int, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.world.reader().malfunction(code)
        await stage.shows("Cash only", within_s=15.0)
        stage.press("A3")
        await stage.passes(5.0)
        assert "approval" not in stage.intents
        assert "Hold your card" not in stage.screen
        _mend_reader(stage)

    play(scenario, link, settings=only("cashless1", "changer"))


def test_a_cassette_that_is_out_is_not_counted_and_takes_no_coin(link: Link) -> None:
    """Its counts are zeros then. Who brings it back may have filled it."""

    async def scenario(stage: Stage) -> None:
        changer = stage.world.changer
        assert changer is not None
        tubes = range(len(changer.tubes.coins))
        held = {kind: changer.tubes.told(kind) for kind in tubes}
        stage.breaks("changer", "count_error", {kind: -count for kind, count in held.items()})
        stage.breaks("changer", "diagnostic", 0x1502)
        await stage.until(lambda: changer.accepted == 0)
        stage.world.cabinet.set_door(True)
        await stage.passes(2.0)
        stage.world.cabinet.set_door(False)
        await stage.passes(10.0)
        assert stage.world.insert_bill(500) is False, "nothing can be paid back"
        assert len(stage.records("tubes.counted")) == 1, "the first start's"
        changer.fill_tube(1, 5)
        stage.mends("changer", "count_error")
        stage.mends("changer", "diagnostic")
        await stage.until(lambda: changer.accepted != 0)
        await stage.until(lambda: len(stage.records("tubes.counted")) == 2)
        await stage.coins(200)
        await stage.buys("A1")
        assert stage.account.returned == 50
        assert stage.state.ledger.balance(acc.MISSING) == 0

    play(scenario, link, judged=False)
