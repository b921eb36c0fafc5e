"""What comes down: nothing that is wrong with one message keeps the others waiting."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cloud.contract import signing
from cloud.contract.topics import Topic
from cloud.link import inbox
from cloud.link.inbox import HELD_BYTES, RUNNING_MAX, WAITING_MAX, Inbox
from cloud.link.transport import Heard
from controller.clock import SystemClock
from controller.domain import commands as cmd
from controller.machine.inputs import CommandRefused
from tests.unit.cloud.contract.kit import MACHINE, NOW, ROOT, SEED, command, key_of

Act = Callable[[cmd.Command, str], Awaitable[dict[str, Any]]]


class Box:
    """An inbox, and what it lets the broker forget."""

    def __init__(self, act: Act) -> None:
        self.done: list[str] = []
        self.asked = asyncio.Event()
        self.asked_often = 0
        self.inbox = Inbox(
            signing.Verifier(signing.public_of(ROOT), MACHINE),
            act,
            SystemClock(),
            lambda: (NOW, True),
            {"log.level": self._breaks},
            self._ask_again,
        )

    async def _breaks(self, id_: str, args: object) -> str:
        raise KeyError(f"{id_} {args}")

    def _ask_again(self) -> None:
        self.asked_often += 1
        self.asked.set()

    def put(self, id_: str, **changes: object) -> None:
        signed = signing.sign(
            signing.COMMAND,
            signing.signer_of(SEED),
            "k1",
            command(id=id_, **changes),
            signing.sign_key(signing.signer_of(ROOT), key_of()),
        )
        done: Callable[[], None] = lambda: self.done.append(id_)  # noqa: E731 - what a message carries
        self.inbox.put(Heard(Topic.CMD, signed.to_bytes(), done))


async def ran_all(box: Box, ran: list[str], ids: list[str]) -> None:
    async with asyncio.timeout(60):
        while len(ran) < len(ids):  # noqa: ASYNC110 - its other end is here
            await asyncio.sleep(0)


async def test_commands_beyond_what_the_broker_may_keep_wait_here_in_their_order() -> None:
    ran: list[str] = []

    async def act(order: cmd.Command, by: str) -> dict[str, Any]:
        assert isinstance(order, cmd.Remote), by
        ran.append(order.id)
        return {"outcome": "done"}

    box = Box(act)
    ids = [f"c{number}" for number in range(WAITING_MAX + 30)]
    for id_ in ids:
        box.put(id_)
    assert box.done == ids[WAITING_MAX:], "else the broker sends no more, and nobody tells the time"
    for id_ in ids:
        box.put(id_)  # the fleet publishes them once more
    assert len(box.inbox) == len(ids), "the same bytes wait once"

    running = asyncio.create_task(box.inbox.run())
    box.inbox.time_is_known()
    await ran_all(box, ran, ids)
    running.cancel()

    assert ran == ids
    assert set(box.done) == set(ids)
    assert box.asked_often == 0


async def test_on_a_disk_that_is_not_in_use_commands_wait_and_a_configuration_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[str] = []

    async def act(order: cmd.Command, by: str) -> dict[str, Any]:
        ran.append(order.id if isinstance(order, cmd.Remote) else type(order).__name__)
        return {"outcome": "done"}

    box = Box(act)
    running = asyncio.create_task(box.inbox.run())
    box.inbox.time_is_known()
    box.inbox.in_use(None)  # connected, and not answered yet
    box.put("c1")
    box.inbox.put(Heard(Topic.DESIRED, b"garbage", lambda: box.done.append("d")))
    await ran_all(box, ran, ["refused"])
    assert (ran, box.done, box.asked_often) == (["NoteRefused"], ["d"], 0)

    box.inbox.in_use(False)
    box.put("c1")
    box.put("c2")
    assert box.asked_often == 1, "for the new one; it may be adopted by now"
    monkeypatch.setattr(inbox, "ASK_S", 0.01)
    box.inbox.in_use(False)
    box.asked.clear()
    async with asyncio.timeout(60):
        await box.asked.wait()
    assert len(ran) == 1

    box.inbox.in_use(True)
    await ran_all(box, ran, ["refused", "c1", "c1", "c2"])
    assert ran[1:] == ["c1", "c1", "c2"]
    running.cancel()


async def test_behind_one_that_finds_no_room_none_is_taken_before_it_comes_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inbox, "HELD_MAX", WAITING_MAX + 2)
    ran: list[str] = []

    async def act(order: cmd.Command, by: str) -> dict[str, Any]:
        assert isinstance(order, cmd.Remote), by
        ran.append(order.id)
        return {"outcome": "done"}

    box = Box(act)
    ids = [f"c{number}" for number in range(WAITING_MAX + 30)]
    for id_ in ids[:-1]:
        box.put(id_)
    running = asyncio.create_task(box.inbox.run())
    box.inbox.time_is_known()
    async with asyncio.timeout(60):
        while not ran:  # noqa: ASYNC110 - its other end is here
            await asyncio.sleep(0)
    box.put(ids[-1])  # there is room for it now, and not yet its turn
    async with asyncio.timeout(60):
        while len(ran) < len(ids):
            if box.asked.is_set():
                box.asked.clear()
                for id_ in ids[len(ran) :]:
                    box.put(id_)
            await asyncio.sleep(0)
    running.cancel()

    assert ran == ids


async def test_a_message_too_large_to_wait_beside_others_is_asked_for_again() -> None:
    box = Box(lambda _order, _by: asyncio.sleep(0, {"outcome": "done"}))
    box.put("first")
    large = Heard(Topic.DESIRED, b"x" * HELD_BYTES, lambda: box.done.append("large"))
    box.inbox.put(large)
    assert (box.done, len(box.inbox)) == (["large"], 1)


async def test_more_commands_that_take_long_than_may_run_wait_for_their_turn() -> None:
    ran: list[str] = []
    ends = asyncio.Event()

    async def act(order: cmd.Command, by: str) -> dict[str, Any]:
        assert isinstance(order, cmd.Remote), by
        ran.append(order.id)
        box.inbox.begun(order.id)
        await ends.wait()
        return {"outcome": "done"}

    box = Box(act)
    box.inbox.time_is_known()
    running = asyncio.create_task(box.inbox.run())
    ids = [f"c{number}" for number in range(RUNNING_MAX + 3)]
    for id_ in ids:
        box.put(id_, kind="column.test", args={"column": "A1"})
    await ran_all(box, ran, ids[:RUNNING_MAX])
    for _ in range(100):
        await asyncio.sleep(0)
    assert (len(ran), box.asked_often) == (RUNNING_MAX, 0)
    ends.set()
    await ran_all(box, ran, ids)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert ran == ids


async def test_a_command_that_breaks_leaves_the_next_one_its_turn() -> None:
    ran: list[str] = []
    ends: list[tuple[str, str]] = []
    ended = asyncio.Event()
    odd: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def act(order: cmd.Command, by: str) -> dict[str, Any]:
        if isinstance(order, cmd.EndRemote):
            ends.append((order.id, order.outcome))
            odd.set_result({"outcome": order.outcome})
            return {}
        assert isinstance(order, cmd.Remote), by
        ran.append(order.id)
        if order.id == "stopping":
            raise CommandRefused("the machine is stopping")
        if order.id == "odd":
            box.inbox.begun("odd")
            return await odd
        if order.id == "last":
            ended.set()
        return {"outcome": "done"}

    box = Box(act)
    box.inbox.time_is_known()
    running = asyncio.create_task(box.inbox.run())
    box.put("stopping")
    box.put("odd", kind="log.level", args={"level": "debug"})
    box.put("last")
    async with asyncio.timeout(10):
        await ended.wait()
    running.cancel()

    assert ran == ["stopping", "odd", "last"]
    assert ends == [("odd", "interrupted")], "it has an end all the same"
    assert box.done[:2] == ["stopping", "odd"]


async def test_a_command_that_takes_long_lets_the_broker_forget_it_and_the_next_one_begin() -> None:
    ran: list[str] = []
    forever = asyncio.Event()
    ended = asyncio.Event()

    async def act(order: cmd.Command, by: str) -> dict[str, Any]:
        assert isinstance(order, cmd.Remote), by
        ran.append(order.id)
        box.inbox.begun(order.id)
        if order.id == "long":
            await forever.wait()
        else:
            ended.set()
        return {"outcome": "done"}

    box = Box(act)
    box.inbox.time_is_known()
    running = asyncio.create_task(box.inbox.run())
    box.put("long", kind="column.test", args={"column": "A1"})
    box.put("long", kind="column.test", args={"column": "A1"})
    box.put("next")
    async with asyncio.timeout(10):
        await ended.wait()
        while len(box.done) < 3:  # noqa: ASYNC110 - its other end is here
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert ran == ["long", "next"], "it came twice and ran once"
    assert box.done == ["long", "long", "next"]
