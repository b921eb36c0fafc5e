"""What the fleet wants of a machine's configuration: the next revision, made of the last one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.contract.commands import ConfigApply
from cloud.contract.messages import MAX_MESSAGE_BYTES
from cloud.contract.settings import SettingsError, nested
from cloud.contract.topics import Address
from cloud.fleet import reports
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.registry import RegistryError


class ConfigurationError(Exception):
    """No such revision can be made. Says why; ``nothing``: because nothing would change."""

    def __init__(self, problem: str, *, nothing: bool = False) -> None:
        """Say what is wrong."""
        super().__init__(problem)
        self.nothing = nothing


async def last_revision(connection: AsyncConnection, machine_id: int) -> int:
    """Return the highest revision that a machine may have heard of, from wherever it came.

    A machine takes none that is not above it: so also one that went as a command, or that it says
    it has judged (before the server's database was restored from a copy).
    """
    wanted = await connection.execute(
        select(func.coalesce(func.max(t.desired.c.revision), 0)).where(
            t.desired.c.machine_id == machine_id
        )
    )
    found = [int(wanted.scalar_one())]
    commands = await connection.execute(
        select(t.command.c.args).where(
            t.command.c.machine_id == machine_id, t.command.c.kind == ConfigApply.kind
        )
    )
    found += [int(json.loads(args)["revision"]) for args in commands.scalars()]
    state = (
        await connection.execute(select(t.machine.c.state).where(t.machine.c.id == machine_id))
    ).scalar_one()
    if state:
        found.append(int((json.loads(state).get("configuration") or {}).get("seen", 0)))
    return max(found)


def changed(
    before: Mapping[str, Any], pairs: Mapping[str, Any], unset: Sequence[str] = ()
) -> dict[str, Any]:
    """Return settings with some keys, dotted or not, set to other values or taken out.

    Raises:
        ConfigurationError: A key is none, or one to be taken out is not there.
    """
    made = deepcopy(dict(before))
    for name in unset:
        if not _take_out(made, name.split(".")):
            raise ConfigurationError(f"{name} is not in the newest revision")
    try:
        for name, value in pairs.items():
            _lay(made, nested({name: value}))
        whole = nested(made)
    except SettingsError as error:
        raise ConfigurationError(str(error)) from error
    size = len(json.dumps(whole))
    if size > MAX_MESSAGE_BYTES // 2:  # signed, its body travels as base64
        raise ConfigurationError(f"{size} bytes of settings; allowed: {MAX_MESSAGE_BYTES // 2}")
    return whole


def _lay(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    for name, value in above.items():
        there = below.get(name)
        if isinstance(value, Mapping) and isinstance(there, dict):
            _lay(there, value)
        else:
            below[name] = value


def _take_out(settings: dict[str, Any], path: list[str]) -> bool:
    name, *rest = path
    if name not in settings:
        return False
    if not rest:
        del settings[name]
        return True
    inner = settings[name]
    if not isinstance(inner, dict) or not _take_out(inner, rest):
        return False
    if not inner:
        del settings[name]
    return True


async def view(database: FleetDatabase, address: Address) -> dict[str, Any]:
    """Return what is wanted of a machine, what became of it, and what the machine itself says.

    Raises:
        RegistryError: There is no such machine.
    """
    found = await reports.machines(database, address)
    if not found:
        raise RegistryError(f"no machine {address}; `vendcloud machine list` shows them")
    state = found[0]["state"] or {}
    told = state.get("configuration") or {}
    return {
        "desired": await reports.desired(database, address),
        "applied": told.get("revision", state.get("desired", 0)),
        "trial": told.get("trial", False),
        "seen": told.get("seen", 0),
        "outcome": told.get("outcome", ""),
        "errors": list(told.get("errors", ())),
        "waiting": told.get("waiting", 0),
        "drift": state.get("drift", {}),
        "told_ms": state.get("at"),
    }


async def adopted(database: FleetDatabase, address: Address) -> dict[str, Any]:
    """Return the newest revision's settings with what was changed at the machine in them.

    Raises:
        ConfigurationError: Nothing differs, or the machine does not go by that revision.
    """
    seen = await view(database, address)
    wanted = seen["desired"]
    if wanted is None:
        raise ConfigurationError("nothing is wanted yet: `vendcloud desired set`")
    if seen["applied"] != wanted["revision"]:
        raise ConfigurationError(
            f"revision {wanted['revision']} does not hold there, but {seen['applied']}: what "
            "differs from it nobody knows"
        )
    if not seen["drift"]:
        raise ConfigurationError("nothing differs: there is nothing to adopt", nothing=True)
    pairs = {name: difference["found"] for name, difference in seen["drift"].items()}
    return changed(wanted["settings"], pairs)
