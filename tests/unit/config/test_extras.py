"""A part of the distribution whose libraries are not here says so in a line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.extras import lacking

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("words", "library", "extra"),
    [
        (["cloud.fleet.cli", "--help"], "sqlalchemy", "cloud"),
        (["simulator", "fleet", "--machines", "1"], "sqlalchemy", "cloud"),
        (["simulator", "swarm", "--seeds", "1..1"], "apsw", "sim"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_a_program_without_its_libraries_names_the_extra(
    words: list[str], library: str, extra: str, tmp_path: Path
) -> None:
    (tmp_path / f"{library}.py").write_text(
        f"raise ModuleNotFoundError('No module', name={library!r})\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", *words],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}", "COLUMNS": "400"},
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"{library} is not installed here" in done.stderr
    assert f"vendd[{extra}]" in done.stderr


def test_a_library_of_no_extra_is_another_trouble() -> None:
    assert lacking(ModuleNotFoundError("No module named 'x'", name="x"), "vendd") is None
    assert lacking(ModuleNotFoundError("an import without a name"), "vendd") is None
