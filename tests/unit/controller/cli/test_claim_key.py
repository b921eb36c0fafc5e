"""``vendctl claim key``: a machine's key is derived in the office, and nothing is overwritten."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from controller.saga.claims import machine_key

TENANT = bytes(range(32))


def derive(vendctl: Any, folder: Path, *more: str) -> Any:
    return vendctl(
        "claim", "key", "--machine", "m1", "--tenant-key", folder / "tenant.key",
        "--out", folder / "m1.key", *more,
    )  # fmt: skip


def test_the_key_of_a_machine_is_written_for_its_owner_alone(vendctl: Any, tmp_path: Path) -> None:
    (tmp_path / "tenant.key").write_bytes(TENANT)
    ended = derive(vendctl, tmp_path)
    assert ended.code == 0
    out = tmp_path / "m1.key"
    assert out.read_bytes() == machine_key(TENANT, "m1")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert derive(vendctl, tmp_path).code == 2
    assert "there already" in derive(vendctl, tmp_path).err


def test_a_script_is_told_where_the_key_is_and_not_the_key(vendctl: Any, tmp_path: Path) -> None:
    (tmp_path / "tenant.key").write_bytes(TENANT)
    told = json.loads(derive(vendctl, tmp_path, "--json").out)
    assert told == {"machine": "m1", "path": str(tmp_path / "m1.key")}


def test_what_is_no_tenants_key_derives_nothing(vendctl: Any, tmp_path: Path) -> None:
    (tmp_path / "tenant.key").write_bytes(b"short")
    ended = derive(vendctl, tmp_path)
    assert ended.code == 2
    assert "at least 32 bytes" in ended.err
    assert not (tmp_path / "m1.key").exists()
