"""How the journal's disk fails: slow, full, read-only, broken, corrupt, gone, put back."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from typing import Final

import pytest

from controller import app
from controller.faults import JournalError
from controller.journal.beginning import BootInfo, begin_new
from controller.journal.database import PAGE_SIZE, Access
from controller.journal.errors import JournalRefusedError
from controller.journal.identity import journal_file
from controller.journal.records import REGISTRY
from controller.state.fold import StateFold
from simulator.disk import Io
from simulator.disk_sqlite import DiskStorage
from tests.failures.acts import Play
from tests.failures.breaking import Break, is_over, jams_for_a_refund, waits

OLD_IMAGE: Final = "an old disk image is put back"
HIDDEN: Final = ("customers are out of pocket", "cash.stacker")  # no record tells of that money
Damage = Callable[[Play, str], Awaitable[None]]


def _slow(seconds: float) -> Break:
    async def ready(play: Play) -> None:
        play.disk.sync_latency = lambda: seconds

    async def ending(play: Play) -> None:
        await waits(play)
        play.disk.sync_latency = None

    return Break(ready=ready, ending=ending, change="B4")


async def _ends_by_itself(play: Play) -> None:
    """The next record can't be written: outputs off, and out."""
    with pytest.raises(JournalError):
        await play.ends()
    assert not set(play.world.board.outputs_on()) & play.motors
    await play.kill()


def _fails(kind: Io) -> Break:
    async def strike(play: Play) -> None:
        play.disk.fail(kind, suffix="-wal")
        await _ends_by_itself(play)
        play.disk.heal()
        await play.opens()

    return Break(ready=jams_for_a_refund, strike=strike, ending=is_over, change="B4")


def _fill(play: Play) -> None:
    """Leave no room, and let the next write find it out."""
    play.disk.capacity = sum(file.size for file in play.disk.files.values())
    play.disk.fail(Io.WRITE, suffix="-wal", error=errno.ENOSPC)


async def _runs_full(play: Play) -> None:
    _fill(play)
    await _ends_by_itself(play)
    _fill(play)
    await play.boot()


async def _turns_read_only(play: Play) -> None:
    play.disk.read_only = True
    await _ends_by_itself(play)
    running = await play.boot()
    assert running.journal.read_only
    play.was_stranded = True
    await play.kill()
    play.disk.heal()
    await play.opens()


# ---------------------------------------------------------------------- damaged, or not there


def _name(play: Play) -> str:
    assert play.running is not None
    return journal_file(play.running.journal.journal_id)


async def _refused(play: Play) -> None:
    """The next start refuses the journal; a technician begins a new one."""
    with pytest.raises(JournalRefusedError):
        await play.boot()
    play.was_stranded = True
    await begin_new(
        DiskStorage(play.disk),
        fold=StateFold(),
        registry=REGISTRY,
        clock=play.clock,
        entropy=play.rng.randbytes,
        boot=BootInfo(
            play.settings.machine.id, play.settings.machine.currency, app.SOFTWARE, "", app.BUILT,
            f"power-up {play.power_ups}",
        ),
        reason="damaged",
        by="tech",
    )  # fmt: skip
    await play.opens()


def _damaged(damage: Damage) -> Break:
    async def strike(play: Play) -> None:
        name = _name(play)
        await play.kill()
        await damage(play, name)
        await _refused(play)

    return Break(strike=strike, ending=is_over)


async def _page(play: Play, name: str) -> None:
    """A page in the middle of the records turns to noise."""
    database = await DiskStorage(play.disk).open(name, Access.WRITE)
    await database.checkpoint(truncate=True)
    await database.close()
    data = play.disk.files[name].data
    at = data.rindex(b"boot.finished")  # and with it all that the customer did
    start = at - at % PAGE_SIZE
    data[start : start + 8] = b"\xff" * 8


async def _last_record(play: Play, name: str) -> None:
    database = await DiskStorage(play.disk).open(name, Access.WRITE)
    last = "(SELECT max(seq) FROM record)"
    change = f"UPDATE record SET body = CAST(body || ' ' AS BLOB) WHERE seq = {last}"
    await database.transaction([(change, ())])
    await database.close()


async def _deleted(play: Play, name: str) -> None:
    for file in [file for file in play.disk.files if file.startswith(name)]:
        play.disk.remove(file)


async def _keeps_an_image(play: Play) -> None:
    """Somebody copies the file while nothing runs; it is put back later."""
    name = _name(play)
    await play.stop()
    await play.kill()
    play.image = bytes(play.disk.files[name].data)
    await play.opens()
    if play.cell.failure == OLD_IMAGE:  # the file of the journal's id tells of more by now
        await play.stop()
        await play.kill()
        await play.opens()


async def _put_back(play: Play, name: str) -> None:
    for file in [file for file in play.disk.files if file.startswith(name) and file != name]:
        play.disk.remove(file)
    play.disk.files[name].data[:] = play.image


async def _rolled_back(play: Play) -> None:
    name = _name(play)
    await play.kill()
    await _put_back(play, name)
    await play.opens()


def _lost(damage: Damage, early: Callable[[Play], Awaitable[None]] | None = None) -> Break:
    how = _damaged(damage)
    return Break(strike=how.strike, ending=is_over, early=early or how.early, hides=HIDDEN)


DISK: Final[dict[str, Break]] = {
    "disk is slow (0.5 s)": _slow(0.5),
    "disk is slow (3 s)": _slow(3.0),
    "disk is slow (30 s)": _slow(30.0),
    "disk fails to write": _fails(Io.WRITE),
    "disk fails to sync": _fails(Io.SYNC),
    "disk is full": Break(strike=_runs_full, ending=is_over, change="B4"),
    "disk turns read-only": Break(strike=_turns_read_only, ending=is_over, change="B4"),
    "a page of the journal is corrupt": _lost(_page),
    "the last record is corrupt": _damaged(_last_record),
    "the journal's file is deleted": _lost(_deleted),
    OLD_IMAGE: _lost(_put_back, _keeps_an_image),
    "the records since the last start are gone": Break(
        strike=_rolled_back, ending=is_over, early=_keeps_an_image, hides=HIDDEN
    ),
}
