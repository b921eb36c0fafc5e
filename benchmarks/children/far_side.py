"""The far end of a pseudo terminal: something that answers at once.

It prints the terminal's name as its first line, serves until its standard input ends, and prints
what it has seen.

``echo``     whatever comes goes back
``adapter``  a box with the text protocol on a bus where nobody has anything to say
``native``   a line of peripherals that answer a poll with ACK
``busy``     a line of peripherals that answer each poll with data, and time our ACK
"""

from __future__ import annotations

import argparse
import json
import os
import select
import sys
import time
import tty
from collections.abc import Callable
from typing import Final

_READ: Final = 4_096
_ACK: Final = b"\xff\x00\x00"  # 00 with the mode bit, as a tty with PARMRK delivers it
_POLL_BYTES: Final = 2  # address and checksum
# Two bytes of data and their sum with the mode bit: "slug", "slug".
_DATA: Final = b"\x21\x21\xff\x00\x42"
_WORDS: Final = {b"V": b"v,4.0.3.0,00\n", b"H": b"h,4.1,01\n", b"M": b"m,ACK\n", b"F": b"f,ACK\n"}


class FarSide:
    """One end of a terminal."""

    def __init__(self, descriptor: int) -> None:
        self._fd = descriptor
        self._text = b""
        self._block = 0
        self._answered_at = 0.0
        self._owed = False  # data went out and nothing came back yet
        self.acks_ms: list[float] = []
        self.withheld = 0

    def echo(self, data: bytes) -> None:
        """Send back."""
        os.write(self._fd, data)

    def adapter(self, data: bytes) -> None:
        """Answer each whole line."""
        *lines, self._text = (self._text + data).split(b"\n")
        for line in lines:
            if line:
                os.write(self._fd, _WORDS.get(line[:1], b"p,ACK\n"))

    def native(self, data: bytes) -> None:
        """Answer each whole block of two bytes."""
        for _ in data:
            self._block += 1
            if self._block == _POLL_BYTES:
                self._block = 0
                os.write(self._fd, _ACK)

    def busy(self, data: bytes) -> None:
        """Answer each block with data; time the 00 that acknowledges it."""
        now = time.perf_counter()
        for byte in data:
            if not self._block and not byte:
                if self._owed:
                    self.acks_ms.append((now - self._answered_at) * 1000)
                    self._owed = False
                continue
            self._block += 1
            if self._block == _POLL_BYTES:
                self._block = 0
                self.withheld += self._owed
                self._owed = True
                os.write(self._fd, _DATA)
                self._answered_at = time.perf_counter()


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("echo", "adapter", "native", "busy"))
    given = parser.parse_args()
    master, slave = os.openpty()  # our slave stays open: the terminal outlives who uses it
    tty.setraw(slave)
    far = FarSide(master)
    serve: Callable[[bytes], None] = getattr(far, given.kind)
    sys.stdout.write(json.dumps({"path": os.ttyname(slave)}) + "\n")
    sys.stdout.flush()
    poller = select.poll()
    poller.register(master, select.POLLIN)
    poller.register(0, select.POLLIN)
    while True:
        ready = [descriptor for descriptor, _ in poller.poll()]
        if master in ready:
            serve(os.read(master, _READ))
        elif 0 in ready:
            break
    sys.stdout.write(json.dumps({"acks_ms": far.acks_ms, "withheld": far.withheld}) + "\n")


if __name__ == "__main__":
    main()
