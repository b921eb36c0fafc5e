"""Talking to a card reader: messages, what a dialogue expects, sessions, faults.

Messages come as direct answers or by POLL, several in one answer; a dialogue declares what it
*expects* and waits for the first of these, for a reset or for the reader's loss.

Source: MDB/ICP 4.2, section 7.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from controller.clock import Clock
from controller.faults import FaultCode, PeerProtocolError
from controller.money import exponent
from controller.ports import (
    DeviceName,
    DeviceSink,
    LateApprovalReport,
    ReaderDisplay,
    ReaderInfo,
    RefundErrorReport,
    RevalueReport,
    SessionBegun,
    SessionCancelRequested,
    SessionEnded,
)
from drivers.links.mdb_link import Answer
from drivers.mdb.blocks import NON_RESPONSE_CASHLESS_S, Address
from drivers.mdb.cashless_codec import (
    BeginSession,
    CashlessContext,
    DataEntryRequest,
    DisplayRequest,
    EndSession,
    FtlReceived,
    JustReset,
    Malfunction,
    OutOfSequence,
    ReaderMessage,
    RevalueApproved,
    RevalueDenied,
    SelectionRequest,
    SessionCancelRequest,
    TimeDateRequest,
    VendApproved,
    VendDenied,
)
from drivers.mdb.cashless_commands import (
    CashlessCommand,
    DataEntryResponse,
    Poll,
    Reset,
)
from drivers.mdb.cashless_expect import (
    LARGEST_16,
    LARGEST_32,
    LATE_CANCEL_S,
    RESET_GRACE_S,
    Expectation,
    Gone,
    Phase,
    ReaderSettings,
    is_reset,
    one_shot,
    stands,
    time_date,
)
from drivers.mdb.cashless_faults import READER_FAULTS, malfunction_fault
from drivers.mdb.cashless_parser import decode_messages
from drivers.mdb.cashless_requests import encode_command
from drivers.mdb.device import MdbDriver
from drivers.mdb.ftl_codec import RetryDeny
from drivers.mdb.money import Scale, ScaleError
from drivers.mdb.repeats import RepeatFilter
from drivers.mdb.scheduler import MdbBus
from drivers.mdb.slots import NEVER, POLL_S, Retry
from drivers.mdb.steps import step_of
from drivers.mdb.turns import Lost, ResetItself, Turn


class ReaderTalk(MdbDriver):
    """What is said between us and a reader.

    Args:
        name: CASHLESS1 (address 10) or CASHLESS2 (60).
        bus: The line it is on.
        sink: Where sessions and faults go.
        clock: Wall time for a reader that asks for it.
        currency: The machine's, ISO 4217 letters.
        settings: How we treat it.
    """

    def __init__(
        self,
        name: DeviceName,
        bus: MdbBus,
        sink: DeviceSink,
        clock: Clock,
        *,
        currency: str,
        settings: ReaderSettings,
    ) -> None:
        self._address = Address.CASHLESS_2 if name is DeviceName.CASHLESS2 else Address.CASHLESS_1
        super().__init__(
            name,
            bus,
            sink,
            poll=encode_command(Poll(), self._address),
            reset=encode_command(Reset(), self._address),
            silence_s=NON_RESPONSE_CASHLESS_S,
        )
        self._clock = clock
        self._currency = currency
        self._digits = exponent(currency)
        self._settings = settings
        self._context = CashlessContext(display_characters=settings.columns * settings.rows)
        self._repeats = RepeatFilter()
        self._info: ReaderInfo | None = None
        self._scale: Scale | None = None
        self._expected: list[Expectation] = []
        self._dialogue = asyncio.Lock()
        self._session = False
        self._card_refundable: bool | None = None
        self._cancel_told = False
        self._standing = False  # the last poll brought nothing but what each one may bring
        self._foreign = False  # a session that is of no use to us: end it
        self._ended_at = float("-inf")  # the last request, vend or session
        self._approval_seen = False  # since the request
        self._taken_back = False  # VEND DENIED came behind it
        self._recording: asyncio.Future[None] | None = None  # of what was last told only once
        self._refund_error = False  # since the request: the money of a failed vend did not go back
        self._card_revaluable: bool | None = None
        self._revaluing: bool | None = None  # a REVALUE has no answer; None: of an earlier life's
        self._limit_asked = False  # a denial answers that, and no REVALUE
        self._phase = Phase.NONE
        self._reset_since = False  # reset since the request: what was approved is charged
        # Initialised, or its END SESSION came, and no session or request since: nothing to end.
        self._untouched = False
        self._whole_until = 0  # damaged answers until then
        self._nothing_to_end = False  # it asked for an end of what by its own words had ended
        self._asked = False  # a request was made by this life
        self._disowned = False  # a request was given up: its approval must be failed
        self._late = False  # its approval came, was reported, and waits for its VEND FAILURE
        self._approved_units: int | None = None  # what the last approval took; None: not told
        self._restart_due: float | None = None
        self._wanted_on = False
        self._applied_on: bool | None = None
        self._prices: tuple[int, ...] | None = None  # from the lowest up
        self._prices_sent = True
        self._chores: deque[CashlessCommand] = deque(maxlen=4)

    @property
    def info(self) -> ReaderInfo | None:
        """Return what it is, or None before it was ever identified."""
        return self._info

    @property
    def in_session(self) -> bool:
        """Return whether a session is open."""
        return self._session

    def _take(self, info: ReaderInfo) -> None:
        self._info = info
        self._scale = Scale(info.scaling, info.decimals)
        self._context = CashlessContext(
            info.level, info.expanded, self._settings.columns * self._settings.rows
        )
        self._slot.silence_limit_s = max(NON_RESPONSE_CASHLESS_S, info.max_response_s) + POLL_S

    # ----------------------------------------------------------------------------- dialogues

    @asynccontextmanager
    async def dialogue(self) -> AsyncIterator[None]:
        """Hold the conversation: nothing else is said meanwhile but polls and a cancel."""
        async with self._dialogue:
            try:
                yield
            finally:
                self._stir.set()

    def _encode(self, command: CashlessCommand) -> bytes:
        return encode_command(command, self._address)

    async def _say(self, command: CashlessCommand) -> None:
        """Send what must be acknowledged. Raises Lost or ResetItself."""
        await self._tell(self._encode(command))

    def expect(self, *types: type[ReaderMessage]) -> Expectation:
        """Wait from now on for one of these messages, a reset or the reader's loss."""
        expectation = Expectation(types, asyncio.get_running_loop().create_future())
        self._expected.append(expectation)
        return expectation

    async def wait_for(self, expectation: Expectation, seconds: float) -> ReaderMessage | Gone:
        """Bring what was expected; `seconds` may be infinite."""
        try:
            async with asyncio.timeout(None if seconds == NEVER else seconds):
                return await expectation.future
        except TimeoutError:
            return Gone.TIMEOUT
        finally:
            self.drop(expectation)

    async def wait_for_first(
        self, first: Expectation, second: Expectation, seconds: float
    ) -> ReaderMessage | Gone:
        """Bring whichever comes first, `first` when both have come; neither is dropped."""
        await asyncio.wait(
            (first.future, second.future),
            timeout=None if seconds == NEVER else seconds,
            return_when=asyncio.FIRST_COMPLETED,
        )
        for expectation in (first, second):
            if not expectation.open:
                return expectation.future.result()
        return Gone.TIMEOUT

    def drop(self, expectation: Expectation) -> None:
        """Wait no longer."""
        if expectation in self._expected:
            self._expected.remove(expectation)
        expectation.future.cancel()

    async def send(
        self, command: CashlessCommand, expectation: Expectation | None, retry: Retry
    ) -> tuple[Answer, int]:
        """Send a command; it is not repeated any more once what is expected has come.

        Returns:
            The last try's answer, and how many tries there were.

        Raises:
            LinkError: It never left.
        """
        answer = await self._slot.command(
            self._encode(command),
            retry,
            wanted=None if expectation is None else lambda: expectation.open,
            feed=self._on_answer,
        )
        return answer, self._slot.tries

    async def _owed(
        self,
        command: CashlessCommand,
        *types: type[ReaderMessage],
        retry: Retry = Retry.REPEAT,
    ) -> ReaderMessage | None:
        """Send a command that owes data and bring the data, None when it does not come.

        Raises:
            Lost, ResetItself: The reader is gone, or was reset.
            PeerProtocolError: It says that the command came at a wrong moment.
        """
        expectation = self.expect(*types, OutOfSequence)
        answer, _ = await self.send(command, expectation, retry)
        if not answer.heard and expectation.open:
            self.drop(expectation)
            self._check(self._encode(command))
            return None
        found = await self.wait_for(expectation, self.response_s)
        if found is Gone.RESET:
            raise ResetItself
        if found is Gone.LOST:
            raise Lost(f"{step_of(self._encode(command))}: silent while data was owed")
        if isinstance(found, OutOfSequence):
            step = step_of(self._encode(command))
            raise PeerProtocolError(f"the reader took {step} for out of sequence")
        return None if isinstance(found, Gone) else found

    @property
    def response_s(self) -> float:
        """Return how long a delayed answer may take, from the command's ACK."""
        return self._slot.silence_limit_s - POLL_S

    # ---------------------------------------------------------------------------------- money

    def to_units(self, amount: int) -> int | None:
        """Return an amount in the reader's units, None when it can't be told to it."""
        if self._scale is None:
            return None
        largest = LARGEST_32 if self._context.expanded else LARGEST_16
        try:
            return self._scale.from_minor(amount, self._digits, largest=largest)
        except ScaleError:
            return None

    def to_minor(self, units: int) -> int | None:
        """Return the reader's units as an amount, None when it is no whole one."""
        if self._scale is None:
            return None
        try:
            return self._scale.to_minor(units, self._digits)
        except ScaleError:
            self.oddities.note("amounts of part cents")
            return None

    # ------------------------------------------------------------------- the bus calls these

    def on_quiet(self) -> None:
        """POLL was answered by an ACK."""
        self._reset_told = None
        self._standing = False
        self._repeats.quiet()
        self._faults.clear(*READER_FAULTS)
        if self._turns:
            self._end_turn(Turn.QUIET)

    def on_items(self, data: bytes) -> asyncio.Future[None] | None:
        """POLL was answered by messages."""
        messages = self._decode(data)
        once = [message for message in messages if one_shot(message)]
        new = dict(zip(map(id, once), self._repeats.fresh([m.raw for m in once]), strict=True))
        if once:
            self._slot.poll_soon()  # tells whether our ACK was heard
        if not is_reset(messages):
            self._reset_told = None
        self._malfunctions(messages)
        self._standing = bool(messages) and all(map(stands, messages))
        for message in messages:
            if new.get(id(message), True):
                self._message(message)
        self._end_turn(Turn.ITEMS)
        return self._to_record(messages)

    def on_told(self, *, acked: bool) -> None:
        """Note whether the last answer that is recorded was acknowledged."""
        self._repeats.told(acked=acked)

    def on_lost(self) -> None:
        """The reader has been silent for its non-response time."""
        self._end_expectations(Gone.LOST)
        super().on_lost()

    def _on_answer(self, data: bytes) -> asyncio.Future[None] | None:
        """A command was answered by messages at once: new, whatever came before."""
        messages = self._decode(data)
        self._repeats.note([message.raw for message in messages if one_shot(message)])
        for message in messages:
            if isinstance(message, Malfunction):
                self._malfunction(message)
            self._message(message)
        return self._to_record(messages)

    def _to_record(self, messages: tuple[ReaderMessage, ...]) -> asyncio.Future[None] | None:
        """What an answer's acknowledgement waits for: a refund error, an approval that came late.

        Or for what became of a revalue: none of them is ever told again.
        """
        for message in messages:
            match message:
                case Malfunction() if message.is_refund_error:
                    return self._recording
                case VendApproved() if self._late:
                    return self._recording
                case RevalueApproved() | RevalueDenied() if not self._limit_asked:
                    return self._recording
                case _:
                    pass
        return None

    def _decode(self, data: bytes) -> tuple[ReaderMessage, ...]:
        answer = decode_messages(data, self._context)
        if answer.error is not None:
            # Not the bytes themselves: they may hold a card's id.
            code = data[:1].hex().upper()
            self.oddities.note(f"unread {code} {answer.error.reason.value}, {len(data)} bytes")
        return _without_collision(answer.messages)

    def _malfunctions(self, messages: tuple[ReaderMessage, ...]) -> None:
        """Raise what is told, clear what is told no more."""
        found: dict[FaultCode, None] = {}
        for message in messages:
            if isinstance(message, Malfunction):
                found[malfunction_fault(message.code)] = None
                self._malfunction(message)
        self._faults.clear(*(code for code in READER_FAULTS if code not in found))

    def _malfunction(self, message: Malfunction) -> None:
        self._refund_error = self._refund_error or message.is_refund_error
        self._faults.raise_(malfunction_fault(message.code), f"{message.code:02X} {message.words}")

    def _message(self, message: ReaderMessage) -> None:
        match message:
            case JustReset():
                self._note_just_reset()
            case BeginSession():
                self._begin(message)
            case EndSession():
                self._end()
            case SessionCancelRequest():
                self._cancel_asked()
            case VendApproved(amount):
                self._note_approval(amount)
            case VendDenied() if self._phase is Phase.APPROVED:
                self._taken_back = True
            case DisplayRequest():
                self._sink.notify(
                    ReaderDisplay(self._name, message.text.rstrip(), message.tenths / 10)
                )
            case TimeDateRequest():
                self._chore(time_date(self._clock.wall_utc().astimezone(self._settings.zone)))
            case DataEntryRequest():
                self._chore(DataEntryResponse(None))  # we never enable it; all FF cancels
            case FtlReceived():
                self._chore(RetryDeny(self._address, Address.VMC, 0))
            case OutOfSequence():
                self.oddities.note("out of sequence")
                self._want_restart()
            case Malfunction(code=code) if message.is_refund_error:
                report = RefundErrorReport(self._name, code, self._approved_amount())
                self._recording = self._sink.money(report)
            case RevalueApproved() | RevalueDenied() if not self._limit_asked:
                self._revalued(approved=isinstance(message, RevalueApproved))
            case SelectionRequest():
                self.oddities.note("selection requests")
            case _:
                pass
        self._meet(message)

    def _meet(self, message: ReaderMessage) -> None:
        for expectation in self._expected:
            if expectation.open and isinstance(message, expectation.types):
                expectation.future.set_result(message)

    def _end_expectations(self, gone: Gone) -> None:
        for expectation in self._expected:
            if expectation.open:
                expectation.future.set_result(gone)

    def _note_just_reset(self) -> None:
        if not self._same_reset():
            self._reset_since = self._reset_since or not self._reset_expected
            self._end_expectations(Gone.RESET)
            if self._reset_expected:
                self._disowned = False  # it has forgotten the vend as well
        super()._note_just_reset()

    def _chore(self, command: CashlessCommand) -> None:
        self._chores.append(command)
        self._stir.set()

    # ------------------------------------------------------------------------------- sessions

    def _begin(self, message: BeginSession) -> None:
        if self._session:
            return  # the same again, or a second one; the reader counts one
        self._session = True
        self._untouched = False
        if self._phase is Phase.NONE:
            self._reset_since = False
        self._card_refundable, self._card_revaluable = message.refundable, message.revaluable
        self._cancel_told = False
        if message.currency is not None and message.currency.letters not in (
            None,
            self._currency,
        ):
            self._foreign = True
            self._stir.set()
            return
        funds = None
        if message.funds is not None and not message.hide_credit:
            funds = self.to_minor(message.funds)
        self._sink.notify(
            SessionBegun(self._name, funds, message.language or "", message.refundable)
        )

    def _recall(self, refundable: bool | None) -> None:
        """Take what a life before has heard of the card; of its session this one heard nothing."""
        if self._card_refundable is None and not self._asked:
            self._card_refundable = refundable

    def _cancel_asked(self) -> None:
        """The reader wants its session ended, also one that we know nothing of any more."""
        if self._phase is Phase.APPROVED:
            return  # stops no vend: that one's end is the session's, or it says so again then
        if self._session or self._phase is not Phase.NONE:
            if not self._cancel_told:
                self._cancel_told = True
                self._sink.notify(SessionCancelRequested(self._name))
        elif self._served and self._ready and not self._foreign:
            now = asyncio.get_running_loop().time()
            if now >= self._ended_at + LATE_CANCEL_S:  # else it said so before it heard us
                self._nothing_to_end = self._surely_idle
                self._foreign, self._untouched = True, False
                self._stir.set()

    def _note_untouched(self) -> None:
        """Nothing is open in it: it would never answer another SESSION COMPLETE."""
        self._untouched, self._whole_until = True, self._slot.damaged

    @property
    def _surely_idle(self) -> bool:
        """Whether no session is open by all that it has said, and nothing of that was lost."""
        return self._untouched and self._slot.damaged == self._whole_until

    def _end(self) -> None:
        if self._phase is Phase.NONE:
            self._note_untouched()
        self._close_session()
        self._stir.set()

    def _close_session(self) -> None:
        if self._session:
            self._session = False
            self._cancel_told = False
            self._card_revaluable = None  # what it said of refunds holds for what it has paid
            self._dialogue_ended()
            self._sink.notify(SessionEnded(self._name))

    def _dialogue_ended(self) -> None:
        """A request, a vend or a session is over; SESSION COMPLETE follows if it is still due."""
        self._foreign = False
        self._ended_at = asyncio.get_running_loop().time()

    def _note_approval(self, units: int | None) -> None:
        self._approval_seen = True
        self._taken_back = False
        self._approved_units = units
        if self._phase is Phase.REQUESTED:
            self._phase = Phase.APPROVED
        elif self._phase is Phase.NONE and (self._disowned or not self._asked):
            self._disowned = False
            # Given up, or from before a restart. And it was not reset after all (two answers that
            # collide read like JUST RESET on an adapter): a fresh reader approves nothing.
            self._reset_since = False
            self._phase = Phase.APPROVED
            self._came_late()
        else:
            self.oddities.note("approvals nobody asked for")

    def _came_late(self) -> None:
        """Nobody waits for this approval: a RESET would charge it, so VEND FAILURE comes first.

        Recorded before it is acknowledged; whoever records it calls for the VEND FAILURE, and sees
        to a claim if that is in vain.
        """
        self._late = True
        self._recording = self._sink.money(LateApprovalReport(self._name, self._approved_amount()))

    def _revalued(self, *, approved: bool) -> None:
        """A revalue has its answer: recorded before it is acknowledged."""
        if self._revaluing is False:
            self.oddities["revalues nobody asked for"] += 1
            return
        self._revaluing = False
        self._recording = self._sink.money(RevalueReport(self._name, approved))

    def _approved_amount(self) -> int | None:
        units = self._approved_units if self._approval_seen else None
        return None if units is None else self.to_minor(units)

    def _want_restart(self) -> None:
        """COMMAND OUT OF SEQUENCE, or a dialogue that never ended: RESET when nothing is open."""
        if self._restart_due is None:
            self._restart_due = asyncio.get_running_loop().time() + RESET_GRACE_S
        self._stir.set()

    def _forget(self) -> None:
        self._revaluing = False  # a fresh reader has nothing to answer
        self._repeats.clear()
        self._close_session()
        self._foreign = False
        self._chores.clear()


def _without_collision(messages: tuple[ReaderMessage, ...]) -> tuple[ReaderMessage, ...]:
    """Drop JUST RESET before an approval: a reader that was reset approves nothing.

    Another's ACK collided with the answer, behind an adapter.
    """
    approved = next((n for n, one in enumerate(messages) if isinstance(one, VendApproved)), 0)
    if not approved:
        return messages
    before = (one for one in messages[:approved] if not isinstance(one, JustReset))
    return (*before, *messages[approved:])
