"""What a machine says of itself is kept, on both databases, with what we don't know of it."""

import json

from cloud.contract.messages import State, read
from cloud.fleet import reports
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.ingest import Ingest
from tests.fleet.machines import START, Machine, register


async def test_the_last_state_is_kept_with_fields_of_a_newer_machine(
    database: FleetDatabase,
) -> None:
    machine = Machine()
    await register(database, machine)
    ingest = Ingest(database)
    newer = {
        "v": 1,
        "at": START,
        "mode": "idle",
        "stock": {"A1": 3},
        "mood": "good",
        "configuration": {"revision": 2, "seen": 3, "outcome": "refused", "colour": "red"},
    }
    await ingest.told(machine.address, State(at=START - 1, mode="credit"), START)
    await ingest.told(machine.address, read(State, json.dumps(newer).encode()), START + 5)

    (line,) = await reports.machines(database, machine.address)
    assert line["seen_ms"] == START + 5
    assert (line["state"]["mode"], line["state"]["mood"]) == ("idle", "good")
    assert line["state"]["configuration"]["colour"] == "red"
    assert line["state"]["stock"] == {"A1": 3}
