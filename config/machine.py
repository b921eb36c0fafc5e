"""A machine's whole configuration as one value, and the pins that it names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, NamedTuple

from pydantic import Field

from config.climate import Climate, Health
from config.models import (
    Api,
    Buzzer,
    CcTalk,
    Cloud,
    Column,
    CurrentSense,
    Display,
    Door,
    DropSensor,
    Gpio,
    Guard,
    Journal,
    KernelKeypad,
    Log,
    Machine,
    MatrixKeypad,
    MatrixMotor,
    Mdb,
    Offer,
    Policy,
    Product,
    Pulse,
    Recorder,
    Section,
    Tokens,
    Update,
)
from config.pins import Pin

NO_MDB: Final = Mdb(port=Path("/dev/null"))  # nothing on it is enabled


class PinUse(NamedTuple):
    """What one key of the file does with a pin."""

    key: str
    pin: Pin
    output: bool


class MachineSettings(Section):
    """Everything that a machine is told before it starts."""

    machine: Machine
    journal: Journal = Journal()
    api: Api = Api()
    mdb: Mdb = NO_MDB
    cctalk: CcTalk | None = None
    pulse: Pulse | None = None
    policy: Policy = Policy()
    tokens: Tokens = Tokens()
    offers: Annotated[tuple[Offer, ...], Field(max_length=32)] = ()
    products: Annotated[tuple[Product, ...], Field(min_length=1)]
    columns: Annotated[tuple[Column, ...], Field(min_length=1, max_length=250)]
    gpio: Gpio = Gpio()
    drop_sensor: DropSensor = DropSensor()
    current_sense: CurrentSense | None = None
    door: Door | None = None
    keypad: Annotated[MatrixKeypad | KernelKeypad, Field(discriminator="kind")] | None = None
    display: Display | None = None
    buzzer: Buzzer | None = None
    climate: Climate | None = None
    health: tuple[Health, ...] = ()
    guard: Guard = Guard()
    recorder: Recorder | None = None
    log: Log = Log()
    cloud: Cloud | None = None
    update: Update | None = None

    def price_of(self, column: Column) -> int:
        """Return a column's price in minor units: its own, else its product's."""
        if column.price is not None:
            return column.price
        price = next(p.price for p in self.products if p.id == column.product)
        assert price is not None, "checked when the file was loaded"
        return price

    def titles(self) -> dict[str, str]:
        """Return what the owner calls the card readers, by device."""
        readers = {"cashless1": self.mdb.cashless1, "cashless2": self.mdb.cashless2}
        return {device: reader.name for device, reader in readers.items() if reader.enabled}

    def pressable(self) -> frozenset[str]:
        """Return the keys that a customer can press."""
        if isinstance(self.keypad, MatrixKeypad):
            return frozenset("".join(self.keypad.layout))
        return frozenset() if self.keypad is None else frozenset(self.keypad.codes.values())

    def language_key(self) -> str:
        """Return the key that shows the next language; "" where there is none."""
        if len(self.machine.languages) == 1:
            return ""
        if self.machine.language_key is not None:
            return self.machine.language_key
        taken = {column.selection[0] for column in self.columns}
        return next((key for key in "DCBA" if key in self.pressable() and key not in taken), "")

    def revalue_key(self) -> str:
        """Return the key that puts cash credit on a card; "" where none does."""
        if not self.policy.revalue:
            return ""
        if self.machine.revalue_key is not None:
            return self.machine.revalue_key
        taken = {column.selection[0] for column in self.columns} | {self.language_key()}
        return next((key for key in "DCBA" if key in self.pressable() and key not in taken), "")

    def pin_uses(self) -> Iterator[PinUse]:
        """Yield every pin the file names, with its key and its direction."""
        for name in ("rows", "columns"):
            for index, pin in enumerate(getattr(self.gpio, name)):
                yield PinUse(f"gpio.{name}[{index}]", pin, output=True)
        for index, column in enumerate(self.columns):
            key = f"columns[{index}]"
            if not isinstance(column.motor, MatrixMotor):
                yield PinUse(f"{key}.motor.pin", column.motor.pin, output=True)
            if column.home is not None:
                yield PinUse(f"{key}.home", column.home, output=False)
            if column.empty is not None:
                yield PinUse(f"{key}.empty", column.empty, output=False)
        for name, output in (("latch", False), ("clear", True), ("test", True)):
            pin = getattr(self.drop_sensor, name)
            if pin is not None:
                yield PinUse(f"drop_sensor.{name}", pin, output=output)
        yield from self._panel_pins()
        if self.climate is not None:
            for key, pin in self.climate.pins():
                yield PinUse(f"climate.{key}", pin, output=True)

    def _panel_pins(self) -> Iterator[PinUse]:
        if self.current_sense is not None:
            yield PinUse("current_sense.pin", self.current_sense.pin, output=False)
        if self.door is not None:
            yield PinUse("door.pin", self.door.pin, output=False)
        if isinstance(self.keypad, MatrixKeypad):
            for index, pin in enumerate(self.keypad.rows):
                yield PinUse(f"keypad.rows[{index}]", pin, output=True)
            for index, pin in enumerate(self.keypad.columns):
                yield PinUse(f"keypad.columns[{index}]", pin, output=False)
        if self.buzzer is not None:
            yield PinUse("buzzer.pin", self.buzzer.pin, output=True)
        yield from self._pulse_pins()

    def _pulse_pins(self) -> Iterator[PinUse]:
        pulse = self.pulse
        if pulse is None:
            return
        yield PinUse("pulse.pin", pulse.pin, output=False)
        for name, pin, output in (
            ("enable", pulse.enable, True),
            ("return_lever", pulse.return_lever, False),
        ):
            if pin is not None:
                yield PinUse(f"pulse.{name}", pin, output=output)

    def outputs(self) -> tuple[Pin, ...]:
        """Return every pin that vendd drives, once each; off is the safe level of all of them."""
        return tuple({use.pin.number: use.pin for use in self.pin_uses() if use.output}.values())
