"""The mode machine: the table run by ``transitions``' synchronous hierarchical machine."""

from __future__ import annotations

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


class Modes:
    """The machine's mode, and the one typed way to change it."""

    def __init__(self) -> None:
        """Begin in ``booting``."""
        self._model = _Model()
        self._graph = ModeGraph(
            model=self._model,
            states=states(),
            transitions=transitions(),
            initial=INITIAL.value,
            auto_transitions=False,
            send_event=False,
        )
        self.mode = INITIAL

    def fire(self, trigger: Trigger) -> Mode:
        """Follow the table's row for ``trigger`` and return the new mode.

        Raises:
            InvariantError: The table has no such row: a bug of ours.
        """
        try:
            self._model.trigger(f"on_{trigger.value}")  # type: ignore[attr-defined]  # added at run time
        except MachineError as error:
            raise InvariantError(f"{trigger.value} is not legal in {self.mode.value}") from error
        self.mode = Mode(self._model.state)
        return self.mode
