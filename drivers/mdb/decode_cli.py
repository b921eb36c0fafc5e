"""``vendctl decode mdb``: every byte of an MDB exchange in words.

A command of `drivers.decode_cli`.
Exit codes: 0 understood; 1 a checksum, a length or a code is wrong (what could be read is shown
all the same); 2 wrong arguments.
"""

from __future__ import annotations

from typing import Annotated

import typer

from drivers.decoded import given, tell
from drivers.mdb.blocks import MdbBlockError
from drivers.mdb.explain import Device, explain
from drivers.mdb.money import Scale, ScaleError


def mdb(
    device: Annotated[Device, typer.Option(help="Who is on the peripheral's side.")],
    request: Annotated[
        str, typer.Option(metavar="HEX", help="What the machine sent; none: a POLL.")
    ] = "",
    response: Annotated[str, typer.Option(metavar="HEX", help="What came back.")] = "",
    level: Annotated[
        int | None,
        typer.Option(min=1, max=3, help="The level in use, where bytes alone don't tell."),
    ] = None,
    expanded: Annotated[
        bool, typer.Option("--expanded", help="Expanded currency mode of a card reader.")
    ] = False,
    no_checksum: Annotated[
        bool, typer.Option("--no-checksum", help="The bytes come without their checksum.")
    ] = False,
    scaling: Annotated[
        int | None, typer.Option(min=1, help="The device's scaling factor, to show amounts.")
    ] = None,
    decimals: Annotated[int, typer.Option(min=0, help="And its decimal places.")] = 2,
    currency: Annotated[str, typer.Option(help="Letters to write behind amounts.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Explain a request and its answer on the MDB, given as on the wire, checksums included.

    Hexadecimal pairs in any form: "0B 0B", 0B0B, 0x0B,0x0B.
    """
    try:
        scale = None if scaling is None else Scale(scaling, decimals)
        explanation = explain(
            device,
            given("--request", request),
            given("--response", response),
            level=level,
            expanded=expanded,
            checksum=not no_checksum,
            scale=scale,
            currency=currency,
        )
    except (MdbBlockError, ScaleError) as error:
        raise typer.BadParameter(str(error)) from error
    tell(explanation, json=json)
