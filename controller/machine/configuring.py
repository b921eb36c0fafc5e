"""Configuration and planograms from afar: judged beside the work, applied between two customers.

What holds is what the journal says. A revision is on trial first: it counts as good once the
machine has worked with it for a while; a machine that dies before goes back to the last good one.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from controller.domain import commands as cmd
from controller.domain.planogram import Planogram
from controller.journal import records as rec
from controller.journal.envelope import RecordData
from controller.machine import effects as fx
from controller.machine.desk import Desk, Waiting
from controller.machine.inputs import CommandRefused
from controller.machine.plan import Judged, Proposal
from controller.machine.table import Mode
from controller.saga import jackpot
from controller.state.config import PLANOGRAM, Configuration, Held

Reply = Future[dict[str, Any]]

# As long as a start takes with devices that are slow to answer, and a sale or two: what a wrong
# configuration breaks it breaks by then.
TRIAL_S: Final = 60.0
REASONS_MAX: Final = 20  # told of one revision: who made so many mistakes reads no further
REASON_MAX: Final = 300  # characters of one
CONFIG: Final = "config"  # of replies and timers
NO_DEVICE: Final = "no payment device answers"


class Configuring:
    """Looks after what is to hold."""

    def __init__(self, desk: Desk) -> None:
        """Bind the desk."""
        self._desk = desk

    def boot(self) -> None:
        """Go on with a trial that a start has interrupted."""
        if self._desk.state.config.trial:
            self._desk.do(fx.Wake(CONFIG, TRIAL_S))

    # ------------------------------------------------------------------------------- taking

    def take(self, command: cmd.ApplyConfig, by: str, reply: Reply) -> dict[str, Any] | None:
        """Take a revision; one that was judged before changes nothing.

        Raises:
            CommandRefused: Who asked waits for it, and it is not newer than what was judged.
        """
        desk, config = self._desk, self._desk.state.config
        waiting = desk.live.config
        newest = config.seen
        if waiting is not None and isinstance(waiting.command, cmd.ApplyConfig):
            newest = max(newest, waiting.command.revision)
        if command.revision <= newest:
            return self._known(command, newest)
        self._supersede(command.revision)
        if command.errors:
            self._refuse(command, command.errors, by)
            return self._answer(command, {"outcome": "refused", "errors": list(command.errors)})
        desk.live.config = Waiting(command, by)
        self._judge(desk.live.config)
        if not command.waits:
            return {"outcome": "waits", "revision": command.revision}
        desk.live.replies[CONFIG] = reply
        return None

    def _known(self, command: cmd.ApplyConfig, newest: int) -> dict[str, Any]:
        config = self._desk.state.config
        if command.waits:
            raise CommandRefused(f"revision {newest} came before; send one above it")
        same = command.revision != config.seen or command.digest == config.seen_digest
        return {"outcome": "known" if same else "differs", "revision": newest}

    def _supersede(self, revision: int) -> None:
        live = self._desk.live
        reply = live.replies.pop(CONFIG, None)
        if reply is not None and not reply.done():
            reply.set_exception(CommandRefused(f"revision {revision} came meanwhile"))
        live.config = None

    def shelve(self, command: cmd.ApplyPlanogram, by: str, reply: Reply) -> None:
        """Take a planogram; answered when it holds.

        Raises:
            CommandRefused: Another one waits.
        """
        live = self._desk.live
        if live.planogram is not None:
            raise CommandRefused("another planogram waits for a moment without a customer")
        live.planogram = Waiting(command, by)
        live.replies[PLANOGRAM] = reply
        self._judge(live.planogram)

    # ------------------------------------------------------------------------------ judging

    def _judge(self, waiting: Waiting) -> None:
        desk, command = self._desk, waiting.command
        state = desk.state
        proposal = (
            Proposal(command.revision, command.settings)
            if isinstance(command, cmd.ApplyConfig)
            else Proposal(planogram=command.planogram)
        )
        waiting.basis, waiting.judged = state.config.changes, None
        held = replace(state.config.held, touched=dict(state.config.held.touched))
        desk.do(fx.JudgeConfig(proposal, held, dict(state.prices), waiting.basis))

    def judged(self, effect: fx.JudgeConfig, result: Judged | fx.Failed) -> None:
        """Take a judgement: a mistake is told at once, whoever is being served."""
        live, revision = self._desk.live, effect.proposal.revision
        waiting = live.config if revision else live.planogram
        if waiting is None or effect.basis != waiting.basis or waiting.judged is not None:
            return
        command = waiting.command
        if isinstance(command, cmd.ApplyConfig) and command.revision != revision:
            return  # a newer one has come, and is being judged
        if isinstance(result, fx.Failed):
            result = Judged(errors=(f"it could not be judged: {result.detail}",))
        if result.plan is not None:
            waiting.judged = result
            return
        if isinstance(command, cmd.ApplyConfig):
            live.config = None
            self._refuse(command, result.errors, waiting.by)
        else:
            live.planogram = None
        key = CONFIG if isinstance(command, cmd.ApplyConfig) else PLANOGRAM
        reply = live.replies.pop(key, None)
        if reply is not None and not reply.done():
            reply.set_exception(CommandRefused("; ".join(_short(result.errors))))

    def _refuse(self, command: cmd.ApplyConfig, errors: tuple[str, ...], by: str) -> None:
        self._desk.write(
            rec.ConfigRefused(
                revision=command.revision, digest=command.digest, reasons=_short(errors), by=by
            )
        )

    def _answer(self, command: cmd.ApplyConfig, answer: dict[str, Any]) -> dict[str, Any]:
        if command.waits:
            raise CommandRefused("; ".join(_short(command.errors)))
        return answer

    # ----------------------------------------------------------------------------- applying

    def turn(self, blocked: str) -> bool:
        """Apply what waits, if nobody is being served; True when something holds now.

        Args:
            blocked: Why the machine sells nothing.
        """
        live = self._desk.live
        applied = False
        for waiting in (live.planogram, live.config):
            if waiting is None or waiting.judged is None or not between_vends(self._desk):
                continue
            if waiting.basis != self._desk.state.config.changes:
                self._judge(waiting)  # something changed below it
                continue
            self._apply(waiting, waiting.judged, blocked)
            applied = True
        return applied

    def _apply(self, waiting: Waiting, judged: Judged, blocked: str) -> None:
        desk, command = self._desk, waiting.command
        assert judged.plan is not None, "what is wrong was refused"
        if isinstance(command, cmd.ApplyConfig):
            desk.live.config = None
            trial = desk.state.config.trial
            settings = {name: v for name, v in command.settings.items() if name != PLANOGRAM}
            desk.write(
                rec.ConfigApplied(
                    revision=command.revision,
                    digest=command.digest,
                    settings=settings,
                    products=judged.products,
                    columns=judged.columns,
                    others=_let_go(desk, judged, judged.plan.planogram),
                    by=waiting.by,
                )
            )
            desk.live.was_blocked = blocked
            if not trial:
                desk.good_plan = desk.plan
            desk.do(fx.Wake(CONFIG, TRIAL_S))
            answer = {"outcome": "applied", "revision": command.revision}
            key = CONFIG
        else:
            desk.live.planogram = None
            desk.good_plan = None  # it would take the planogram back as well
            desk.write(
                rec.PlanogramApplied(
                    products=judged.products, columns=judged.columns, by=waiting.by
                )
            )
            answer = {"columns": sorted(judged.columns)}
            key = PLANOGRAM
        desk.adopt(judged.plan)
        jackpot.hold_to_policy(desk)
        desk.answer(key, answer)

    # --------------------------------------------------------------------------------- trial

    def look(self, blocked: str) -> bool:
        """The trial's time is over: confirm what holds, or have the last good one hold again.

        Args:
            blocked: Why the machine sells nothing.

        Returns:
            Whether another plan holds now.
        """
        desk = self._desk
        if not desk.state.config.trial:
            return False
        if blocked != NO_DEVICE or desk.live.was_blocked == NO_DEVICE:
            desk.write(rec.ConfigConfirmed(revision=desk.state.config.held.revision))
            return False
        if desk.good_plan is None or not between_vends(desk):
            desk.do(fx.Wake(CONFIG, TRIAL_S))  # the next start has the plan of the last good one
            return False
        plan = desk.good_plan
        roll_back(desk.write, desk.state.config, f"since it holds, {blocked}", plan.planogram)
        desk.adopt(plan)
        jackpot.hold_to_policy(desk)
        return True


def roll_back(
    write: Callable[[RecordData], object], config: Configuration, reason: str, planogram: Planogram
) -> None:
    """Write that the last good configuration holds again; ``planogram`` is its own."""
    good = config.good or Held()
    write(
        rec.ConfigRolledBack(
            revision=config.held.revision,
            to=good.revision,
            reason=reason[:REASON_MAX],
            columns={
                name: rec.Shelf(
                    product=column.product,
                    price=good.prices.get(name, column.price),
                    capacity=column.capacity,
                )
                for name, column in planogram.columns.items()
                if name in config.held.shelves
            },
        )
    )


def waiting(desk: Desk) -> int:
    """Return the revision that waits until nobody is served; 0: none does."""
    found = desk.live.config
    command = None if found is None else found.command
    return command.revision if isinstance(command, cmd.ApplyConfig) else 0


def between_vends(desk: Desk) -> bool:
    """Tell whether nobody is being served: no money, no card, no bill, nothing that moves."""
    live, state = desk.live, desk.state
    bill = state.escrow
    return (
        desk.mode in (Mode.IDLE, Mode.OUT_OF_SERVICE)
        and state.recovered
        and not state.sagas
        and not state.credit.total
        and not state.rights
        and (bill is None or bill.claimed)
        and live.session is None
        and not live.basket.items
        and live.age_check is None
        and not (live.keyed or live.reselect)
        and live.code is None
        and live.service_wanted is None
        and not (live.replies.keys() - {CONFIG, PLANOGRAM})
    )


def _let_go(desk: Desk, judged: Judged, planogram: Planogram) -> dict[str, rec.Shelf]:
    """Return the columns that the revision before named and this one does not, as they hold now."""
    return {
        name: rec.Shelf(
            product=planogram.columns[name].product,
            price=desk.state.prices.get(name, planogram.columns[name].price),
            capacity=planogram.columns[name].capacity,
        )
        for name, shelf in desk.state.config.held.shelves.items()
        if shelf.revision and name not in judged.columns and name in planogram.columns
    }


def _short(errors: tuple[str, ...]) -> tuple[str, ...]:
    told = tuple(error[:REASON_MAX] for error in errors[:REASONS_MAX])
    more = len(errors) - len(told)
    return (*told, f"and {more} more") if more else told
