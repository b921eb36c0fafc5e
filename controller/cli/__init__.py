"""``vendctl``, the technician's tool: commands over the local API, a file per group of them.

Starts quickly on purpose: nothing here imports pydantic, asyncio or rich before a command needs it.
"""


def main() -> None:
    """Run ``vendctl``; the entry point of the console script."""
    from controller.cli.app import run  # noqa: PLC0415 - a script's start imports nothing else

    run()
