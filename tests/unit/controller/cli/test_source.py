"""Where the journal is read from, when not everybody may."""

from pathlib import Path

import pytest

from controller.cli import source
from controller.cli.errors import CliError, Exit


def test_a_folder_that_may_not_be_read_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(self: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", forbidden)
    with pytest.raises(CliError, match="Permission denied") as caught:
        source._has_journal(tmp_path)
    assert caught.value.code is Exit.NOT_PERMITTED
