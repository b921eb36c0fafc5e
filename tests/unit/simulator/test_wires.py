"""Both wires to the bench, and what goes wrong on them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import pairwise

import pytest

from controller.faults import ConfigError, LinkError
from drivers.mdb.blocks import BYTE_TIME_S
from simulator.adapter_wire import AdapterSettings
from simulator.bench import BenchSettings, MdbBench
from simulator.clock import run_virtual
from simulator.conversation import ScriptedMaster, run_story
from simulator.line import LineFaults
from simulator.native_wire import Pacing, parmrk
from simulator.peripherals.changer_settings import ChangerSettings
from simulator.ports import MemoryNinthBitPort, MemoryPort


def in_time(story: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await story()

    run_virtual(main())


class Host:
    """Collects what a port delivers, with the time."""

    def __init__(self, port: MemoryPort) -> None:
        self.port = port
        self.chunks: list[tuple[float, bytes]] = []
        self.lost: list[Exception] = []
        port.start(self._take, self.lost.append)

    def _take(self, data: bytes) -> None:
        self.chunks.append((asyncio.get_running_loop().time(), data))

    @property
    def heard(self) -> bytes:
        return b"".join(data for _, data in self.chunks)

    @property
    def lines(self) -> list[str]:
        return self.heard.decode("ascii").splitlines()

    async def say(self, line: str) -> str:
        """Send a command to an adapter and return the line it answers."""
        before = len(self.lines)
        self.port.write(f"{line}\n".encode())
        await asyncio.sleep(0.3)
        answers = self.lines[before:]
        return answers[0] if len(answers) == 1 else repr(answers)


async def _bench(settings: BenchSettings | None = None) -> MdbBench:
    bench = MdbBench(asyncio.get_running_loop(), settings)
    await asyncio.sleep(0.5)
    return bench


# -- the native wire --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("byte", "mode", "form"),
    [
        (0x45, False, "45"),
        (0xFF, False, "FF FF"),
        (0x00, True, "FF 00 00"),
        (0xFF, True, "FF 00 FF"),
    ],
)
def test_bytes_arrive_as_a_tty_marks_them(byte: int, mode: bool, form: str) -> None:
    assert parmrk(byte, mode) == bytes.fromhex(form)


def test_bytes_are_paced_as_on_the_wire() -> None:
    async def story() -> None:
        bench = await _bench()
        host = Host(bench.port("native"))
        start = bench.loop.time()
        assert isinstance(host.port, MemoryNinthBitPort)
        host.port.write_block(b"\x09\x09")
        await asyncio.sleep(0.2)
        times = [at - start for at, _ in host.chunks]
        first = 2 * BYTE_TIME_S + bench.changer.settings.response_s + BYTE_TIME_S
        assert times[0] == pytest.approx(first)
        assert [b - a for a, b in pairwise(times)] == pytest.approx([BYTE_TIME_S] * 23)

    in_time(story)


def test_coarse_pacing_keeps_the_first_and_the_last_byte_in_time() -> None:
    async def story() -> None:
        fine, coarse = await _bench(), await _bench(BenchSettings(pacing=Pacing.EDGES))
        hosts = [Host(bench.port("native")) for bench in (fine, coarse)]
        for host in hosts:
            assert isinstance(host.port, MemoryNinthBitPort)
            host.port.write_block(b"\x09\x09")
        await asyncio.sleep(0.2)
        assert hosts[0].heard == hosts[1].heard
        assert len(hosts[1].chunks) == 2
        for index in (0, -1):
            assert hosts[0].chunks[index][0] == pytest.approx(hosts[1].chunks[index][0])

    in_time(story)


def test_a_stream_without_the_ninth_bit_is_cut_into_blocks() -> None:
    async def story() -> None:
        bench = await _bench()
        heard: list[bytes] = []
        wire = bench.native
        wire.attach(heard.append)
        wire.feed(b"\x0b\x0b")  # in one piece
        await asyncio.sleep(0.02)
        wire.feed(b"\x00")  # ACK
        await asyncio.sleep(0.02)
        for byte in b"\x0c\x00\x3f\x00\x00\x4b":  # byte by byte
            wire.feed(bytes((byte,)))
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)
        assert bench.changer.accepted == 0x3F
        wire.feed(b"\x0b\x0b")
        await asyncio.sleep(0.02)
        assert b"".join(heard) == bytes.fromhex("0B FF 00 0B FF 00 00 FF 00 00")

    in_time(story)


def test_an_answer_to_an_earlier_block_ends_when_the_next_block_is_heard() -> None:
    async def story() -> None:
        bench = await _bench()
        heard: list[bytes] = []
        wire = bench.native
        wire.attach(heard.append)
        wire.feed(b"\x0b\x0b")
        await asyncio.sleep(0.02)
        wire.feed(b"\x00")
        await asyncio.sleep(0.02)
        heard.clear()
        # A simulator that was held up hears both at once; the host waits for the second one.
        wire.feed(b"\x09\x09\x0b\x0b")
        await asyncio.sleep(0.1)
        assert b"".join(heard) == bytes.fromhex("FF 00 00"), "the poll's ACK, and no set-up data"

    in_time(story)


def test_an_answer_of_a_simulator_that_was_held_up_is_no_answer_to_the_next_device() -> None:
    async def story(held_up_s: float) -> bytes:
        bench = await _bench()
        heard: list[bytes] = []
        wire = bench.native
        wire.attach(heard.append)
        wire.feed(b"\x09\x09")
        loop = asyncio.get_running_loop()
        # As a process that gets no turn: when it goes on, all is late.
        hold_up = partial(vars(loop).__setitem__, "_now", loop.time() + 0.006 + held_up_s)
        loop.call_later(0.006, hold_up)
        await asyncio.sleep(0.2)
        return b"".join(heard)

    async def main() -> None:
        whole = await story(0.0)
        assert whole[:3] == bytes.fromhex("03 19 78")
        assert await story(0.03) == whole, "a host waits that long"
        cut = await story(0.08)
        assert len(cut) < 3, "and then it asks the next device"
        assert whole.startswith(cut)

    in_time(main)


def test_a_block_that_stays_unfinished_is_dropped_after_a_pause() -> None:
    async def story() -> None:
        bench = await _bench()
        wire = bench.native
        heard: list[bytes] = []
        wire.attach(heard.append)
        wire.feed(b"\x0c\x00")
        await asyncio.sleep(0.05)
        wire.feed(b"\x0b\x0b")
        await asyncio.sleep(0.05)
        assert b"".join(heard) == bytes.fromhex("0B FF 00 0B")
        wire.feed(b"\x0d")
        await asyncio.sleep(0.004)
        wire.feed(b"\x14\x21")
        await asyncio.sleep(0.2)
        assert bench.changer.paying, "a short pause is tolerated"

    in_time(story)


def test_unknown_devices_and_endless_blocks_do_not_hang_the_stream() -> None:
    async def story() -> None:
        bench = await _bench()
        wire = bench.native
        wire.feed(b"\x42\x42\x11\x12")
        await asyncio.sleep(0.05)
        wire.feed(bytes([0x42]) * 40)
        await asyncio.sleep(0.2)
        heard: list[bytes] = []
        wire.attach(heard.append)
        wire.feed(b"\x0b\x0b")
        await asyncio.sleep(0.05)
        assert b"".join(heard) == bytes.fromhex("0B FF 00 0B")

    in_time(story)


def test_retransmission_and_refusal_work_in_a_stream_too() -> None:
    async def story() -> None:
        bench = await _bench()
        wire = bench.native
        heard: list[bytes] = []
        wire.attach(heard.append)
        for byte in (b"\x0b\x0b", b"\xaa", b"\xff", b"\x0b\x0b", b"\x00", b"\x0b\x0b"):
            wire.feed(byte)
            await asyncio.sleep(0.01)
        told = bytes.fromhex("0B FF 00 0B")
        assert b"".join(heard) == told * 3 + bytes.fromhex("FF 00 00")

    in_time(story)


def test_a_break_shorter_than_the_standards_does_nothing() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await master.ask("0B")
        port = bench.port("native")
        await port.send_break(0.05)
        assert await ScriptedMaster(bench).ask("0B") == b""
        bench.bus_line.dead = True
        await port.send_break(0.2)
        bench.bus_line.heal()
        assert await ScriptedMaster(bench).ask("0B") == b""
        await port.send_break(0.2)
        assert await ScriptedMaster(bench).ask("0B") == b"\x0b"

    run_story(story)


# -- ports ------------------------------------------------------------------------------------


def test_a_closed_port_writes_nothing_and_an_unplugged_one_tells_once() -> None:
    async def story() -> None:
        bench = await _bench()
        host = Host(bench.port("adapter"))
        host.port.close()
        host.port.close()
        with pytest.raises(LinkError):
            host.port.write(b"V\n")
        assert host.lost == []
        with pytest.raises(LinkError):
            Host(host.port)
        other = Host(bench.port("native"))
        other.port.unplug()
        other.port.unplug()
        assert [type(error) for error in other.lost] == [LinkError]

    in_time(story)


def test_what_was_sent_before_the_port_closed_still_arrives() -> None:
    async def story() -> None:
        bench = await _bench()
        port = bench.port("native")
        port.write_block(bytes.fromhex("0D 14 21"))
        port.close()
        await asyncio.sleep(1)
        assert bench.truth.totals().returned == 100

    in_time(story)


def test_a_new_port_takes_over_from_the_old_one() -> None:
    async def story() -> None:
        bench = await _bench()
        old, new = Host(bench.port("adapter")), Host(bench.port("adapter"))
        assert await new.say("V") == AdapterSettings().version
        assert old.heard == b""
        old.port.close()
        assert await new.say("H") == AdapterSettings().hardware

    in_time(story)


def test_a_bench_says_what_it_does_not_have() -> None:
    async def story() -> None:
        bench = await _bench(BenchSettings(changer=None, bill=None, readers=()))
        for part in ("changer", "bill", "reader"):
            with pytest.raises(ConfigError, match="this bench has no"):
                getattr(bench, part)
        assert bench.bus.quiet
        host = Host(bench.port("adapter"))
        assert await host.say("M,1") == "m,ACK"
        assert await host.say("R,0B") == "p,NACK"

    in_time(story)


# -- the adapter ------------------------------------------------------------------------------


def test_the_adapter_speaks_as_its_makers_pages_say() -> None:
    async def story() -> None:
        bench = await _bench(
            BenchSettings(changer=ChangerSettings(currency=0x1826, setup_values=16))
        )
        host = Host(bench.port("adapter"))
        assert await host.say("R,0B") == "r,NACK", "it is no master yet"
        assert await host.say("M,1") == "m,ACK"
        assert await host.say("R,0B") == "p,0B"
        assert (await host.say("R,09")).startswith("p,031826050200")
        assert await host.say("R,0C,003F0000") == "p,ACK"
        assert await host.say("R,0B") == "p,ACK"
        assert await host.say("R,12") == "p,00", "JUST RESET and ACK differ"
        assert await host.say("R,12") == "p,ACK"
        assert await host.say("R,42") == "p,NACK"
        assert await host.say("L,1") == "l,ACK"
        assert await host.say("X,0") == "x,ACK"
        assert await host.say("F,RESPTIMEOUT,50") == "f,ACK"
        assert await host.say("F,RESPTIMEOUT,5") == "f,NACK"
        assert await host.say("R,zz") == "p,NACK"
        assert await host.say("R," + "0B" * 40) == "p,NACK"
        assert await host.say("?") == "e,NACK"
        assert await host.say("M,0") == "m,ACK"

    in_time(story)


def test_the_adapter_takes_every_line_end_and_forgets_endless_lines() -> None:
    async def story() -> None:
        bench = await _bench()
        host = Host(bench.port("adapter"))
        host.port.write(b"M,1\rR,0B\r\nR,0b\n\n")
        await asyncio.sleep(0.2)
        assert host.lines == ["m,ACK", "p,0B", "p,ACK"]
        host.port.write(b"A" * 300)
        await asyncio.sleep(0.2)
        assert await host.say("") == "a,NACK", "the rest of it"
        assert await host.say("R,0B") == "p,ACK"

    in_time(story)


def test_the_adapter_acknowledges_whether_or_not_anybody_reads() -> None:
    async def story() -> None:
        bench = await _bench()
        host = Host(bench.port("adapter"))
        await host.say("M,1")
        await host.say("R,0B")
        await host.say("R,0C,003F0000")
        bench.changer.insert_coin(200)
        await asyncio.sleep(1)
        host.port.write(b"R,0B\n")
        host.port.close()
        await asyncio.sleep(1)
        again = Host(bench.port("adapter"))
        assert await again.say("R,0B") == "p,ACK", "the coin's message is gone"
        assert bench.truth.value("cashbox") == 200

    in_time(story)


def test_the_adapter_answers_in_the_order_in_which_it_was_asked() -> None:
    async def story() -> None:
        bench = await _bench()
        host = Host(bench.port("adapter"))
        await host.say("M,1")
        before = len(host.lines)
        # The set-up's answer is the longest line, and the host asks on before it is there.
        for line in (b"R,09\n", b"V\n", b"H\n", b"R,0B\n", b"V\n"):
            host.port.write(line)
        await asyncio.sleep(1)
        assert [line[0] for line in host.lines[before:]] == ["p", "v", "h", "p", "v"]
        before = len(host.lines)
        host.port.write(b"R,09\n")
        await asyncio.sleep(0.02)  # it is being said
        host.port.write(b"V\n")
        await asyncio.sleep(1)
        assert [line[0] for line in host.lines[before:]] == ["p", "v"]

    in_time(story)


def test_the_adapters_bus_reset_and_its_own_restart() -> None:
    async def story() -> None:
        bench = await _bench()
        host = Host(bench.port("adapter"))
        await host.say("M,1")
        assert await host.say("R,0B") == "p,0B"
        assert await host.say("R,RESET") == "p,ACK"
        await asyncio.sleep(0.3)
        assert await host.say("R,0B") == "p,0B"
        bench.adapter.restart()
        assert await host.say("R,0B") == "r,NACK"
        bench.adapter.settings.answers_reset = False
        await host.say("M,1")
        assert await host.say("R,RESET") == "[]"

    in_time(story)


def test_late_garbled_and_lost_answers_look_alike_through_the_adapter() -> None:
    async def story() -> None:
        bench = await _bench()
        host = Host(bench.port("adapter"))
        await host.say("M,1")
        bench.changer.faults.late_answers = 1
        bench.changer.faults.late_s = 0.012
        assert await host.say("R,0B") == "p,NACK"
        bench.bus_line.flip_answers = 1
        assert await host.say("R,0B") == "p,NACK"
        bench.bus_line.lose_answers = 1
        assert await host.say("R,0B") == "p,NACK"
        bench.bus_line.drop_mode_bits = 1
        assert await host.say("R,0B") == "p,NACK"
        bench.changer.faults.naks = 1
        assert await host.say("R,0B") == "p,NACK"
        await host.say("F,RESPTIMEOUT,20")
        bench.changer.faults.late_answers = 1
        assert await host.say("R,0B") == "p,0B", "still there, and now in time"
        assert await host.say("R,0B") == "p,ACK"

    in_time(story)


def test_the_adapters_own_ack_can_be_lost_on_the_bus() -> None:
    async def story() -> None:
        bench = await _bench()
        host = Host(bench.port("adapter"))
        await host.say("M,1")
        bench.bus_line.lose_host_acks = 1
        assert await host.say("R,0B") == "p,0B"
        assert await host.say("R,0B") == "p,0B"
        assert await host.say("R,0B") == "p,ACK"

    in_time(story)


# -- the line ---------------------------------------------------------------------------------


def test_a_line_without_faults_passes_everything() -> None:
    line = LineFaults()
    assert line.perfect
    assert line.towards_devices(b"\x0b\x0b") == b"\x0b\x0b"
    assert line.towards_host(b"\x01\x02") == [(1, False), (2, True)]
    assert list(line.chunks(b"abc")) == [b"abc"]
    assert list(line.chunks(b"")) == []
    assert line.latency_s() == 0


def test_a_dead_line_passes_nothing() -> None:
    line = LineFaults(dead=True)
    assert line.towards_devices(b"\x0b\x0b") == b""
    assert line.ack_towards_devices(0) == b""
    assert line.towards_host(b"\x01\x02") == []
    assert line.text_towards_host(b"x") == line.text_towards_devices(b"x") == b""
    line.heal()
    assert line.perfect


@pytest.mark.parametrize("fault", ["loss", "flip", "noise"])
def test_rates_come_from_the_seed(fault: str) -> None:
    def run(seed: int) -> bytes:
        line = LineFaults(seed)
        setattr(line, fault, 0.1)
        return b"".join(line.towards_devices(bytes(range(16))) for _ in range(50))

    assert run(1) == run(1)
    assert run(1) != run(2)
    assert run(1) != bytes(range(16)) * 50


def test_pieces_make_the_whole() -> None:
    chopped = LineFaults(3, chop=True)
    pieces = chopped.chunks(bytes(range(100)))
    assert b"".join(pieces) == bytes(range(100))
    assert len(pieces) > 3
    single = LineFaults(3, single=True)
    assert len(single.chunks(bytes(10))) == 10


def test_counters_hit_the_next_block_of_their_kind_only() -> None:
    line = LineFaults(lose_device_acks=1, lose_answers=1)
    assert line.towards_host(b"\x01\x01") == []
    assert line.towards_host(b"\x00") == []
    assert line.towards_host(b"\x01\x01") != []
    assert line.to_state()["lose_answers"] == 0


def test_a_delay_keeps_the_order_of_bytes() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        bench.bus_line.delay_s = 0.004
        bench.bus_line.jitter_s = 0.012
        port = bench.port("native")
        host = Host(port)
        for _ in range(20):
            port.write_block(b"\x0b\x0b")
            await asyncio.sleep(0.009)
        await asyncio.sleep(0.1)
        assert host.heard == bytes.fromhex("0B FF 00 0B") * 20

    run_story(story)


def test_a_chopped_noisy_lossy_line_is_the_same_every_time() -> None:
    async def conversation() -> list[bytes | None]:
        bench = await _bench(BenchSettings(seed=42))
        bench.bus_line.loss = bench.bus_line.flip = bench.bus_line.noise = 0.02
        bench.bus_line.chop = True
        port = bench.port("native")
        host = Host(port)
        for _ in range(100):
            for block in (b"\x0b\x0b", b"\x33\x33", b"\x12\x12"):
                port.write_block(block)
                await asyncio.sleep(0.05)
                port.write(b"\x00")
                await asyncio.sleep(0.05)
        return [data for _, data in host.chunks]

    first, second = run_virtual(conversation()), run_virtual(conversation())
    assert first == second
    assert len(first) > 200
