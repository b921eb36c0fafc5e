"""The fleet's commands: each id runs at most once, and a repeat gets the recorded result.

The start is recorded in the same commit as what the command does at once; what takes longer ends
with a record of its own, and what a restart has cut short ends as interrupted. A command that was
issued before the fleet first told this journal the time may have run on a disk that is gone: it is
refused, unless the fleet says that there was none.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from controller.domain import commands as cmd
from controller.journal import records as rec
from controller.machine import orders
from controller.machine.desk import Desk
from controller.machine.inputs import CommandRefused
from controller.state.remote import counted

Reply = Future[dict[str, Any]]
Obey = Callable[[Desk, cmd.Command, str, Reply], dict[str, Any] | None]

# Records of commands that came after their end, in so many seconds: an id is forgotten with its
# end, so whoever holds old messages could fill the disk with them.
EXPIRED_RECORDS: Final = 8
EXPIRED_IN_S: Final = 60.0

RUNNING: dict[str, Any] = {"outcome": "", "detail": "it runs", "result": {}}


@dataclass(slots=True)
class _Running:
    """A command that has begun: what ends it, and who waits for that."""

    order: cmd.Remote
    inner: Reply
    reply: Reply
    said: str = ""  # its progress, as it was told last


class RemoteDesk:
    """Runs what the fleet asks for, and watches over what takes a while."""

    def __init__(self, desk: Desk, obey: Obey) -> None:
        self._desk = desk
        self._obey = obey
        self._running: dict[str, _Running] = {}
        self._expired: tuple[float, ...] = ()  # monotonic: when the last ones were recorded
        self._update_said = ""  # the update of which it was told that it waits

    @property
    def busy(self) -> bool:
        """Tell whether a command has begun and not ended."""
        return bool(self._running)

    def boot(self) -> None:
        """End what the last life began and did not end; an update goes on waiting."""
        update = self._desk.state.orders.update
        for id_ in self._desk.state.remote.open():
            if update is not None and update.id == id_:
                continue
            command = self._desk.state.remote.commands[id_]
            self._desk.write(
                rec.CommandFinished(
                    id=id_,
                    kind=command.kind,
                    outcome="interrupted",
                    expires_ms=command.expires_ms,
                    detail="vendd ended meanwhile; the journal says how far it came",
                )
            )

    def take(self, order: cmd.Remote, reply: Reply) -> dict[str, Any] | None:
        """Run a command, or answer for one that ran; None when the answer comes later.

        Raises:
            CommandRefused: Nobody knows the time yet, by which its end is judged.
        """
        desk, remote = self._desk, self._desk.state.remote
        known = remote.commands.get(order.id)
        if known is not None:
            if known.outcome:
                return _answer(known.outcome, known.detail, known.result)
            return dict(RUNNING)
        if not desk.journal.label.confirmed:
            raise CommandRefused("the time is not known yet, by which a command's end is judged")
        if desk.now_ms > order.expires_ms:
            return self._late(order)
        if remote.not_before_ms and order.issued_ms <= remote.not_before_ms:
            return self._end(
                order,
                "refused",
                "issued before this journal began; it may have run on the disk before it",
            )
        last = remote.counters.get(counted(order.kind, order.target), 0)
        if order.replaced and order.counter < last:
            return self._end(order, "superseded", f"a later {order.kind} has run here before it")
        desk.write(
            rec.CommandStarted(
                id=order.id,
                kind=order.kind,
                target=order.target,
                counter=order.counter,
                issuer=order.issuer,
                expires_ms=order.expires_ms,
                arguments={} if order.command is None else asdict(order.command),
            )
        )
        if order.refused:
            return self._end(order, "refused", order.refused)
        if order.outside:
            self._running[order.id] = _Running(order, reply.get_loop().create_future(), reply)
            return None
        if order.command is None:
            return self._end(order, "done")
        return self._begin(order, order.command, reply)

    def _late(self, order: cmd.Remote) -> dict[str, Any]:
        """Refuse what has ended, with a record unless there were many of them just now."""
        now = self._desk.now
        self._expired = tuple(at for at in self._expired if now - at < EXPIRED_IN_S)
        if len(self._expired) >= EXPIRED_RECORDS:
            return _answer("expired", "", {})
        self._expired += (now,)
        return self._end(order, "expired")

    def _begin(
        self, order: cmd.Remote, command: cmd.Command, reply: Reply
    ) -> dict[str, Any] | None:
        desk = self._desk
        inner: Reply = reply.get_loop().create_future()
        try:
            answer = self._obey(desk, command, f"{orders.FLEET}{order.issuer}", inner)
        except CommandRefused as refusal:
            return self._end(order, "refused", str(refusal))
        if isinstance(command, cmd.UpdateSoftware):
            return dict(RUNNING)  # it waits in the journal, over any restart
        if answer is not None:
            return self._end(order, "done", result=answer)
        self._running[order.id] = _Running(order, inner, reply)
        inner.add_done_callback(lambda _: desk.poke("remote"))
        return None

    def end(self, ended: cmd.EndRemote) -> dict[str, Any]:
        """Take the end of a command that was carried out beside the machine."""
        running = self._running.pop(ended.id, None)
        if running is None:
            raise CommandRefused(f"no command {ended.id!r} runs")
        answer = self._end(running.order, ended.outcome, ended.detail)
        self._desk.reply(running.reply, answer)
        return answer

    def look(self) -> None:
        """Record what has ended since the last look, and answer for it."""
        for id_, running in list(self._running.items()):
            inner, order = running.inner, running.order
            if not inner.done():
                continue
            del self._running[id_]
            if inner.cancelled():
                answer = self._end(order, "interrupted")
            elif (error := inner.exception()) is not None:
                answer = self._end(order, "refused", str(error))
            else:
                answer = self._end(order, "done", result=inner.result())
            self._desk.reply(running.reply, answer)

    def tell(self) -> None:
        """Tell how far what runs has come, where that has changed; in no record."""
        for id_, running in self._running.items():
            match running.order.command:
                case cmd.TryVend():
                    said = self._desk.mode.value
                case cmd.ApplyConfig() | cmd.ApplyPlanogram():
                    said = "waits until no customer is served"
                case _:
                    continue
            if said != running.said:
                running.said = said
                self._desk.progress(id_, said, 0, 0)
        update = self._desk.state.orders.update
        if update is not None and update.id != self._update_said:
            self._desk.progress(update.id, "waits for a quiet moment", 0, 0)
        self._update_said = "" if update is None else update.id

    def _end(
        self,
        order: cmd.Remote,
        outcome: rec.CommandOutcome,
        detail: str = "",
        result: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        self._desk.write(
            rec.CommandFinished(
                id=order.id,
                kind=order.kind,
                outcome=outcome,
                expires_ms=order.expires_ms,
                detail=detail,
                result=result or {},
            )
        )
        return _answer(outcome, detail, result or {})


def _answer(outcome: str, detail: str, result: dict[str, Any]) -> dict[str, Any]:
    return {"outcome": outcome, "detail": detail, "result": result}


def obey_link(desk: Desk, command: cmd.ConfirmTime | cmd.NoteRefused) -> dict[str, Any]:
    """Take what the link tells the machine: the fleet's time, and messages it refused.

    Raises:
        CommandRefused: The fleet's clock is surely wrong. Without a record: the fleet would answer
            that with its time once more, and so on.
    """
    if isinstance(command, cmd.NoteRefused):
        desk.write(
            rec.MessageRefused(topic=command.topic, reason=command.reason, count=command.count)
        )
        return {}
    label = desk.journal.label
    at_ms = int(command.at_s * 1000)
    before, _ = label.stamp(desk.wall_ms, at_ms)
    if not label.confirm(command.true_ms, at_ms):
        raise CommandRefused("the fleet's clock stands before this software was built")
    desk.write(
        rec.TimeConfirmed(source="fleet", offset_ms=command.true_ms - before, first=command.first)
    )
    return {}
