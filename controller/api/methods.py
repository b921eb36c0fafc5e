"""The methods of the API: names, parameters, and the right that each needs.

Reading methods answer from the machine's state; acting ones become a command for its actor. No
``from __future__ import annotations`` here: parameters are checked by their annotations.
"""

import asyncio
import base64
import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Literal

from pjrpc.common import UNSET, MaybeSet, Request, Response
from pjrpc.server import (
    AsyncDispatcher,
    AsyncHandlerType,
    JsonRpcError,
    MethodRegistry,
    exclude_named_param,
)
from pjrpc.server.exceptions import InvalidParamsError
from pjrpc.server.validators import ValidationError
from pjrpc.server.validators.pydantic import PydanticValidatorFactory
from pydantic import Field

from controller.api import shapes, views
from controller.api.access import Access, Right
from controller.api.errors import Code, NothingToTraceError
from controller.api.server import MAX_BATCH, Session
from controller.api.service import MachineService, Sync
from controller.api.veil import veiled
from controller.domain import commands as cmd
from controller.faults import VenddError
from controller.machine.inputs import CommandRefused

# Enough for a screen, few enough that a page is encoded within some ms.
MAX_PAGE: Final = 200
# Words that a person types; they end in a record.
_MAX_TEXT: Final = 200

# Of a recording, so that a line of the answer stays short.
RECORD_PIECE: Final = 48_000

Offset = Annotated[int, Field(ge=0, le=1 << 24)]
Seq = Annotated[int, Field(ge=0)]
Limit = Annotated[int, Field(ge=1, le=MAX_PAGE)]
Amount = Annotated[int, Field(ge=0, le=99_999_999)]
Price = Annotated[int, Field(ge=0, le=9_999_999)]
Poured = Annotated[int, Field(ge=-65_000, le=65_000)]
Count = Annotated[int, Field(ge=0, le=999)]
# Bills of a stacker (a validator counts to 32,767), tokens of a cash box.
Pieces = Annotated[int, Field(ge=0, le=99_999)]
Balance = Annotated[int, Field(ge=-99_999_999, le=99_999_999)]
Text = Annotated[str, Field(min_length=1, max_length=_MAX_TEXT)]
Column = Annotated[str, Field(min_length=1, max_length=8)]
GrantId = Annotated[str, Field(min_length=1, max_length=64)]
Seconds = Annotated[float, Field(ge=0, le=86_400)]
Reader = Literal["cashless1", "cashless2"]
Answer = dict[str, Any]


class Methods:
    """All methods, over one machine."""

    def __init__(self, service: MachineService, access: Access) -> None:
        """Keep the machine, and who may do what."""
        self._service = service
        self._access = access

    # --------------------------------------------------------------------------- reading

    async def status(self) -> shapes.StatusShape:
        """Return the machine at a glance."""
        return views.status(self._service)

    async def stock_show(self) -> shapes.StockShape:
        """Return all columns."""
        return views.stock(self._service)

    async def credit_show(self) -> shapes.CreditShape:
        """Return what a customer can spend or get back, and the open claims."""
        return views.credit(self._service.state)

    async def coins_show(self) -> shapes.CoinsShape:
        """Return what can be paid out."""
        return views.coins(self._service)

    async def devices_show(self) -> list[shapes.DeviceShape]:
        """Return the peripherals."""
        return views.devices(self._service.state, self._service.live())

    async def bus_show(self) -> shapes.BusShape:
        """Return what was counted on the buses and by the devices' drivers."""
        return views.bus(self._service)

    async def ledger_show(self) -> shapes.LedgerShape:
        """Return the trial balance."""
        return views.ledger(self._service.state)

    async def config_show(self) -> shapes.ConfigShape:
        """Return what holds of the fleet's configuration, and what differs from it here."""
        return views.config(self._service)

    async def climate_show(self) -> Answer:
        """Return temperatures, outputs and the health timer; nothing where none is configured."""
        return dict(self._service.live().climate)

    async def journal_records(
        self, session: Session, after: Seq = 0, limit: Limit = 100, exact: bool = False
    ) -> shapes.RecordsShape:
        """Return a page of records, ascending; their exact text, codes and all, to who may act."""
        if exact and session.caller.right < Right.ACT:
            raise JsonRpcError(Code.NOT_PERMITTED, self._access.explain(session.caller, Right.ACT))
        page = await self._service.journal.records(after, limit)
        return {
            "journal": views.journal(self._service.journal),
            "currency": self._service.state.currency,
            "records": [views.record(one, exact=exact) for one in page],
        }

    async def record_list(self) -> list[Answer]:
        """Return what the flight recorder kept, the oldest first."""
        kept = self._service.recordings
        return [] if kept is None else [{"name": name, "bytes": n} for name, n in kept.names()]

    async def record_read(self, name: Text, offset: Offset = 0) -> Answer:
        """Return a piece of a recording, in base64; ``next`` is null behind the last one."""
        kept = self._service.recordings
        content = None if kept is None else await asyncio.to_thread(kept.read, name)
        if content is None:
            raise JsonRpcError(Code.NOT_FOUND, f"no recording {name!r}: `vendctl record list`")
        end = offset + RECORD_PIECE
        return {
            "name": name,
            "bytes": len(content),
            "piece": base64.b64encode(content[offset:end]).decode(),
            "next": end if end < len(content) else None,
        }

    async def sync_show(self) -> shapes.SyncShape:
        """Return how far the fleet is, and what stands in the way."""
        return await self._sync().show()

    async def journal_verify(self) -> shapes.VerifyShape:
        """Check every byte of the journal."""
        return await self._service.journal.verify()

    async def trace(self, seq: Seq) -> shapes.TraceShape:
        """Return each cent's way, by any record of a vend or by the record that took it in."""
        state = self._service.state
        from controller.api.trace import trace  # noqa: PLC0415 - a machine is seldom asked

        return await trace(self._service.journal, seq, currency=state.currency)

    async def watch_start(self, session: Session) -> Answer:
        """Send ``watch.event`` notifications on this connection from now on."""
        if session.end_watch is None:
            session.end_watch = self._service.watch(session.event)
        return {"watching": True}

    # ---------------------------------------------------------------------------- acting

    async def stock_fill(self, session: Session, column: Column | None = None) -> Answer:
        """Book a column, or all, as filled."""
        return await self._act(
            session, cmd.FillStock(None if column is None else self._column(column))
        )

    async def stock_set(self, session: Session, column: Column, count: Count) -> Answer:
        """Book a column's count."""
        return await self._act(session, cmd.SetStock(self._column(column), count))

    async def stock_enable(self, session: Session, column: Column) -> Answer:
        """Sell from a column again."""
        return await self._act(session, cmd.EnableColumn(self._column(column)))

    async def stock_disable(self, session: Session, column: Column, reason: Text) -> Answer:
        """Sell no more from a column."""
        return await self._act(session, cmd.DisableColumn(self._column(column), reason))

    async def price_set(self, session: Session, column: Column, price: Price) -> Answer:
        """Set a column's price."""
        return await self._act(session, cmd.SetPrice(self._column(column), price))

    async def credit_return(self, session: Session) -> Answer:
        """Pay the customer's credit back."""
        return await self._act(session, cmd.ReturnCredit())

    async def credit_grant(self, session: Session, amount: Amount, reason: Text) -> Answer:
        """Give credit that nobody paid in."""
        return await self._act(session, cmd.GrantCredit(amount, reason))

    async def grant_app(
        self, session: Session, grant: GrantId, amount: Amount, lives_s: Seconds, column: str = ""
    ) -> Answer:
        """Give credit that was paid in an app; a repeat of the id gets the first answer."""
        bound = self._column(column) if column else ""
        return await self._act(session, cmd.GrantAppCredit(grant, amount, lives_s, bound))

    async def grant_free(
        self, session: Session, grant: GrantId, lives_s: Seconds, reason: Text, column: str = ""
    ) -> Answer:
        """Give one vend for nothing; a repeat of the id gets the first answer."""
        bound = self._column(column) if column else ""
        return await self._act(session, cmd.GiveFreeVend(grant, lives_s, reason, bound))

    async def grant_end(self, session: Session, grant: GrantId) -> Answer:
        """End a grant before its time."""
        return await self._act(session, cmd.EndGrant(grant))

    async def claim_close(self, session: Session, code: Text, how: Text) -> Answer:
        """Book a claim as settled."""
        return await self._act(session, cmd.CloseClaim(code, how))

    async def collect(
        self,
        session: Session,
        cashbox: Amount,
        stacker: Amount,
        bills: Pieces,
        recycler: Amount | None = None,
        tokens: Pieces | None = None,
        expected: Balance | None = None,
    ) -> Answer:
        """Book cash box and stacker as emptied and counted; the recycler where it was emptied.

        With ``expected``, only while that is what the books have in all of these.
        """
        return await self._act(
            session, cmd.Collect(cashbox, stacker, bills, recycler, tokens, expected)
        )

    async def vend_test(self, session: Session, column: Column) -> Answer:
        """Deliver one product without payment."""
        return await self._act(session, cmd.TryVend(self._column(column)))

    async def motor_test(self, session: Session, column: Column) -> Answer:
        """Turn a motor once."""
        return await self._act(session, cmd.TryMotor(self._column(column)))

    async def coins_payout(self, session: Session, amount: Amount) -> Answer:
        """Pay coins to staff."""
        return await self._act(session, cmd.PayCoins(amount))

    async def coins_count(self, session: Session) -> Answer:
        """Ask the changer for its counts and book the difference."""
        return await self._act(session, cmd.CountTubes())

    async def coins_pour(self, session: Session, value: Price, count: Poured) -> Answer:
        """Book coins that were put into a hopper by hand, or taken out (negative)."""
        return await self._act(session, cmd.PourCoins(value, count))

    async def coins_fill(self, session: Session, on: bool) -> Answer:
        """Begin or end coin fill mode."""
        return await self._act(session, cmd.FillCoins(on))

    async def reader_enable(self, session: Session, device: Reader, on: bool) -> Answer:
        """Let a reader take cards, or not."""
        return await self._act(session, cmd.EnableReader(device, on))

    async def health_served(self, session: Session, column: Column | None = None) -> Answer:
        """Sell what the health timer held back."""
        return await self._act(
            session, cmd.ServeHealth(None if column is None else self._column(column))
        )

    async def record_keep(self, session: Session) -> Answer:
        """Keep what the flight recorder has of the last vends."""
        return await self._act(session, cmd.KeepRecording())

    async def service_enter(self, session: Session) -> Answer:
        """Take the machine out of sale."""
        return await self._act(session, cmd.EnterService())

    async def service_leave(self, session: Session) -> Answer:
        """Give it back."""
        return await self._act(session, cmd.LeaveService())

    async def machine_unlock(self, session: Session, reason: Text) -> Answer:
        """Sell again, over the operator's lock."""
        return await self._act(session, cmd.UnlockMachine(reason))

    async def sync_now(self, session: Session) -> Answer:
        """Bring the fleet up to date at once; ``to`` is the record that it must have then."""
        self._sync()
        return await self._act(session, cmd.SyncNow())

    def _sync(self) -> Sync:
        sync = self._service.sync
        if sync is None:
            raise JsonRpcError(
                Code.REFUSED,
                "this machine is in touch with no fleet: there is no [cloud] in its configuration, "
                "or it has only just started",
            )
        return sync

    async def journal_begin(self, session: Session, reason: Text) -> Answer:
        """Begin a new journal after the old one was lost or damaged."""
        return await self._act(session, cmd.BeginJournal(reason))

    def _column(self, name: str) -> str:
        known = self._service.planogram.columns
        if name not in known:
            raise JsonRpcError(Code.NOT_FOUND, f"no column {name!r}; there are {', '.join(known)}")
        return name

    async def _act(self, session: Session, command: cmd.Command) -> Answer:
        return await self._service.act(command, str(session.caller))


def rights(methods: Methods) -> dict[Right, dict[str, Callable[..., Awaitable[Any]]]]:
    """Return every method's name, by the right it needs."""
    m = methods
    return {
        Right.READ: {
            "status": m.status,
            "stock.show": m.stock_show,
            "credit.show": m.credit_show,
            "coins.show": m.coins_show,
            "devices.show": m.devices_show,
            "bus.show": m.bus_show,
            "ledger.show": m.ledger_show,
            "climate.show": m.climate_show,
            "config.show": m.config_show,
            "journal.records": m.journal_records,
            "record.list": m.record_list,
            "journal.verify": m.journal_verify,
            "sync.show": m.sync_show,
            "trace": m.trace,
            "watch.start": m.watch_start,
        },
        Right.ACT: {
            "stock.fill": m.stock_fill,
            "stock.set": m.stock_set,
            "stock.enable": m.stock_enable,
            "stock.disable": m.stock_disable,
            "price.set": m.price_set,
            "credit.return": m.credit_return,
            "credit.grant": m.credit_grant,
            "grant.app": m.grant_app,
            "grant.free": m.grant_free,
            "grant.end": m.grant_end,
            "claim.close": m.claim_close,
            "collect": m.collect,
            "vend.test": m.vend_test,
            "motor.test": m.motor_test,
            "coins.payout": m.coins_payout,
            "coins.count": m.coins_count,
            "coins.fill": m.coins_fill,
            "coins.pour": m.coins_pour,
            "reader.enable": m.reader_enable,
            "health.served": m.health_served,
            "record.keep": m.record_keep,
            "record.read": m.record_read,  # whole claim codes are in it
            "service.enter": m.service_enter,
            "service.leave": m.service_leave,
            "machine.unlock": m.machine_unlock,
            "journal.begin": m.journal_begin,
            "sync.now": m.sync_now,
        },
    }


def dispatcher(service: MachineService, access: Access) -> AsyncDispatcher[Session]:
    """Make the dispatcher of one machine's API."""
    registry = MethodRegistry(
        validator_factory=PydanticValidatorFactory(exclude_named_param("session"), strict=True)
    )
    needed: dict[str, Right] = {}
    for right, methods in rights(Methods(service, access)).items():
        for name, method in methods.items():
            takes_session = "session" in inspect.signature(method).parameters
            registry.add_method(
                _explained(method), name, pass_context="session" if takes_session else False
            )
            needed[name] = right

    async def guard(
        request: Request, context: Session, handler: AsyncHandlerType[Session]
    ) -> MaybeSet[Response]:
        right = needed.get(request.method, Right.READ)
        problem: JsonRpcError
        try:
            if context.caller.right >= right:
                answer = await handler(request, context)
                return answer if context.caller.right is Right.ACT else _veiled(answer)
            problem = JsonRpcError(Code.NOT_PERMITTED, access.explain(context.caller, right))
        except InvalidParamsError as error:
            problem = InvalidParamsError(_wrong_parameters(error))
        except JsonRpcError as error:
            problem = error
        # Answered here: a refusal is no line in the machine's log.
        return UNSET if request.id is None else Response(id=request.id, error=problem)

    made: AsyncDispatcher[Session] = AsyncDispatcher(middlewares=[guard], max_batch_size=MAX_BATCH)
    made.add_methods(registry)
    return made


def _veiled(answer: MaybeSet[Response]) -> MaybeSet[Response]:
    """Take the claim codes out of an answer."""
    if answer is UNSET or not answer.is_success:
        return answer
    return Response(id=answer.id, result=veiled(answer.result))


def _explained(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Turn what a method can explain into an answer of its own."""

    @functools.wraps(method)
    async def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return await method(*args, **kwargs)
        except CommandRefused as refusal:
            raise JsonRpcError(Code.REFUSED, str(refusal)) from refusal
        except NothingToTraceError as error:
            raise JsonRpcError(Code.NOT_FOUND, str(error)) from error
        except VenddError as error:
            raise JsonRpcError(Code.FAILED, str(error)) from error

    return call


def _wrong_parameters(error: InvalidParamsError) -> str:
    """Say in words which parameter is wrong and why."""
    problems = error.data.args if isinstance(error.data, ValidationError) else ()
    words = []
    for problem in problems:
        if isinstance(problem, dict):
            where = ".".join(str(part) for part in problem.get("loc", ()))
            words.append(f"{where}: {problem.get('msg', 'is wrong')}")
    return "; ".join(words) or "wrong parameters"
