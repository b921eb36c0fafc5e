"""How long a debt is tried for: pauses that grow, a deadline, and a watch for what got stuck.

A payout that paid too little is ordered again, each time after a longer pause, for a tube may come
free and a hopper may catch up. By the deadline what is left becomes a claim: a customer stands
there. All of this is this life's own; after a restart patience begins anew.
"""

from __future__ import annotations

from typing import Final

from controller.faults import FaultCode
from controller.machine.desk import Desk
from controller.machine.effects import Wake
from controller.machine.table import Mode
from controller.state.saga import Saga

FIRST_PAUSE_S: Final = 1.0  # behind the first order that paid too little; then twice as long
LONGEST_PAUSE_S: Final = 8.0  # a customer goes away sooner than a tube comes free
SURE_TRIES: Final = 2  # orders, whatever time the first one took
STOPPING_PATIENCE_S: Final = 10.0  # well within the 25 s that a graceful stop has
WATCH_S: Final = 30.0  # between two looks at the sagas that are open; most never see one
ROUNDING_S: Final = 0.001  # a timer that is due may come a rounding early


def pause_s(tries: int) -> float:
    """Return the pause behind the ``tries``-th order that paid too little, 1 or more; seconds."""
    return min(FIRST_PAUSE_S * 2.0 ** (tries - 1), LONGEST_PAUSE_S)


def ordered(desk: Desk, saga: Saga) -> None:
    """Coins are about to be paid: the time of this debt counts from the first order."""
    desk.live.owing_since.setdefault(saga.vend, desk.now)


def paid_short(desk: Desk, saga: Saga) -> None:
    """An order paid less than it said: the next one waits."""
    desk.live.again_at[saga.vend] = desk.now + pause_s(saga.short_payouts)


def pauses(desk: Desk, saga: Saga) -> bool:
    """Tell whether the next order has to wait, and come back when it need not."""
    due = desk.live.again_at.get(saga.vend)
    if due is None:
        return False
    if overdue(desk, saga) or desk.now >= due - ROUNDING_S:
        del desk.live.again_at[saga.vend]
        return False
    desk.do(Wake(f"payout {saga.vend}", due - desk.now))
    return True


def overdue(desk: Desk, saga: Saga) -> bool:
    """Tell whether orders that pay too little have been repeated for long enough.

    One is always repeated: the RESET that ends a stuck payout often heals its device.
    """
    since = desk.live.owing_since.get(saga.vend)
    if saga.short_payouts < SURE_TRIES or since is None or desk.now - since < limit_s(desk):
        return False
    desk.live.timed_out.add(saga.vend)
    return True


def for_absent_s(desk: Desk, saga: Saga) -> float:
    """Return how long who could pay is still waited for, while they are away; 0 or less: no more.

    Behind orders that paid too little it is what those have left of the time of this debt.
    """
    since = desk.live.settling_since.setdefault(saga.vend, desk.now)
    if saga.short_payouts >= SURE_TRIES:
        since = min(since, desk.live.owing_since.get(saga.vend, since))
    left = limit_s(desk) - (desk.now - since)
    return left if left > ROUNDING_S else 0.0


def limit_s(desk: Desk) -> float:
    """Return how long a debt is tried for before it becomes a claim, in seconds."""
    limit = desk.policy.refund_deadline_s
    return min(limit, STOPPING_PATIENCE_S) if desk.mode is Mode.STOPPING else limit


def forget(desk: Desk, saga: Saga) -> None:
    """It has ended."""
    live = desk.live
    for times in (live.settling_since, live.owing_since, live.again_at):
        times.pop(saga.vend, None)
    live.timed_out.discard(saga.vend)
    live.seen.pop(saga.vend, None)
    live.held_then.pop(saga.vend, None)
    live.recounted.discard(saga.vend)


# -------------------------------------------------------------------------------------- watch


def keep_watch(desk: Desk) -> None:
    """Look at open sagas now and then, as long as there are any."""
    if desk.state.sagas and not desk.live.watching:
        desk.live.watching = True
        desk.do(Wake("watch", WATCH_S))


def stuck(desk: Desk) -> list[Saga]:
    """Return the sagas that nothing has moved since the last look, and nothing will.

    One that waits for an act or for its time is none of them: acts end by limits of their own.
    """
    live = desk.live
    live.watching = False
    found = []
    for saga in desk.state.sagas.values():
        before, live.seen[saga.vend] = live.seen.get(saga.vend), _mark(saga)
        waits = (
            bool(saga.intent)
            or saga.vend in live.busy
            or saga.vend in live.unproved
            or saga.vend in live.settling_since
            or saga.vend in live.again_at
            or (desk.state.escrow is not None and not desk.state.escrow.claimed)
        )
        if before == live.seen[saga.vend] and not waits:
            found.append(saga)
    return found


def tell_stuck(desk: Desk, what: str) -> None:
    """Have a person look: this must not happen, and went on all the same."""
    desk.raise_fault("machine", FaultCode.MACHINE_STUCK, what)


def _mark(saga: Saga) -> tuple[object, ...]:
    """Return what changes with each step of a saga."""
    return (
        saga.intent, saga.card, len(saga.turns), saga.failed, saga.dispensed, saga.payouts,
        saga.owed, saga.claimed, saga.held,
    )  # fmt: skip
