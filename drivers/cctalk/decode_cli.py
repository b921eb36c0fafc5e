"""``vendctl decode cctalk``: every byte of a ccTalk exchange in words.

A command of `drivers.decode_cli`.
Exit codes: 0 understood; 1 a checksum, a length or a code is wrong (what could be read is shown
all the same); 2 wrong arguments.
"""

from __future__ import annotations

from typing import Annotated

import typer

from drivers.cctalk.explain import Kind, explain
from drivers.cctalk.frames import CcTalkError, Checksum
from drivers.decoded import given, tell


def cctalk(
    request: Annotated[str, typer.Option(metavar="HEX", help="What the machine sent.")] = "",
    response: Annotated[
        str,
        typer.Option(metavar="HEX", help="What came back, with or without the request's echo."),
    ] = "",
    device: Annotated[
        Kind | None,
        typer.Option(help="What the device is; none: what header or address say."),
    ] = None,
    checksum: Annotated[
        Checksum | None, typer.Option(help="What frames end with; none: whichever is right.")
    ] = None,
    last_counter: Annotated[
        int | None,
        typer.Option(min=0, max=255, help="Event counter of the read before, to tell new events."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Explain a request and its answer on ccTalk, given as on the wire, checksums included.

    Hexadecimal pairs in any form: "02 00 01 E5 18", 020001E518, 0x02,0x00.
    """
    try:
        explanation = explain(
            given("--request", request),
            given("--response", response),
            device=device,
            checksum=checksum,
            last_counter=last_counter,
        )
    except CcTalkError as error:
        raise typer.BadParameter(str(error)) from error
    tell(explanation, json=json)
