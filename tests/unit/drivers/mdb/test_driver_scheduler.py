import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from controller.faults import JournalError, LinkError
from controller.ports import FaultCleared, FaultRaised
from drivers.links.mdb_link import NEARLY_ACKED, SILENT, Answer, AnswerKind
from drivers.mdb.scheduler import ACK_BUDGET_S, REOPEN_S, MdbBus
from drivers.mdb.slots import (
    ASK_TRIES,
    COMMAND_GAP_S,
    POLL_LATEST_S,
    POLL_S,
    QUEUE_LIMIT,
    Foresight,
    Retry,
    Slot,
)
from tests.mdb_kit import FakeSink, ScriptedLink, now, until, virtual

A, B = b"\x0b", b"\x33"
COMMAND = b"\x0c\x00\x00\x00\x00"
NON_RESPONSE_S = 2.0


@dataclass(slots=True)
class FakeListener:
    quiet: int = 0
    items: list[bytes] = field(default_factory=list)
    told: list[bool] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)
    answer: Callable[[bytes], asyncio.Future[None] | None] = lambda _: None

    def on_quiet(self) -> None:
        self.quiet += 1

    def on_items(self, data: bytes) -> asyncio.Future[None] | None:
        self.items.append(data)
        return self.answer(data)

    def on_told(self, *, acked: bool) -> None:
        self.told.append(acked)

    def on_lost(self) -> None:
        self.lost.append(now())


@dataclass(slots=True)
class Stand:
    link: ScriptedLink
    sink: FakeSink
    bus: MdbBus
    listeners: list[FakeListener]
    slots: list[Slot]
    task: asyncio.Task[None]

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def stand(
    link: ScriptedLink | None = None,
    polls: tuple[bytes, ...] = (A,),
    foresight: Foresight | None = None,
) -> Stand:
    link = link or ScriptedLink()
    sink = FakeSink()
    bus = MdbBus(link, sink, foresight)
    listeners = [FakeListener() for _ in polls]
    slots = [
        bus.attach(poll, listener, NON_RESPONSE_S)
        for poll, listener in zip(polls, listeners, strict=True)
    ]
    for slot in slots:
        slot.start_polling()
    return Stand(link, sink, bus, listeners, slots, asyncio.create_task(bus.run()))


@dataclass
class Seer:
    """Foresees that nothing happens before `horizon`, and which polls are answered by an ACK."""

    horizon: float = 0.0
    in_vain: tuple[bytes, ...] = ()
    same_again: tuple[bytes, ...] = ()
    news_of: tuple[bytes, ...] = ()

    def steady(self, poll: bytes) -> bool:
        return poll not in self.news_of

    def idle_until(self, poll: bytes, after: float) -> float:
        return self.horizon if self.steady(poll) and self.horizon > after else 0.0

    def acked(self, poll: bytes) -> float:
        return 0.008 if poll in self.in_vain else 0.0

    def repeated(self, poll: bytes) -> float:
        return 0.009 if poll in self.same_again else 0.0

    def pass_until(self, due: float) -> bool:
        del due
        return False

    def alone(self) -> bool:
        return True

    def napping(self, timer: asyncio.TimerHandle, foreseen: Callable[[], bool]) -> None:
        self.nap = timer, foreseen


def data(payload: bytes) -> Answer:
    return Answer(AnswerKind.DATA, payload)


def once(payload: bytes, answer: Answer) -> Callable[[bytes], Answer | None]:
    """Answer the first such payload only."""
    left = [answer]
    return lambda sent: left.pop() if left and sent == payload else None


def gaps(times: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(times)]


@virtual
async def test_each_device_is_polled_every_150_ms() -> None:
    it = await stand(polls=(A, B))
    await asyncio.sleep(10)
    for poll in (A, B):
        assert gaps(it.link.times(poll)) == pytest.approx([POLL_S] * 66)
    assert it.bus.counters.worst_late_s <= 0.015
    assert it.listeners[0].quiet == pytest.approx(67, abs=1)
    await it.stop()


@virtual
async def test_a_silent_neighbour_does_not_slow_the_polls_below_the_standard() -> None:
    silence = ScriptedLink(lambda sent: SILENT if sent == B else None, seconds=0.03)
    it = await stand(silence, (A, B))
    await asyncio.sleep(1.9)
    assert max(gaps(it.link.times(A))) <= POLL_LATEST_S
    await it.stop()


@virtual
async def test_a_command_takes_the_place_of_the_next_poll() -> None:
    it = await stand()
    await asyncio.sleep(1.0)
    asked = now()
    answer = await it.slots[0].command(COMMAND)
    assert answer.kind is AnswerKind.ACK
    sent = it.link.times(COMMAND)[0]
    assert sent - asked <= COMMAND_GAP_S
    await asyncio.sleep(1.0)
    everything = sorted(it.link.times(A) + it.link.times(COMMAND))
    assert min(gaps(everything)) >= COMMAND_GAP_S - 1e-9
    assert max(gaps(it.link.times(A))) <= POLL_LATEST_S + 1e-9
    await it.stop()


@virtual
async def test_a_row_of_commands_never_starves_the_polls() -> None:
    it = await stand()
    await asyncio.sleep(0.5)
    for _ in range(20):
        await it.slots[0].command(COMMAND)
    assert max(gaps(it.link.times(A))) <= POLL_LATEST_S + COMMAND_GAP_S + 1e-9
    await it.stop()


@virtual
async def test_a_command_without_ack_is_repeated_alternating_with_polls() -> None:
    left = [SILENT] * 3

    def answer(sent: bytes) -> Answer | None:
        return left.pop() if sent == COMMAND and left else None

    it = await stand(ScriptedLink(answer))
    await asyncio.sleep(0.5)
    assert (await it.slots[0].command(COMMAND)).kind is AnswerKind.ACK
    sent = [payload for _, payload in it.link.sent]
    first = sent.index(COMMAND)
    assert sent[first : first + 7] == [COMMAND, A, COMMAND, A, COMMAND, A, COMMAND]
    await it.stop()


@virtual
async def test_repetition_ends_with_the_non_response_time() -> None:
    it = await stand(ScriptedLink(lambda sent: SILENT if sent == COMMAND else None))
    began = now()
    assert (await it.slots[0].command(COMMAND)) is SILENT
    assert NON_RESPONSE_S <= now() - began <= NON_RESPONSE_S + 0.5
    assert not it.slots[0].lost  # it answers its polls
    await it.stop()


@virtual
async def test_repetition_ends_when_it_is_not_wanted_any_more() -> None:
    it = await stand(ScriptedLink(lambda sent: SILENT if sent == COMMAND else None))
    answer = await it.slots[0].command(COMMAND, wanted=lambda: len(it.link.times(COMMAND)) < 3)
    assert answer is SILENT
    assert len(it.link.times(COMMAND)) == 3
    await it.stop()


@pytest.mark.parametrize(("retry", "tries"), [(Retry.ONCE, 1), (Retry.ASK, ASK_TRIES)])
@pytest.mark.parametrize("kind", [AnswerKind.SILENCE, AnswerKind.NAK, AnswerKind.GARBLED])
@virtual
async def test_a_payout_is_never_repeated_and_a_question_a_few_times(
    retry: Retry, tries: int, kind: AnswerKind
) -> None:
    it = await stand(ScriptedLink(lambda sent: Answer(kind) if sent == COMMAND else None))
    assert (await it.slots[0].command(COMMAND, retry)).kind is kind
    await asyncio.sleep(3)
    assert len(it.link.times(COMMAND)) == tries
    await it.stop()


@virtual
async def test_data_in_answer_to_a_command_is_fed_before_it_is_acknowledged() -> None:
    it = await stand(ScriptedLink(lambda sent: data(b"\x05") if sent == COMMAND else None))
    fed: list[tuple[bytes, int]] = []
    answer = await it.slots[0].command(
        COMMAND, feed=lambda got: fed.append((got, len(it.link.acks)))
    )
    assert answer.data == b"\x05"
    assert fed == [(b"\x05", 0)]
    assert len(it.link.acks) == 1
    await it.stop()


@virtual
async def test_an_answer_without_money_is_acknowledged_at_once() -> None:
    it = await stand(ScriptedLink(once(A, data(b"\x01"))))
    await asyncio.sleep(1)
    assert it.listeners[0].items == [b"\x01"]
    assert it.link.acks[0] == pytest.approx(it.link.sent[0][0] + it.link.seconds)
    await it.stop()


def durable_after(seconds: float) -> Callable[[bytes], asyncio.Future[None]]:
    def answer(_: bytes) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        loop.call_later(seconds, future.set_result, None)
        return future

    return answer


@virtual
async def test_money_is_acknowledged_when_it_is_durable_and_polled_again_at_once() -> None:
    it = await stand(ScriptedLink(once(A, data(b"\x52\x20"))))
    it.listeners[0].answer = durable_after(0.002)
    await asyncio.sleep(1)
    answered = it.link.sent[0][0] + it.link.seconds
    assert it.link.acks == [pytest.approx(answered + 0.002)]
    assert it.listeners[0].told == [True]
    assert it.link.times(A)[1] == pytest.approx(it.link.acks[0] + 0.020)
    await it.stop()


@virtual
async def test_money_that_is_not_durable_in_time_is_answered_by_silence() -> None:
    it = await stand(ScriptedLink(once(A, data(b"\x52\x20"))))
    it.listeners[0].answer = durable_after(0.060)
    await asyncio.sleep(1)
    assert it.link.acks == []
    assert it.listeners[0].told == [False]
    assert it.bus.counters.withheld == 1
    answered = it.link.sent[0][0] + it.link.seconds
    # polled again as soon as it is durable, not only with the next beat
    assert it.link.times(A)[1] == pytest.approx(answered + 0.060 + 0.020)
    await it.stop()


@virtual
async def test_the_decision_falls_before_the_ack_is_late() -> None:
    it = await stand(ScriptedLink(once(A, data(b"\x52\x20"))))
    it.listeners[0].answer = durable_after(ACK_BUDGET_S - 0.0001)
    await asyncio.sleep(0.1)
    answered = it.link.sent[0][0] + it.link.seconds
    assert it.link.acks[0] - answered <= 0.005
    await it.stop()


@virtual
async def test_a_record_that_cannot_be_written_is_never_acknowledged_and_stops_the_bus() -> None:
    it = await stand(ScriptedLink(once(A, data(b"\x52\x20"))))
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    failed.set_exception(JournalError("disk full"))
    it.listeners[0].answer = lambda _: failed
    with pytest.raises(JournalError):
        await it.task
    assert it.link.acks == []


@pytest.mark.parametrize("withholds", [True, False])
@virtual
async def test_a_record_that_fails_later_stops_the_bus_too(withholds: bool) -> None:
    it = await stand(ScriptedLink(once(A, data(b"\x52\x20")), withholds=withholds))
    failing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    it.listeners[0].answer = lambda _: failing
    asyncio.get_running_loop().call_later(0.5, failing.set_exception, JournalError("I/O error"))
    with pytest.raises(JournalError):
        await it.task
    assert it.link.acks == []


@virtual
async def test_a_cancelled_record_is_not_acknowledged() -> None:
    it = await stand(ScriptedLink(once(A, data(b"\x52\x20"))))
    cancelled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    cancelled.cancel()
    it.listeners[0].answer = lambda _: cancelled
    await asyncio.sleep(0.5)
    assert it.link.acks == []
    await it.stop()


@virtual
async def test_an_adapter_has_acknowledged_and_is_polled_again_at_once() -> None:
    it = await stand(ScriptedLink(once(A, data(b"\x52\x20")), withholds=False))
    it.listeners[0].answer = durable_after(0.5)
    await asyncio.sleep(0.1)
    assert it.link.acks == []
    assert it.listeners[0].told == [True]
    first, second = it.link.times(A)[:2]
    assert second - first == pytest.approx(it.link.seconds + 0.020)
    await it.stop()


@virtual
async def test_silence_is_told_once_and_ends_with_the_next_answer() -> None:
    dead = True

    def answer(sent: bytes) -> Answer | None:
        return SILENT if dead else None

    it = await stand(ScriptedLink(answer))
    await asyncio.sleep(10)
    assert len(it.listeners[0].lost) == 1
    assert NON_RESPONSE_S <= it.listeners[0].lost[0] <= NON_RESPONSE_S + 2 * POLL_S
    assert it.slots[0].lost
    dead = False
    await asyncio.sleep(1)
    assert [it.slots[0].lost] == [False]
    await it.stop()


@virtual
async def test_an_ack_with_a_flipped_bit_is_a_sign_of_life_and_nothing_else() -> None:
    it = await stand(ScriptedLink(lambda _: NEARLY_ACKED))
    await asyncio.sleep(5)
    assert it.listeners[0].quiet == 0
    assert it.listeners[0].lost == []
    await it.stop()


@virtual
async def test_a_lost_port_is_reopened_with_growing_pauses_and_told_once() -> None:
    it = await stand()
    await asyncio.sleep(0.5)
    it.link.down, it.link.broken = 4, True
    await until(lambda: it.link.opened == 2)
    assert now() == pytest.approx(0.6 + sum(REOPEN_S), abs=0.2)
    await asyncio.sleep(0.5)
    assert len(it.sink.told(FaultRaised)) == len(it.sink.told(FaultCleared)) == 1
    assert len(it.listeners[0].lost) == 1
    assert not it.slots[0].lost
    await it.stop()


@virtual
async def test_commands_on_a_dead_line_never_leave() -> None:
    it = await stand()
    await asyncio.sleep(0.5)
    it.link.down, it.link.broken = 100, True
    waiting = asyncio.create_task(it.slots[0].command(COMMAND))
    with pytest.raises(LinkError):
        await waiting
    with pytest.raises(LinkError):
        await it.slots[0].command(COMMAND)
    await it.stop()


@virtual
async def test_a_command_that_had_left_when_the_line_died_was_not_answered() -> None:
    it = await stand(ScriptedLink(lambda sent: SILENT if sent == COMMAND else None))
    await asyncio.sleep(0.5)
    waiting = asyncio.create_task(it.slots[0].command(COMMAND))
    await asyncio.sleep(0.05)
    it.link.down, it.link.broken = 100, True
    assert await waiting is SILENT
    await it.stop()


@virtual
async def test_a_cancelled_command_is_not_sent() -> None:
    it = await stand()
    await asyncio.sleep(0.1505)  # the bus is in the middle of a poll
    waiting = asyncio.create_task(it.slots[0].command(COMMAND))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(1)
    assert it.link.times(COMMAND) == []
    await it.stop()


@virtual
async def test_the_queue_of_one_device_is_bounded() -> None:
    it = await stand()
    tasks = [asyncio.create_task(it.slots[0].command(COMMAND)) for _ in range(QUEUE_LIMIT + 1)]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(result, LinkError) for result in results].count(True) == 1
    await it.stop()


@virtual
async def test_a_held_device_is_left_alone_and_a_sleeping_one_is_not_polled() -> None:
    it = await stand(polls=(A, B))
    await asyncio.sleep(1.0)
    it.slots[0].hold(0.5)
    it.slots[1].stop_polling()
    began = now()
    await asyncio.sleep(0.499)
    assert [at for at, _ in it.link.sent if at > began] == []
    assert not it.slots[1].polling
    assert (await it.slots[1].command(COMMAND)).kind is AnswerKind.ACK
    await asyncio.sleep(1)
    assert [at for at in it.link.times(B) if at > began] == []
    assert len([at for at in it.link.times(A) if at > began]) > 3
    await it.stop()


@virtual
async def test_idle_polls_may_be_taken_as_answered() -> None:
    it = await stand(polls=(A, B), foresight=Seer(horizon=1000.0))
    await asyncio.sleep(990)
    assert len(it.link.sent) < 10
    assert it.bus.counters.skipped_polls > 2 * 990 / POLL_S - 20
    await asyncio.sleep(30)
    tail = [at for at in it.link.times(A) if at > 1000]
    assert gaps(tail) == pytest.approx([POLL_S] * (len(tail) - 1))
    assert it.listeners[0].lost == []
    await it.stop()


@virtual
async def test_nobody_is_left_out_while_another_has_something_to_say() -> None:
    # What it says may set off anything, long before the next timer that is known now.
    seer = Seer(horizon=1000.0, in_vain=(A, B), news_of=(B,))
    it = await stand(polls=(A, B), foresight=seer)
    await asyncio.sleep(10.0)
    assert it.slots[0].due < now() + 2 * POLL_S
    await it.stop()


@virtual
async def test_a_command_wakes_a_bus_that_skips_idle_polls() -> None:
    it = await stand(foresight=Seer(horizon=1000.0))
    await asyncio.sleep(500)
    asked = now()
    await it.slots[0].command(COMMAND)
    assert now() - asked < 0.05
    await it.stop()


@virtual
async def test_a_poll_in_vain_keeps_the_line_as_long_as_if_it_were_sent() -> None:
    sent = await stand(polls=(A, B))
    await asyncio.sleep(2.0)
    await sent.stop()
    spared = await stand(polls=(A, B), foresight=Seer(in_vain=(A,)))
    await asyncio.sleep(2.0)
    await spared.stop()
    assert spared.link.times(A) == []
    assert gaps(spared.link.times(B)) == pytest.approx(gaps(sent.link.times(B)), abs=0.01)
    assert spared.listeners[0].quiet == sent.listeners[0].quiet > 10
    assert spared.listeners[0].lost == []


@virtual
async def test_a_state_that_lasts_is_asked_for_once() -> None:
    link = ScriptedLink(answer=lambda poll: data(b"\x09") if poll == A else None)
    it = await stand(link, polls=(A, B), foresight=Seer(same_again=(A,)))
    await asyncio.sleep(10.0)
    await it.stop()
    assert len(it.link.times(A)) == 2  # the second says that it lasts
    assert it.listeners[0].items == [b"\x09"] * 2
    assert it.listeners[0].lost == []
    assert gaps(it.link.times(B)) == pytest.approx([POLL_S] * 66, abs=0.01)
