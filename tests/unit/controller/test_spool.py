"""A request for the updater lies in its folder whole or not at all."""

from pathlib import Path

import pytest

from controller.faults import LinkError
from controller.spool import FolderSpool


async def test_a_request_is_there_whole_for_its_owner_and_group(tmp_path: Path) -> None:
    spool = FolderSpool(tmp_path / "updates")

    await spool.put("update-1.json", b"{}\n")

    assert await spool.has("update-1.json")
    assert not await spool.has("update-2.json")
    (file,) = (tmp_path / "updates").iterdir()
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"{}\n", 0o640)


async def test_a_folder_that_can_not_be_made_is_a_failure_without_effect(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(LinkError):
        await FolderSpool(tmp_path / "file" / "updates").put("update-1.json", b"{}")
