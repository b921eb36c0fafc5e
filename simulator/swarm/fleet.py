"""The fleet of one machine of the swarm: it signs orders, sends them again, and keeps books.

What comes down goes through the link's own inbox: verified, read, handed to the machine at the
instant at which it comes. What is durable goes up as it is and is folded as the fleet folds it.

The oracle: whatever happened in between, an order ran at most once, none that was not signed for
this machine or had ended, each that could be delivered has its result in a record, and the
fleet's books are the machine's.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, Final

from cloud.contract import signing
from cloud.contract.commands import CommandBody, Role
from cloud.contract.topics import Address, Topic
from cloud.fleet.projections.fold import Changed, Fold
from cloud.link.inbox import Inbox
from cloud.link.transport import Heard
from controller.domain import commands as cmd
from controller.journal import records as rec
from controller.journal.envelope import Record, to_ms
from controller.machine.inputs import CommandRefused
from simulator.swarm.elsewhere import Elsewhere
from simulator.swarm.orders import FOREIGN, FORGED, GOOD, HELD, LATE, PATIENT, REPLACED, Order
from simulator.whole import Whole

ADDRESS: Final = Address("swarm", "machine")
ELSEWHERE: Final = Address("swarm", "another")
ROOT: Final = b"r" * 32
SEED: Final = b"s" * 32
THIEF: Final = b"t" * 32
DAY_MS: Final = 86_400_000
CONNECTS_S: Final = 1.5  # after a start: then the time is known, and what is open comes
LONG_S: Final = 86_400
UNLOCKS_MS: Final = 10_000  # between two orders to sell again
SLOW_MS: Final = 60_000  # what ended so long ago has ended for every clock


@dataclass(frozen=True, slots=True)
class Sent:
    """An order as it travels."""

    order: Order
    message: bytes
    expires_ms: int


class Fleet:
    """One machine's fleet.

    Args:
        machine: The machine.
    """

    def __init__(self, machine: Whole) -> None:
        self._machine = machine
        self._began_ms = to_ms(machine.clock.wall_utc()) - self._elapsed_ms()
        self._sent: dict[str, Sent] = {}
        self._open: dict[str, Sent] = {}
        self._started: Counter[str] = Counter()
        self._boot = 0
        self._newest: dict[tuple[str, str], int] = {}  # counters of the last that ran
        self._begun_in: dict[str, int] = {}  # the start after which an order began
        self._finished: dict[str, list[str]] = {}
        self._counter = count(1)
        self._key = self._signed_key()
        self._inbox: Inbox | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._fold = Fold()
        self._last = 0
        self._findings: list[str] = []
        self._lost = False
        self._seen: set[bytes] = set()  # its journals
        machine.on_order = self.order
        self._elsewhere = Elsewhere(machine, self._order)
        machine.on_promise = self._elsewhere.promised

    # --------------------------------------------------------------------------------- time

    def _elapsed_ms(self) -> int:
        return int(self._machine.loop.time() * 1000)

    @property
    def _now_ms(self) -> int:
        """Return the true time, whatever the machine's clock says."""
        return self._began_ms + self._elapsed_ms()

    # --------------------------------------------------------------------------------- lives

    def follow(self) -> None:
        """A life has begun: connect to it."""
        self.life_ended()
        running = self._machine.running
        assert running is not None, "a controller has just started"
        clock, label = self._machine.clock, running.journal.label
        self._seen.add(running.journal.journal_id)

        def now_ms() -> tuple[int, bool]:
            return label.stamp(to_ms(clock.wall_utc()), int(clock.monotonic_s() * 1000))

        verifier = signing.Verifier(signing.public_of(ROOT), ADDRESS)
        self._inbox = Inbox(verifier, running.machine.act, clock, now_ms, {}, self._publish)
        running.machine.on_commit.append(partial(self._begun, self._inbox))
        self._begin(self._inbox.run())
        self._begin(self._connect(running.machine.act))

    def life_ended(self) -> None:
        """Let go of a life: what it was told and has not recorded comes again."""
        tasks, self._tasks, self._inbox = self._tasks, [], None
        for task in tasks:
            task.cancel()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(self._machine.loop.create_task(work))

    async def _connect(self, act: Callable[[cmd.Command, str], Any]) -> None:
        await asyncio.sleep(CONNECTS_S)
        inbox = self._inbox
        assert inbox is not None, "it is let go together with this"
        with suppress(CommandRefused):
            now_s = self._machine.clock.monotonic_s()
            await act(cmd.ConfirmTime(self._now_ms, now_s, first=len(self._seen) == 1), "fleet")
            await act(cmd.NoteFleet(hears=True), "fleet")
        inbox.time_is_known()
        self._publish()

    def _begun(self, inbox: Inbox, records: list[Record]) -> None:
        for record in records:
            if isinstance(record.data, rec.CommandStarted):
                inbox.begun(record.data.id)

    # -------------------------------------------------------------------------------- orders

    def order(self, lives_s: int, text: str) -> None:
        """Send an order, or the same bytes once more."""
        self._order(Order.of(lives_s, text))

    def _order(self, order: Order) -> None:
        sent = self._sent.get(order.id)
        if sent is None:
            sent = self._sent[order.id] = self._signed(order)
            if order.fate not in (FORGED, FOREIGN, LATE):
                self._open[order.id] = sent
            if order.fate == HELD:
                return
        self._put(sent)
        self._release()

    def _release(self) -> None:
        """Let go of what was held up: something newer has come."""
        for sent in list(self._open.values()):
            if sent.order.fate == HELD:
                self._put(sent)

    def _signed(self, order: Order) -> Sent:
        now = self._now_ms - (SLOW_MS + order.lives_s * 1000 if order.fate == LATE else 0)
        address = ELSEWHERE if order.fate == FOREIGN else ADDRESS
        body = CommandBody(
            tenant=address.tenant,
            machine=address.machine,
            id=order.id,
            counter=next(self._counter),
            kind=order.kind,
            args=order.args,
            issued_at=now,
            expires_at=now + order.lives_s * 1000,
            issuer="swarm",
        )
        seed = THIEF if order.fate == FORGED else SEED
        message = signing.sign(signing.COMMAND, signing.signer_of(seed), "k", body, self._key)
        return Sent(order, message.to_bytes(), body.expires_at)

    def _signed_key(self) -> Any:
        body = signing.KeyBody(
            kid="k",
            tenant=ADDRESS.tenant,
            public=signing.public_of(SEED).hex(),
            roles=(Role.OPERATOR,),
            not_after=self._began_ms + 4_000 * DAY_MS,
        )
        return signing.sign_key(signing.signer_of(ROOT), body)

    def _put(self, sent: Sent) -> None:
        if self._inbox is not None:
            self._inbox.put(Heard(Topic.CMD, sent.message, lambda: None))

    def _publish(self) -> None:
        """Send what is open and has not ended; what has is told to nobody any more."""
        now = self._now_ms
        self._open = {id_: sent for id_, sent in self._open.items() if sent.expires_ms > now}
        for sent in self._open.values():
            self._put(sent)

    def settled(self) -> Callable[[], bool]:
        """Return what tells whether all that could be delivered was, and nothing is locked."""
        self._publish()
        asked_ms = -UNLOCKS_MS

        def done() -> bool:
            nonlocal asked_ms
            now = self._now_ms
            on_its_way = any(sent.expires_ms > now for sent in self._open.values())
            if not self._lost and (on_its_way or self._elsewhere.waiting):
                return False
            if self._machine.state.orders.lock is None:
                return True
            if now - asked_ms > UNLOCKS_MS:  # a journal that has just begun refuses what is older
                asked_ms = now
                id_ = f"unlock-{next(self._counter)}"
                self.order(LONG_S, Order(id_, GOOD, "machine.unlock", {}, LONG_S).text)
            return False

        return done

    # --------------------------------------------------------------------------------- books

    def recorded(self, record: Record) -> None:
        """Take a durable record, as the fleet gets them all in the end."""
        if self._lost:
            return
        if record.seq != self._last + 1:
            self._findings.append(f"record {record.seq} came to the fleet behind {self._last}")
        self._last, self._boot = record.seq, record.boot
        self._fold.take(record)
        self._elsewhere.recorded(record)
        match record.data:
            case rec.CommandStarted(id=id_, kind=kind, target=target, counter=counter):
                self._started[id_] += 1
                if kind in REPLACED and counter < self._newest.get((kind, target), 0):
                    self._findings.append(f"order {id_} {kind} ran behind a newer one")
                self._newest[kind, target] = counter
                self._begun_in[id_] = record.boot
                self._open.pop(id_, None)
            case rec.CommandFinished(id=id_, outcome=outcome):
                self._finished.setdefault(id_, []).append(outcome)
                self._open.pop(id_, None)
            case _:
                pass

    def give_up(self) -> None:
        """Judge nothing any more: another journal begins, in which nobody knows what ran."""
        self._lost = True
        self._open.clear()

    def check(self) -> list[str]:
        """Return everything that is wrong with what was ordered, and with the books."""
        if self._lost:
            return []
        found = [*self._findings, *self._orders(), *self._elsewhere.check(), *self._books()]
        self._findings = []
        self._fold.changed = Changed()
        return found

    def _orders(self) -> list[str]:
        found = [f"order {id_} began {n} times" for id_, n in self._started.items() if n > 1]
        for id_, outcomes in self._finished.items():
            # An id is forgotten with its end: one that is said again behind that has expired.
            if sum(outcome != "expired" for outcome in outcomes) > 1:
                found.append(f"order {id_} ended several times: {outcomes}")
        for id_, sent in self._sent.items():
            order, outcomes = sent.order, self._finished.get(id_, [])
            if order.fate in (FORGED, FOREIGN) and (self._started[id_] or outcomes):
                found.append(f"a {order.fate} order was taken: {id_} {order.kind}")
            elif order.fate == LATE and self._started[id_]:
                found.append(f"an order ran after its end: {id_} {order.kind}")
            elif self._started[id_] and not outcomes and not self._may_wait(order):
                found.append(f"order {id_} {order.kind} began, and nothing says how it ended")
        return found

    def _may_wait(self, order: Order) -> bool:
        """Tell whether an order that has begun need not have ended: a new life ends it."""
        return order.kind in PATIENT and self._begun_in[order.id] == self._boot

    def _books(self) -> list[str]:
        state, fold = self._machine.state, self._fold
        found = [f"the fleet does not understand {dead.reason}" for dead in fold.changed.dead]
        theirs = {name: amount for name, amount in fold.balances.items() if amount}
        ours = {name: amount for name, amount in state.ledger.to_json().items() if amount}
        if theirs != ours:
            found.append(f"the fleet's balances are {theirs}, the machine's {ours}")
        owed = sorted(c.amount for c in fold.claims.values() if c.closed_ms is None)
        if owed != sorted(claim.amount for claim in state.claims.values()):
            found.append(f"the fleet knows claims over {owed}")
        for column, shelf in fold.shelves.items():
            if shelf.count != state.stock.of(column).count:
                found.append(
                    f"column {column}: {state.stock.of(column).count} at the machine, "
                    f"{shelf.count} in the fleet"
                )
        if fold.sagas:
            found.append(f"sagas are open in the fleet alone: {sorted(fold.sagas)}")
        return found
