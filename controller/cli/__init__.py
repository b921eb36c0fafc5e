"""``vendctl``, the technician's tool: commands over the local API, a file per group of them.

Starts quickly on purpose: a group's module is loaded when it is called, and asyncio, SQLite and
rich not before a command needs them.
"""


def main() -> None:
    """Run ``vendctl``; the entry point of the console script."""
    import io  # noqa: PLC0415 - a script's start imports nothing that it does not use
    import os  # noqa: PLC0415 - as above
    import signal  # noqa: PLC0415 - as above
    import sys  # noqa: PLC0415 - as above

    from controller.cli.app import run  # noqa: PLC0415 - as above

    # `vendctl journal export | head` ends quietly, as other tools do; the socket does not need it.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if sys.stderr is None:  # closed by who called
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    if sys.stdout is None:
        sys.stderr.write("vendctl: there is no standard output\n")
        sys.exit(7)  # controller.cli.errors.Exit.FAILED
    # A terminal that has no "≥" shows something else; it does not end the command.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    run()
