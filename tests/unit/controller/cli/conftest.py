"""Run ``vendctl`` in this process, as a shell would."""

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from controller.cli.app import run as run_vendctl


@dataclass(frozen=True)
class Ended:
    """What a run left behind."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.out.splitlines()]


Vendctl = Callable[..., Ended]


@pytest.fixture
def vendctl(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Vendctl:
    """Return what runs ``vendctl`` with these words, and this on its standard input."""
    for name in ("VENDD_SOCKET", "VENDD_HOME", "VENDD_CONFIG"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: object, typed: str = "") -> Ended:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["vendctl", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        with pytest.raises(SystemExit) as ended:
            run_vendctl()
        code = ended.value.code
        assert isinstance(code, int | None)
        captured = capsys.readouterr()
        return Ended(code or 0, captured.out, captured.err)

    return run


@pytest.fixture
def ctl(vendctl: Vendctl, socket_path: object, monkeypatch: pytest.MonkeyPatch) -> Vendctl:
    """Return what runs ``vendctl`` against the fake machine."""
    monkeypatch.setenv("VENDD_SOCKET", str(socket_path))
    return vendctl
