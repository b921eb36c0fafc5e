"""A whole world in virtual time: what customers and technicians do, what breaks, what is kept."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from config.settings import MachineSettings, load
from controller.faults import LinkError
from simulator.cabinet import UnknownPartError
from simulator.clock import VirtualClock, VirtualLoop
from simulator.faults import UnknownFaultError
from simulator.keypad import UnknownKeyError
from simulator.plan import UnknownCurrencyError, WorldPlan, bill_for, changer_for, plan_for
from simulator.ports import MemoryNinthBitPort
from simulator.truth import TRAY
from simulator.world import World

DEMO = Path(__file__).parents[3] / "config" / "machines" / "demo.toml"
Build = Callable[..., World]


@pytest.fixture(scope="module")
def settings() -> MachineSettings:
    return load(DEMO, home=Path("/nowhere"))


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    yield loop
    loop.close()


@pytest.fixture
def build(loop: VirtualLoop, settings: MachineSettings) -> Build:
    def make(**options: object) -> World:
        return World(loop, VirtualClock(loop), settings, **options)  # type: ignore[arg-type]  # a test's shorthand

    return make


@pytest.fixture
def world(build: Build) -> World:
    return build()


def wait(world: World, seconds: float = 1.0) -> None:
    world.loop.run_until_complete(asyncio.sleep(seconds))


def ask(world: World, *lines: str) -> list[str]:
    """Speak to the adapter as a host does; return its lines."""
    port = world.port()
    heard: list[bytes] = []
    port.start(heard.append, lambda error: None)
    for line in lines:
        port.write(f"{line}\n".encode())
        wait(world, 0.1)
    port.close()
    return b"".join(heard).decode().splitlines()


ACCEPT_COINS = ("M,1", "R,08", "R,0B", "R,0CFFFF0000")
ACCEPT_BILLS = ("M,1", "R,30", "R,33", "R,34FFFFFFFF")


def test_it_begins_with_full_columns_and_coins_in_the_tubes(world: World) -> None:
    assert world.tubes() == {5: 30, 10: 30, 20: 30, 50: 30, 100: 30}
    assert world.cabinet.stock("B4") == 12
    assert world.truth.totals().tubes == 30 * 185
    assert not world.quiet, "the devices want to tell of their reset"


def test_a_coin_that_is_not_accepted_comes_back(world: World) -> None:
    world.insert_coin(100)
    wait(world)
    assert world.truth.value(TRAY) == 100
    assert world.take_money() == 100


def test_coins_and_bills_are_kept_once_a_host_accepts_them(world: World) -> None:
    ask(world, *ACCEPT_COINS, *ACCEPT_BILLS)
    world.insert_coin(100)
    assert world.insert_bill(1000)
    wait(world, 2)
    totals = world.truth.totals()
    assert (totals.tubes - 30 * 185, totals.escrow) == (100, 1000)
    assert not world.insert_bill(500), "there is one in escrow"


def test_lever_card_and_keys_reach_their_devices(world: World) -> None:
    ask(world, *ACCEPT_COINS)
    world.pull_lever()
    assert ask(world, "R,0B") == ["p,01"]
    assert world.present_card() is False, "the reader is not enabled"
    world.remove_card()
    reports: list[bytes] = []
    world.panel.keypad.sink = reports.append  # type: ignore[attr-defined]  # the kernel's keypad
    world.press_keys("A1")
    assert world.panel.pressing
    wait(world)
    assert len(reports) == 4
    assert not world.panel.pressing


def test_each_customer_has_an_account(world: World) -> None:
    for name in ("ada", "bob"):
        world.truth.customer = name
        world.insert_coin(50)
    assert {name: entry.inserted for name, entry in world.truth.accounts.items()} == {
        "ada": 50,
        "bob": 50,
    }


def test_tubes_are_filled_and_emptied_by_hand(world: World) -> None:
    assert world.fill_tube(50) == 80
    assert world.fill_tube(50, 0) == 80
    assert world.empty_tube(50, leave=3) == 77
    assert world.empty_tube(50, leave=5) == 0
    with pytest.raises(UnknownPartError, match="tubes for: 5, 10, 20, 50, 100"):
        world.fill_tube(200)


def test_parts_that_are_not_there_are_named(build: Build, settings: MachineSettings) -> None:
    bare = build(plan=WorldPlan())
    assert bare.tubes() == {}
    assert bare.quiet
    for act in (
        lambda: bare.insert_coin(1),
        lambda: bare.insert_bill(1),
        bare.pull_lever,
        lambda: bare.unplug("changer"),
        lambda: bare.present_card("gold"),
        bare.reader,
    ):
        with pytest.raises(UnknownPartError):
            act()
    world = build()
    with pytest.raises(UnknownPartError, match="there are: cashless1"):
        world.present_card(reader="cashless2")
    with pytest.raises(UnknownKeyError, match="there are: 1 2"):
        world.press_keys("AX")


def test_a_pulled_cable_silences_a_device_until_it_is_back(world: World) -> None:
    assert ask(world, "M,1", "R,08")[-1] == "p,ACK"
    world.unplug("changer")
    world.unplug("changer")
    assert ask(world, "R,08") == ["p,NACK"]
    world.plug("changer")
    wait(world)
    assert ask(world, "R,0B") == ["p,0B"]


def test_a_pulled_bus_cable_ends_the_hosts_ports(world: World) -> None:
    told: list[bool] = []
    world.on_line = told.append
    port = world.port()
    lost: list[Exception] = []
    port.start(lambda data: None, lost.append)
    world.unplug("line")
    assert len(lost) == 1
    with pytest.raises(LinkError):
        world.port().write(b"V\n")
    world.plug("line")
    assert told == [False, True]
    assert ask(world, "V")[0].startswith("v,")


def test_a_power_cut_takes_everything_and_money_stays_where_it_is(world: World) -> None:
    ask(world, *ACCEPT_COINS, *ACCEPT_BILLS)
    assert world.insert_bill(500)
    wait(world, 2)
    world.unplug("cashless1")
    pins = world.pins()
    pins.pin(4).output_with_state(1)
    world.cut_power()
    world.cut_power()
    assert world.board.outputs_on() == ()
    assert ask(world, "M,1", "R,08")[-1] == "p,NACK"
    wait(world, 10)
    assert world.cabinet.stock("A1") == 8
    world.restore_power()
    world.restore_power()
    wait(world)
    assert ask(world, "M,1", "R,0B")[-1] == "p,0B"
    assert not world.devices["cashless1"].powered, "still unplugged"
    totals = world.truth.totals()
    assert totals.inserted == 500
    assert totals.escrow + totals.returned + totals.in_transit == 500


def test_the_display_can_be_unplugged(world: World) -> None:
    assert world.i2c.write(0x27, b"\x08")
    world.unplug("display")
    assert not world.i2c.write(0x27, b"\x08")
    world.cut_power()
    world.restore_power()
    assert not world.i2c.write(0x27, b"\x08")
    world.plug("display")
    assert world.i2c.write(0x27, b"\x08")


def test_the_native_link_gives_ports_with_a_ninth_bit(build: Build) -> None:
    world = build(link="native")
    port = world.port()
    assert isinstance(port, MemoryNinthBitPort)
    heard: list[bytes] = []
    port.start(heard.append, lambda error: None)
    wait(world)
    port.write_block(b"\x0b\x0b")
    wait(world)
    assert b"".join(heard) == b"\x0b\xff\x00\x0b"
    assert "bus" not in world.faults.parts


def test_what_happens_is_told_to_whoever_listens(world: World) -> None:
    told: list[str] = []
    end = world.listen(lambda kind, data: told.append(kind))
    world.insert_coin(50)
    world.cabinet.set_door(True)
    for byte in (0x0C, 0x08):
        world.i2c.write(0x27, bytes((byte,)))
    wait(world)
    end()
    world.insert_coin(50)
    assert told == ["fact", "edge", "display", "fact"]


def test_faults_are_set_by_name_and_unknown_ones_are_listed(world: World) -> None:
    faults = world.faults
    assert faults.set("changer", "bad-checksums", "2") == 2
    assert faults.set("A1", "hang") == 1
    assert faults.set("sensor", "blind", "on") is True
    assert faults.set("line", "loss", "0.5") == 0.5
    assert faults.get("A1", "hang") == 1
    assert faults.active() == {
        "changer": {"bad_checksums": 2},
        "A1": {"hang": 1},
        "sensor": {"blind": True},
        "line": {"loss": 0.5},
    }
    for part, name, value, words in (
        ("Z9", "jam", True, "there are: changer, bill"),
        ("A1", "jamm", True, "did you mean jam"),
        ("A1", "jam", "perhaps", "wants on or off"),
        ("A1", "hang", "often", "wants a whole number"),
        ("line", "loss", "some", "wants a number"),
        ("changer", "count_error", "x", "wants a number per type"),
        ("bill", "weak_stacker", 3, "wants a word"),
    ):
        with pytest.raises(UnknownFaultError, match=words):
            faults.set(part, name, value)
    faults.clear("A1")
    assert "A1" not in faults.active()
    faults.clear()
    assert faults.active() == {}
    assert faults.describe("A1")["jam"]
    assert "seed" not in faults.describe("line")


def test_its_state_outlives_a_restart(world: World, build: Build) -> None:
    ask(world, *ACCEPT_COINS)
    world.insert_coin(100)
    wait(world)
    world.unplug("bill")
    world.cards["prepaid"].balance = 370
    world.faults.set("line", "loss", 0.25)
    world.cut_power()
    state = json.loads(json.dumps(world.to_state()))
    other = build()
    other.from_state(state)
    assert other.truth.totals() == world.truth.totals()
    assert other.cards["prepaid"].balance == 370
    assert not other.powered
    assert other.unplugged == {"bill"}
    assert other.faults.active() == {"line": {"loss": 0.25}}
    with pytest.raises(ValueError, match="version 99"):
        other.from_state(state | {"version": 99})
    fewer = build(plan=WorldPlan())
    fewer.from_state(state | {"unplugged": []})
    assert fewer.truth.totals() == world.truth.totals()


@pytest.mark.parametrize("currency", ["EUR", "USD", "GBP", "CHF", "JPY"])
def test_money_devices_of_each_currency_can_tell_their_values(
    currency: str, loop: VirtualLoop, settings: MachineSettings
) -> None:
    machine = settings.machine.model_copy(update={"currency": currency})
    world = World(loop, VirtualClock(loop), settings.model_copy(update={"machine": machine}))
    assert world.changer is not None
    assert world.bill is not None
    for coin in world.changer.settings.coin_table():
        assert world.changer.settings.scaled(coin) > 0
    for bill in world.bill.settings.bills:
        assert world.bill.settings.scaled(bill) > 0


def test_an_unknown_currency_is_refused(settings: MachineSettings) -> None:
    for make in (changer_for, bill_for):
        with pytest.raises(UnknownCurrencyError, match="known: EUR"):
            make("XTS")
    machine = settings.machine.model_copy(update={"currency": "XTS"})
    with pytest.raises(UnknownCurrencyError):
        plan_for(settings.model_copy(update={"machine": machine}))


def test_a_plan_may_say_what_is_in_the_columns(build: Build, settings: MachineSettings) -> None:
    world = build(plan=replace(plan_for(settings), stock={"A1": 1, "B2": 0}))
    assert [world.cabinet.stock(name) for name in ("A1", "B1", "B2")] == [1, 10, 0]
