"""From the settings' devices to what their drivers read, and to those drivers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from config.climate import Climate
from config.machine import MachineSettings
from config.models import CcTalk, Pulse
from controller.climate_plan import relay_pins
from controller.machine.runner import Inbox
from controller.money import exponent
from controller.ports import DeviceName, DeviceSink
from drivers.gpio.lines import Lines
from drivers.links.port import BytePort
from drivers.mdb.cashless_expect import ReaderSettings

# Loaded by the functions that need them: a machine without such parts does without their drivers.
if TYPE_CHECKING:
    from drivers.cctalk.assembly import CcTalkPlan
    from drivers.climate.relays import Relays
    from drivers.climate.thermometers import ReadFile, Thermometers
    from drivers.gpio.pulse_acceptor import PulseAcceptor, PulsePlan

_READERS_GLASS: Final = 16, 2  # columns and rows; a DISPLAY REQUEST has 32 characters at most


def devices_of(settings: MachineSettings) -> frozenset[DeviceName]:
    """Return the peripherals that stand on the MDB."""
    mdb = settings.mdb
    enabled = {
        DeviceName.CHANGER: mdb.changer.enabled,
        DeviceName.BILL: mdb.bill.enabled,
        DeviceName.CASHLESS1: mdb.cashless1.enabled,
        DeviceName.CASHLESS2: mdb.cashless2.enabled,
    }
    return frozenset(name for name, on in enabled.items() if on)


def readers_of(settings: MachineSettings) -> dict[DeviceName, ReaderSettings]:
    """Return how each card reader is treated, and what it may show on our display."""
    display = settings.display
    wide = display is not None and display.cols * display.rows >= _READERS_GLASS[0] * 2
    columns, rows = _READERS_GLASS if wide else (0, 0)
    return {
        name: ReaderSettings(
            level=cashless.level,
            columns=columns,
            rows=rows,
            always_idle=cashless.always_idle,
        )
        for name, cashless in (
            (DeviceName.CASHLESS1, settings.mdb.cashless1),
            (DeviceName.CASHLESS2, settings.mdb.cashless2),
        )
    }


def cctalk_plan(cctalk: CcTalk) -> CcTalkPlan:
    """Return what stands on the ccTalk line."""
    from drivers.cctalk.acceptor import AcceptorPlan  # noqa: PLC0415 - see the top
    from drivers.cctalk.assembly import CcTalkPlan  # noqa: PLC0415 - see the top
    from drivers.cctalk.bill_validator import ValidatorPlan  # noqa: PLC0415 - see the top
    from drivers.cctalk.frames import Checksum  # noqa: PLC0415 - see the top
    from drivers.cctalk.hopper import HopperPlan  # noqa: PLC0415 - see the top
    from drivers.cctalk.hopper_codec import DispenseKind  # noqa: PLC0415 - see the top

    acceptor, bill = cctalk.acceptor, cctalk.bill
    return CcTalkPlan(
        acceptor=None
        if acceptor is None
        else AcceptorPlan(
            acceptor.address, Checksum(acceptor.checksum), main_unit=acceptor.unit == "main"
        ),
        hoppers=tuple(
            HopperPlan(
                hopper.address,
                hopper.value,
                content=hopper.content,
                capacity=hopper.capacity,
                path=hopper.path,
                kind=None if hopper.dispense == "auto" else DispenseKind(hopper.dispense),
                checksum=Checksum(hopper.checksum),
            )
            for hopper in cctalk.hoppers
        ),
        bill=None if bill is None else ValidatorPlan(bill.address, Checksum(bill.checksum)),
    )


def cctalk_line(cctalk: CcTalk) -> Callable[[], BytePort]:
    """Return what opens the ccTalk line."""
    from drivers.cctalk.assembly import cctalk_port  # noqa: PLC0415 - see the top

    return cctalk_port(str(cctalk.port))


def pulse_plan(pulse: Pulse) -> PulsePlan:
    """Return what the pulses of an acceptor mean."""
    from drivers.gpio.pulse_acceptor import PulsePlan  # noqa: PLC0415 - see the top
    from drivers.gpio.pulse_train import PulseShape  # noqa: PLC0415 - see the top

    return PulsePlan(
        dict(pulse.coins),
        PulseShape(
            least_s=pulse.pulse_min_ms / 1000,
            longest_s=pulse.pulse_max_ms / 1000,
            gap_s=pulse.gap_ms / 1000,
            bounce_s=pulse.bounce_ms / 1000,
        ),
    )


def build_pulse(lines: Lines, settings: MachineSettings, sink: DeviceSink) -> PulseAcceptor | None:
    """Make the pulse acceptor, where there is one. Raises ConfigError."""
    pulse = settings.pulse
    if pulse is None:
        return None
    from drivers.gpio.pulse_acceptor import PulseAcceptor  # noqa: PLC0415 - see the top

    enable, lever = pulse.enable, pulse.return_lever
    return PulseAcceptor(
        pulse_plan(pulse),
        sink,
        decimals=exponent(settings.machine.currency),
        pulses=lines.input(pulse.pin, "pulse.pin"),
        # It only lets coins pass: nothing moves, heats or locks for as long as it is on.
        enable=None if enable is None else lines.output(enable, "pulse.enable", max_on_s=None),
        lever=None if lever is None else lines.input(lever, "pulse.return_lever"),
    )


def relays_of(lines: Lines, climate: Climate | None, inbox: Inbox) -> Relays | None:
    """Make the climate's relays, where there are some. Raises ConfigError."""
    if climate is None:
        return None
    from drivers.climate.assembly import build_relays  # noqa: PLC0415 - see the top

    return build_relays(lines, relay_pins(climate), inbox.notify)


def thermometers_of(
    climate: Climate | None, inbox: Inbox, read_file: ReadFile | None
) -> Thermometers | None:
    """Make the thermometers, where there are some."""
    if climate is None:
        return None
    from drivers.climate.assembly import build_thermometers  # noqa: PLC0415 - see the top

    return build_thermometers(climate.thermometers, inbox.notify, read_file)
