"""Speak to a bench as a bus master would, in the notation of the standard's examples.

    M>  0B* 0B          what the master sends (* = mode bit)
    P>  0B 0B*          what a peripheral must answer
    M>  00              the master's ACK

A line that begins with neither is a remark; `P>  -` expects silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from drivers.mdb.blocks import BYTE_TIME_S, checksum
from simulator.bench import BenchSettings, MdbBench
from simulator.clock import run_virtual

Story = Callable[["MdbBench", "ScriptedMaster"], Awaitable[None]]

BOOT_S: Final = 0.5
"""Longer than the silence of any bench's devices after power-up."""

SILENCE_S: Final = 0.030
"""No answer begins later than this, and every answer has ended before another such pause."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer.

    Args:
        block: All bytes, checksum included.
        marks: The mode bit of each byte.
        first_s: From the end of the master's block to the end of the answer's first byte.
        last_s: The same to the end of its last byte.
    """

    block: bytes
    marks: tuple[bool, ...]
    first_s: float
    last_s: float

    @property
    def payload(self) -> bytes:
        """Return the data without the checksum; empty for a lone ACK."""
        return self.block[:-1]

    def __str__(self) -> str:
        return " ".join(
            f"{byte:02X}{'*' if mark else ''}"
            for byte, mark in zip(self.block, self.marks, strict=True)
        )


class ScriptedMaster:
    """A bus master that does what it is told, on the native wire.

    Args:
        bench: Whom to speak to; its loop must be running.
    """

    def __init__(self, bench: MdbBench) -> None:
        self._loop = bench.loop
        self._port = bench.port("native")
        self._port.start(self._receive, self._lost)
        self._marked: list[tuple[int, bool, float]] = []
        self._raw = bytearray()
        self._sent_at = 0.0
        self._done: asyncio.Future[None] | None = None

    def _lost(self, error: Exception) -> None:
        raise error

    def _receive(self, data: bytes) -> None:
        self._raw += data
        while self._raw:
            if self._raw[0] != 0xFF:
                self._byte(self._raw.pop(0), False)
            elif self._raw[:2] == b"\xff\xff":
                del self._raw[:2]
                self._byte(0xFF, False)
            elif len(self._raw) >= 3:
                byte = self._raw[2]
                del self._raw[:3]
                self._byte(byte, True)
            else:
                return

    def _byte(self, byte: int, mode: bool) -> None:
        self._marked.append((byte, mode, self._loop.time()))
        if mode and self._done is not None and not self._done.done():
            self._done.set_result(None)

    async def exchange(self, block: bytes) -> Heard | None:
        """Send a whole block, checksum included, and wait for the answer; None for silence."""
        self._marked.clear()
        self._port.write_block(block)
        self._sent_at = self._loop.time() + len(block) * BYTE_TIME_S
        return await self._answer(len(block))

    async def _answer(self, sent: int) -> Heard | None:
        self._done = self._loop.create_future()
        # A block of 36 bytes takes 41 ms; its first byte must come within the tolerant time.
        wait = sent * BYTE_TIME_S + SILENCE_S
        await asyncio.wait([self._done], timeout=wait)
        if not self._done.done() and self._marked:
            await asyncio.wait([self._done], timeout=36 * BYTE_TIME_S)
        if not self._marked:
            return None
        return Heard(
            bytes(byte for byte, _, _ in self._marked),
            tuple(mode for _, mode, _ in self._marked),
            self._marked[0][2] - self._sent_at,
            self._marked[-1][2] - self._sent_at,
        )

    async def ask(self, payload_hex: str, *, ack: bool = True) -> bytes | None:
        """Send a payload (the checksum is added), acknowledge data; return the answer's payload."""
        payload = bytes.fromhex(payload_hex)
        heard = await self.exchange(payload + bytes((checksum(payload),)))
        if heard is None:
            return None
        if len(heard.block) > 1 and ack:
            await self.control(0x00)
        return heard.payload

    async def control(self, byte: int) -> Heard | None:
        """Send ACK, NAK or RET; only RET brings an answer."""
        self._marked.clear()
        self._port.write(bytes((byte,)))
        self._sent_at = self._loop.time() + BYTE_TIME_S
        if byte == 0xAA:
            return await self._answer(1)
        await asyncio.sleep(2 * BYTE_TIME_S)
        return None

    async def play(self, script: str, *, pause_s: float = 0.1) -> None:
        """Play a conversation and insist on each answer.

        Args:
            script: In the notation above.
            pause_s: Before each block of the master.

        Raises:
            AssertionError: A peripheral said something else.
        """
        last: Heard | None = None
        for line in script.splitlines():
            text = line.strip()
            if text.startswith("M>"):
                words = _words(text)
                data = bytes(int(word.rstrip("*"), 16) for word in words)
                if words[0].endswith("*"):
                    await asyncio.sleep(pause_s)
                    last = await self.exchange(data)
                else:
                    last = await self.control(data[0])
            elif text.startswith("P>"):
                expected = " ".join(_words(text))
                said = "-" if last is None else str(last)
                if said != expected:
                    raise AssertionError(f"expected {expected!r}, heard {said!r}")


def run_story(story: Story, settings: BenchSettings | None = None) -> None:
    """Run a story on a fresh bench in virtual time, after its devices have started."""

    async def main() -> None:
        bench = MdbBench(asyncio.get_running_loop(), settings)
        await asyncio.sleep(BOOT_S)
        await story(bench, ScriptedMaster(bench))

    run_virtual(main())


def _words(line: str) -> list[str]:
    """Return the bytes of a line, remarks behind them left out."""
    found: list[str] = []
    for word in line[2:].split():
        if word != "-" and (len(word.rstrip("*")) != 2 or not _is_hex(word.rstrip("*"))):
            break
        found.append(word)
    return found


def _is_hex(word: str) -> bool:
    return all(char in "0123456789ABCDEF" for char in word)
