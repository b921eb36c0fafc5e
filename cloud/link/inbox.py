"""What comes down: verify the bytes, then parse, then hand it to the machine, once.

The broker may forget a command only when its record is durable; those that are too many for that
wait here, in the order in which they were sent, and the fleet has them until they are answered.
What is not signed for us is refused with a record, at a limited rate. A command's end is judged in
fleet time, so before the first contact they wait here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
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
Own = Callable[[str, c.Args], Awaitable[str]]

REFUSED_EVERY_S: Final = 60.0  # between two records of refused messages of one topic
# Messages that wait for the time, or for those before them, and that the broker keeps as well. It
# sends a client only so many that are not acknowledged (Mosquitto 20): were they all commands, no
# ack would tell the time.
WAITING_MAX: Final = 8
# Those that it need not keep: one that was let go comes again behind later ones of its kind, which
# replace it, and each time that they are asked for all of them travel.
HELD_MAX: Final = 1_024
HELD_BYTES: Final = 1_048_576  # of a computer that has 512 MiB for everything
BY: Final = "fleet"
# Commands that run at once, and what this process does for some: the next one waits for its turn.
RUNNING_MAX: Final = 16
# A disk whose journal waits for an operator asks so often whether it is still so.
ASK_S: Final = 60.0
FREE_S: Final = 300.0  # a free vend waits so long for its customer


class Inbox:
    """The machine's side of commands and configuration.

    Args:
        verifier: Knows the pinned root key and this machine.
        act: Has the machine carry a command out, and returns when that is durable.
        clock: Measures.
        now_ms: The time as a record would be labelled, and whether it is confirmed.
        own: Kinds that are not the machine's but this process's: what each one does, given the
            command's id. It returns in words what was done; its end becomes the command's.
        ask_again: Has the fleet publish again what is open.
    """

    def __init__(
        self,
        verifier: Verifier,
        act: Act,
        clock: Clock,
        now_ms: Callable[[], tuple[int, bool]],
        own: Mapping[str, Own],
        ask_again: Callable[[], None] = lambda: None,
    ) -> None:
        self._verifier = verifier
        self._act = act
        self._clock = clock
        self._now_ms = now_ms
        self._own = own
        self._ask_again = ask_again
        self._let_go = False
        self._queue: deque[Heard] = deque()
        self._more = asyncio.Event()
        self._held: dict[bytes, int] = {}  # payloads that wait, and how often
        self._held_bytes = 0
        self._timed = asyncio.Event()
        self._use: bool | None = True
        self._refused: dict[Topic, tuple[float, int]] = {}  # last record, refused since
        self._begun: dict[str, asyncio.Event] = {}  # commands whose start is not durable yet
        self._running: dict[str, asyncio.Task[None]] = {}
        self._ending: asyncio.Future[dict[str, Any]] | None = None  # kept till it is

    def __len__(self) -> int:
        """Return how many messages wait."""
        return len(self._queue)

    def put(self, heard: Heard) -> None:
        """Take a message; one that finds no room is let go, and asked for again later.

        So are the commands behind it: they come again in the order in which they were sent.
        """
        new = heard.payload not in self._held
        if len(self._queue) >= WAITING_MAX:
            heard.done()
            if heard.payload in self._held:
                return  # the same bytes, from a fleet that published once more
            heard = Heard(heard.topic, heard.payload, lambda: None)
        if self._full(len(heard.payload)) or (self._let_go and heard.topic is Topic.CMD):
            if not self._let_go:
                log.info("command.no_room", topic=heard.topic.value, waiting=len(self._queue))
            self._let_go = True
            heard.done()
            return
        self._queue.append(heard)
        self._held[heard.payload] = self._held.get(heard.payload, 0) + 1
        self._held_bytes += len(heard.payload)
        self._more.set()
        if new and heard.topic is Topic.CMD and self._use is False:
            self._ask_again()  # an operator may have adopted this journal

    def _full(self, size: int) -> bool:
        waiting = len(self._queue)
        return waiting >= HELD_MAX or (waiting > 0 and self._held_bytes + size > HELD_BYTES)

    async def _next(self) -> Heard:
        while (place := self._ready()) is None:
            self._more.clear()
            asks = self._queue and self._use is False
            try:
                async with asyncio.timeout(ASK_S if asks else None):
                    await self._more.wait()
            except TimeoutError:
                self._ask_again()
        heard = self._queue[place]
        del self._queue[place]
        self._held_bytes -= len(heard.payload)
        self._held[heard.payload] -= 1
        if not self._held[heard.payload]:
            del self._held[heard.payload]
        return heard

    def _ready(self) -> int | None:
        """Return the place of the first message that may be taken; commands wait for our turn."""
        if self._use is True:
            return 0 if self._queue else None
        topics = (heard.topic for heard in self._queue)
        return next((n for n, topic in enumerate(topics) if topic is not Topic.CMD), None)

    def in_use(self, use: bool | None) -> None:
        """Say whether commands are for this journal; None: the fleet has not said so yet.

        Of two disks with one name one is told so. What the other one hears waits here: an operator
        may adopt its journal.
        """
        self._use = use
        self._more.set()

    def time_is_known(self) -> None:
        """Let commands run from now on."""
        self._timed.set()

    def begun(self, id_: str) -> None:
        """Say that the record of a command's start is durable."""
        if id_ in self._begun:
            self._begun[id_].set()

    async def run(self) -> None:
        """Begin what comes, one after the other, until cancelled; what takes long goes on."""
        try:
            await self._take_all()
        finally:
            running = list(self._running.values())
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _take_all(self) -> None:
        while True:
            await self._timed.wait()
            heard = await self._next()
            try:
                await self._take(heard)
            except CommandRefused as error:
                log.warning("message.later", topic=heard.topic.value, reason=str(error))
            except Exception:  # one message that nobody foresaw leaves the others their turn
                log.exception("message.broke", topic=heard.topic.value)
            heard.done()
            if self._let_go and not self._queue:
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
        if isinstance(args, c.Echo):
            inner = cmd.Echo(args.text)
        if isinstance(args, c.SoftwareUpdate):
            inner = cmd.UpdateSoftware(
                body.id, args.version, args.digest, args.artefact, body.expires_at
            )
        if body.id in self._running:
            return  # it runs: its start is durable, its end will be told
        while len(self._running) >= RUNNING_MAX:
            log.info("command.waits", id=body.id)
            await asyncio.wait(self._running.values(), return_when=asyncio.FIRST_COMPLETED)
        refused = ""
        if own is None and inner is None:
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
            outside=own is not None,
            replaced=args.replaced,
        )
        begun = self._begun[order.id] = asyncio.Event()
        task = self._go_on(order.id, self._carry_out(order))
        starting = asyncio.ensure_future(begun.wait())
        try:
            await asyncio.wait({task, starting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            starting.cancel()
            del self._begun[order.id]
        if task.done():
            task.result()
        elif own is not None:
            # A blank is in no id: the two don't meet.
            self._go_on(f"{order.id} ", self._of_our_own(order.id, own, args))

    def _go_on(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._running[name] = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(lambda _: self._running.pop(name, None))
        return task

    async def _carry_out(self, order: cmd.Remote) -> None:
        try:
            answer = await self._act(order, BY)
        except CommandRefused as error:
            log.warning("command.later", id=order.id, reason=str(error))
        else:
            log.info("command", id=order.id, kind=order.kind, outcome=answer["outcome"])

    async def _of_our_own(self, id_: str, own: Own, args: c.Args) -> None:
        """Do what is this process's to do, and tell the machine its end."""
        try:
            ended = cmd.EndRemote(id_, "done", await own(id_, args))
        except asyncio.CancelledError:
            # The machine lives on, and would take it for running for ever.
            ended = cmd.EndRemote(id_, "interrupted", "the link ended meanwhile")
            self._ending = asyncio.ensure_future(self._act(ended, BY))
            raise
        except CommandRefused as error:
            ended = cmd.EndRemote(id_, "refused", str(error))
        except Exception as error:  # its command must have an end, whatever nobody foresaw
            log.exception("command.broke", id=id_)
            ended = cmd.EndRemote(id_, "interrupted", repr(error)[:200])
        await self._act(ended, BY)

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
        case c.RefundLocal(reason=reason):
            return cmd.ReturnCredit(reason)
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
        case c.ClaimClose() | c.ClaimAnswer():
            return _of_claim(args)
        case c.AuditRead():
            return cmd.ReadAudit()
        case _:
            return _of_column(args)


def _of_claim(args: c.ClaimClose | c.ClaimAnswer) -> cmd.Command:
    if isinstance(args, c.ClaimClose):
        return cmd.SettleClaim(args.claim, args.journal, args.how)
    return cmd.AnswerClaim(
        args.journal, args.asked, args.answer, args.amount, args.tender, args.machine
    )


def _of_column(args: c.Args) -> cmd.Command | None:
    match args:
        case c.PriceSet(column=column, price=price):
            return cmd.SetPrice(column, price)
        case c.ColumnEnable(column=column, reason=reason):
            return cmd.EnableColumn(column, reason)
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
