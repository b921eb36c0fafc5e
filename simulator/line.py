"""What goes wrong on a line: bytes lost, flipped, invented, chopped, delayed, or none at all.

Rates are per byte and drawn from a seeded generator; counters make the next N things go wrong for
certain. A line without faults costs next to nothing.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from simulator.peripherals.faults import amount, counter, switch

Marked = tuple[int, bool]
"""A byte towards the host and its mode bit."""


@dataclass(slots=True)
class LineFaults:
    """The state of one line.

    Args:
        seed: Where the rates' chances come from.
    """

    seed: int = 0
    dead: bool = switch("nothing passes, either way")
    loss: float = amount("chance that a byte is lost")
    flip: float = amount("chance that a bit of a byte is turned")
    noise: float = amount("chance that a byte is followed by an invented one")
    chop: bool = switch("the host reads pieces of drawn size")
    single: bool = switch("the host reads one byte at a time")
    delay_s: float = amount("added towards the host")
    jitter_s: float = amount("drawn between 0 and this, added as well")
    lose_blocks: int = counter("the next N blocks of the host are not heard")
    flip_blocks: int = counter("the next N blocks of the host arrive with a flipped bit")
    lose_answers: int = counter("the next N data blocks of devices are lost")
    cut_texts: int = counter("the next N texts of an adapter that bring data lose a character")
    flip_answers: int = counter("the next N data blocks of devices arrive with a flipped bit")
    lose_host_acks: int = counter("the next N ACK, NAK or RET of the host are lost")
    lose_device_acks: int = counter("the next N lone ACKs of devices are lost")
    drop_mode_bits: int = counter("the next N answers arrive without their mode bit")
    _random: random.Random = field(init=False, repr=False)
    perfect: bool = field(init=False, repr=False, compare=False)
    """Whether every byte passes unharmed."""
    clear: bool = field(init=False, repr=False, compare=False)
    """Whether it does so at once, and in one piece with the others."""

    def __post_init__(self) -> None:
        """Seed the chances."""
        self._random = random.Random(self.seed)

    def __setattr__(self, name: str, value: object) -> None:
        """Set a fault, and work out what the line is like now: each block asks several times."""
        object.__setattr__(self, name, value)
        if name == "_random" or hasattr(self, "_random"):  # else it is still being made
            object.__setattr__(self, "perfect", self._is_perfect())
            late = self.delay_s or self.jitter_s or self.chop or self.single
            object.__setattr__(self, "clear", self.perfect and not late)

    def _is_perfect(self) -> bool:
        return not (
            self.dead or self.loss or self.flip or self.noise or self.lose_blocks
            or self.flip_blocks or self.lose_answers or self.flip_answers or self.lose_host_acks
            or self.lose_device_acks or self.cut_texts or self.drop_mode_bits
        )  # fmt: skip

    def heal(self) -> None:
        """End every fault; the chances go on where they were."""
        fresh = LineFaults(self.seed)
        for entry in fields(self):
            if entry.init and entry.name != "seed":
                setattr(self, entry.name, getattr(fresh, entry.name))

    def to_state(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.init}

    # -- from the host -----------------------------------------------------------------------

    def towards_devices(self, block: bytes) -> bytes:
        """Return what the devices hear of a block; empty when nothing."""
        if self.perfect:
            return block
        if self.dead:
            return b""
        if self.lose_blocks > 0:
            self.lose_blocks -= 1
            return b""
        if self.flip_blocks > 0:
            self.flip_blocks -= 1
            block = self._flip_one(block)
        return self._mangle(block)

    def ack_towards_devices(self, byte: int) -> bytes:
        """Return what the devices hear of a lone byte."""
        if self.perfect:
            return bytes((byte,))
        if self.dead:
            return b""
        if self.lose_host_acks > 0:
            self.lose_host_acks -= 1
            return b""
        return self._mangle(bytes((byte,)))

    def text_towards_devices(self, data: bytes) -> bytes:
        """Return what an adapter hears of text."""
        if self.perfect:
            return data
        return b"" if self.dead else self._mangle(data)

    # -- towards the host --------------------------------------------------------------------

    def towards_host(self, data: bytes) -> list[Marked]:
        """Return what the host hears of an answer, the mode bit on its last byte."""
        last = len(data) - 1
        if self.perfect:
            return [(byte, index == last) for index, byte in enumerate(data)]
        if self.dead or self._lost_whole(last == 0):
            return []
        if last and self.flip_answers > 0:
            self.flip_answers -= 1
            data = self._flip_one(data)
        mode = True
        if self.drop_mode_bits > 0:
            self.drop_mode_bits -= 1
            mode = False
        marked: list[Marked] = []
        for index, byte in enumerate(data):
            heard = self._mangle(bytes((byte,)))
            marked += [(one, mode and index == last) for one in heard]
        return marked

    def text_towards_host(self, data: bytes) -> bytes:
        """Return what the host hears of an adapter's text."""
        if self.perfect:
            return data
        if self.cut_texts > 0 and not self.dead and _tells(data):
            self.cut_texts -= 1
            gone = self._random.randrange(len(data))
            return data[:gone] + data[gone + 1 :]
        return b"" if self.dead else self._mangle(data)

    def latency_s(self) -> float:
        """Return the delay of the next thing towards the host."""
        if not self.jitter_s:
            return self.delay_s
        return self.delay_s + self._random.uniform(0.0, self.jitter_s)

    def chunks(self, data: bytes) -> Sequence[bytes]:
        """Cut what the host reads into pieces."""
        if self.single:
            return [data[index : index + 1] for index in range(len(data))]
        if not self.chop or len(data) < 2:
            return (data,) if data else ()
        pieces: list[bytes] = []
        while data:
            size = self._random.randint(1, len(data))
            pieces.append(data[:size])
            data = data[size:]
        return pieces

    def _lost_whole(self, lone: bool) -> bool:
        if lone and self.lose_device_acks > 0:
            self.lose_device_acks -= 1
            return True
        if not lone and self.lose_answers > 0:
            self.lose_answers -= 1
            return True
        return False

    def _flip_one(self, data: bytes) -> bytes:
        index = self._random.randrange(len(data))
        turned = data[index] ^ 1 << self._random.randrange(8)
        return data[:index] + bytes((turned,)) + data[index + 1 :]

    def _mangle(self, data: bytes) -> bytes:
        if not (self.loss or self.flip or self.noise):
            return data
        out = bytearray()
        draw = self._random.random
        for byte in data:
            if self.loss and draw() < self.loss:
                continue
            turned = byte
            if self.flip and draw() < self.flip:
                turned ^= 1 << self._random.randrange(8)
            out.append(turned)
            if self.noise and draw() < self.noise:
                out.append(self._random.randrange(256))
        return bytes(out)


def _tells(text: bytes) -> bool:
    """Tell whether an adapter's text is an answer with data."""
    return text.startswith(b"p,") and not text.startswith((b"p,ACK", b"p,NACK"))
