"""The mode machine: the table run by ``transitions``' synchronous hierarchical machine."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, Final

from transitions import MachineError
from transitions.extensions.nesting import HierarchicalMachine, NestedState

from controller.faults import InvariantError
from controller.machine.table import TABLE, Mode, Trigger

INITIAL: Final = Mode.BOOTING


class DottedState(NestedState):
    """Modes have underscores in their names, so nesting is written with a dot."""

    separator = "."


class ModeGraph(HierarchicalMachine):
    """A hierarchical machine over ``DottedState``."""

    state_cls = DottedState


def states() -> list[str | dict[str, Any]]:
    """Return the modes as ``transitions`` wants them, children within their parent."""
    flat: list[str | dict[str, Any]] = []
    parents: dict[str, dict[str, Any]] = {}
    for mode in Mode:
        parent, dot, child = mode.value.partition(".")
        if not dot:
            flat.append(parent)
            continue
        if parent not in parents:
            parents[parent] = {"name": parent, "children": []}
            flat.append(parents[parent])
        parents[parent]["children"].append(child)
    return flat


def transitions() -> list[dict[str, Any]]:
    """Return the table as ``transitions`` wants it."""
    return [
        {
            "trigger": f"on_{row.trigger.value}",
            "source": [source.value for source in row.sources],
            "dest": row.dest.value,
        }
        for row in TABLE
    ]


class _Model:
    """Carries ``state``; ``transitions`` adds the trigger methods."""

    state: str


@lru_cache(maxsize=1)
def _graph() -> tuple[ModeGraph, _Model]:
    """Return the one machine of this process, and the model that it moves."""
    model = _Model()
    graph = ModeGraph(
        model=model,
        states=states(),
        transitions=transitions(),
        initial=INITIAL.value,
        auto_transitions=False,
        send_event=False,
    )
    return graph, model


@cache  # as many pairs as the table allows
def destination(mode: Mode, trigger: Trigger) -> Mode | None:
    """Return the mode that ``trigger`` leads to, None where it is not legal.

    The machine has no callbacks and no conditions, so it is asked once for each pair: a walk
    through its nested states takes longer than all else that decides about a coin.
    """
    graph, model = _graph()
    graph.set_state(mode.value, model)
    try:
        model.trigger(f"on_{trigger.value}")  # type: ignore[attr-defined]  # added at run time
    except MachineError:
        return None
    return Mode(model.state)


class Modes:
    """The machine's mode, and the one typed way to change it."""

    def __init__(self) -> None:
        """Begin in ``booting``."""
        self.mode = INITIAL

    def put(self, mode: Mode) -> None:
        """Be in a mode from the start: a replay begins where its recording does."""
        self.mode = mode

    def fire(self, trigger: Trigger) -> Mode:
        """Follow the table's row for ``trigger`` and return the new mode.

        Raises:
            InvariantError: The table has no such row: a bug of ours.
        """
        reached = destination(self.mode, trigger)
        if reached is None:
            raise InvariantError(f"{trigger.value} is not legal in {self.mode.value}")
        self.mode = reached
        return reached
