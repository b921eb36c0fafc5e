"""``vendctl record``: what the flight recorder kept around faults and disputed vends."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Annotated

import typer

from controller.cli import screen
from controller.cli.errors import CliError, Exit
from controller.cli.files import private
from controller.cli.place import AsJson, act, ask, completed, new_group

Name = Annotated[
    str,
    typer.Argument(
        help="A recording's name, as `record list` has it; the number is enough.",
        autocompletion=completed("record.list", lambda found: [one["name"] for one in found]),
    ),
]


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    group = new_group("What the flight recorder kept.", show_list)
    group.command("list")(show_list)
    group.command("show")(show)
    group.command("keep")(keep)
    group.command("export")(export)
    app.add_typer(group, name="record")


def show_list(context: typer.Context, json: AsJson = False) -> None:
    """List the recordings, the oldest first."""
    found = ask(context, "record.list")
    if json:
        screen.as_json(found)
        return
    if not found:
        screen.line("nothing was recorded")
        return
    rows: list[list[screen.Cell]] = [[one["name"], str(one["bytes"])] for one in found]
    screen.table(["Recording", ">Bytes"], rows)


def show(context: typer.Context, name: Name, json: AsJson = False) -> None:
    """Show a recording: each frame, edge, input, record and effect, in their order."""
    # The tool starts fast for those who ask for something else.
    from controller.recorder.keeping import unpacked  # noqa: PLC0415 - above
    from controller.recorder.story import story  # noqa: PLC0415 - above

    _, content = _read(context, name)
    try:
        lines = unpacked(content)
        if json:
            for line in lines:
                print(line.decode())
            return
        begun = None
        for at_s, what, words in story(lines):
            begun = at_s if begun is None else begun
            screen.line(f"{at_s - begun:10.3f}", f"{what:9}", words)
    except ValueError as error:
        raise CliError(str(error), Exit.FAILED) from error


def keep(context: typer.Context, json: AsJson = False) -> None:
    """Keep what there is of the last vends: a customer disputes one."""
    answer = act(context, "record.keep")
    if json:
        screen.as_json(answer)
    else:
        screen.line("kept once the machine is at rest; `vendctl record list` shows it")


def export(
    context: typer.Context,
    name: Name,
    file: Annotated[
        Path | None, typer.Argument(help="Where to; by default its own name, here.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Copy a recording into a file, for `vendsim replay`."""
    whole, content = _read(context, name)
    target = file or Path(whole)
    try:
        with open(target, "wb", opener=private) as copy:
            copy.write(content)
    except OSError as error:
        raise CliError(f"{target}: {error.strerror}", Exit.FAILED) from error
    if json:
        screen.as_json({"name": whole, "file": str(target), "bytes": len(content)})
    else:
        print(f"{target}: {len(content)} bytes; `vendsim replay {target}`", file=sys.stdout)


def _read(context: typer.Context, name: str) -> tuple[str, bytes]:
    names = [one["name"] for one in ask(context, "record.list")]
    if name.isdecimal():
        name = next((one for one in names if int(one[:6]) == int(name)), name)
    content = b""
    offset: int | None = 0
    while offset is not None:
        piece = ask(context, "record.read", name=name, offset=offset)
        content += base64.b64decode(piece["piece"])
        offset = piece["next"]
    return name, content
