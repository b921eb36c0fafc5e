"""A finger on the keypad."""

from __future__ import annotations

import os
import time
from pathlib import Path

from config.models import KernelKeypad
from config.settings import load
from simulator.keypad import KernelKeys


class Keys:
    """A finger: writes the kernel's input events to the keypad's FIFO and notes when.

    Args:
        config: The machine's file.
        home: Its folder.
    """

    def __init__(self, config: Path, home: Path) -> None:
        keypad = load(config, home=home).keypad
        assert isinstance(keypad, KernelKeypad)
        self._fd = os.open(keypad.path, os.O_RDWR | os.O_NONBLOCK)
        self._keys = KernelKeys(keypad, time.time, self._write)
        self.written_at = 0.0

    def press(self, keys: str) -> float:
        """Press keys; returns when the last one went down, monotonic seconds."""
        for key in keys:
            self._keys.down(key)
            down_at = self.written_at
            self._keys.up(key)
        return down_at

    def close(self) -> None:
        """Let go."""
        os.close(self._fd)

    def _write(self, report: bytes) -> None:
        self.written_at = time.monotonic()
        os.write(self._fd, report)
