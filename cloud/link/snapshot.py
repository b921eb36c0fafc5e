"""How the machine is now, as the fleet is told: a value made from what the machine knows."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from typing import Final

from cloud.contract.messages import ConfigReport, State
from controller.domain import accounts as acc
from controller.machine.configuring import waiting
from controller.machine.desk import Desk
from controller.machine.runner import Machine
from controller.machine.service import device_word
from controller.state.config import drift
from controller.state.state import State as Folded

_CASH: Final = "cash."


def snapshot(machine: Machine, software: str, backlog: int, every_s: float = 0) -> State:
    """Return it; ``backlog`` is how many records the fleet does not have.

    It is told every ``every_s`` seconds at least: who is silent for longer is away.
    """
    desk = machine.desk
    state = desk.state
    config, held = state.config, state.config.held
    return State(
        at=desk.now_ms,
        mode=desk.mode.value,
        why=machine.brain.blocked(),
        currency=state.currency,
        faults=tuple(sorted(state.faults)),
        stock={name: state.stock.of(name).count for name in desk.planogram.columns},
        disabled=_disabled(desk),
        tubes=_by_value(state.tube_coins()),
        recycler=_by_value(state.recycler_bills()),
        stacker=state.stacker if state.stacker_counted else None,
        cash=_cash(state),
        devices={name.value: device_word(desk, name) for name in machine.brain.devices},
        desired=held.revision,
        configuration=ConfigReport(
            revision=held.revision,
            digest=held.digest,
            trial=config.trial,
            seen=config.seen,
            outcome=config.outcome,
            errors=tuple(config.errors),
            waiting=waiting(desk),
        ),
        drift=dict(drift(held, desk.planogram)),
        versions={"vendd": software, "python": platform.python_version()},
        backlog=backlog,
        every_s=int(every_s),
    )


def _disabled(desk: Desk) -> dict[str, str]:
    stock = desk.state.stock
    found = {
        name: stock.of(name).disabled for name in desk.planogram.columns if stock.of(name).disabled
    }
    return found | dict.fromkeys(desk.unhealthy, "health")


def _by_value(pieces: Iterable[tuple[int, int, int]]) -> dict[str, int]:
    """Return counts by value: two tubes of one coin are one line."""
    found: dict[str, int] = {}
    for _, value, count in pieces:
        if value:
            found[str(value)] = found.get(str(value), 0) + count
    return found


def _cash(state: Folded) -> dict[str, int]:
    balances = {name: state.ledger.balance(name) for name in acc.CASH}
    return {name.removeprefix(_CASH): amount for name, amount in balances.items() if amount}
