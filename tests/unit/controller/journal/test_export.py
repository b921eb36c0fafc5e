import json

import pytest

from controller.journal.export import check_lines
from simulator.disk import Disk
from simulator.disk_sqlite import DiskStorage
from tests.journal_kit import NoteLeft, open_journal, put_in


async def exported(first: int = 1, last: int | None = None) -> list[str]:
    journal = await open_journal(DiskStorage(Disk()))
    journal.stage(NoteLeft(text='quotes " and ü\n'))
    await put_in(journal, *range(600))
    return [line async for line in journal.export(first, last)]


async def test_anybody_can_compute_the_chain_of_an_export() -> None:
    lines = await exported()
    assert len(lines) == 1 + 603
    assert check_lines(lines) == 603
    assert all("\n" not in line for line in lines)


async def test_a_part_of_a_journal_stands_on_the_hash_before_it() -> None:
    lines = await exported(100, 200)
    assert json.loads(lines[0])["after"] == 99
    assert check_lines(lines) == 200


async def test_a_changed_or_missing_record_does_not_fit() -> None:
    lines = await exported(1, 20)
    changed = [line.replace('\\"amount\\":3', '\\"amount\\":4') for line in lines]
    with pytest.raises(ValueError, match="does not follow"):
        check_lines(changed)
    with pytest.raises(ValueError, match="record 6 does not follow 4"):
        check_lines(lines[:5] + lines[6:])
