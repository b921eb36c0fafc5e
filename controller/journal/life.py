"""Checking a machine's whole life: the journal in use and those before it, each and their joints.

A journal that replaced a broken one, or one that the fleet had another chain of, names it, the last
record of it that counts, and the balances it begins with. The old file stays where it is, so the
joint can be checked: the old chain reaches that record, and the money in the machine is the same on
both sides. A journal that is broken is no wrong when the next one begins where it breaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from controller.journal.database import Access, Storage
from controller.journal.envelope import Registry
from controller.journal.errors import DiskError, JournalRefusedError
from controller.journal.fold import Fold, S
from controller.journal.identity import MachineKey, journal_file
from controller.journal.opening import Progress, journals_in
from controller.journal.verify import VerifyReport, verify

_CASH: Final = "cash."  # accounts of coins and bills: no rule of inheritance moves them


@dataclass(frozen=True, slots=True)
class LifeReport:
    """What was found; ``problem`` is empty when all is well."""

    journals: tuple[VerifyReport, ...]  # the one in use first, then those before it
    problem: str = ""
    journal: str = ""  # where the first wrong record is
    wrong_seq: int | None = None

    @property
    def ok(self) -> bool:
        """Tell whether nothing is wrong."""
        return not self.problem


async def verify_life(
    storage: Storage,
    current: VerifyReport,
    key: MachineKey | None,
    fold: Fold[S],
    registry: Registry,
    root: bytes | None = None,
    progress: Progress | None = None,
) -> LifeReport:
    """Check the journals before ``current``, which was checked already, and how they join."""
    found = {current.journal: current}
    for journal in await journals_in(storage):
        if journal.hex() not in found:
            found[journal.hex()] = await _old(storage, journal, key, fold, registry, root, progress)
    reports = (current, *(report for uid, report in found.items() if uid != current.journal))
    if not current.ok:
        return LifeReport(reports, current.problem, current.journal, current.wrong_seq)
    followed: set[str] = set()
    for report in reports:
        if report.previous is None:
            continue
        uid, seq, _ = report.previous
        old = found.get(uid)
        if old is None:
            continue  # its file was taken away: the fleet has what it said
        followed.add(uid)
        if problem := _joint(old, report):
            wrong = seq if old.ok and old.last_good >= seq else old.wrong_seq or old.last_good + 1
            return LifeReport(reports, f"journal {uid}: {problem}", uid, wrong)
    for report in reports:
        if not report.ok and report.journal not in followed:
            problem = f"journal {report.journal}: {report.problem}"
            return LifeReport(reports, problem, report.journal, report.wrong_seq)
    return LifeReport(reports)


async def _old(
    storage: Storage,
    journal: bytes,
    key: MachineKey | None,
    fold: Fold[S],
    registry: Registry,
    root: bytes | None,
    progress: Progress | None,
) -> VerifyReport:
    try:
        database = await storage.open(journal_file(journal), Access.READ)
    except (DiskError, JournalRefusedError) as error:
        return VerifyReport(journal.hex(), 0, 0, 0, 0, 0, problem=str(error))
    try:
        return await verify(database, journal, key, fold, registry, progress, root)
    except DiskError as error:
        return VerifyReport(journal.hex(), 0, 0, 0, 0, 0, problem=str(error))
    finally:
        await database.close()


def _joint(old: VerifyReport, new: VerifyReport) -> str:
    """Return what is wrong between a journal and the one that names it."""
    assert new.previous is not None, "asked of those that name one"
    _, seq, begun = new.previous
    if old.last_good < seq:
        return old.problem or f"ends at record {old.last_good}, the next journal follows {seq}"
    if not old.ok and old.last_good > seq:
        # A fork: the next journal carries what stands behind it, so all of it has to be right.
        return old.problem
    if not seq or not begun:
        return ""
    before, after = dict(old.balances), dict(begun)
    for account in sorted({*before, *after}):
        if account.startswith(_CASH) and before.get(account, 0) != after.get(account, 0):
            return (
                f"ends with {before.get(account, 0)} in {account}, the next one begins with "
                f"{after.get(account, 0)}"
            )
    return ""
