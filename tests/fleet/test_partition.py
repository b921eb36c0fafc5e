"""A network that breaks without a word, and is whole again."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fleet.partition import PREPARE

pytestmark = pytest.mark.timeout(400)  # most of it is waiting for answers that don't come
ROOT = Path(__file__).parents[2]


def namespaces() -> list[str] | None:
    """Return what gives a process networks of its own here: as any user, else as root."""
    for flags in ("-Urnm", "-nm"):
        under = ["unshare", flags, "--"]
        tried = [*under, "sh", "-c", " && ".join(PREPARE)]
        if subprocess.run(tried, capture_output=True, timeout=30, check=False).returncode == 0:
            return under
    return None


def played(folder: Path, under: list[str], *words: str) -> None:
    done = subprocess.run(
        [*under, sys.executable, "-m", "tests.fleet.partition", str(folder), *words],
        cwd=ROOT, capture_output=True, text=True, timeout=380, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("every record once\n")


def test_a_network_that_is_silent_for_a_while_and_for_long_loses_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    """Machine and server in networks of their own, whose line goes down: nobody hears an end.

    Where the kernel gives no namespaces a proxy holds the bytes back.
    """
    under = namespaces()
    if under is None:
        played(tmp_path, [], "noticed")
    else:
        played(tmp_path, under, "namespaces", "noticed")


def test_a_proxy_that_holds_every_byte_back_for_a_while_loses_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    played(tmp_path, [])
