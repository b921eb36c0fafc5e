"""What may become of a journal's file between two lives: it is damaged, gone, or an old copy.

The last thing that happens to a life: afterwards a technician begins a new journal if the old one
is refused, everything is counted, and the machine must sell again, its books equal to the cash.
What the lost records told of is not judged.
"""

from __future__ import annotations

import random
from typing import Final

from config.machine import MachineSettings
from controller.journal.database import Access
from controller.saga.failure_cells import Phase, Tender
from controller.saga.failures import TABLE
from simulator.disk import Choice, Disk
from simulator.disk_sqlite import DiskStorage
from simulator.swarm.payers import payer
from simulator.swarm.plan import End, Life, Step
from simulator.swarm.shelf import Shelf

DATABASE: Final = ".db"
LOG: Final = ".db-wal"
DAMAGES: Final = ("deleted", "page", "log", "old")
IN_A_TURN: Final = "record"  # the last one, of a life that ended while a motor turned
SOON: Final = 25  # instants into that turn
MIXED: Final = 3.0  # times as often as any other way to pay: it seldom comes to that
LATER: Final = 0.8  # of them end at another moment of the vend, by what was paid with
MOMENTS: Final = {
    Tender.COINS: ("payout.intended",),
    Tender.BILL: ("payout.intended",),
    Tender.CARD: ("approval.requested", "settle.intended"),
    Tender.MIXED: ("approval.requested", "settle.intended", "settle.intended"),
}
BEHIND: Final = 0.6  # of the last records were being written: what is damaged stands behind all


def copy_of(disk: Disk, rng: random.Random) -> Disk:
    """Return the disk as somebody would copy it now."""
    return disk.image(Choice.EVERYTHING, rng)


def damage(disk: Disk, how: str, older: Disk, rng: random.Random) -> Disk:
    """Return what the next start finds.

    Args:
        disk: As the last life left it.
        how: One of DAMAGES.
        older: A copy from earlier in this machine's life.
        rng: Draws where it is damaged.
    """
    match how:
        case "deleted":
            for name in [name for name in disk.files if DATABASE in name]:
                disk.remove(name)
        case "page":
            _flip(disk, DATABASE, rng, last=False)
        case "log":
            _flip(disk, LOG, rng, last=True)
        case _:
            return older
    return disk


def last_customer(life: Life, settings: MachineSettings, number: int) -> Step:
    """Return somebody whose product is about to fall when the life ends, paying in a drawn way."""
    rng = random.Random(f"{life.seed}/{IN_A_TURN}")
    failure = "the last record is corrupt"
    cells = [cell for cell in TABLE if cell.failure == failure and cell.phase is Phase.TURN]
    wanted = [MIXED if cell.tender is Tender.MIXED else 1.0 for cell in cells]
    cell = rng.choices(cells, wanted)[0]
    acts, _ = payer(rng, Shelf(settings), life.build, cell)
    how, after = rng.choice(("kill", "power")), rng.randint(1, SOON)
    moment = random.Random(f"{life.seed}/{IN_A_TURN}/moment")
    others = MOMENTS.get(cell.tender, ())
    later = bool(others) and moment.random() < LATER
    when = moment.choice(others) if later else "dispense.intended"
    return Step(number, tuple(acts), end=End(how, when, after, 0.6))


async def spoil_last_record(disk: Disk, rng: random.Random) -> None:
    """Damage the last record, by a byte, or the one that was being written behind it."""
    name = next(name for name in sorted(disk.files) if name.endswith(DATABASE))
    database = await DiskStorage(disk).open(name, Access.WRITE)
    last = "(SELECT max(seq) FROM record)"
    if rng.random() < BEHIND:
        change = (
            "INSERT INTO record (seq, boot, body, hash)"  # noqa: S608 - no words of others
            f" SELECT seq + 1, boot, body, hash FROM record WHERE seq = {last}"
        )
    else:
        change = f"UPDATE record SET body = CAST(body || ' ' AS BLOB) WHERE seq = {last}"  # noqa: S608 - no words of others
    await database.transaction([(change, ())])
    await database.close()


def _flip(disk: Disk, suffix: str, rng: random.Random, *, last: bool) -> None:
    """Flip a bit of a file; near its end if ``last``."""
    for name, file in sorted(disk.files.items()):
        size = len(file.data)
        if name.endswith(suffix) and size:
            first = max(0, size - 500) if last else 0
            disk.corrupt(name, rng.randrange(first, size))
            return
