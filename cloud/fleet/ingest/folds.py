"""Folds that this process keeps between batches, so that it need not load them again.

Ingest writes a token of its own into the journal's row with each batch, in the same transaction. A
fold that is kept here is the tables' content as long as its token stands there: any other writer of
projections (another worker, a rebuild, an adoption) leaves another token, or none, and a
transaction that failed leaves the one before; the fold is loaded again then.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from cloud.fleet.projections.fold import Changed, Fold

KEPT: Final = 2_000  # a few KiB each; beyond that the longest unused one is loaded again


class Folds:
    """What this process wrote last, by journal.

    Args:
        name: This process among all that write; never used twice.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0
        self._kept: OrderedDict[int, tuple[str, Fold]] = OrderedDict()

    def pick(self, journal_id: int, token: str) -> Fold | None:
        """Take a fold out, if the tables still hold what it holds."""
        held, fold = self._kept.pop(journal_id, ("", None))
        return fold if held == token else None

    def keep(self, journal_id: int, fold: Fold) -> str:
        """Keep a fold whose changes were written; returns the token to write beside them."""
        fold.changed = Changed()
        self._count += 1
        token = f"{self._name}:{self._count}"
        self._kept[journal_id] = (token, fold)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return token
