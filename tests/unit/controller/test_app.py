"""What the composition root decides by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller import app


def entropy(size: int) -> bytes:
    """Return bytes that are another file's in no test."""
    return b"\xa5" * size


def test_a_power_up_is_known_by_what_its_file_says(tmp_path: Path) -> None:
    told = tmp_path / "boot_id"
    told.write_text("3f6c\n", encoding="ascii")
    assert app.system_boot(told, entropy) == "3f6c"


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_where_no_file_tells_power_ups_apart_each_start_counts_as_one(
    content: bytes | None, tmp_path: Path
) -> None:
    told = tmp_path / "boot_id"
    if content is not None:
        told.write_bytes(content)
    assert app.system_boot(told, entropy) == f"unknown {'a5' * 8}"
