"""A card reader's life: initialisation, prices, options, enabling, and the RESET that it asks for.

The vend dialogues stand on it in `cashless`.

Source: MDB/ICP 4.2, section 7.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Collection
from dataclasses import replace
from typing import Final

from controller.faults import DeviceFault, FaultCode, LinkError, PeerProtocolError
from controller.money import Money
from controller.ports import (
    BillInfo,
    ChangerInfo,
    DeviceRestarts,
    Identity,
    Known,
    ReaderInfo,
)
from drivers.mdb.blocks import NON_RESPONSE_CASHLESS_S
from drivers.mdb.cashless_codec import (
    OPTION_ALWAYS_IDLE,
    OPTIONS_EXPANDED,
    BeginSession,
    Cancelled,
    CashlessContext,
    OutOfSequence,
    PeripheralId,
    ReaderConfig,
)
from drivers.mdb.cashless_commands import (
    CASH_SALE_ITEM_MASK,
    PRICE_UNKNOWN_MAX,
    PRICE_UNKNOWN_MIN,
    CashlessCommand,
    CashSale,
    EnableOptions,
    ReaderCancel,
    ReaderDisable,
    ReaderEnable,
    RequestId,
    SetupConfig,
    SetupPrices,
)
from drivers.mdb.cashless_expect import RESTART_NOTICE_S, US, Gone, Phase
from drivers.mdb.cashless_talk import ReaderTalk
from drivers.mdb.identity import refuse_other_currency, to_identity
from drivers.mdb.money import ScaleError, iso_currency
from drivers.mdb.slots import NEVER, Retry
from drivers.mdb.steps import step_of
from drivers.mdb.turns import Lost, Restart

_FULL_ASCII: Final = 1
"""Display type in SETUP: 20-7F."""

_TOLD_PRICES: Final = 3  # of those that a reader can't be told; the rest are counted


class ReaderLife(ReaderTalk):
    """Everything of a reader but its vend dialogues; constructed as `ReaderTalk`."""

    _cancel_due = False
    """The lever was pressed: READER CANCEL is to be sent."""

    _answers_cancel = True
    """It has not failed to answer a READER CANCEL since it was initialised."""

    def enable(self, on: bool) -> None:
        """Want the reader enabled or disabled; see `CardReader.enable`."""
        self._wanted_on = on
        self._stir.set()

    def cancel_reading(self) -> None:
        """Send READER CANCEL if it is enabled and nothing is open; see `CardReader`."""
        free = self._wanted_on and self._phase is Phase.NONE and not self._session
        if self._ready and free and self._answers_cancel:
            self._cancel_due = True
            self._stir.set()

    def set_prices(self, prices: Collection[int]) -> None:
        """Tell the range of all prices; see `CardReader.set_prices`."""
        self._prices = tuple(sorted(prices)) or (0,)
        self._prices_sent = False
        self._stir.set()

    async def cash_sale(self, price: int, item: int) -> None:
        """Report a cash sale; see `CardReader.cash_sale`."""
        info = self._info
        if info is None or not info.cash_sale:
            return
        async with self.dialogue():
            units = self.to_units(price)
            if units is None or not self._ready or self._gone() or self._phase is not Phase.NONE:
                return
            currency = iso_currency(self._currency) if self._context.expanded else None
            sale = CashSale(units, item & CASH_SALE_ITEM_MASK, currency)
            try:
                await self.send(sale, None, Retry.ASK)
            except LinkError:
                return  # only the reader's own audit misses it

    # ------------------------------------------------------------------------- initialisation

    def _adopt(self, known: Known) -> None:
        if isinstance(known.info, ReaderInfo):
            self._take(known.info)

    async def _learn(self) -> None:
        """Nothing: a reader's money is not counted by us, and SETUP would disturb a session."""

    async def _initialise(self) -> ReaderInfo:
        self._applied_on = None
        self._cancel_due, self._answers_cancel = False, True
        self._restart_due = None
        settings = self._settings
        self._context = CashlessContext(
            settings.level, display_characters=settings.columns * settings.rows
        )
        setup = SetupConfig(settings.level, settings.columns, settings.rows, _FULL_ASCII)
        config = await self._owed(setup, ReaderConfig)
        if not isinstance(config, ReaderConfig):
            raise PeerProtocolError("SETUP: the reader never told its configuration")
        refuse_other_currency(config.currency, self._currency)
        level = max(1, min(settings.level, config.level))
        try:
            scale = config.scale
        except ScaleError as wrong:
            raise DeviceFault(FaultCode.DEVICE_UNSUITABLE, str(wrong)) from wrong
        info = ReaderInfo(
            level,
            scale.factor,
            scale.decimals,
            can_refund=config.can_refund,
            multivend=config.multivend,
            cash_sale=config.cash_sale,
            max_response_s=float(max(config.max_response_s, int(NON_RESPONSE_CASHLESS_S))),
        )
        self._take(info)
        await self._say(SetupPrices(PRICE_UNKNOWN_MAX, PRICE_UNKNOWN_MIN))
        identity, options = await self._identify()
        if level >= 3:
            options = await self._enable_options(options)
        else:
            options = 0
        info = replace(
            info,
            always_idle=bool(options & OPTION_ALWAYS_IDLE),
            expanded=bool(options & OPTIONS_EXPANDED),
            identity=identity,
        )
        self._take(info)
        prices = self._prices
        await self._say(self._price_range())
        self._prices_sent = prices is self._prices
        if not self._session:
            self._note_untouched()
        return info

    async def _identify(self) -> tuple[Identity, int]:
        """Exchange identities; a reader that does not care works all the same."""
        found = await self._owed(RequestId(US), PeripheralId, retry=Retry.ASK)
        if not isinstance(found, PeripheralId):
            return Identity(), 0
        return to_identity(found.identification), found.identification.options or 0

    async def _enable_options(self, offered: int) -> int:
        """Enable what both sides know; the options that hold now."""
        wanted = 0
        if self._settings.always_idle:
            wanted |= OPTION_ALWAYS_IDLE
        if self._settings.expanded:
            wanted |= OPTIONS_EXPANDED
        options = offered & wanted
        if options:
            answer = await self._ask(self._encode(EnableOptions(options)), Retry.ASK)
            if not answer.heard:
                return 0
        return options

    def _price_range(self) -> SetupPrices:
        """SETUP MAX/MIN PRICES in the form of the currency mode; unknown when not to be told."""
        expanded = self._context.expanded
        highest = (1 << 32) - 1 if expanded else PRICE_UNKNOWN_MAX
        lowest = PRICE_UNKNOWN_MIN
        if self._prices is not None:
            least, most = self.to_units(self._prices[0]), self.to_units(self._prices[-1])
            lowest = lowest if least is None else least
            highest = highest if most is None else most
        currency = iso_currency(self._currency) if expanded else None
        return SetupPrices(highest, lowest, currency)

    def _judge_prices(self) -> None:
        """Show prices that can't be told to this reader: none is ever rounded."""
        if self._prices is None:
            return
        wrong = [price for price in self._prices if self.to_units(price) is None]
        if wrong:
            told = ", ".join(str(Money(price, self._currency)) for price in wrong[:_TOLD_PRICES])
            more = f" and {len(wrong) - _TOLD_PRICES} more" if len(wrong) > _TOLD_PRICES else ""
            self._faults.raise_(
                FaultCode.DEVICE_UNSUITABLE, f"no whole number of its units: {told}{more}"
            )
        else:
            self._faults.clear(FaultCode.DEVICE_UNSUITABLE)

    # -------------------------------------------------------------------------------- service

    def _be_ready(self, info: ChangerInfo | BillInfo | ReaderInfo) -> None:
        super()._be_ready(info)
        self._judge_prices()

    async def _work(self) -> float:
        self._restart_if_due()
        if self._dialogue.locked():
            return NEVER  # its end stirs us
        async with self._dialogue:
            if self._foreign and self._phase is Phase.NONE:
                self._foreign = False
                await self._end_foreign()
            while self._chores and self._phase is Phase.NONE:  # nothing interrupts a vend
                await self._ask(self._encode(self._chores.popleft()), Retry.ASK)
            if not self._session and self._phase is Phase.NONE:
                await self._cancel_reading()
                await self._apply()
        if self._restart_due is not None:
            return 0.5
        return NEVER

    async def _cancel_reading(self) -> None:
        """READER CANCEL, if the lever was pressed, and CANCELLED; a session that begins wins.

        Until CANCELLED comes the reader takes every other command for out of sequence, and that
        costs it a RESET. So one that never sends it is not asked again before it is initialised.

        Raises:
            Lost: It is gone.
            ResetItself: The reader was reset.
        """
        due, self._cancel_due = self._cancel_due, False
        if not due or not self._applied_on:
            return
        expectation = self.expect(Cancelled, BeginSession, OutOfSequence)
        try:
            answer, _ = await self.send(ReaderCancel(), expectation, Retry.ASK)
            if answer.heard:
                found = await self.wait_for(expectation, self.response_s)
                self._answers_cancel = found is not Gone.TIMEOUT
        finally:
            self.drop(expectation)
        self._check(self._encode(ReaderCancel()))

    async def _apply(self) -> None:
        """Send what is wanted and not yet told; a session that begins meanwhile comes first."""
        if not self._prices_sent:
            prices = self._prices
            told = await self._say_idle(self._price_range())
            self._prices_sent = told and prices is self._prices  # else they have changed meanwhile
            self._judge_prices()
        wanted = self._wanted_on
        if self._applied_on is not wanted and await self._say_idle(
            ReaderEnable() if wanted else ReaderDisable()
        ):
            self._applied_on = wanted

    async def _be_enabled(self) -> None:
        """Enable the reader first: it was off while the item before this one fell.

        Raises:
            LinkError: It does not answer, or is being reset: nothing was asked.
        """
        if self._applied_on:
            return
        answer = await self._slot.command(
            self._encode(ReaderEnable()),
            wanted=lambda: self._ready and not self._was_reset,
            feed=self._on_answer,
        )
        if not self._ready or not (answer.heard or self._session):
            raise LinkError(f"{self._name.value} was not enabled; nothing was asked")
        self._applied_on = True

    async def _say_idle(self, command: CashlessCommand) -> bool:
        """Send what belongs outside a session; False when one began before it was heard.

        Raises:
            Lost: It was never acknowledged.
            ResetItself: The reader was reset.
        """
        answer = await self._slot.command(
            self._encode(command),
            wanted=lambda: not (self._session or self._was_reset),
            feed=self._on_answer,
        )
        self._check(self._encode(command))
        if not answer.heard and not self._session:
            raise Lost(f"{step_of(self._encode(command))} was never acknowledged")
        return answer.heard

    @abstractmethod
    async def _end_foreign(self) -> None:
        """The session's card counts in another currency: SESSION COMPLETE."""

    def _restart_if_due(self) -> None:
        due = self._restart_due
        if due is None or self._phase is not Phase.NONE or self._dialogue.locked():
            return
        if not self._session or asyncio.get_running_loop().time() >= due:
            raise Restart

    async def _leave_service(self) -> None:
        await super()._leave_service()
        self._sink.notify(DeviceRestarts(self._name))
        await asyncio.sleep(RESTART_NOTICE_S)

    def _may_reset(self) -> bool:
        return self._phase is not Phase.APPROVED  # a RESET would charge it

    def _not_ready(self) -> None:
        self._applied_on = None
