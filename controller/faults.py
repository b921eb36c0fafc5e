"""The exceptions of the project, sorted by who must act, and the stable fault codes."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class VenddError(Exception):
    """Base of everything that the machine can explain."""


class ConfigError(VenddError):
    """The configuration is wrong: file, key, value and what is allowed. Refuse to start."""


class HardwareError(ConfigError):
    """What the configuration names can't be opened, or has vanished: a later start may find it."""


class LinkError(VenddError):
    """Silence, bad checksum or a port that is gone, and *no effect is possible*: may be retried."""


class PeerProtocolError(VenddError):
    """The peripheral broke its specification: reset that peripheral."""


class DeviceFault(VenddError):  # noqa: N818 - the field says fault, not error
    """The device works and reports trouble: disable that function and keep selling."""

    def __init__(self, code: FaultCode, detail: str = "") -> None:
        """Keep the stable code beside the words."""
        super().__init__(f"{code.value}: {detail}" if detail else code.value)
        self.code = code
        self.detail = detail


class EffectUnknownError(VenddError):
    """It may have happened: reconcile, never send it again."""


class JournalError(VenddError):
    """A record is not on disk: outputs off, take no money, exit; the reopened file decides."""


class InvariantError(Exception):
    """Our own bug, outside the tree: outputs off, stop, let the service manager restart us."""


class FaultCode(StrEnum):
    """Stable names of what can be wrong; part of the journal and of the link's contract."""

    DEVICE_SILENT = "device.silent"
    DEVICE_RESET_BY_ITSELF = "device.reset"
    DEVICE_PROTOCOL = "device.protocol"
    DEVICE_UNSUITABLE = "device.unsuitable"  # e.g. another currency, prices that cannot be sent
    CHANGER_TUBE_JAM = "changer.tube_jam"
    CHANGER_TUBE_SENSOR = "changer.tube_sensor"
    CHANGER_ACCEPTOR_UNPLUGGED = "changer.acceptor_unplugged"
    CHANGER_ROM = "changer.rom"
    CHANGER_FAILURE = "changer.failure"  # it says no more than that
    CHANGER_VOLTAGE = "changer.voltage"
    CHANGER_ACCEPTOR = "changer.acceptor"  # its sensors are out of range
    CHANGER_COIN_PATH_OPEN = "changer.coin_path_open"
    CHANGER_GATE = "changer.gate"
    CHANGER_CASSETTE_REMOVED = "changer.cassette_removed"
    CHANGER_CASHBOX_SENSOR = "changer.cashbox_sensor"
    CHANGER_COIN_JAM = "changer.coin_jam"
    CHANGER_ROUTING = "changer.routing"
    CHANGER_COIN_REMOVED = "changer.coin_removed"
    CHANGER_PAID_OTHER = "changer.paid_other"  # than it was told; a recycler too
    BILL_MOTOR = "bill.motor"
    BILL_SENSOR = "bill.sensor"
    BILL_ROM = "bill.rom"
    BILL_JAM = "bill.jam"
    BILL_CASHBOX_OUT = "bill.cashbox_out"
    BILL_DISABLED = "bill.disabled"  # by itself, and it does not say why
    BILL_STACKER_FULL = "bill.stacker_full"
    BILL_REMOVED = "bill.removed"
    BILL_DISPENSER = "bill.dispenser"  # the recycler pays nothing out
    BILL_STUCK_IN_ESCROW = "bill.stuck_in_escrow"
    BILL_UNCOUNTED = "bill.uncounted"  # in the stacker since the first start, their value unknown
    READER_MEDIA = "reader.media"
    READER_TAMPER = "reader.tamper"
    READER_COMMUNICATIONS = "reader.communications"
    READER_SERVICE = "reader.service"
    READER_FAILURE = "reader.failure"
    READER_JAM = "reader.jam"
    READER_REFUND = "reader.refund"
    READER_OTHER = "reader.other"
    COLUMN_JAMMED = "column.jammed"
    COLUMN_NO_START = "column.no_start"
    COLUMN_NO_HOME = "column.no_home"
    COLUMN_NOT_SEEN = "column.not_seen"
    COLUMN_EMPTY = "column.empty"
    COLUMN_REFUNDS = "column.refunds"  # too many failed vends in a row: is somebody playing?
    MACHINE_REFUNDS = "machine.refunds"
    MACHINE_STUCK = "machine.stuck"  # an act never came to an end, or a vend lay still
    SENSOR_BLIND = "sensor.blind"
    DOOR_OPEN = "door.open"
    PANEL_DISPLAY = "panel.display"
    JOURNAL_FULL = "journal.full"
    JOURNAL_BROKEN = "journal.broken"  # no record tells of it, unless an old one alone is damaged
    TEMPERATURE_SENSOR = "temperature.sensor"  # missing, stuck or out of range
    COOLING_WEAK = "cooling.weak"  # runs and runs, and it does not get cold
    OUTPUT_CUT = "output.cut"  # switched off by its watch
    HEALTH_EXCEEDED = "health.exceeded"  # too warm for too long: not sold until served


TAKES_NOTHING: Final = (
    FaultCode.CHANGER_ACCEPTOR_UNPLUGGED,
    FaultCode.CHANGER_COIN_PATH_OPEN,
    FaultCode.CHANGER_CASSETTE_REMOVED,
    FaultCode.BILL_MOTOR,
    FaultCode.BILL_SENSOR,
    FaultCode.BILL_ROM,
    FaultCode.BILL_JAM,
    FaultCode.BILL_CASHBOX_OUT,
    FaultCode.BILL_DISABLED,
    FaultCode.READER_FAILURE,
    FaultCode.READER_JAM,
)
"""As long as one of these stands, its device takes no money (MDB/ICP 4.2: the changer's 06, and its
diagnostics 11 10, 11 11 and 15 02; the validator's codes that disable it; a reader's class 3: 8, 9
and A).
What clears by a coin that passes, as a jam in the acceptor, is none of them: somebody has to be let
try."""


def part_and_code(fault: str) -> tuple[str, str]:
    """Tell the part and the code of a fault as a state names it: a part may be of several words."""
    part, _, code = fault.rpartition(" ")
    return part, code
