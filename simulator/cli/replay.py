"""``vendsim replay``: have a real brain decide what a machine's flight recorder kept."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from simulator.cli.common import Json, show_json
from simulator.client import SimulatorError

SHOWN = 400  # letters of a difference


def replay(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="From `vendctl record export`."),
    ],
    as_json: Json = False,
) -> None:
    """Replay recordings: from the state at their start the same must be decided.

    Exit code 0: the same records, byte for byte, and the same effects. 1: something else came
    out, and the first difference is shown.
    """
    from controller.recorder.keeping import unpacked  # noqa: PLC0415 - this command alone needs it
    from controller.recorder.replay import ReplayError  # noqa: PLC0415 - see above
    from controller.recorder.replay import replay as decide  # noqa: PLC0415 - see above

    same = True
    for file in files:
        try:
            found = decide(unpacked(file.read_bytes()))
        except OSError as error:
            raise SimulatorError(f"{file}: {error.strerror or error}") from error
        except (ValueError, ReplayError) as error:
            raise SimulatorError(f"{file}: {error}") from error
        same = same and found.same
        if as_json:
            show_json({"file": str(file), "same": found.same} | asdict(found))
            continue
        print(
            f"{file}: {'the same' if found.same else 'SOMETHING ELSE'} came out:"
            f" {_of(found.inputs, found.whole)} inputs, {found.records} records,"
            f" {found.effects} effects"
        )
        if found.difference is not None:
            other = found.difference
            print(f"  input {other.input}, at {other.at_s:.3f} s: other {other.what}")
            print(f"  recorded: {other.recorded[:SHOWN]}")
            print(f"  decided:  {other.decided[:SHOWN]}")
            print(f"  it was recorded by {found.software or 'nobody knows what'}")
    if not same:
        raise typer.Exit(1)


def _of(inputs: int, whole: int) -> str:
    """Say how many inputs there were, and of how many, where the end was left out."""
    return str(inputs) if inputs >= whole else f"{inputs} of {whole}"
