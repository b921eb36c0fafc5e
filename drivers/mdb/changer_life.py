"""A coin changer's life: initialisation, masks, diagnostics, tube counts.

Source: MDB/ICP 4.2, section 5.
"""

from __future__ import annotations

import asyncio
from typing import Final

from controller.faults import DeviceFault, FaultCode, LinkError, PeerProtocolError
from controller.money import exponent
from controller.ports import (
    ChangerInfo,
    CoinKind,
    Identity,
    Known,
    TubeCounts,
    TubesTouched,
)
from drivers.links.mdb_link import AnswerKind
from drivers.mdb.blocks import (
    TUBE_STATUS_AFTER_RESET_S,
    MdbBlockError,
)
from drivers.mdb.changer_codec import (
    CoinDeposited,
    decode_diagnostic_status,
    decode_poll,
    decode_setup,
    decode_tube_status,
)
from drivers.mdb.changer_commands import (
    OPTION_ALTERNATIVE_PAYOUT,
    OPTION_EXTENDED_DIAGNOSTICS,
    AskDiagnosticStatus,
    AskIdentification,
    AskSetup,
    AskTubeStatus,
    CoinType,
    FeatureEnable,
    encode_command,
)
from drivers.mdb.changer_faults import (
    BY_HAND,
    CASSETTE_OUT,
    NEW_INVENTORY,
    diagnostic_fault,
)
from drivers.mdb.changer_talk import ChangerTalk, one_shots
from drivers.mdb.denominations import COINS, refuse_odd_money
from drivers.mdb.identity import identity_of, refuse_other_currency
from drivers.mdb.money import ScaleError
from drivers.mdb.slots import NEVER, Retry

TUBE_STATUS_AGAIN: Final = 4
"""Times that an answer of another length than the last is asked for once more. Another device's ACK
that collides with it shifts all counts by one, and leaves the checksum right."""

TUBE_STATUS_PAUSE_S: Final = 0.15
"""Before it is asked once more: what talks out of turn has other commands to answer meanwhile."""

DIAGNOSTIC_S: Final = 5.0
"""Between two SEND DIAGNOSTIC STATUS; the standard says 1-10 s."""

_WANTED_OPTIONS: Final = OPTION_ALTERNATIVE_PAYOUT | OPTION_EXTENDED_DIAGNOSTICS
"""Controlled manual fill (b2) stays off: then what a technician does in that mode keeps coming
through POLL, where it is journaled before it is acknowledged. File transport (b3) is not served."""

_TUBE_STATUS: Final = encode_command(AskTubeStatus())
_TAKE_NOTHING: Final = encode_command(CoinType(0, 0))


class ChangerLife(ChangerTalk):
    """Everything of a changer but its payouts; constructed as `ChangerTalk`."""

    _refusal = _TAKE_NOTHING

    _tubes_size = 0
    """Bytes of the last answer to TUBE STATUS: as many each time, by the changer's types."""

    async def tubes(self) -> TubeCounts:
        """Ask TUBE STATUS; see `Changer.tubes`."""
        left = self._reset_at + TUBE_STATUS_AFTER_RESET_S - asyncio.get_running_loop().time()
        if left > 0:
            await asyncio.sleep(left)
        answer = await self._slot.command(_TUBE_STATUS, Retry.REPEAT)
        for _ in range(TUBE_STATUS_AGAIN):
            if self._tubes_size in (0, len(answer.data)):
                break
            await asyncio.sleep(TUBE_STATUS_PAUSE_S)
            answer = await self._slot.command(_TUBE_STATUS, Retry.REPEAT)
        if answer.kind is not AnswerKind.DATA:
            raise LinkError(f"changer: TUBE STATUS (0A) was answered by {answer.kind.value}")
        try:
            status = decode_tube_status(answer.data)
        except MdbBlockError as wrong:
            raise LinkError(f"changer: TUBE STATUS (0A): {wrong}") from wrong
        if self._tubes_size not in (0, len(answer.data)) and self._is_shifted(status.counts):
            raise LinkError("changer: TUBE STATUS came with another device's answer")
        self._tubes_size = len(answer.data)
        tubes = self._types_with_tube()
        full = frozenset(type_ for type_ in status.full_types if type_ in tubes)
        defective = frozenset(type_ for type_ in status.defective_types if type_ in tubes)
        if not defective:
            self._faults.clear(FaultCode.CHANGER_TUBE_SENSOR)
        return TubeCounts(status.counts, full, defective)

    def _is_shifted(self, counts: tuple[int, ...]) -> bool:
        """Tell whether a type without a tube has coins in one."""
        tubes = self._types_with_tube()
        return any(count and type_ not in tubes for type_, count in enumerate(counts))

    def _types_with_tube(self) -> set[int]:
        """Of other types the bits of TUBE STATUS mean nothing, and some changers set them."""
        return {kind.type for kind in self._info.coins if kind.in_tube} if self._info else set()

    # ------------------------------------------------------------------------- initialisation

    def _adopt(self, known: Known) -> None:
        if isinstance(known.info, ChangerInfo):
            self._take(known.info)
        if known.last_answer:
            shots = one_shots(decode_poll(known.last_answer))
            proved = all(isinstance(item, CoinDeposited) and self._counted(item) for item in shots)
            if self.withholds_ack or (proved and known.tubes):
                self._known_tubes = known.tubes
                self._gate.repeats.restore([item.raw for item in shots])
                self._gate.restored = True

    async def _learn(self) -> None:
        """SETUP without RESET, so that coins found in the changer have a value."""
        if self._info is not None:
            return
        answer = await self._slot.command(encode_command(AskSetup()), Retry.ASK)
        if answer.kind is AnswerKind.DATA:
            try:
                self._take(self._read_setup(answer.data))
            except (DeviceFault, PeerProtocolError):
                return  # told by `start`, which asks again

    def _read_setup(self, data: bytes) -> ChangerInfo:
        try:
            setup = decode_setup(data)
        except MdbBlockError as wrong:
            raise PeerProtocolError(f"changer: SETUP (09): {wrong}") from wrong
        refuse_other_currency(setup.currency, self._currency)
        digits = exponent(self._currency)
        tubes = frozenset(setup.tube_types)
        try:
            scale = setup.scale  # also where no coin has a value
            coins = tuple(
                CoinKind(
                    coin_type,
                    0 if setup.is_token(coin_type) else scale.to_minor(credit, digits),
                    coin_type in tubes,
                    setup.is_token(coin_type),
                )
                for coin_type, credit in enumerate(setup.credits)
                if credit
            )
        except ScaleError as wrong:
            raise DeviceFault(FaultCode.DEVICE_UNSUITABLE, str(wrong)) from wrong
        refuse_odd_money((kind.value for kind in coins if not kind.token), self._currency, COINS)
        return ChangerInfo(setup.level, setup.scaling, setup.decimals, coins)

    async def _initialise(self) -> ChangerInfo:
        self._applied = None
        answer = await self._ask(encode_command(AskSetup()))
        if answer.kind is not AnswerKind.DATA:
            raise PeerProtocolError(f"changer: SETUP (09) was answered by {answer.kind.value}")
        info = self._read_setup(answer.data)
        identity, options = Identity(), 0
        if info.level >= 3:
            identity, options = await self._expansion()
        self._diagnostics = bool(options & OPTION_EXTENDED_DIAGNOSTICS)
        info = ChangerInfo(
            info.level,
            info.scaling,
            info.decimals,
            info.coins,
            pays_by_value=bool(options & OPTION_ALTERNATIVE_PAYOUT),
            identity=identity,
        )
        self._take(info)
        if self._diagnostics:
            await self._diagnose()
        else:
            self._faults.stand({})
        try:
            await self.tubes()
        except LinkError as silent:
            self._check()
            raise PeerProtocolError(str(silent)) from silent
        await self._apply()
        return info

    async def _expansion(self) -> tuple[Identity, int]:
        """Identify a level 3 changer and enable what we use; silence means "has none"."""
        answer = await self._ask(encode_command(AskIdentification()), Retry.ASK)
        identity, offered = identity_of(answer)
        options = offered & _WANTED_OPTIONS
        if options:
            enabled = await self._ask(encode_command(FeatureEnable(options)), Retry.ASK)
            if not enabled.heard:
                options = 0
        return identity, options

    # -------------------------------------------------------------------------------- service

    async def _work(self) -> float:
        while self._chores:
            await self._ask(self._chores.popleft(), Retry.ASK)
        if self._applied != self._wanted and not self._paying:
            await self._apply()
        if not self._diagnostics:
            return NEVER
        now = asyncio.get_running_loop().time()
        if now >= self._diagnose_at and not self._paying:
            await self._diagnose()
        return max(self._diagnose_at - asyncio.get_running_loop().time(), 1.0)

    async def _apply(self) -> None:
        wanted = (0, self._wanted[1]) if self._paying else self._wanted
        await self._tell(encode_command(CoinType(*wanted)))
        self._applied = wanted

    async def _diagnose(self) -> None:
        self._diagnose_at = asyncio.get_running_loop().time() + DIAGNOSTIC_S
        answer = await self._ask(encode_command(AskDiagnosticStatus()), Retry.ASK)
        if answer.kind is not AnswerKind.DATA:
            return
        now = frozenset(decode_diagnostic_status(answer.data).pairs)
        before, self._diagnosed = self._diagnosed, now
        found = {
            code: pair.words
            for pair in sorted(now, key=lambda pair: pair.event_id, reverse=True)
            if (code := diagnostic_fault(pair)) is not None
        }
        if FaultCode.CHANGER_ACCEPTOR_UNPLUGGED in self._faults:
            found.pop(FaultCode.CHANGER_ACCEPTOR, None)  # what is not there can't be in order
        self._faults.stand(found)
        if {BY_HAND, CASSETTE_OUT} & (before - now) or NEW_INVENTORY in now - before:
            self._sink.notify(TubesTouched(self._name))

    def _not_ready(self) -> None:
        self._applied = None
