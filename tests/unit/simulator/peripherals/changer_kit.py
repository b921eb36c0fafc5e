"""A simulated changer, spoken to by a scripted master, and where its tests begin."""

from __future__ import annotations

from simulator.bench import MdbBench
from simulator.conversation import ScriptedMaster

TEN, TWENTY, FIFTY, EURO, TWO = 1, 2, 3, 4, 5  # the types of the default changer


async def ready(bench: MdbBench, master: ScriptedMaster) -> None:
    """Initialise the changer: options on, all coins accepted."""
    assert await master.ask("0B") == b"\x0b"
    assert await master.ask("0F 01 00 00 00 07") == b""
    assert await master.ask("0C 00 3F 00 00") == b""


def counts(answer: bytes | None) -> list[int]:
    assert answer is not None
    return list(answer[2:])
