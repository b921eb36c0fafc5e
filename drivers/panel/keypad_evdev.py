"""A keypad that the kernel scans: ``struct input_event`` from ``/dev/input`` (or a FIFO).

Debounce and ghosts are the kernel driver's (``gpio-matrix-keypad``). Sources: linux/input.h,
linux/input-event-codes.h, Documentation/input/event-codes.rst (SYN_DROPPED).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import stat
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from controller.faults import ConfigError, FaultCode
from controller.ports import DeviceEvent, FaultCleared, FaultRaised, KeyPressed

PART: Final = "keypad"
RETRY_S: Final = 5.0  # a keypad that was pulled off is plugged in again by a person

_EVENT: Final = struct.Struct("@llHHi")  # seconds, microseconds, type, code, value
_EV_SYN: Final = 0x00
_EV_KEY: Final = 0x01
_SYN_REPORT: Final = 0
_SYN_DROPPED: Final = 3
_PRESSED: Final = 1  # 0: let go, 2: repeated by the kernel
_EVIOCGRAB: Final = 0x40044590  # keep the keys from the console
_READ_BYTES: Final = 64 * _EVENT.size  # a person types one report at a time


class EventDecoder:
    """Bytes in, keys out; what is not whole waits for the rest."""

    def __init__(self, codes: Mapping[int, str]) -> None:
        self._codes = codes
        self._rest = b""
        self._dropped = False

    def feed(self, data: bytes) -> list[str]:
        """Take bytes as they come; return the keys that went down."""
        data = self._rest + data
        whole = len(data) - len(data) % _EVENT.size
        self._rest = data[whole:]
        keys = []
        for _, _, kind, code, value in _EVENT.iter_unpack(data[:whole]):
            if kind == _EV_SYN:
                self._dropped = code == _SYN_DROPPED or (self._dropped and code != _SYN_REPORT)
            elif kind == _EV_KEY and value == _PRESSED and not self._dropped:
                key = self._codes.get(code)
                if key is not None:
                    keys.append(key)
        return keys


class EvdevKeypad:
    """The kernel's input device, read when the loop says that there is something."""

    def __init__(
        self, path: Path, codes: Mapping[int, str], notify: Callable[[DeviceEvent], None]
    ) -> None:
        self._path = path
        self._codes = codes
        self._notify = notify
        self._fd: int | None = None
        self._decoder = EventDecoder(codes)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Open the device and listen, on the running loop. Raises ConfigError."""
        try:
            self._open()
        except OSError as error:
            raise ConfigError(
                f'keypad.path = "{self._path}": cannot be opened: {error.strerror}; '
                "is the keypad's overlay loaded, and may this user read it (group input)?"
            ) from error

    def stop(self) -> None:
        """Close the device."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._fd is not None:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = None

    def _open(self) -> None:
        is_fifo = stat.S_ISFIFO(self._path.stat().st_mode)
        # A FIFO opened for both never ends when its writer goes away.
        mode = os.O_RDWR if is_fifo else os.O_RDONLY
        fd = os.open(self._path, mode | os.O_NONBLOCK | os.O_CLOEXEC)
        if not is_fifo:
            with contextlib.suppress(OSError):  # no input device, or held by somebody: still read
                fcntl.ioctl(fd, _EVIOCGRAB, 1)
        self._fd = fd
        self._decoder = EventDecoder(self._codes)
        asyncio.get_running_loop().add_reader(fd, self._read)

    def _read(self) -> None:
        assert self._fd is not None, "the reader is removed before the descriptor is closed"
        try:
            data = os.read(self._fd, _READ_BYTES)
            if not data:
                raise OSError("the device has ended")
        except BlockingIOError:
            return
        except OSError as error:
            self.stop()
            self._notify(FaultRaised(PART, FaultCode.DEVICE_SILENT, str(error)))
            self._retry_later()
            return
        for key in self._decoder.feed(data):
            self._notify(KeyPressed(key))

    def _retry_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(RETRY_S, self._retry)

    def _retry(self) -> None:
        self._timer = None
        try:
            self._open()
        except OSError:
            self._retry_later()
        else:
            self._notify(FaultCleared(PART, FaultCode.DEVICE_SILENT))
