"""Draws the state machine's diagram from its table: ``python -m controller.machine.diagram``.

The Mermaid text comes from ``transitions`` itself, so the diagram shows what runs; a test
compares ``docs/state-machine.md`` with it.
"""

from __future__ import annotations

import re
import sys
from typing import Any, Final

from transitions.extensions.diagrams import HierarchicalGraphMachine

from controller.machine.modes import INITIAL, DottedState, states, transitions
from controller.machine.table import PROMISES, TABLE, Mode

_DOT: Final = re.compile(r"(\w)\.(\w)")
_HEAD: Final = """# The machine's modes

Drawn from `controller/machine/table.py` by `python -m controller.machine.diagram`; a test fails
when this page is not what the table says.

"""


class _Graph(HierarchicalGraphMachine):
    state_cls = DottedState


class _Model:
    """The graph hangs itself on its model."""


def mermaid() -> str:
    """Return the diagram's source."""
    graph = _Graph(
        model=_Model(),
        states=states(),
        transitions=[
            {**row, "trigger": row["trigger"].removeprefix("on_")} for row in transitions()
        ],
        initial=INITIAL.value,
        auto_transitions=False,
        graph_engine="mermaid",
        title="",
    )
    combined: Any = graph.get_combined_graph()  # the library does not type it
    source = str(combined.source)
    lines = [line.rstrip() for line in source.splitlines()]
    if lines and lines[0] == "---":  # a front matter that only repeats the title
        lines = lines[lines.index("---", 1) + 1 :]
    # Colours of a live machine mean nothing on paper, and Mermaid takes no dot in a name.
    drawn = (line for line in lines if line and not line.lstrip().lower().startswith("class"))
    return "\n".join(_DOT.sub(r"\1_\2", line) for line in drawn)


def page() -> str:
    """Return the whole document."""
    promises = "\n".join(f"| `{mode.value}` | {PROMISES[mode]} |" for mode in Mode)
    rows = "\n".join(
        f"| `{row.trigger.value}` | {', '.join(f'`{s.value}`' for s in row.sources)} "
        f"| `{row.dest.value}` |"
        for row in TABLE
    )
    return (
        f"{_HEAD}```mermaid\n{mermaid()}\n```\n\n"
        f"| mode | promise |\n|---|---|\n{promises}\n\n"
        f"| trigger | from | to |\n|---|---|---|\n{rows}\n"
    )


if __name__ == "__main__":
    sys.stdout.write(page())
