"""What comes down: verify the bytes, then parse, then hand it to the machine, once.

The broker may forget a command only when its record is durable. What is not signed for us is
refused with a record, at a limited rate. A command's end is judged in fleet time, so before the
first contact they wait here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

import structlog

from cloud.contract import commands as c
from cloud.contract.messages import MessageError, Signed, read
from cloud.contract.settings import SettingsError, digest_of, nested
from cloud.contract.signing import SignatureRefusedError, Verifier
from cloud.contract.topics import Topic
from cloud.link.transport import Heard
from controller.clock import Clock
from controller.domain import commands as cmd
from controller.machine.inputs import CommandRefused

log = structlog.get_logger("link")

Act = Callable[[cmd.Command, str], Awaitable[dict[str, Any]]]

REFUSED_EVERY_S: Final = 60.0  # between two records of refused messages of one topic
# Messages that wait for the time, or for those before them. A broker sends a client only so many
# that are not acknowledged (Mosquitto 20): were they all commands, no ack would tell the time.
WAITING_MAX: Final = 8
BY: Final = "fleet"
FREE_S: Final = 300.0  # a free vend waits so long for its customer


class Inbox:
    """The machine's side of commands and configuration.

    Args:
        verifier: Knows the pinned root key and this machine.
        act: Has the machine carry a command out, and returns when that is durable.
        clock: Measures.
        now_ms: The time as a record would be labelled, and whether it is confirmed.
        own: Kinds that are not the machine's but this process's: what each one does.
        ask_again: Has the fleet publish again what is open.
    """

    def __init__(
        self,
        verifier: Verifier,
        act: Act,
        clock: Clock,
        now_ms: Callable[[], tuple[int, bool]],
        own: dict[str, Callable[[c.Args], None]],
        ask_again: Callable[[], None] = lambda: None,
    ) -> None:
        self._verifier = verifier
        self._act = act
        self._clock = clock
        self._now_ms = now_ms
        self._own = own
        self._ask_again = ask_again
        self._let_go = False
        self._queue: asyncio.Queue[Heard] = asyncio.Queue(WAITING_MAX)
        self._timed = asyncio.Event()
        self._patient: set[asyncio.Task[None]] = set()  # commands that wait for their moment
        self._refused: dict[Topic, tuple[float, int]] = {}  # last record, refused since

    def put(self, heard: Heard) -> None:
        """Take a message; one that finds no room is let go, and asked for again later."""
        try:
            self._queue.put_nowait(heard)
        except asyncio.QueueFull:
            log.info("command.no_room", topic=heard.topic.value)
            self._let_go = True
            heard.done()

    def time_is_known(self) -> None:
        """Let commands run from now on."""
        self._timed.set()

    async def run(self) -> None:
        """Carry out what comes, one after the other, until cancelled."""
        try:
            await self._run()
        finally:
            for task in self._patient:
                task.cancel()
            await asyncio.gather(*self._patient, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            heard = await self._queue.get()
            await self._timed.wait()
            try:
                await self._take(heard)
            except CommandRefused as error:
                log.warning("message.later", topic=heard.topic.value, reason=str(error))
            except Exception:  # one message that nobody foresaw leaves the others their turn
                log.exception("message.broke", topic=heard.topic.value)
            heard.done()
            if self._let_go and self._queue.empty():
                self._let_go = False
                self._ask_again()

    async def _take(self, heard: Heard) -> None:
        try:
            if heard.topic is Topic.CMD:
                await self._command(heard)
            elif heard.topic is Topic.DESIRED:
                await self._desired(heard)
            else:
                await self._refuse(heard, f"{heard.topic.value}: not taken by this machine")
        except (SignatureRefusedError, MessageError) as error:
            await self._refuse(heard, str(error))

    async def _command(self, heard: Heard) -> None:
        now, _ = self._now_ms()
        body = self._verifier.command(read(Signed, heard.payload), now)
        args = c.arguments_of(body)
        own = self._own.get(body.kind)
        inner = None if own is not None else local(args)
        if isinstance(args, c.VendFree):
            inner = cmd.GiveFreeVend(body.id, FREE_S, args.reason or "by the fleet", args.column)
        if isinstance(args, c.SoftwareUpdate):
            inner = cmd.UpdateSoftware(
                body.id, args.version, args.digest, args.artefact, body.expires_at
            )
        refused = ""
        if own is None and inner is None and not isinstance(args, c.Echo):
            refused = f"{body.kind} is not known to this machine's software"
        order = cmd.Remote(
            id=body.id,
            kind=body.kind,
            target=args.target(),
            counter=body.counter,
            issuer=body.issuer,
            expires_ms=body.expires_at,
            command=inner,
            refused=refused,
            issued_ms=body.issued_at,
        )
        if isinstance(args, c.ConfigApply | c.PlanogramApply) and len(self._patient) < WAITING_MAX:
            # They wait until nobody is served: what comes behind them does not.
            task = asyncio.get_running_loop().create_task(self._obeyed(order, None))
            self._patient.add(task)
            task.add_done_callback(self._patient.discard)
            await asyncio.sleep(0)  # it is in the machine's queue before the next one
            return
        await self._obeyed(order, None if own is None else partial(own, args))

    async def _obeyed(self, order: cmd.Remote, then: Callable[[], None] | None) -> None:
        try:
            answer = await self._act(order, BY)
        except CommandRefused as error:
            log.warning("command.later", id=order.id, reason=str(error))
            return
        log.info("command", id=order.id, kind=order.kind, outcome=answer["outcome"])
        if then is not None and answer["outcome"] == c.Outcome.DONE:
            then()

    async def _desired(self, heard: Heard) -> None:
        """Hand a revision over; it is retained, so that one that can't be taken now comes again."""
        now, _ = self._now_ms()
        body = self._verifier.desired(read(Signed, heard.payload), now)
        answer = await self._act(
            _apply(body.revision, body.settings, waits=False), f"{BY}: {body.issuer}"
        )
        log.info("desired", revision=body.revision, outcome=answer["outcome"])
        if answer["outcome"] == "differs":
            await self._refuse(heard, f"revision {body.revision} is another one than was judged")

    async def _refuse(self, heard: Heard, reason: str) -> None:
        now = self._clock.monotonic_s()
        last, count = self._refused.get(heard.topic, (-REFUSED_EVERY_S, 0))
        count += 1
        log.warning("message.refused", topic=heard.topic.value, reason=reason)
        if now - last < REFUSED_EVERY_S:
            self._refused[heard.topic] = last, count
            return
        await self._act(cmd.NoteRefused(heard.topic.value, reason[:200], count), BY)
        self._refused[heard.topic] = now, 0


def _apply(revision: int, settings: Mapping[str, Any], *, waits: bool) -> cmd.ApplyConfig:
    try:
        whole, errors = nested(settings), tuple[str, ...]()
    except SettingsError as error:
        whole, errors = dict(settings), (str(error),)
    return cmd.ApplyConfig(revision, digest_of(whole), whole, errors, waits=waits)


def local(args: c.Args) -> cmd.Command | None:
    """Return the machine's own command for a fleet's one; None when it has none."""
    match args:
        case c.CreditGrant(credit=credit, amount=amount, seconds=seconds, column=column):
            return cmd.GrantAppCredit(credit, amount, float(seconds), column or "")
        case c.RefundLocal():
            return cmd.ReturnCredit()
        case c.ServiceEnter():
            return cmd.EnterService()
        case c.ServiceLeave():
            return cmd.LeaveService()
        case c.MachineLock(reason=reason):
            return cmd.LockMachine(reason)
        case c.MachineUnlock():
            return cmd.UnlockMachine()
        case c.MessageShow(text=text, seconds=seconds, until=until):
            return cmd.ShowMessage(text, float(seconds), until)
        case c.ClaimClose(claim=claim, journal=journal, how=how):
            return cmd.SettleClaim(claim, journal, how)
        case c.AuditRead():
            return cmd.ReadAudit()
        case _:
            return _of_column(args)


def _of_column(args: c.Args) -> cmd.Command | None:
    match args:
        case c.PriceSet(column=column, price=price):
            return cmd.SetPrice(column, price)
        case c.ColumnEnable(column=column):
            return cmd.EnableColumn(column)
        case c.ColumnDisable(column=column, reason=reason):
            return cmd.DisableColumn(column, reason or "by the fleet")
        case c.ColumnTest(column=column):
            return cmd.TryVend(column)
        case c.StockSet(column=column, count=count):
            return cmd.SetStock(column, count)
        case c.PlanogramApply():
            return cmd.ApplyPlanogram(args.model_dump(mode="json"))
        case c.ConfigApply(revision=revision, settings=settings):
            return _apply(revision, settings, waits=True)
        case _:
            return None
