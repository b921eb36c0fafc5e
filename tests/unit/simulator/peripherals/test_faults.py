"""Faults by name."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest

from simulator.peripherals.bill_settings import BillFaults
from simulator.peripherals.changer_settings import ChangerFaults
from simulator.peripherals.faults import (
    FaultValue,
    PeripheralFaults,
    faults_from_state,
    faults_to_state,
    set_fault,
)
from simulator.peripherals.reader_settings import ReaderFaults


@pytest.mark.parametrize("kind", [PeripheralFaults, ChangerFaults, BillFaults, ReaderFaults])
def test_every_fault_says_what_it_does(kind: type[PeripheralFaults]) -> None:
    described = {entry.name: entry.metadata["help"] for entry in fields(kind)}
    assert "silent" in described
    assert all(len(text) > 10 for text in described.values())


@pytest.mark.parametrize(
    ("name", "value", "becomes"),
    [
        ("silent", True, True),
        ("silent", "on", True),
        ("silent", "off", False),
        ("naks", 3, 3),
        ("naks", "3", 3),
        ("late_s", 1, 1.0),
        ("late_s", "0.5", 0.5),
        ("count_error", "3=-2,4=1", {3: -2, 4: 1}),
        ("count_error", {3: -2}, {3: -2}),
    ],
)
def test_faults_are_set_by_name(name: str, value: FaultValue, becomes: FaultValue) -> None:
    faults = ChangerFaults()
    set_fault(faults, name, value)
    assert getattr(faults, name) == becomes
    assert type(getattr(faults, name)) is type(becomes)


def test_a_word_is_a_word() -> None:
    faults = ReaderFaults()
    set_fault(faults, "refund", "error")
    assert faults.refund == "error"


@pytest.mark.parametrize(
    ("name", "value"),
    [("silent", 3), ("silent", "maybe"), ("naks", "many"), ("naks", True), ("late_s", True),
     ("count_error", "x"), ("refund", 3)],
)  # fmt: skip
def test_values_of_another_kind_are_refused(name: str, value: FaultValue) -> None:
    faults = ReaderFaults() if name == "refund" else ChangerFaults()
    with pytest.raises(ValueError, match=r".+"):
        set_fault(faults, name, value)


def test_unknown_faults_are_refused() -> None:
    with pytest.raises(KeyError):
        set_fault(ChangerFaults(), "no_such", 1)


def test_faults_survive_json() -> None:
    faults = ChangerFaults(naks=2, count_error={3: -2}, stall=True)
    state = json.loads(json.dumps(faults_to_state(faults)))
    assert set(state) == {"naks", "count_error", "stall"}
    again = ChangerFaults()
    faults_from_state(again, state)
    assert again == faults
