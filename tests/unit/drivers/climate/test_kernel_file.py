"""What the kernel's temperature files say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.climate.kernel_file import NoTemperatureError, temperature
from simulator.thermal import w1_slave

# Documentation/w1/slaves/w1_therm.rst and the DS18B20's data sheet, table 1.
PAGE = "50 05 4b 46 7f ff 0c 10 1c : crc=1c YES\n50 05 4b 46 7f ff 0c 10 1c t=85000\n"
# A data line that touches ground: nine zeros, whose checksum is zero as well.
ZEROS = "00 00 00 00 00 00 00 00 00"
SHORTED = f"{ZEROS} : crc=00 YES\n{ZEROS} t=0\n"


@pytest.mark.parametrize(
    ("celsius", "first"),
    [
        (125.0, "d0 07"), (25.0625, "91 01"), (10.125, "a2 00"), (0.5, "08 00"), (0.0, "00 00"),
        (-0.5, "f8 ff"), (-10.125, "5e ff"), (-25.0625, "6f fe"), (-55.0, "90 fc"),
    ],
)  # fmt: skip
def test_the_data_sheets_table(celsius: float, first: str) -> None:
    text = w1_slave(celsius)
    assert text.startswith(first)
    assert temperature(text) == pytest.approx(celsius, abs=0.001)


def test_the_simulators_checksum_is_the_chips() -> None:
    assert w1_slave(85.0) == PAGE


@given(st.integers(-55 * 16, 125 * 16).filter(lambda steps: steps != 85 * 16))
def test_every_step_of_the_chip_comes_through(steps: int) -> None:
    assert temperature(w1_slave(steps / 16)) == pytest.approx(steps / 16, abs=0.001)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (PAGE, "has not measured"),
        (PAGE.replace("YES", "NO"), "checksum"),
        (w1_slave(-0.0625, raw="ff ff ff ff ff ff ff ff ff"), "open or shorted"),
        (SHORTED, "open or shorted"),
        ("", "does not answer"),
        ("\n", "does not answer"),
        ("hello", "no temperature file"),
        ("91 01 4b 46 7f ff 0c 10 25 : crc=25 YES\n", "no temperature file"),
    ],
)
def test_what_is_no_temperature_says_why(text: str, why: str) -> None:
    with pytest.raises(NoTemperatureError, match=why):
        temperature(text)


@pytest.mark.parametrize(("text", "celsius"), [("4187\n", 4.187), ("-1500", -1.5), ("0\n", 0.0)])
def test_a_hwmons_file_holds_thousandths(text: str, celsius: float) -> None:
    assert temperature(text) == celsius


@given(st.text(max_size=120))
def test_garbage_ends_in_one_error(text: str) -> None:
    try:
        temperature(text)
    except NoTemperatureError:
        return
