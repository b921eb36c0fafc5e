"""Builds a machine from its configuration and from what differs by place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from config.machine import MachineSettings
from controller.app.books import claim_key, open_journal
from controller.app.box import Box, flight_recorder
from controller.app.devices import (
    build_pulse,
    cctalk_line,
    cctalk_plan,
    devices_of,
    readers_of,
    relays_of,
    thermometers_of,
)
from controller.app.parts import Parts
from controller.app.running import Running
from controller.faults import ConfigError, JournalError
from controller.journal.store import Journal
from controller.machine.desk import Desk
from controller.machine.runner import Inbox, Machine
from controller.planning import SettingsPlanner, holding
from controller.ports import Hands
from controller.saga.claims import mint
from controller.spool import FolderSpool
from controller.state.state import State
from drivers.dispenser.assembly import build_dispenser
from drivers.gpio.lines import Lines
from drivers.links.tapped import TappedLink
from drivers.mdb.assembly import build_mdb
from drivers.panel.assembly import build_buzzer, build_display, build_door, build_keypad


async def compose(settings: MachineSettings, parts: Parts) -> Running:
    """Build a machine; nothing moves before ``Running.run``.

    Raises:
        ConfigError: A pin, port or bus cannot be opened.
        JournalError: The journal can't be used; see ``open_journal``.
    """
    box = flight_recorder(settings, parts)
    if box is not None:
        parts = replace(parts, clock=box.clock)
    journal = await open_journal(settings, parts)
    try:
        return await _compose_over(journal, settings, parts, box)
    except JournalError:
        with suppress(JournalError):  # it is tried again, perhaps by this process
            await journal.close()
        raise


async def _compose_over(
    journal: Journal[State], settings: MachineSettings, parts: Parts, box: Box | None
) -> Running:
    for setting, wanted, found, is_what in (
        ("id", settings.machine.id, journal.state.machine, "is of"),
        ("currency", settings.machine.currency, journal.state.currency, "counts in"),
    ):
        if found not in ("", wanted):  # nothing: a disk that could not even be begun on
            await journal.close()
            raise ConfigError(
                f"machine.{setting} = {wanted}: the journal in {settings.journal.folder} {is_what} "
                f"{found}; allowed: {found}, or another journal.folder"
            )
    inbox = Inbox()
    key = await claim_key(parts.storage, parts.entropy)
    machine_id = settings.machine.id
    keeper = None if box is None else box.watch(journal, parts.keeper)

    def minted(seq: int, amount: int) -> str:
        return mint(key, machine_id, seq, amount)

    planner = SettingsPlanner(settings, aside=parts.aside)
    plan = await holding(planner, journal)
    seal = None
    if settings.cloud is not None:
        from controller.machine.checkpoints import sealing  # noqa: PLC0415 - see devices.py

        seal = sealing(journal, parts.clock)
        if box is not None:
            seal = box.recorder.minting(seal)

    desk = Desk(
        journal,
        plan.planogram,
        plan.policy,
        parts.clock,
        minted if box is None else box.recorder.minting(minted),
        climate=plan.climate,
        health=plan.health,
        offers=plan.offers,
        plan=plan,
        seal=seal,
    )
    desk.recorded = box is not None
    tap = None if box is None else box.ring.edge
    lines = Lines(parts.pins, parts.watch, at_exit=parts.at_exit, tap=tap)
    dispenser = build_dispenser(
        lines,
        parts.clock,
        columns=settings.columns,
        matrix=settings.gpio,
        drop_sensor=settings.drop_sensor,
        current_sense=None if settings.current_sense is None else settings.current_sense.pin,
        door=None if settings.door is None else settings.door.pin,
        latch_lost=journal.state.latch_lost,
    )
    display = build_display(settings.display, inbox.notify, inline_bus=parts.inline_i2c)
    bill = settings.mdb.bill
    bus = build_mdb(
        link=parts.link if box is None else TappedLink(parts.link, box.ring.mdb),
        sink=inbox,
        clock=parts.clock,
        currency=settings.machine.currency,
        devices=devices_of(settings),
        readers=readers_of(settings),
        foresight=parts.foresight,
        recycle=frozenset(bill.recycle),
        high_security=None if bill.high_security is None else frozenset(bill.high_security),
    )
    cctalk = None
    open_cctalk = parts.cctalk
    if settings.cctalk is not None:
        from drivers.cctalk.assembly import build_cctalk  # noqa: PLC0415 - see devices.py

        open_cctalk = open_cctalk or cctalk_line(settings.cctalk)
        cctalk = build_cctalk(
            cctalk_plan(settings.cctalk),
            open_port=open_cctalk if box is None else box.tapped(open_cctalk),
            sink=inbox,
            currency=settings.machine.currency,
            foresight=parts.cctalk_foresight,
        )
    pulse = build_pulse(lines, settings, inbox)
    hands = Hands(
        dispenser=dispenser,
        display=display,
        buzzer=build_buzzer(lines, None if settings.buzzer is None else settings.buzzer.pin),
        changer=bus.changer or (cctalk.changer if cctalk else None) or pulse,
        bill=bus.bill or (cctalk.bill if cctalk else None),
        readers=dict(bus.readers),
        climate=relays_of(lines, settings.climate, inbox),
        spool=parts.spool or (FolderSpool(settings.update.spool) if settings.update else None),
    )
    desk.updates = hands.spool is not None
    return Running(
        settings=settings,
        journal=journal,
        machine=Machine(
            desk,
            hands,
            plan.renderer,
            inbox,
            parts.heartbeat,
            parts.time_known,
            None if box is None else box.recorder,
            planner,
        ),
        bus=bus,
        lines=lines,
        display=display,
        keypad=(
            build_keypad(lines, settings.keypad, inbox.notify)
            if parts.keypad is None
            else parts.keypad(inbox.notify)
        ),
        door=build_door(lines, None if settings.door is None else settings.door.pin, inbox.notify),
        cctalk=cctalk,
        cctalk_port=open_cctalk,
        thermometers=thermometers_of(settings.climate, inbox, parts.read_file),
        recordings=keeper,
        pulse=pulse,
    )


@asynccontextmanager
async def composed(settings: MachineSettings, parts: Parts) -> AsyncIterator[Running]:
    """Compose, and close whatever happens."""
    running = await compose(settings, parts)
    try:
        yield running
    finally:
        await running.close()
