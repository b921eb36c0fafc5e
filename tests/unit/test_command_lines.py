"""The commands of the three programs: what prints something prints it as JSON too, if asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from cloud.fleet.cli.app import app as vendcloud
from controller.cli.app import app as vendctl
from simulator.cli.app import app as vendsim

DAEMONS = {
    # They run until they are ended; what they tell is their log.
    "vendcloud serve", "vendcloud signer", "vendcloud worker", "vendsim machine",
}  # fmt: skip


def leaves(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield each command below, with its words."""
    if not hasattr(command, "commands"):
        yield name, command
        return
    for word, below in command.commands.items():
        yield from leaves(below, f"{name} {word}")


ALL = {
    words: command
    for program, app in (
        ("vendctl", vendctl), ("vendsim", vendsim), ("vendcloud", vendcloud),
    )
    for words, command in leaves(typer.main.get_command(app), program)
}  # fmt: skip


def test_the_walk_sees_the_programs() -> None:
    assert len(ALL) > 70
    assert set(ALL) >= DAEMONS


@pytest.mark.parametrize("words", sorted(set(ALL) - DAEMONS))
def test_what_prints_something_prints_json_too(words: str) -> None:
    assert "--json" in [name for option in ALL[words].params for name in option.opts]


@pytest.mark.parametrize("words", sorted(ALL))
def test_every_command_and_each_of_its_options_is_explained(words: str) -> None:
    command = ALL[words]
    assert command.help
    for option in command.params:
        if option.param_type_name == "option":
            assert option.help, option.name
