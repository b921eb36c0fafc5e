"""What ``vendd guard`` becomes, and what it starts, are vendd's own programs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MACHINE = ROOT / "config" / "machines" / "demo.toml"
AS_INSTALLED = """
import sys
sys.path[:] = [path for path in sys.path if path]
from controller.vendd import main
sys.exit(main())
"""


@pytest.mark.parametrize("package", ["controller", "config", "drivers"])
def test_a_guard_is_vendds_own_whatever_stands_in_the_folder_it_is_started_in(
    package: str, tmp_path: Path
) -> None:
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text('raise SystemExit("somebody else")')
    done = subprocess.run(
        [sys.executable, "-c", AS_INSTALLED, "guard", "--config", MACHINE, "--home", tmp_path],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "somebody else" not in done.stderr
    assert done.stderr.count("no simulated pins") == 1
    assert done.returncode == 69
