"""Files are there whole or as they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloud.files import write_whole


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_has_its_content_and_its_mode_whatever_was_there(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(b"old and longer")
    path.chmod(0o666)
    (tmp_path / "ca.pem.new").write_bytes(b"left over by a power cut, and readable by all")
    (tmp_path / "ca.pem.new").chmod(0o666)

    write_whole(path, b"new", mode)

    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == mode
    assert [each.name for each in tmp_path.iterdir()] == ["ca.pem"]


def test_what_can_not_be_replaced_is_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.mkdir()
    (path / "kept").write_bytes(b"kept")

    with pytest.raises(OSError, match="directory"):
        write_whole(path, b"new", 0o600)

    assert (path / "kept").read_bytes() == b"kept"
