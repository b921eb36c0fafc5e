"""What is wrong between the keys of a machine's file, although each key is right by itself."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import Final
from zoneinfo import available_timezones

from config.climate_checks import climate_contradictions
from config.locales import is_known
from config.machine import MachineSettings, PinUse
from config.models import MatrixKeypad, MatrixMotor
from controller.money import CURRENCIES

# Lines that a Raspberry Pi's header brings out.
_HEADER_PINS: Final = range(28)
# Lines of the header that the kernel takes with a bus.
_I2C_1_PINS: Final = (2, 3)
_UART_PINS: Final = (14, 15)
# What one HD44780 holds (its data sheet, "Display Data RAM").
_CHARACTERS: Final = 80
# The level from which a reader has a word for it (MDB/ICP 4.2, section 7).
REVALUES_FROM: Final = 2
ENTER: Final = "#"  # buys what is in a basket
# What a Raspberry Pi calls its mini UART.
_MINI_UARTS: Final = ("/dev/ttyS0",)


def contradictions(settings: MachineSettings) -> Iterator[str]:
    """Yield what is wrong between keys, each as ``key = value: what and what is allowed``."""
    yield from _machine(settings)
    yield from _planogram(settings)
    yield from _keyed(settings)
    yield from _tokens(settings)
    yield from _credit(settings)
    yield from _offers(settings)
    yield from _revalue(settings)
    yield from _motors(settings)
    yield from _pins(settings)
    yield from _devices(settings)
    yield from _bills(settings)
    yield from _pulse(settings)
    yield from _cctalk(settings)
    yield from _cloud(settings)
    yield from climate_contradictions(settings)


def _cloud(settings: MachineSettings) -> Iterator[str]:
    cloud = settings.cloud
    if cloud is None or (not cloud.tls and cloud.transport == "mqtt"):
        return
    for name in ("ca", "certificate", "key"):
        if getattr(cloud, name) is None:
            yield f"cloud.{name}: is missing; with cloud.tls all of ca, certificate and key"


def _machine(settings: MachineSettings) -> Iterator[str]:
    currency = settings.machine.currency
    if currency not in CURRENCIES:
        yield f'machine.currency = "{currency}": is no currency; allowed: one of ISO 4217'
    if not is_known(settings.machine.locale):
        locale = settings.machine.locale
        yield f'machine.locale = "{locale}": is no locale; allowed: as in "de" or "de_DE"'
    there = sorted(
        file.name.removesuffix(".toml")
        for file in (files("config") / "texts").iterdir()
        if file.name.endswith(".toml")
    )
    for language in settings.machine.languages:
        if language not in there:
            yield f'machine.languages: has no texts for "{language}"; allowed: {", ".join(there)}'

    if settings.machine.language_key:
        yield from _panel_key(
            settings, "language_key", settings.machine.language_key, 'a key that begins none, or ""'
        )


def _panel_key(settings: MachineSettings, name: str, key: str, allowed: str) -> Iterator[str]:
    """Yield why a key of the keypad can't have a meaning of its own, if it can't."""
    wrong = f'machine.{name} = "{key}": '
    for index, column in enumerate(settings.columns):
        if column.selection.startswith(key):
            yield (
                f'{wrong}begins columns[{index}].selection = "{column.selection}"; '
                f"allowed: {allowed}"
            )
            break
    if key not in settings.pressable():
        yield f"{wrong}is not on the keypad; there: {_pressable(settings)}"


def _pressable(settings: MachineSettings) -> str:
    return ", ".join(sorted(settings.pressable())) or "none"


def _planogram(settings: MachineSettings) -> Iterator[str]:
    products = {product.id: product for product in settings.products}
    yield from _repeats("products", "id", [p.id for p in settings.products])
    yield from _repeats("columns", "selection", [c.selection for c in settings.columns])
    yield from _repeats("columns", "item_number", [c.item_number for c in settings.columns])
    for index, column in enumerate(settings.columns):
        product = products.get(column.product)
        if product is None:
            known = ", ".join(sorted(products))
            yield (
                f'columns[{index}].product = "{column.product}": is no product; allowed: {known}'
            )
        elif column.price is None and product.price is None:
            yield (
                f"columns[{index}].price: is missing, and products has no price "
                f'for "{column.product}" either'
            )
        told = column.empty is not None or settings.drop_sensor.fitted
        if column.sold_out == "sensor" and not told:
            yield (
                f'columns[{index}].sold_out = "sensor": nothing tells that it is empty; allowed: '
                f'"count", or columns[{index}].empty, or a fitted drop_sensor'
            )
        if column.turn_s >= column.max_on_s:
            yield (
                f"columns[{index}].max_on_s = {column.max_on_s}: is no longer than one turn; "
                f"allowed: more than turn_s = {column.turn_s}"
            )


def _keyed(settings: MachineSettings) -> Iterator[str]:
    """Yield what no customer can key, where there are keys at all."""
    if settings.keypad is None:
        return
    there = settings.pressable()
    for index, column in enumerate(settings.columns):
        lacking = [key for key in column.selection if key not in there]
        if lacking:
            yield (
                f'columns[{index}].selection = "{column.selection}": "{lacking[0]}" is not on the '
                f"keypad; there: {_pressable(settings)}"
            )
    if settings.policy.basket and ENTER not in there:
        yield (
            f'policy.basket = true: no basket is bought without "{ENTER}", which is not on the '
            f"keypad; there: {_pressable(settings)}"
        )


def _tokens(settings: MachineSettings) -> Iterator[str]:
    tokens = settings.tokens
    yield from _named(settings, "tokens", tokens.products, tokens.columns)


def _offers(settings: MachineSettings) -> Iterator[str]:
    zone = settings.machine.timezone
    if zone not in available_timezones():
        yield f'machine.timezone = "{zone}": is no time zone; allowed: as in "Europe/Berlin"'
    yield from _repeats("offers", "name", [offer.name for offer in settings.offers])
    for index, offer in enumerate(settings.offers):
        yield from _named(settings, f"offers[{index}]", offer.products, offer.columns)


def _named(
    settings: MachineSettings, table: str, products: Sequence[str], columns: Sequence[str]
) -> Iterator[str]:
    """Yield each product and column of a table that is not there."""
    for key, named, there in (
        ("products", products, {product.id for product in settings.products}),
        ("columns", columns, {column.selection for column in settings.columns}),
    ):
        for index, name in enumerate(named):
            if name not in there:
                allowed = ", ".join(sorted(there))
                yield f'{table}.{key}[{index}] = "{name}": is not there; allowed: {allowed}'


def _credit(settings: MachineSettings) -> Iterator[str]:
    """Cash can't buy what costs more than a customer may put in."""
    mdb, cctalk, most = settings.mdb, settings.cctalk, settings.policy.max_credit
    cash = mdb.changer.enabled or mdb.bill.enabled or cctalk is not None
    cards = mdb.cashless1.enabled or mdb.cashless2.enabled
    products = {product.id: product for product in settings.products}
    prices = {
        index: column.price if column.price is not None else products[column.product].price
        for index, column in enumerate(settings.columns)
        if column.price is not None or column.product in products
    }
    known = {index: price for index, price in prices.items() if price is not None}
    if not cash or not known:
        return
    lowest = min(known.values())
    if lowest > most:
        yield (
            f"policy.max_credit = {most}: cash buys nothing here, where the lowest price is "
            f"{lowest}; allowed: {lowest} or more"
        )
    elif not cards:
        for index, price in known.items():
            if price > most:
                yield (
                    f"columns[{index}].price = {price}: nobody can pay it, since there is no "
                    f"reader and policy.max_credit is {most}; allowed: up to {most}"
                )


def _revalue(settings: MachineSettings) -> Iterator[str]:
    """It takes cash, a reader that has a word for it, and a key that is nobody else's."""
    policy, mdb = settings.policy, settings.mdb
    key = settings.machine.revalue_key
    if not policy.revalue:
        if key is not None:
            allowed = "allowed: with policy.revalue = true"
            yield f'machine.revalue_key = "{key}": does nothing; {allowed}'
        return
    wrong = "policy.revalue = true: "
    readers = [reader for reader in (mdb.cashless1, mdb.cashless2) if reader.enabled]
    if not any(reader.level >= REVALUES_FROM for reader in readers):
        yield (
            f"{wrong}no reader can; allowed: with mdb.cashless1 or mdb.cashless2, enabled and "
            f"level = {REVALUES_FROM} or more"
        )
    cash = mdb.changer.enabled or mdb.bill.enabled or settings.cctalk or settings.pulse
    if not cash:
        yield f"{wrong}nothing takes cash; allowed: with a changer, a validator, cctalk or pulse"
    if not settings.revalue_key():
        there = _pressable(settings)
        yield f"{wrong}no key of A to D is left for it; on the keypad: {there}"
    if key is None:
        return
    yield from _panel_key(settings, "revalue_key", key, "a key that begins none")
    if key == settings.language_key():
        yield f'machine.revalue_key = "{key}": shows another language; allowed: another key'


def _repeats(table: str, key: str, values: Sequence[str | int]) -> Iterator[str]:
    first: dict[str | int, int] = {}
    for index, value in enumerate(values):
        if value in first:
            shown = json.dumps(value)
            yield (
                f"{table}[{index}].{key} = {shown}: stands in {table}[{first[value]}] already; "
                "allowed: each once"
            )
        first.setdefault(value, index)


def _motors(settings: MachineSettings) -> Iterator[str]:
    lines = {"row": len(settings.gpio.rows), "column": len(settings.gpio.columns)}
    crossings: dict[tuple[int, int], int] = {}
    for index, column in enumerate(settings.columns):
        motor = column.motor
        if not isinstance(motor, MatrixMotor):
            continue
        for name, count in lines.items():
            value = getattr(motor, name)
            if value >= count:
                allowed = f"0 to {count - 1}" if count else f"none, since gpio.{name}s is empty"
                yield (
                    f"columns[{index}].motor.{name} = {value}: is no line of gpio.{name}s; "
                    f"allowed: {allowed}"
                )
        crossing = (motor.row, motor.column)
        if crossing in crossings:
            yield (
                f"columns[{index}].motor = row {motor.row}, column {motor.column}: is the motor of "
                f"columns[{crossings[crossing]}] already; allowed: each crossing once"
            )
        crossings.setdefault(crossing, index)


def _pins(settings: MachineSettings) -> Iterator[str]:
    users: dict[int, list[PinUse]] = defaultdict(list)
    for use in settings.pin_uses():
        users[use.pin.number].append(use)
    shared_homes = {
        f"columns[{index}].home"
        for index, column in enumerate(settings.columns)
        if isinstance(column.motor, MatrixMotor)
    }
    for number, uses in users.items():
        first, *others = uses
        for use in others:
            # One motor of a matrix runs at a time, so that their cams may share one line.
            both_homes = {first.key, use.key} <= shared_homes
            if both_homes and use.pin == first.pin:
                continue
            reason = "with other prefixes " if both_homes else ""
            yield (
                f"{use.key} = {number}: is used {reason}by {first.key} already; "
                "allowed: a pin of its own"
            )
    for use in settings.pin_uses():
        if use.output and use.pin.pull != "none":
            number = use.pin.number
            yield (
                f'{use.key} = "{use.pin}": pulls are for inputs; allowed: {number} or "!{number}"'
            )
    if settings.gpio.pin_factory != "lgpio":
        return
    taken: dict[int, str] = {}
    if settings.display is not None and settings.display.bus == "/dev/i2c-1":
        taken |= dict.fromkeys(_I2C_1_PINS, "display.bus = /dev/i2c-1")
    if settings.mdb.link == "native":
        taken |= dict.fromkeys(_UART_PINS, "mdb.link = native")
        if str(settings.mdb.port) in _MINI_UARTS:
            yield (
                f'mdb.port = "{settings.mdb.port}": is the mini UART, which has no parity and so '
                "no ninth bit; allowed: a PL011 (/dev/ttyAMA0), freed by dtoverlay=disable-bt"
            )
    for use in settings.pin_uses():
        if use.pin.number not in _HEADER_PINS:
            yield f"{use.key} = {use.pin}: is not on a Raspberry Pi's header; allowed: 0 to 27"
        elif use.pin.number in taken:
            yield f"{use.key} = {use.pin}: belongs to {taken[use.pin.number]}; allowed: another pin"


def _devices(settings: MachineSettings) -> Iterator[str]:
    sensor = settings.drop_sensor
    if sensor.fitted:
        for name in ("latch", "clear", "test"):
            if getattr(sensor, name) is None:
                yield f"drop_sensor.{name}: is missing; a sensor that is fitted has this pin"
    mdb, cctalk = settings.mdb, settings.cctalk
    takes_money = cctalk is not None and (cctalk.acceptor is not None or cctalk.bill is not None)
    takes_money = takes_money or settings.pulse is not None
    if not takes_money and not any(
        d.enabled for d in (mdb.changer, mdb.bill, mdb.cashless1, mdb.cashless2)
    ):
        yield (
            "mdb: no way to pay; allowed: enabled = true in at least one of changer, bill, "
            "cashless1, cashless2, or a cctalk or pulse section"
        )
    display = settings.display
    if display is not None and display.cols * display.rows > _CHARACTERS:
        yield (
            f"display.rows = {display.rows}: with cols = {display.cols} that is more than the "
            f"{_CHARACTERS} characters of an HD44780; allowed: {_CHARACTERS // display.cols}"
        )
    if isinstance(settings.keypad, MatrixKeypad):
        keypad = settings.keypad
        shape = (len(keypad.rows), len(keypad.columns))
        lines = keypad.layout
        if len(lines) != shape[0] or any(len(line) != shape[1] for line in lines):
            yield (
                f"keypad.layout = {json.dumps(lines)}: does not fit the pins; allowed: "
                f"{shape[0]} lines of {shape[1]} keys"
            )
        keys = "".join(lines)
        strange = sorted(set(keys) - set("0123456789ABCD*#"))
        if strange or len(set(keys)) != len(keys):
            yield (
                f"keypad.layout = {json.dumps(lines)}: allowed: 0 to 9, A to D, * (coin return) "
                "and # (enter), each once"
            )
    api = settings.api
    if api.act_group is not None and api.read_group is None:
        yield "api.read_group: is missing; who may act is a part of who may look"


def _pulse(settings: MachineSettings) -> Iterator[str]:
    pulse, cctalk = settings.pulse, settings.cctalk
    if pulse is None:
        return
    if settings.mdb.changer.enabled:
        yield "mdb.changer.enabled = true: coins are pulse's already; allowed: one of the two"
    if cctalk is not None and (cctalk.acceptor is not None or cctalk.hoppers):
        yield "cctalk: its coins are pulse's already; allowed: one of the two"
    twice = sorted({v for v in pulse.coins.values() if list(pulse.coins.values()).count(v) > 1})
    for value in twice:
        yield f"pulse.coins: {value} stands for two numbers of pulses; allowed: each value once"
    for value in pulse.accept or ():
        if value not in pulse.coins.values():
            yield f"pulse.accept: {value} is no coin of pulse.coins; allowed: those that are"
    if pulse.pulse_min_ms >= pulse.pulse_max_ms:
        yield (
            f"pulse.pulse_max_ms = {pulse.pulse_max_ms}: no pulse is that long; "
            f"allowed: more than pulse_min_ms = {pulse.pulse_min_ms}"
        )
    if pulse.bounce_ms >= pulse.pulse_min_ms:
        yield (
            f"pulse.bounce_ms = {pulse.bounce_ms}: swallows pulses; "
            f"allowed: less than pulse_min_ms = {pulse.pulse_min_ms}"
        )
    if pulse.gap_ms <= 2 * pulse.bounce_ms:
        yield (
            f"pulse.gap_ms = {pulse.gap_ms}: ends a coin within a bounce; "
            f"allowed: more than twice bounce_ms = {pulse.bounce_ms}"
        )


def _bills(settings: MachineSettings) -> Iterator[str]:
    bill = settings.mdb.bill
    if bill.recycle and not bill.enabled:
        yield "mdb.bill.recycle: there is no validator; allowed: mdb.bill.enabled = true, or none"
    if bill.high_security is not None and not bill.enabled:
        yield (
            "mdb.bill.high_security: there is no validator; allowed: mdb.bill.enabled = true, "
            "or none"
        )
    for key, values in (("recycle", bill.recycle), ("high_security", bill.high_security or ())):
        for value in values:
            taken = bill.accept is None or value in bill.accept
            if bill.max_value is not None and value > bill.max_value:
                taken = False
            if not taken:
                yield f"mdb.bill.{key}: {value} is never taken; allowed: bills that are"


def _cctalk(settings: MachineSettings) -> Iterator[str]:
    cctalk, mdb = settings.cctalk, settings.mdb
    if cctalk is None:
        return
    if mdb.changer.enabled and (cctalk.acceptor is not None or cctalk.hoppers):
        yield "mdb.changer.enabled = true: coins are cctalk's already; allowed: one of the two"
    if mdb.bill.enabled and cctalk.bill is not None:
        yield "mdb.bill.enabled = true: bills are cctalk's already; allowed: one of the two"
    if cctalk.acceptor is None and not cctalk.hoppers and cctalk.bill is None:
        yield "cctalk: has no device; allowed: an acceptor, hoppers or a bill validator"
    if settings.mdb.port == cctalk.port:
        yield f'cctalk.port = "{cctalk.port}": is mdb.port already; allowed: a port of its own'
    taken: dict[int, str] = {}
    devices = [("acceptor", cctalk.acceptor), ("bill", cctalk.bill)]
    named = [(name, device.address) for name, device in devices if device is not None]
    named += [(f"hoppers[{index}]", h.address) for index, h in enumerate(cctalk.hoppers)]
    for name, address in named:
        if address in taken:
            yield (
                f"cctalk.{name}.address = {address}: is that of cctalk.{taken[address]} already; "
                "allowed: each once"
            )
        taken.setdefault(address, name)
    for index, hopper in enumerate(cctalk.hoppers):
        if hopper.content > hopper.capacity:
            yield (
                f"cctalk.hoppers[{index}].content = {hopper.content}: is more than its capacity; "
                f"allowed: 0 to {hopper.capacity}"
            )
        if hopper.path is not None and cctalk.acceptor is None:
            yield f"cctalk.hoppers[{index}].path = {hopper.path}: there is no acceptor to sort"
