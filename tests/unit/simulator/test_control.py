"""The control socket: every method, over a world in this process."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from config.settings import load
from controller.clock import SystemClock
from simulator.async_client import AsyncSimClient
from simulator.client import SimulatorError, WaitTimeoutError
from simulator.control import Control, dispatcher, methods
from simulator.control_server import MAX_LINE_BYTES, MAX_PENDING, ControlServer
from simulator.shapes import Mark
from simulator.world import World

DEMO = Path(__file__).parents[3] / "config" / "machines" / "demo.toml"


class Served:
    """A world, its control socket and a client."""

    def __init__(self, world: World, path: Path, sim: AsyncSimClient, stops: list[bool]) -> None:
        self.world = world
        self.path = path
        self.sim = sim
        self.stops = stops


@pytest.fixture
async def served(run_folder: Path) -> AsyncIterator[Served]:
    loop = asyncio.get_running_loop()
    world = World(loop, SystemClock(), load(DEMO, home=run_folder), speed=50.0)
    about = {"pid": 1, "paths": dict.fromkeys(("home", "control", "mdb", "pins"), "x")}
    about["paths"] |= dict.fromkeys(("i2c", "keypad", "state"))  # type: ignore[operator]  # a dict
    stops: list[bool] = []
    server = ControlServer(dispatcher(Control(world, about, lambda: stops.append(True))))
    path = run_folder / "c.sock"
    await server.start(path)
    async with await AsyncSimClient.connect(path) as sim:
        yield Served(world, path, sim, stops)
    await server.close()


async def test_every_method_of_the_control_has_one_in_both_clients(served: Served) -> None:
    from simulator.client import SimClient

    names = set(methods(Control(served.world, {}, lambda: None)))
    for client in (SimClient, AsyncSimClient):
        assert names <= set(vars(client)), f"{client.__name__} lacks {names - set(vars(client))}"


async def test_a_customer_pays_and_takes_the_money_back(served: Served) -> None:
    sim = served.sim
    await sim.customer("ada")
    await sim.insert_coin(100, count=2)
    await sim.wait_for(totals={"returned": 200})
    truth = await sim.truth()
    assert truth.tray == 200
    assert truth.accounts["ada"].spent == 0
    assert await sim.take_money() == 200
    assert not await sim.insert_bill(1000, patience_s=0)
    assert not await sim.present_card(patience_s=0.05)
    await sim.remove_card()
    await sim.pull_lever()
    assert await sim.take_product() == ()


async def test_a_technician_fills_and_empties(served: Served) -> None:
    sim = served.sim
    assert await sim.unload("A1") == 8
    assert (await sim.load())["A1"] == 8
    assert await sim.load("A1", 0) == {"A1": 8}
    assert (await sim.empty_tubes())[50] == 0
    assert (await sim.empty_tubes(20))[20] == 0
    assert (await sim.fill_tubes(50, 7))[50] == 7
    assert (await sim.fill_tubes())[20] == 80
    assert await sim.press_switch(20, 3) == 3
    await sim.door(True)
    assert (await sim.truth()).door_open


async def test_things_break_and_are_mended(served: Served) -> None:
    sim = served.sim
    await sim.jam("A1")
    await sim.blind()
    assert await sim.set_fault("changer", "naks", 3) == 3
    active = (await sim.list_faults()).active
    assert active == {"A1": {"jam": True}, "sensor": {"blind": True}, "changer": {"naks": 3}}
    await sim.unjam("A1", home=True)
    await sim.unjam("A1")
    await sim.blind(False)
    await sim.clear_faults("changer")
    listed = await sim.list_faults("A1")
    assert listed.active == {}
    assert "jam" in listed.known["A1"]
    await sim.clear_faults()
    await sim.unplug("display")
    await sim.plug("display")
    await sim.cut_power()
    assert not (await sim.truth()).powered
    await sim.restore_power()
    assert (await sim.truth()).powered


@pytest.mark.parametrize(
    ("method", "params", "words"),
    [
        ("jam", {"column": "Z9"}, "no part 'Z9'; there are"),
        ("unload", {"column": "Z9"}, "no column Z9; there are: A1"),
        ("press_keys", {"keys": "E"}, "no key 'E'; there are: 1 2"),
        ("present_card", {"card": "gold"}, "no card 'gold'; there are: card"),
        ("set_fault", {"part": "A1", "name": "x"}, "no fault 'x' of A1"),
        ("unplug", {"part": "sun"}, "no cable 'sun'; there are"),
        ("fill_tubes", {"value": 3}, "no tube for coins of 3"),
        ("wait_for", {"totals": {"gold": 1}}, "no total 'gold'; there are: inserted"),
        ("subscribe", {"kinds": ["x"]}, "no events 'x'; there are: fact"),
        ("insert_coin", {"value": -1}, "value: Input should be greater"),
        ("insert_coin", {}, "value"),
        ("fly", {}, "Method not found"),
    ],
)
async def test_what_cannot_be_done_is_explained(
    served: Served, method: str, params: dict[str, Any], words: str
) -> None:
    from simulator.calls import Call

    with pytest.raises(SimulatorError, match=words):
        await served.sim.do(Call(method, params, lambda answer: answer))


async def test_keys_and_display(served: Served) -> None:
    sim = served.sim
    mark = await sim.mark()
    await sim.press_keys("A1")
    world = served.world
    for byte in (0x3C, 0x38, 0x3C, 0x38, 0x3C, 0x38, 0x2C, 0x28):
        world.i2c.write(0x27, bytes((byte,)))
    for value, rs in ((0x28, 0), (0x0C, 0), (ord("O"), 1), (ord("K"), 1)):
        for nibble in (value >> 4, value & 15):
            world.i2c.write(0x27, bytes((nibble << 4 | 0x0C | rs, nibble << 4 | 0x08 | rs)))
    waited = await sim.wait_for(display="OK")
    assert waited.met
    async with asyncio.timeout(5):
        while not (view := await sim.display(after=mark.frame)).history:
            pass
    assert view.history[-1].lines[0].strip() == "OK"
    assert (await sim.wait_for(display="OK", since=mark)).text.startswith("OK")


async def test_what_happened_after_a_mark_is_found_although_it_is_over(served: Served) -> None:
    sim, world = served.sim, served.world
    mark = await sim.mark()
    world.cabinet.set_door(True)
    world.cabinet.set_door(False)
    assert "went high" in (await sim.wait_for(pin=22, level=True, since=mark)).text
    await sim.insert_coin(50)
    assert "coin 50" in (await sim.wait_for(fact="coin 50", since=mark)).text
    edges = await sim.edges(after=mark.edge, pin=22)
    assert [edge.level for edge in edges] == [True, False]
    assert (await sim.facts(after=mark.fact))[0].what == "moved"
    with pytest.raises(WaitTimeoutError, match="did not happen; display"):
        await sim.wait_for(pin=22, since=await sim.mark(), timeout_s=0)
    with pytest.raises(WaitTimeoutError):
        await sim.wait_for(fact="never", display="never", timeout_s=0.02)


async def test_quiet_comes_when_the_devices_have_told_everything(served: Served) -> None:
    sim, world = served.sim, served.world
    with pytest.raises(WaitTimeoutError):
        await sim.wait_for(quiet_s=0.01, timeout_s=0.05)
    assert (await sim.wait_for(still_s=0.02)).met
    for device in world.devices:
        await sim.set_fault(device, "silent")
    assert (await sim.wait_for(quiet_s=0.02)).met
    await sim.clear_faults()
    await sim.cut_power()
    assert (await sim.wait_for(quiet_s=0.02)).met


async def test_pins_are_listed_with_their_use(served: Served) -> None:
    served.world.pins().pin(23).output_with_state(1)
    pins = await served.sim.pins()
    assert pins[23].on
    assert pins[23].use == "buzzer.pin"
    assert pins[4].use == "columns[0].motor.pin"
    assert pins[17].use == "columns[3].home"
    await served.sim.forget_pins()
    assert await served.sim.edges() == []
    assert (await served.sim.truth()).outputs_on == (23,)


async def test_events_are_sent_to_those_who_subscribe(served: Served) -> None:
    await served.sim.subscribe(["edge"])
    await served.sim.subscribe(["fact", "edge"])
    served.world.cabinet.set_door(True)
    await served.sim.insert_coin(50)
    kinds = []
    async for event in served.sim.events():
        kinds.append(event["kind"])
        if len(kinds) == 2:
            break
    assert kinds == ["edge", "fact"]


async def test_waits_do_not_hold_up_other_requests(served: Served) -> None:
    sim = served.sim
    waiting = asyncio.create_task(sim.wait_for(fact="coin 20", since=Mark()))
    await sim.insert_coin(20)
    assert (await waiting).met


async def raw(path: Path, *lines: bytes, answers: int) -> list[dict[str, Any]]:
    reader, writer = await asyncio.open_unix_connection(path)
    for line in lines:
        writer.write(line + b"\n")
    found = [json.loads(await reader.readline()) for _ in range(answers)]
    writer.close()
    await writer.wait_closed()
    return found


async def test_nonsense_on_the_socket_is_answered_with_an_error(served: Served) -> None:
    found = await raw(served.path, b"{nonsense", b"", b"\xff\xfe", b"{}", answers=3)
    assert all(message["error"]["code"] < 0 for message in found)
    long_number = b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"truth"}'
    found = await raw(served.path, long_number, answers=1)
    assert "JSON in UTF-8" in found[0]["error"]["message"]
    found = await raw(served.path, b"x" * (MAX_LINE_BYTES + 10), answers=1)
    assert "bytes at most" in found[0]["error"]["message"]


async def test_a_request_whose_id_is_null_is_answered_with_null(served: Served) -> None:
    found = await raw(
        served.path, b'{"jsonrpc":"2.0","id":null,"method":"truth"}', b"nonsense", answers=2
    )
    assert sorted("result" in message for message in found) == [False, True]
    assert all(message["id"] is None for message in found)


async def test_a_client_may_not_wait_for_everything_at_once(served: Served) -> None:
    wait = {"jsonrpc": "2.0", "id": 1, "method": "wait_for", "params": {"fact": "never"}}
    lines = [json.dumps(wait).encode()] * (MAX_PENDING + 1)
    (found,) = await raw(served.path, *lines, answers=1)
    assert "waiting already" in found["error"]["message"]


async def test_a_world_that_is_not_kept_is_not_saved(served: Served) -> None:
    with pytest.raises(SimulatorError, match="--state FILE"):
        await served.sim.save()


async def test_stop_ends_the_simulator(served: Served) -> None:
    assert (await served.sim.hello()).machine == "demo"
    await served.sim.stop()
    assert served.stops == [True]


async def test_an_async_client_is_told_when_the_simulator_goes(run_folder: Path) -> None:
    with pytest.raises(SimulatorError, match="no simulated machine"):
        await AsyncSimClient.connect(run_folder / "none.sock")

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    server = await asyncio.start_unix_server(hang_up, run_folder / "s.sock")
    async with await AsyncSimClient.connect(run_folder / "s.sock") as sim:
        with pytest.raises(SimulatorError, match="went away"):
            await sim.truth()
        with pytest.raises(SimulatorError, match="went away"):
            await sim.truth()
        assert [event async for event in sim.events()] == []
    server.close()
    await server.wait_closed()
