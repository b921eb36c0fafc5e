"""What can be wrong with a journal, sorted by what the machine does about it."""

from __future__ import annotations

from controller.faults import JournalError

# ------------------------------------------------------------------ the disk, as SQLite saw it


class DiskError(JournalError):
    """The disk or its file system refused; nothing is retried on that connection."""


class DiskFullError(DiskError):
    """No room left. A restart frees the ballast and ends what is open."""


class DiskReadOnlyError(DiskError):
    """It can be read but not written. A restart opens read-only."""


class DiskIoError(DiskError):
    """Reading, writing or syncing failed."""


class DiskCorruptError(DiskError):
    """What was read is no database, or a page of it is damaged."""


class DiskBusyError(DiskError):
    """Another process has the journal open: there is one writer."""


# -------------------------------------------------------------------- the journal as a whole


class JournalRefusedError(JournalError):
    """The journal cannot be used as it is: out of service, files kept, nothing sold.

    A technician's ``vendctl journal begin`` is what ends this, except for ``JournalNewerError``.
    """


class JournalMissingError(JournalRefusedError):
    """The id file says that a journal was here, and it is gone or empty."""


class JournalBrokenError(JournalRefusedError):
    """A record, the base or the file itself is not what was written.

    Args:
        what: What is wrong, in words.
        seq: The first wrong record, or None when it is not about one.
        last_good: Last record up to which everything verified (0: none).
    """

    def __init__(self, what: str, *, seq: int | None = None, last_good: int = 0) -> None:
        """Keep the place beside the words."""
        super().__init__(what if seq is None else f"record {seq}: {what}")
        self.what = what
        self.seq = seq
        self.last_good = last_good


class JournalForeignError(JournalRefusedError):
    """The file is another journal than the id file names: a swapped or an old disk image."""


class JournalNewerError(JournalRefusedError):
    """A newer software wrote it; this one would not understand it. Install that one again."""


class JournalPoisonedError(JournalError):
    """An earlier commit failed; this journal takes nothing more until the process restarts."""


class JournalReadOnlyError(JournalError):
    """The disk could not be written at the start: nothing may be recorded, so nothing happens."""
