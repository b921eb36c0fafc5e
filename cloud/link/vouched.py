"""The fleet's word for a checkpoint: verified, compared with our own record, and written down."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from cloud.contract.journal import attested
from cloud.contract.journal import records as rec
from cloud.contract.messages import Countersigned, MessageError, Signed
from cloud.contract.signing import SignatureRefusedError, Verifier
from controller.domain import commands as cmd
from controller.journal.store import Journal
from controller.machine.inputs import CommandRefused
from controller.state.state import State

log = structlog.get_logger("link")

Act = Callable[[cmd.Command, str], Awaitable[dict[str, Any]]]


class Vouched:
    """Takes countersignatures; one that is not new, not signed or not for our books is let go.

    Args:
        verifier: Knows the pinned root key and this machine.
        journal: The machine's.
        act: Has the machine record it.
    """

    def __init__(self, verifier: Verifier, journal: Journal[State], act: Act) -> None:
        self._verifier = verifier
        self._journal = journal
        self._act = act

    async def take(self, message: Signed) -> None:
        """Record the fleet's word, once."""
        try:
            word = self._verifier.countersigned(message)
        except (SignatureRefusedError, MessageError) as error:
            log.warning("countersignature.refused", reason=str(error))
            return
        journal = self._journal
        if word.journal != journal.journal_id.hex() or word.seq <= journal.state.proved_seq:
            return
        if not await self._ours(word):
            log.error("countersignature.of_other_books", seq=word.seq)
            return
        assert message.key is not None, "the verifier asks for it"
        order = cmd.KeepCountersignature(
            seq=word.seq,
            body=message.body.decode(),
            kid=message.kid,
            signature=message.sig.hex(),
            key=message.key.body.decode(),
            key_signature=message.key.sig.hex(),
        )
        try:
            await self._act(order, "fleet")
        except CommandRefused as error:
            log.warning("countersignature.later", reason=str(error))

    async def _ours(self, word: Countersigned) -> bool:
        """Tell whether the checkpoint that it speaks of is the one in our journal."""
        for record in await self._journal.read(word.seq + 1, word.seq + 1):
            data = record.data
            if isinstance(data, rec.CheckpointSigned):
                return attested.digest(data.body) == word.checkpoint
        return False
