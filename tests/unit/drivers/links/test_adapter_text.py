import asyncio
from collections.abc import Callable

import pytest

from controller.faults import LinkError
from drivers.links.adapter_text import ANSWER_S, SETTING_S, AdapterTextLink
from drivers.links.mdb_link import ACKED, AnswerKind
from tests.mdb_kit import now, virtual


class Box:
    """The far side of a `BytePort`: answers lines by a table, late or chopped as told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.answers: dict[str, list[str | None]] = {}
        self.delays: list[float] = []
        self.chop = False
        self.mute = False
        self.gone = False
        self.closed = 0
        self._on_bytes: Callable[[bytes], None] | None = None
        self._on_lost: Callable[[Exception], None] | None = None
        self._buffer = b""

    def start(
        self, on_bytes: Callable[[bytes], None], on_lost: Callable[[Exception], None]
    ) -> None:
        self._on_bytes, self._on_lost = on_bytes, on_lost

    def write(self, data: bytes) -> None:
        if self.gone:
            raise LinkError("unplugged")
        self._buffer += data
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            if line:
                self.lines.append(line.decode())
                self._answer(line.decode())

    def _answer(self, line: str) -> None:
        if self.mute:
            return
        queue = self.answers.get(line)
        if queue:
            text = queue.pop(0)
        else:
            text = {"V": "v,1.0", "H": "h,4.1,01", "M": "m,ACK", "F": "f,ACK"}.get(line[0], "p,ACK")
        if text is None:
            return
        delay = self.delays.pop(0) if line[0] == "R" and self.delays else 0.01
        asyncio.get_running_loop().call_later(delay, self.say, text + "\n")

    def say(self, text: str) -> None:
        if self._on_bytes is None or self.closed:
            return
        data = text.encode()
        for piece in [bytes((byte,)) for byte in data] if self.chop else [data]:
            self._on_bytes(piece)

    def lose(self) -> None:
        self.gone = True
        assert self._on_lost is not None
        self._on_lost(LinkError("unplugged"))

    def close(self) -> None:
        self.closed += 1


async def opened(box: Box) -> AdapterTextLink:
    link = AdapterTextLink(lambda: box)
    await link.open()
    box.lines.clear()
    return link


@virtual
async def test_opening_finds_the_adapter_and_switches_master_mode_on() -> None:
    box = Box()
    link = AdapterTextLink(lambda: box)
    await link.open()
    assert box.lines == ["V", "H", "M,1", "F,RESPTIMEOUT,20"]
    assert (link.version, link.hardware) == ("1.0", "4.1,01")
    assert not link.capabilities.withholds_ack


@virtual
async def test_an_old_firmware_without_the_timeout_setting_works() -> None:
    box = Box()
    box.answers = {"F,RESPTIMEOUT,20": ["f,NACK"], "H": [None]}
    await opened(box)


@virtual
async def test_an_adapter_that_refuses_master_mode_is_no_link() -> None:
    box = Box()
    box.answers = {"M,1": ["m,NACK"]}
    link = AdapterTextLink(lambda: box)
    with pytest.raises(LinkError, match="master mode"):
        await link.open()
    assert box.closed


@virtual
async def test_a_port_with_nobody_behind_it_is_no_link() -> None:
    box = Box()
    box.mute = True
    link = AdapterTextLink(lambda: box)
    with pytest.raises(LinkError, match="does not answer"):
        await link.open()
    assert box.lines == ["V"] * 3


@virtual
async def test_ack_data_and_nack_are_answers() -> None:
    box = Box()
    link = await opened(box)
    box.answers = {"R,0B": ["p,ACK", "p,5220", "p,NACK"]}
    assert await link.exchange(b"\x0b") is ACKED
    answer = await link.exchange(b"\x0b")
    assert (answer.kind, answer.data) == (AnswerKind.DATA, b"\x52\x20")
    link.ack()
    assert (await link.exchange(b"\x0b")).kind is AnswerKind.SILENCE
    assert link.counters.silences == 1
    assert box.lines == ["R,0B"] * 3


@virtual
async def test_lines_may_come_byte_by_byte() -> None:
    box = Box()
    box.chop = True
    link = await opened(box)
    box.answers = {"R,0B": ["p,5220\r"]}
    assert (await link.exchange(b"\x0b")).data == b"\x52\x20"


@virtual
async def test_a_late_answer_still_belongs_to_its_block() -> None:
    box = Box()
    link = await opened(box)
    box.answers = {"R,0B": ["p,5220"]}
    box.delays = [ANSWER_S + 0.005]
    answer = await link.exchange(b"\x0b")
    assert answer.data == b"\x52\x20"
    assert box.lines == ["R,0B", "V"]
    assert await link.exchange(b"\x0b") is ACKED


@virtual
async def test_an_answer_and_the_version_in_one_piece_are_both_read() -> None:
    box = Box()
    link = await opened(box)
    box.answers = {"R,0B": [None], "V": [None]}
    asyncio.get_running_loop().call_later(ANSWER_S + 0.02, box.say, "p,5220\nv,1.0\n")
    assert (await link.exchange(b"\x0b")).data == b"\x52\x20"
    assert now() < 1.0


@virtual
async def test_an_answer_that_never_comes_may_have_run() -> None:
    box = Box()
    link = await opened(box)
    box.answers = {"R,0D,30": [None]}
    answer = await link.exchange(b"\x0d\x30")
    assert answer.kind is AnswerKind.GARBLED
    assert "lost" in answer.why
    assert box.lines == ["R,0D,30", "V"]


@virtual
async def test_a_damaged_answer_may_have_run() -> None:
    box = Box()
    link = await opened(box)
    box.answers = {"R,0B": ["p,52?0"]}
    answer = await link.exchange(b"\x0b")
    assert answer.kind is AnswerKind.GARBLED
    assert "damaged" in answer.why


@virtual
async def test_lines_of_other_modes_are_passed_over() -> None:
    box = Box()
    link = await opened(box)
    box.say("x,00,0000001234,0B\nd,STATUS,RESET\np,FF\n")
    box.answers = {"R,0B": ["d,ERR,busy\np,5220"]}
    assert (await link.exchange(b"\x0b")).data == b"\x52\x20"
    assert link.counters.stray_bytes > 0


@virtual
async def test_an_adapter_that_hangs_loses_the_port() -> None:
    box = Box()
    link = await opened(box)
    box.mute = True
    began = now()
    assert (await link.exchange(b"\x0b")).kind is AnswerKind.GARBLED
    assert now() - began < 2.0  # less than a changer's non-response time
    with pytest.raises(LinkError, match="does not answer"):
        await link.exchange(b"\x0b")


@virtual
async def test_a_cable_pulled_in_mid_exchange_leaves_its_outcome_open() -> None:
    box = Box()
    link = await opened(box)
    box.answers = {"R,0D,30": [None]}
    asyncio.get_running_loop().call_later(0.005, box.lose)
    answer = await link.exchange(b"\x0d\x30")
    assert answer.kind is AnswerKind.GARBLED
    assert now() < 0.2
    with pytest.raises(LinkError, match="unplugged"):
        await link.exchange(b"\x0b")


@virtual
async def test_a_block_had_left_though_the_port_is_gone_when_its_answer_is_asked_after() -> None:
    """Whoever pays must not take it for never sent, and pay again."""
    box = Box()
    link = await opened(box)
    box.answers = {"R,0D,30": [None]}

    def goes() -> None:
        box.gone = True  # and nobody has told of it yet

    asyncio.get_running_loop().call_later(0.1, goes)
    answer = await link.exchange(b"\x0d\x30")
    assert (answer.kind, answer.told) == (AnswerKind.GARBLED, True)
    with pytest.raises(LinkError, match="unplugged"):
        await link.exchange(b"\x0b")


@virtual
async def test_a_write_that_fails_sent_nothing() -> None:
    box = Box()
    link = await opened(box)
    box.gone = True
    with pytest.raises(LinkError, match="unplugged"):
        await link.exchange(b"\x0b")


@virtual
async def test_a_bus_reset_is_a_command_of_its_own() -> None:
    box = Box()
    link = await opened(box)
    await link.bus_reset()
    assert box.lines == ["R,RESET", "V"]
    assert now() >= SETTING_S
