"""A file that is wrong is refused with every mistake: file, key, value, what is allowed."""

from pathlib import Path

import pytest

from config.models import KernelKeypad, MatrixKeypad, Policy
from config.pins import Pin
from config.settings import MachineSettings, load
from controller.faults import ConfigError

MACHINES = Path(__file__).resolve().parents[3] / "config" / "machines"
DEMO = MACHINES / "demo.toml"
PI = MACHINES / "pi-example.toml"

MATRIX_KEYPAD = """
[keypad]
kind = "gpio-matrix"
rows = [0, 1, 4, 7]
columns = ["^!8", "^!9", "^!10", "^!11"]
"""


def _changed(tmp_path: Path, original: Path, *changes: tuple[str, str]) -> Path:
    """Write a copy of a file with some text in it replaced, each once."""
    text = original.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, f"{original.name} says {old!r} no more"
        text = text.replace(old, new, 1)
    path = tmp_path / "machine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def _mistakes(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(path)
    return [line.removeprefix(f"{path}: ") for line in str(refused.value).splitlines()]


@pytest.mark.parametrize("path", sorted(MACHINES.glob("*.toml")), ids=lambda path: path.name)
def test_every_file_that_is_shipped_loads(path: Path) -> None:
    settings = load(path)

    assert settings.machine.currency == "EUR"
    assert all(settings.price_of(column) > 0 for column in settings.columns)
    assert settings.outputs()


def test_relative_paths_stand_below_home_and_home_can_be_moved(tmp_path: Path) -> None:
    settings = load(DEMO, home=tmp_path)

    assert settings.machine.home == tmp_path
    assert settings.journal.folder == tmp_path / "journal"
    assert settings.api.socket == tmp_path / "vendd.sock"
    assert settings.mdb.port == tmp_path / "mdb"
    assert settings.gpio.factory_arguments == {"socket": str(tmp_path / "gpio.sock")}
    assert settings.display is not None
    assert settings.display.bus == f"socket:{tmp_path}/i2c.sock"
    assert isinstance(settings.keypad, KernelKeypad)
    assert settings.keypad.path == tmp_path / "keypad"


@pytest.mark.parametrize("key", ["ntp_marker", "system_boot"])
def test_files_of_the_machine_itself_stand_below_home_as_well(tmp_path: Path, key: str) -> None:
    file = tmp_path / "machine.toml"
    told = DEMO.read_text("utf-8").replace("[machine]", f'[machine]\n{key} = "told"', 1)
    file.write_text(told, "utf-8")
    assert getattr(load(file, home=tmp_path).machine, key) == tmp_path / "told"


def test_absolute_paths_stay_where_they_are() -> None:
    settings = load(PI)

    assert settings.machine.ntp_marker == Path("/run/systemd/timesync/synchronized")

    assert settings.api.socket == Path("/run/vendd/vendd.sock")
    assert settings.journal.folder == Path("/var/lib/vendd/journal")
    assert settings.display is not None
    assert settings.display.bus == "/dev/i2c-1"
    assert settings.gpio.factory_arguments == {"chip": 0}


def test_a_column_without_a_price_has_that_of_its_product() -> None:
    settings = load(DEMO)
    price = {column.selection: settings.price_of(column) for column in settings.columns}

    assert price["A1"] == 150  # the product's
    assert price["B4"] == 50  # its own


def test_the_outputs_are_the_pins_that_vendd_drives_once_each() -> None:
    numbers = [pin.number for pin in load(DEMO).outputs()]

    assert sorted(numbers) == [4, 6, 8, 11, 12, 13, 16, 19, 20, 23]


def test_a_keypad_that_vendd_scans_names_its_pins(tmp_path: Path) -> None:
    path = _changed(
        tmp_path, PI, ("[keypad]", "[unused]"), ("[display]", f"{MATRIX_KEYPAD}\n[display]")
    )
    path.write_text(
        path.read_text()
        .replace('[unused]\nkind = "evdev"', "")
        .replace('path = "/dev/input/by-path/platform-matrix_keypad-event"', "")
    )

    keypad = load(path).keypad

    assert isinstance(keypad, MatrixKeypad)
    assert keypad.rows[0] == Pin(0)
    assert keypad.columns[0] == Pin(8, active_low=True, pull="up")
    assert {0, 1, 4, 7} <= {pin.number for pin in load(path).outputs()}


@pytest.mark.parametrize(
    ("written", "pin"),
    [
        (0, Pin(0)),
        (63, Pin(63)),
        ("17", Pin(17)),
        ("!17", Pin(17, active_low=True)),
        ("^4", Pin(4, pull="up")),
        ("~!4", Pin(4, active_low=True, pull="down")),
    ],
)
def test_a_pin_is_a_number_with_prefixes(written: int | str, pin: Pin) -> None:
    assert Pin.parse(written) == pin
    assert Pin.parse(str(pin)) == pin


@pytest.mark.parametrize("written", ["64", 64, -1, True, 1.0, "!^4", "GPIO4", "", None, "4 "])
def test_anything_else_is_no_pin(written: object) -> None:
    with pytest.raises(ValueError, match="is no pin; allowed: 0 to 63"):
        Pin.parse(written)


ONE_KEY = [
    # what stands in demo.toml, what it becomes, what is said
    ('id = "demo"', "id = 5", "machine.id = 5: is no text; allowed: a text in quotes"),
    (
        'id = "demo"',
        'id = "De mo"',
        'machine.id = "De mo": is malformed; allowed: small letters, digits and dashes, 32 at most',
    ),
    (
        'currency = "EUR"',
        'currency = "€"',
        'machine.currency = "€": is malformed; allowed: an ISO 4217 code, e.g. "EUR"',
    ),
    ('["en", "de", "es"]', "[]", "machine.languages = []: is too short; allowed: at least 1"),
    ('"es"]', '"en"]', "machine.languages: names en twice; allowed: each once"),
    ('["en", "de", "es"]', '"en"', 'machine.languages = "en": is no list; allowed: a list in [ ]'),
    ('port = "mdb"', "", "mdb.port: is missing"),
    ('port = "mdb"', 'port = ""', 'mdb.port = "": is empty; allowed: a path'),
    ('"vendd.sock"', '""', 'api.socket = "": is empty; allowed: a path'),
    (
        'link = "adapter"',
        'link = "usb"',
        "mdb.link = \"usb\": is not known; allowed: 'adapter' or 'native'",
    ),
    (
        "{ 10 = 5,",
        "{ 10 = 500,",
        "mdb.changer.keep.10 = 500: is out of range; allowed: 0 to 255 coins",
    ),
    ("level = 3", "level = 4", "mdb.cashless1.level = 4: is out of range; allowed: 1 to 3"),
    (
        "enabled = true",
        'enabled = "yes"',
        'mdb.changer.enabled = "yes": is neither true nor false; allowed: true or false',
    ),
    (
        "credit_timeout_s = 0 ",
        "credit_timeout_s = nan ",
        "policy.credit_timeout_s = NaN: is out of range; allowed: 0 to 3600 s",
    ),
    (
        "price = 150",
        "price = 1.5",
        "products[0].price = 1.5: is no whole number; allowed: a whole number, without quotes",
    ),
    (
        "price = 150",
        "price = -1",
        "products[0].price = -1: is out of range; allowed: 0 to 9999999 minor units",
    ),
    (
        "capacity = 8",
        "capcity = 8",
        (
            "columns[0].capcity = 8: is an unknown key; did you mean capacity?; allowed here: "
            "capacity, empty, extra_turn, home, item_number, max_on_s, motor, price, product, "
            "selection, sold_out, turn_s"
        ),
    ),
    (
        "pin = 4 }",
        "pn = 4 }",
        "columns[0].motor.pn = 4: is an unknown key; did you mean pin?; allowed here: pin, type",
    ),
    (
        'type = "direct"',
        'type = "servo"',
        "columns[0].motor.type = \"servo\": is not known; allowed: 'direct', 'matrix'",
    ),
    ('type = "direct", ', "", "columns[0].motor: lacks its key 'type'"),
    (
        "pin = 21",
        'pin = "x"',
        (
            'current_sense.pin = "x": is no pin; allowed: 0 to 63, as a number or with prefixes '
            '(! active low, ^ pull-up, ~ pull-down), e.g. "^!22"'
        ),
    ),
    (
        '# language_key = "D"',
        'language_key = "A"',
        (
            'machine.language_key = "A": begins columns[0].selection = "A1"; '
            'allowed: a key that begins none, or ""'
        ),
    ),
    (
        '# language_key = "D"',
        'language_key = "#"',
        'machine.language_key = "#": is malformed; allowed: A, B, C or D, or "" for none',
    ),
    ("cols = 20", "cols = 21", "display.cols = 21: is not known; allowed: 16, 20 or 40"),
    (
        "[log]",
        "[lag]",
        (
            "lag: is an unknown key; did you mean log?; allowed here: api, buzzer, cctalk, "
            "climate, cloud, columns, current_sense, display, door, drop_sensor, gpio, guard, "
            "health, journal, keypad, log, machine, mdb, offers, policy, products, pulse, "
            "recorder, tokens, update"
        ),
    ),
]


@pytest.mark.parametrize(("old", "new", "said"), ONE_KEY)
def test_a_wrong_key_is_named_with_its_value_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert said in _mistakes(_changed(tmp_path, DEMO, (old, new)))


BETWEEN_KEYS = [
    # what stands in pi-example.toml, what it becomes, what is said
    (
        "cols = 20",
        "cols = 40",
        (
            "display.rows = 4: with cols = 40 that is more than the 80 characters of an HD44780; "
            "allowed: 2"
        ),
    ),
    (
        'locale = "de_DE"',
        'locale = "xx_DE"',
        'machine.locale = "xx_DE": is no locale; allowed: as in "de" or "de_DE"',
    ),
    (
        'locale = "de_DE"',
        'locale = "de_YY"',
        'machine.locale = "de_YY": is no locale; allowed: as in "de" or "de_DE"',
    ),
    (
        'currency = "EUR"',
        'currency = "EUX"',
        'machine.currency = "EUX": is no currency; allowed: one of ISO 4217',
    ),
    (
        'languages = ["de", "en"]',
        'languages = ["en", "fr"]',
        'machine.languages: has no texts for "fr"; allowed: de, en, es',
    ),
    (
        'product = "spritzer"',
        'product = "sprite"',
        'columns[2].product = "sprite": is no product; allowed: riegel, spritzer, water',
    ),
    (
        "price = 180\n",
        "",
        'columns[2].price: is missing, and products has no price for "spritzer" either',
    ),
    (
        '[[products]]\nid = "water"',
        '[tokens]\nproducts = ["wine"]\n\n[[products]]\nid = "water"',
        'tokens.products[0] = "wine": is not there; allowed: riegel, spritzer, water',
    ),
    (
        'currency = "EUR"',
        'currency = "EUR"\ntimezone = "Europe/Entenhausen"',
        'machine.timezone = "Europe/Entenhausen": is no time zone; allowed: as in "Europe/Berlin"',
    ),
    (
        '[[products]]\nid = "water"',
        (
            '[[offers]]\nname = "noon"\npercent = 100\nstart = "12:00"\nend = "13:00"\n'
            'products = ["wine"]\n\n[[products]]\nid = "water"'
        ),
        'offers[0].products[0] = "wine": is not there; allowed: riegel, spritzer, water',
    ),
    (
        '[[products]]\nid = "water"',
        '[tokens]\ncolumns = ["11", "99"]\n\n[[products]]\nid = "water"',
        'tokens.columns[1] = "99": is not there; allowed: 11, 12, 21, 22, 31',
    ),
    (
        'id = "riegel"',
        'id = "water"',
        'products[2].id = "water": stands in products[0] already; allowed: each once',
    ),
    (
        'selection = "12"',
        'selection = "11"',
        'columns[1].selection = "11": stands in columns[0] already; allowed: each once',
    ),
    (
        "item_number = 12",
        "item_number = 11",
        "columns[1].item_number = 11: stands in columns[0] already; allowed: each once",
    ),
    (
        "max_on_s = 6.0",
        "max_on_s = 2.6",
        "columns[0].max_on_s = 2.6: is no longer than one turn; allowed: more than turn_s = 2.6",
    ),
    (
        "row = 1, column = 1",
        "row = 2, column = 1",
        "columns[3].motor.row = 2: is no line of gpio.rows; allowed: 0 to 1",
    ),
    (
        "columns = [22, 23] ",
        "columns = [] ",
        (
            "columns[0].motor.column = 0: is no line of gpio.columns; allowed: none, since "
            "gpio.columns is empty"
        ),
    ),
    (
        "row = 1, column = 1",
        "row = 0, column = 1",
        (
            "columns[3].motor = row 0, column 1: is the motor of columns[1] already; allowed: each "
            "crossing once"
        ),
    ),
    (
        "pin = 12",
        "pin = 6",
        "current_sense.pin = 6: is used by columns[4].motor.pin already; allowed: a pin of its own",
    ),
    (
        'home = "^!26"',
        "home = 26",
        (
            "columns[1].home = 26: is used with other prefixes by columns[0].home already; "
            "allowed: a pin of its own"
        ),
    ),
    (
        "clear = 25",
        'clear = "^25"',
        'drop_sensor.clear = "^25": pulls are for inputs; allowed: 25 or "!25"',
    ),
    (
        'latch = "!24"',
        "latch = 40",
        "drop_sensor.latch = 40: is not on a Raspberry Pi's header; allowed: 0 to 27",
    ),
    ("test = 5 ", "# ", "drop_sensor.test: is missing; a sensor that is fitted has this pin"),
    (
        "pin = 18",
        "pin = 2",
        "buzzer.pin = 2: belongs to display.bus = /dev/i2c-1; allowed: another pin",
    ),
    (
        'read_group = "vendd-read"',
        "",
        "api.read_group: is missing; who may act is a part of who may look",
    ),
]


@pytest.mark.parametrize(("old", "new", "said"), BETWEEN_KEYS)
def test_keys_that_contradict_each_other_are_named(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert said in _mistakes(_changed(tmp_path, PI, (old, new)))


def test_the_native_link_takes_the_pins_of_the_uart(tmp_path: Path) -> None:
    path = _changed(tmp_path, PI, ('link = "adapter"', 'link = "native"'), ('"^16"', "15"))

    assert _mistakes(path) == ["door.pin = 15: belongs to mdb.link = native; allowed: another pin"]


def test_the_mini_uart_has_no_ninth_bit(tmp_path: Path) -> None:
    port = "/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A10K2XYZ-if00-port0"
    path = _changed(tmp_path, PI, ('link = "adapter"', 'link = "native"'), (port, "/dev/ttyS0"))

    assert _mistakes(path) == [
        (
            'mdb.port = "/dev/ttyS0": is the mini UART, which has no parity and so no ninth bit; '
            "allowed: a PL011 (/dev/ttyAMA0), freed by dtoverlay=disable-bt"
        )
    ]


def test_a_machine_that_takes_no_money_is_refused(tmp_path: Path) -> None:
    enabled = ("enabled = true", "enabled = false")
    path = _changed(tmp_path, PI, enabled, enabled, enabled)

    assert _mistakes(path) == [
        (
            "mdb: no way to pay; allowed: enabled = true in at least one of changer, bill, "
            "cashless1, cashless2, or a cctalk or pulse section"
        )
    ]


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        ('["123A", "456B"]', "does not fit the pins; allowed: 4 lines of 4 keys"),
        (
            '["123A", "456B", "789C", "*0#E"]',
            "0 to 9, A to D, * (coin return) and # (enter), each once",
        ),
        (
            '["123A", "456B", "789C", "*0##"]',
            "0 to 9, A to D, * (coin return) and # (enter), each once",
        ),
    ],
)
def test_a_layout_that_does_not_fit_its_keypad_is_refused(
    tmp_path: Path, layout: str, said: str
) -> None:
    path = _changed(
        tmp_path,
        DEMO,
        ('kind = "evdev"', 'kind = "gpio-matrix"'),
        (
            'path = "keypad"',
            f"rows = [30, 31, 32, 33]\ncolumns = [34, 35, 36, 37]\nlayout = {layout}",
        ),
    )

    (mistake,) = _mistakes(path)
    assert mistake.startswith("keypad.layout = ")
    assert mistake.endswith(said)


def test_what_no_customer_can_key_is_refused(tmp_path: Path) -> None:
    keys = 'codes = { 2 = "1", 3 = "2", 4 = "3", 30 = "A", 1 = "*" }'
    path = _changed(
        tmp_path,
        DEMO,
        ('path = "keypad"', f'path = "keypad"\n{keys}\n'),
        ("[policy]", "[policy]\nbasket = true"),
    )

    there = "is not on the keypad; there: *, 1, 2, 3, A"
    assert _mistakes(path) == [
        *(f'columns[{i}].selection = "B{i - 2}": "B" {there}' for i in range(3, 7)),
        f'policy.basket = true: no basket is bought without "#", which {there}',
    ]


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    path = _changed(
        tmp_path,
        DEMO,
        ("price = 150", "price = 1.5"),
        ("cols = 20", "cols = 21"),
        ("[log]", "[lag]"),
    )

    assert [mistake.split()[0] for mistake in _mistakes(path)] == [
        "products[0].price",
        "display.cols",
        "lag:",
    ]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml: cannot be read: No such file"):
        load(tmp_path / "absent.toml")


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "machine.toml"
    path.write_bytes(b"[machine\n")

    with pytest.raises(ConfigError, match=r"machine\.toml: is no TOML: "):
        load(path)


def test_settings_do_not_change_once_they_are_loaded() -> None:
    settings: MachineSettings = load(DEMO)

    with pytest.raises(ValueError, match="frozen"):
        settings.policy.max_credit = 1  # type: ignore[misc]  # that it is refused is the point


def test_a_credit_limit_below_every_price_is_refused(tmp_path: Path) -> None:
    path = _changed(tmp_path, DEMO, ("max_credit = 5_000", "max_credit = 40"))
    assert _mistakes(path) == [
        (
            "policy.max_credit = 40: cash buys nothing here, where the lowest price is 50; "
            "allowed: 50 or more"
        )
    ]


def test_a_price_above_the_credit_limit_needs_a_reader(tmp_path: Path) -> None:
    limit = ("max_credit = 5_000", "max_credit = 200")
    assert load(_changed(tmp_path, DEMO, limit)).policy.max_credit == 200
    reader = ("[mdb.cashless1]\nenabled = true", "[mdb.cashless1]\nenabled = false")
    assert _mistakes(_changed(tmp_path, DEMO, limit, reader)) == [
        (
            "columns[4].price = 240: nobody can pay it, since there is no reader and "
            "policy.max_credit is 200; allowed: up to 200"
        )
    ]


def test_a_column_that_sells_on_needs_something_that_tells_when_it_is_empty(
    tmp_path: Path,
) -> None:
    sells_on = ("extra_turn = false", 'sold_out = "sensor"')
    assert load(_changed(tmp_path, DEMO, sells_on)).columns[6].sold_out == "sensor"
    blind = ("fitted = true", "fitted = false")
    assert _mistakes(_changed(tmp_path, DEMO, sells_on, blind)) == [
        (
            'columns[6].sold_out = "sensor": nothing tells that it is empty; allowed: "count", '
            "or columns[6].empty, or a fitted drop_sensor"
        )
    ]


def _policies() -> dict[str, str]:
    """Return the policies of the commented example: key and words beside it."""
    section = PI.read_text(encoding="utf-8").partition("\n[policy]\n")[2].partition("\n\n")[0]
    lines = [line.partition("#") for line in section.splitlines() if "=" in line.partition("#")[0]]
    return {setting.partition("=")[0].strip(): words.strip() for setting, _, words in lines}


def test_every_policy_stands_with_its_words_in_the_example() -> None:
    policies = _policies()
    assert sorted(policies) == sorted(Policy.model_fields)
    assert all(policies.values())


def test_the_examples_policies_are_todays_where_it_does_not_say_why_not(tmp_path: Path) -> None:
    found = load(PI, home=tmp_path).policy
    usual = Policy()
    other = {name for name in Policy.model_fields if getattr(found, name) != getattr(usual, name)}
    assert other == {"max_credit", "max_change", "credit_timeout_s", "exact_change_margin"}
