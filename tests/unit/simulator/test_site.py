"""Ports of the loopback: one that was drawn for a server is drawn by nobody else before it runs."""

import os
import subprocess
import sys

import pytest

from simulator.fleet import site
from simulator.fleet.site import SiteError, free_port

# Beyond what is drawn, and what the kernel hands out: nobody else has any of these.
FIRST = 61_000 + os.getpid() % 4_000
FEW = range(FIRST, FIRST + 3)
DRAWS = f"""
import sys
from simulator.fleet import site
site._PORTS = {FEW!r}
print(site.free_port(), flush=True)
sys.stdin.read()
"""


def test_a_port_is_drawn_once_by_whichever_process_until_that_one_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(site, "_PORTS", FEW)
    command = [sys.executable, "-c", DRAWS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        theirs = int(other.stdout.readline())
        assert {theirs, free_port(), free_port()} == {*FEW}, "though nobody listens on any yet"
        with pytest.raises(SiteError, match="no free port"):
            free_port()
        assert other.stdin is not None
        other.stdin.close()
        other.wait()
    assert free_port() == theirs
