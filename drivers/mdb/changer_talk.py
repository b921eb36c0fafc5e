"""Listening to a coin changer: what its poll answers bring.

Source: MDB/ICP 4.2, section 5 (POLL).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from controller.faults import FaultCode
from controller.ports import (
    ChangerInfo,
    CoinKind,
    CoinsReport,
    DepositedCoin,
    DeviceName,
    DeviceSink,
    EscrowLever,
    ManualCoins,
)
from controller.ports import CoinRoute as Route
from drivers.mdb.blocks import (
    NON_RESPONSE_CHANGER_S,
    Address,
)
from drivers.mdb.changer_codec import (
    ChangerStatus,
    CoinDeposited,
    CoinRoute,
    CoinsDispensedManually,
    DiagnosticPair,
    FtlReceived,
    PollAnswer,
    PollItem,
    Slugs,
    StatusReported,
    decode_poll,
)
from drivers.mdb.changer_commands import (
    POLL_PAYLOAD,
    Reset,
    encode_command,
)
from drivers.mdb.changer_faults import (
    DEPOSIT_CLEARS,
    ONE_SHOT,
    STATUS_FAULTS,
)
from drivers.mdb.device import NEVER_YET, MdbDriver
from drivers.mdb.ftl_codec import RetryDeny, is_ftl_code
from drivers.mdb.money import Scale
from drivers.mdb.money_gate import MoneyGate
from drivers.mdb.scheduler import MdbBus
from drivers.mdb.turns import Turn

SPOILT: Final = "an answer of the changer came damaged, and may have told of a coin"
"""The words of a flag."""

COIN_GAP_S: Final = 0.25
"""Between two coins that a changer takes; none sorts more than four a second. An answer that comes
again sooner than that behind the last poll *before* its coin is a repeat; later it may be another
coin, and nothing tells: a changer that has not heard our ACK and one that has, and took the same
coin once more, say the same."""

_DOUBTS: Final = 4
"""Repeats in a row that are doubted each after its gap. A changer that hears none of our ACKs says
the same for ever: from then on the gap doubles, so that it fills no journal."""

_MOST_DOUBTS: Final = 16  # then one in a quarter of an hour

_ROUTES: Final = {
    CoinRoute.CASHBOX: Route.CASHBOX,
    CoinRoute.TUBE: Route.TUBE,
    CoinRoute.NOT_USED: Route.REJECT,
    CoinRoute.REJECT: Route.REJECT,
}

_DENY_FTL: Final = encode_command(RetryDeny(Address.CHANGER, Address.VMC, 0))
_COUNT_CAP: Final = 255


class ChangerTalk(MdbDriver):
    """What is heard from a changer: coins, levers, conditions.

    Args:
        bus: The line it is on.
        sink: Where coins, levers and faults go.
        currency: The machine's, ISO 4217 letters.
    """

    def __init__(self, bus: MdbBus, sink: DeviceSink, *, currency: str) -> None:
        super().__init__(
            DeviceName.CHANGER,
            bus,
            sink,
            poll=POLL_PAYLOAD,
            reset=encode_command(Reset()),
            silence_s=NON_RESPONSE_CHANGER_S,
        )
        self._currency = currency
        self._gate = MoneyGate(sink)
        self._info: ChangerInfo | None = None
        self._kinds: dict[int, CoinKind] = {}
        self._scale: Scale | None = None
        self._known_tubes: tuple[int, ...] = ()
        self._diagnostics = False
        self._diagnosed: frozenset[DiagnosticPair] = frozenset()
        self._diagnose_at = 0.0
        self._wanted = 0, 0  # accept mask, manual dispense mask
        self._applied: tuple[int, int] | None = None
        self._paying = False
        self._payout_lock = asyncio.Lock()
        self._lever_down = False
        self._chores: deque[bytes] = deque(maxlen=4)
        self._jams = 0
        self._fell_after = NEVER_YET  # the last poll answered before the money that came last
        self._doubtful = False  # a repeat now could as well be another coin
        self._doubts = 0  # in a row, without a word that would tell
        self._astray = 0  # credited coins that only their order tells from repeats
        self.busy = False

    @property
    def info(self) -> ChangerInfo | None:
        """Return what it is, or None before it was ever identified."""
        return self._info

    @property
    def withholds_ack(self) -> bool:
        """Return whether an unacknowledged answer stays in the changer."""
        return self._bus.link.capabilities.withholds_ack

    def _take(self, info: ChangerInfo) -> None:
        self._info = info
        self._kinds = {kind.type: kind for kind in info.coins}
        self._scale = Scale(info.scaling, info.decimals)
        self._gate.release()

    # ------------------------------------------------------------------- the bus calls these

    def on_quiet(self) -> None:
        """POLL was answered by an ACK."""
        self.busy = self._lever_down = False
        self._reset_told = None
        self._gate.quiet()
        self._doubts = 0
        if self._slot.spoilt:
            self._tell_spoilt()
        self._faults.clear(FaultCode.CHANGER_ACCEPTOR_UNPLUGGED)
        if self._turns:
            self._end_turn(Turn.QUIET)

    def on_items(self, data: bytes) -> asyncio.Future[None] | None:
        """POLL was answered by activity."""
        answer = decode_poll(data)
        if answer.error is not None:
            self.oddities.note(str(answer.error.reason.value))
            if not is_ftl_code(data[0]) and data != self._slot.said:
                # A coin's other half is missing, and nobody tells it again.
                self._slot.spoilt = True
        if self._slot.spoilt:
            self._tell_spoilt()
        self._statuses(answer)
        shots = one_shots(answer)
        new = self._new(shots)
        for item, is_new in zip(shots, new, strict=True):
            if is_new and isinstance(item, StatusReported):
                self._status(item.status)
        money = any(isinstance(item, CoinDeposited | CoinsDispensedManually) for item in shots)
        if money:
            self._money(data, shots, new)
        self._gate.restored = False
        self._end_turn(Turn.ITEMS)
        if not money:
            return None
        waiting = self._gate.waiting()
        if waiting is None:
            self._slot.poll_soon()  # a repeat, durable by now: see whether this ACK is heard
        return waiting

    def _tell_spoilt(self) -> None:
        """An answer came damaged behind an adapter's own ACK: what it told is told by nobody again.

        A coin in a tube is found by the count; one in the cash box a person has to look for.
        """
        self._slot.spoilt = False
        self._sink.money(CoinsReport(self._name, b"", suspect=1, doubt=SPOILT))

    def on_told(self, *, acked: bool) -> None:
        """Note whether the last answer with money was acknowledged."""
        self._gate.repeats.told(acked=acked)
        self._note_told(acked=acked)

    def _statuses(self, answer: PollAnswer) -> None:
        """What stands in each poll as long as it lasts, and a reset."""
        statuses = answer.statuses
        self.busy = answer.busy
        if ChangerStatus.JUST_RESET in statuses:
            self.busy = False
            self._note_just_reset()
        else:
            self._reset_told = None
        if ChangerStatus.ACCEPTOR_UNPLUGGED in statuses:
            self._status(ChangerStatus.ACCEPTOR_UNPLUGGED)
        else:
            self._faults.clear(FaultCode.CHANGER_ACCEPTOR_UNPLUGGED)
        lever = ChangerStatus.ESCROW_REQUEST in statuses
        if lever and not self._lever_down:
            self._sink.notify(EscrowLever(self._name))
        self._lever_down = lever
        for item in answer.items:
            match item:
                case Slugs(count):
                    self.oddities.note("slugs", count)
                case StatusReported(ChangerStatus.UNDEFINED, code):
                    self.oddities.note(f"status {code:02X}")
                case FtlReceived():
                    self._chores.append(_DENY_FTL)
                    self._stir.set()
                case _:
                    continue

    def _status(self, status: ChangerStatus) -> None:
        self._jams += status is ChangerStatus.TUBE_JAM
        code = STATUS_FAULTS.get(status)
        if code is None:
            self.oddities.note(status)
        else:
            self._faults.raise_(code)

    def _new(self, shots: list[PollItem]) -> list[bool]:
        """Which one-shot items were not reported before."""
        repeats = self._gate.repeats
        now = asyncio.get_running_loop().time()
        gap_s = COIN_GAP_S * len(repeats.last) * _patience(self._doubts)
        self._doubtful = repeats.unproved and now - self._fell_after >= gap_s
        once = {item.raw for item in shots if self._only_once(item)}
        last = repeats.last
        soon = not (self._gate.restored or self._doubtful)
        new = repeats.fresh([item.raw for item in shots], once=once, soon=soon)
        if self._doubtful or any(new):
            self._fell_after = self._slot.told_at
            self._doubts = 0 if any(new) else self._doubts + 1
        self._astray = self._credits(shots, last) if repeats.astray else 0
        if self._gate.restored and not all(new):
            for item, is_new in zip(shots, new, strict=True):
                if not is_new and isinstance(item, CoinDeposited) and self._counts_up(item):
                    # The tube holds one coin more than was recorded: same bytes, another coin.
                    repeats.clear()
                    return repeats.fresh([item.raw for item in shots])
        return new

    def _credits(self, shots: list[PollItem], of: tuple[bytes, ...]) -> int:
        """How many of the items ``of`` that stand in an answer are coins, all without proof."""
        coins = {
            item.raw: item
            for item in shots
            if isinstance(item, CoinDeposited) and item.route.gives_credit
        }
        found = [coins[raw] for raw in of if raw in coins]
        proved = any(map(self._counted, found))
        return 0 if proved else len(found)

    def _money(self, data: bytes, shots: list[PollItem], new: list[bool]) -> None:
        fresh = [item for item, is_new in zip(shots, new, strict=True) if is_new]
        suspect = 0
        if self._gate.restored or self._doubtful:
            old = [item for item, is_new in zip(shots, new, strict=True) if not is_new]
            coins = [item for item in old if isinstance(item, CoinDeposited)]
            if not any(map(self._counted, coins)):
                suspect = sum(coin.route.gives_credit for coin in coins)
            suspect += self._astray

        def report() -> CoinsReport:
            return CoinsReport(
                self._name,
                data,
                tuple(self._deposit(item) for item in fresh if isinstance(item, CoinDeposited)),
                tuple(
                    self._manual(item) for item in fresh if isinstance(item, CoinsDispensedManually)
                ),
                suspect,
            )

        told = {
            STATUS_FAULTS.get(item.status) for item in shots if isinstance(item, StatusReported)
        }
        if any(isinstance(item, CoinDeposited) for item in fresh):
            self._faults.clear(*(code for code in DEPOSIT_CLEARS if code not in told))
        if any(isinstance(item, CoinDeposited | CoinsDispensedManually) for item in fresh) or (
            suspect
        ):
            if self._info is None:
                self._gate.keep(report)
            else:
                self._gate.report(report())

    def _deposit(self, item: CoinDeposited) -> DepositedCoin:
        kind = self._kinds.get(item.coin_type)
        return DepositedCoin(
            item.coin_type,
            kind.value if kind else 0,
            _ROUTES[item.route],
            item.tube_count,
            bool(kind and kind.token),
        )

    def _manual(self, item: CoinsDispensedManually) -> ManualCoins:
        kind = self._kinds.get(item.coin_type)
        return ManualCoins(item.coin_type, kind.value if kind else 0, item.count, item.tube_count)

    def _in_tube(self, item: CoinDeposited) -> bool:
        return item.route is CoinRoute.TUBE

    def _counted(self, item: CoinDeposited) -> bool:
        """Tell whether its tube's count says which coin it is.

        0 is the count of a defective tube, the cap that of a very full one.
        """
        return self._in_tube(item) and 0 < item.tube_count < _COUNT_CAP

    def _only_once(self, item: PollItem) -> bool:
        """Tell whether another coin could not say the same: its tube would hold one more."""
        return (
            isinstance(item, CoinDeposited)
            and self._counted(item)
            and not (self._gate.restored and self._counts_up(item))
        )

    def _counts_up(self, item: CoinDeposited) -> bool:
        tubes = self._known_tubes
        return (
            self._in_tube(item)
            and item.coin_type < len(tubes)
            and tubes[item.coin_type] < item.tube_count
        )

    @property
    def _unsettled(self) -> bool:
        return self._gate.repeats.pending

    def _forget(self) -> None:
        self._gate.repeats.clear()
        self._gate.restored = False
        self.busy = False


def _patience(doubts: int) -> int:
    """How many gaps pass before a repeat is doubted once more."""
    return 1 << max(0, min(doubts, _MOST_DOUBTS) - _DOUBTS)


def one_shots(answer: PollAnswer) -> list[PollItem]:
    """The items that are reported once, and so can tell a repeat."""
    return [
        item
        for item in answer.items
        if isinstance(item, CoinDeposited | CoinsDispensedManually)
        or (isinstance(item, StatusReported) and item.status in ONE_SHOT)
    ]
