"""The client's side of the socket: blocking, small, and helpful when nobody answers."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from controller.cli.errors import CliError, Exit

# A reading call takes milliseconds; a loaded Pi gets some patience.
READ_TIMEOUT_S: Final = 10.0
# A test vend turns twice and waits for the drop; a payout of many coins takes longer.
ACT_TIMEOUT_S: Final = 180.0
# The largest answer, a screen of the journal, has some hundred KiB.
MAX_ANSWER_BYTES: Final = 64 << 20

# controller.api.errors.Code, whose module is not imported only for this
_EXITS: Final = {
    -32602: Exit.USAGE,
    -32001: Exit.NOT_PERMITTED,
    -32002: Exit.REFUSED,
    -32003: Exit.NOT_FOUND,
    -32004: Exit.REFUSED,
}


class Client:
    """One connection to a running vendd."""

    def __init__(self, path: Path) -> None:
        """Connect.

        Raises:
            CliError: Nobody answers there, with what to do about it.
        """
        self._path = path
        self._next = 0
        self._early: list[dict[str, Any]] = []  # events heard while an answer was waited for
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            # With a time-out of Python's a full queue of connections is an error at once; in the
            # kernel's own it is waited for.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(READ_TIMEOUT_S))
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise _unreachable(path, error) from error
        self._lines = self._socket.makefile("rb")

    def close(self) -> None:
        """Hang up."""
        self._lines.close()
        self._socket.close()

    def __enter__(self) -> Client:
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self.close()

    def call(self, method: str, /, *, timeout_s: float = READ_TIMEOUT_S, **params: object) -> Any:
        """Call a method and return its result.

        Raises:
            CliError: The call was refused or failed, or no answer came.
        """
        self._next += 1
        request = {"jsonrpc": "2.0", "id": self._next, "method": method, "params": params}
        try:
            self._socket.settimeout(timeout_s)
            # Refused before it asked, it reads why instead of an answer.
            with suppress(BrokenPipeError, ConnectionResetError):
                self._socket.sendall(json.dumps(request).encode() + b"\n", socket.MSG_NOSIGNAL)
            while (answer := self._hear()).get("id") != self._next:
                if "error" in answer and answer.get("id") is None:
                    break  # to the connection, not to a call: not permitted, too many clients
                if answer.get("method") == "watch.event":
                    self._early.append(answer["params"])
        except TimeoutError as error:
            raise CliError(f"vendd gave no answer within {timeout_s:g} s") from error
        except OSError as error:
            raise CliError(f"the connection to vendd broke: {error}") from error
        _raise_refusal(answer)
        if "result" not in answer:
            raise self._no_vendd(json.dumps(answer).encode())
        return answer["result"]

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield what happens, until interrupted or vendd ends."""
        self.call("watch.start")
        self._socket.settimeout(None)
        while True:
            while self._early:
                yield self._early.pop(0)
            try:
                message = self._hear()
            except OSError as error:
                raise CliError(f"the connection to vendd broke: {error}") from error
            _raise_refusal(message)  # it had to give way
            if message.get("method") == "watch.event":
                yield message["params"]

    def _hear(self) -> dict[str, Any]:
        line = self._lines.readline(MAX_ANSWER_BYTES)
        if not line:
            raise CliError("vendd ended the connection", Exit.NOT_RUNNING)
        if not line.endswith(b"\n"):
            if len(line) == MAX_ANSWER_BYTES:
                raise self._no_vendd(line)
            raise CliError(
                "vendd ended the connection in the middle of its answer", Exit.NOT_RUNNING
            )
        try:
            message = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise self._no_vendd(line) from error
        if not isinstance(message, dict):
            raise self._no_vendd(line)
        return message

    def _no_vendd(self, line: bytes) -> CliError:
        return CliError(f"what answers at {self._path} is no vendd: {line[:60]!r}")


def _raise_refusal(answer: dict[str, Any]) -> None:
    problem = answer.get("error")
    if isinstance(problem, dict):
        code = _EXITS.get(problem.get("code", 0), Exit.FAILED)
        raise CliError(str(problem.get("message", "no reason given")), code)


def _timeval(seconds: float) -> bytes:
    """Seconds as the kernel's ``struct timeval``."""
    whole = int(seconds)
    return struct.pack("@ll", whole, int((seconds - whole) * 1_000_000))


def _unreachable(path: Path, error: OSError) -> CliError:
    if isinstance(error, FileNotFoundError):
        text = (
            f"no socket at {path}: is vendd running? (systemctl status vendd)\n"
            "Another place: --home DIR, --config FILE or --socket PATH, before the command"
        )
        return CliError(text, Exit.NOT_RUNNING)
    if path.exists() and not path.is_socket():
        return CliError(f"{path} is no socket", Exit.NOT_RUNNING)
    if isinstance(error, BlockingIOError):
        text = f"vendd takes no connection at {path}: it hangs, or too many wait before this one"
        return CliError(text, Exit.NOT_RUNNING)
    if isinstance(error, ConnectionRefusedError):
        text = f"vendd is not running: {path} was left behind (systemctl status vendd)"
        return CliError(text, Exit.NOT_RUNNING)
    if isinstance(error, PermissionError):
        text = (
            f"no permission for {path}: only root and the user that runs vendd may use it"
            " (api.read_group and api.act_group in its configuration let others in)"
        )
        return CliError(text, Exit.NOT_PERMITTED)
    return CliError(f"cannot talk to {path}: {error.strerror or error}", Exit.NOT_RUNNING)
