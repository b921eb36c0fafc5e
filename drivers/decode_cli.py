"""``vendctl decode``: the bytes of a wire in words.

Hung into ``vendctl`` by the entry point ``vendctl.commands``, since the controller knows no wire.
"""

from __future__ import annotations

import typer

from drivers.cctalk.decode_cli import cctalk
from drivers.mdb.decode_cli import mdb

app = typer.Typer(no_args_is_help=True)


@app.callback()
def decode() -> None:
    """Explain bytes of a wire."""


app.command("mdb")(mdb)
app.command("cctalk")(cctalk)
