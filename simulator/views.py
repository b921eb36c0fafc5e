"""A world as JSON values: what the control socket answers."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from controller.money import exponent
from simulator.truth import BIN, TRAY, Account
from simulator.world import World


def hello(world: World) -> dict[str, Any]:
    """Return what a world consists of."""
    settings, plan = world.settings, world.plan
    currency = settings.machine.currency
    bill = plan.bill
    return {
        "machine": settings.machine.id,
        "currency": currency,
        "decimals": exponent(currency),
        "link": world.link,
        "speed": world.timeline.speed,
        "columns": [column.selection for column in settings.columns],
        "coins": _coins(world),
        "bills": [] if bill is None else [b.value for b in bill.bills if b.value],
        "cards": list(world.cards),
        "readers": list(world.readers),
        "keys": list(world.panel.keypad.keys),
    }


def _coins(world: World) -> list[int]:
    changer, pulse = world.plan.changer, world.settings.pulse
    if pulse is not None:
        return sorted(pulse.coins.values())
    return [] if changer is None else [coin.value for coin in changer.coin_table() if coin.value]


def truth(world: World, controllers: int) -> dict[str, Any]:
    """Return all that is physically so."""
    truth = world.truth
    return {
        "at_s": world.loop.time(),
        "currency": world.settings.machine.currency,
        "customer": truth.customer,
        "totals": asdict(truth.totals()),
        "tubes": world.tubes(),
        "places": {
            place: {str(thing): count for thing, count in truth.things(place).items()}
            for place in truth.places()
        },
        "columns": {
            name: {
                "product": world.cabinet.product(name).name,
                "stock": world.cabinet.stock(name),
                "phase": round(spiral.phase, 4),
                "at_home": spiral.at_home,
                "running": spiral.running,
                "turns": spiral.turns,
            }
            for name, spiral in world.cabinet.spirals.items()
        },
        "bin": sorted(
            name for thing, count in truth.things(BIN).items() for name in [thing.name] * count
        ),
        "tray": truth.value(TRAY),
        "cards": [asdict(entry) for entry in truth.authorisations.values()],
        "accounts": {name: _account(entry) for name, entry in truth.accounts.items()},
        "climate": None if world.cabin is None else world.cabin.view(),
        "latched": world.cabinet.sensor.latched,
        "door_open": world.cabinet.door_open,
        "powered": world.powered,
        "unplugged": sorted(world.unplugged),
        "faults": world.faults.active(),
        "outputs_on": list(world.board.outputs_on()),
        "controllers": controllers,
        "still": world.still,
        "quiet": world.quiet,
    }


def pins(world: World) -> dict[int, dict[str, Any]]:
    """Return every pin that the machine's file names."""
    board = world.board
    found: dict[int, dict[str, Any]] = {}
    for use in world.settings.pin_uses():
        number = use.pin.number
        found.setdefault(
            number,
            {
                "level": board.level(number),
                "on": board.is_on(number),
                "output": board.is_output(number),
                "use": use.key,
                "longest_on_s": board.longest_on_s(number),
            },
        )
    return found


def _account(account: Account) -> dict[str, Any]:
    return asdict(account) | {"spent": account.spent}
