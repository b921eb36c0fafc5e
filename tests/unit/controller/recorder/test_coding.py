"""Values as JSON and back."""

from __future__ import annotations

import json
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.climate import Light, Plausible, Thermometer
from controller.domain.planogram import Column, Planogram, Product
from controller.machine import effects as fx
from controller.panel.view import Message
from controller.ports import (
    CoinRoute,
    CoinsReport,
    DepositedCoin,
    DeviceName,
    PayoutOrder,
    TubeCounts,
)
from controller.recorder.coding import CodingError, decode, encode

REPORT = CoinsReport(
    DeviceName.CHANGER, b"\x53\x08", (DepositedCoin(3, 50, CoinRoute.TUBE, 8),), suspect=1
)


@pytest.mark.parametrize(
    "value",
    [
        REPORT,
        fx.Payout(7, PayoutOrder(150, ((4, 1), (3, 1)))),
        fx.Failed(unknown=True, detail="silence"),
        TubeCounts((1, 2, 3), frozenset({2}), frozenset()),
        Light("schedule", 1, 2, ZoneInfo("Asia/Tokyo")),
        {Message.CREDIT: [1, (2.5, None)], "x": {1, 2}},
        b"",
        (),
    ],
)
def test_what_is_written_is_read(value: object) -> None:
    assert decode(json.loads(json.dumps(encode(value)))) == value


def test_plain_objects_are_written_by_their_attributes() -> None:
    thermometer = Thermometer(Plausible("cabin"), 1.0)
    thermometer.take(4.0, "", 2.0)
    again = decode(encode(thermometer))
    assert vars(again) == vars(thermometer)
    planogram = Planogram([Product("p", "P")], [Column("A1", "p", 100, 8, 1)])
    assert decode(encode(planogram)).columns == planogram.columns


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
        max_leaves=20,
    )
)
def test_any_plain_value_comes_through(value: object) -> None:
    assert decode(json.loads(json.dumps(encode(value)))) == value


@pytest.mark.parametrize(
    "raw",
    [
        {"o": "os:path", "f": {}},
        {"o": "subprocess:Popen", "f": {}},
        {"o": "controller.ports:Nobody", "f": {}},
        {"o": "controller.nowhere:Nobody", "f": {}},
        {"o": "controller.ports:replace", "f": {}},
        {"e": "enum:Enum", "v": 1},
        {"x": 1},
    ],
)
def test_nothing_but_the_controllers_values_is_made(raw: object) -> None:
    with pytest.raises(CodingError):
        decode(raw)


def test_what_is_not_the_controllers_is_not_written() -> None:
    with pytest.raises(CodingError, match="none of the controller's"):
        encode(pytest)
