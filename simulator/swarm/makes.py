"""Devices of other makers: legal ways of the standard that most of them do not have.

A device that tells late that it is busy, or never; one that answers in the same breath, or slowly;
one that counts in other units, or says nothing where others say a word. The standard allows each,
and a controller that sold with the usual ones only has not met its customers' machines.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from simulator.peripherals.bill_settings import BillSettings
from simulator.peripherals.changer_settings import BusyStyle, ChangerSettings
from simulator.peripherals.reader_settings import (
    ALL_AT_ONCE,
    AtOnce,
    ReaderSettings,
    WrongMoment,
)
from simulator.plan import WorldPlan
from simulator.swarm.fitting import Fitting
from simulator.swarm.plan import Build

Ways = Mapping[str, Any]
"""Settings of a device, by their names there."""

CHANGERS: Final[Mapping[str, Ways]] = {
    "says nothing of a payout": {"busy": BusyStyle.NEVER},
    "is busy once its motor runs": {"busy": BusyStyle.LATE},
    "is busy long after": {"busy": BusyStyle.LATE, "late_s": 1.5},
    "pays slowly": {"payout_s": 0.7},
    "pays fast": {"payout_s": 0.04},
    "sends six values": {"setup_values": 6},
    "counts in cents": {"scaling": 1},
    "tells of coins that it rejects": {"reports_rejects": True},
    "tells again of its lever": {"lever_repeats": True},
    "is full where it has no tube": {"full_without_tube": 1 << 5},
    "needs its five milliseconds": {"response_s": 0.0045},
}
BILLS: Final[Mapping[str, Ways]] = {
    "counts in euros": {"scaling": 100},
    "sends sixteen values": {"setup_values": 16},
    "does not say that it is disabled": {"reports_disabled": False},
    "does not say that it is busy": {"reports_busy": False},
    "tells of a bill that a reset gave back": {"reports_reset_return": True},
    "is slow": {"intake_s": 2.5, "stack_s": 4.0, "return_s": 3.0},
    "is fast": {"intake_s": 0.2, "stack_s": 0.15, "return_s": 0.1, "dispense_s": 0.3},
    "needs its five milliseconds": {"response_s": 0.0045},
}
READERS: Final[Mapping[str, Ways]] = {
    "counts in fives": {"scale": 5},
    "answers in the same breath": {"at_once": ALL_AT_ONCE, "approve_s": 0.0},
    "ends in the same breath": {"at_once": frozenset({AtOnce.END})},
    "takes its time": {"approve_s": 7.0, "refund_s": 3.0, "session_end_s": 2.0},
    "ends sessions slowly": {"session_end_s": 4.0},
    "is silent at a wrong moment": {"wrong_moment": WrongMoment.SILENCE},
    "bears no repetition": {"tolerates_repeats": False},
    "asks again and again to end": {"cancel_repeats": True},
    "takes a completed session for a failed vend": {"complete_cancels": True},
    "has option bits at any level": {"long_id_always": True},
    "is back before its RESET's answer": {"reset_tells_at_once": True},
    "ends sessions early": {"session_timeout_s": 12.0},
    "waits briefly for cards": {"card_wait_s": 12.0},
    "answers within five seconds": {"max_response_s": 5},
    "wants no word of cash": {"cash_sale": False},
    "needs its five milliseconds": {"response_s": 0.0045},
    "boots slowly": {"boot_s": 4.0},
}  # fmt: skip
OTHERS: Final = 0.4  # of the machines have devices of other makers
HABIT: Final = 0.15  # that such a device has each of these ways


class OtherMakes(Fitting):
    """Devices with ways of their own."""

    name = "other makes"

    def draw(self, rng: random.Random, build: Build) -> Build:
        """Most machines have the usual ones."""
        if rng.random() >= OTHERS:
            return build
        ways = [
            f"{device} {way}"
            for device, known in (("changer", CHANGERS), ("bill", BILLS), ("reader", READERS))
            for way in known
            if rng.random() < HABIT
        ]
        return replace(build, makes=tuple(ways))

    def plan(self, plan: WorldPlan, build: Build) -> WorldPlan:
        """Give each device its ways; the last one said holds."""
        if not build.makes:
            return plan
        changer, bill, readers = plan.changer, plan.bill, dict(plan.readers)
        for make in build.makes:
            device, _, way = make.partition(" ")
            match device:
                case "changer":
                    changer = changer and _changer(changer, CHANGERS[way])
                case "bill":
                    bill = bill and _bill(bill, BILLS[way])
                case _:
                    readers = {name: _reader(it, READERS[way]) for name, it in readers.items()}
        return replace(plan, changer=changer, bill=bill, readers=readers)


def _changer(changer: ChangerSettings, ways: Ways) -> ChangerSettings:
    return replace(changer, **ways)


def _bill(bill: BillSettings, ways: Ways) -> BillSettings:
    return replace(bill, **ways)


def _reader(reader: ReaderSettings, ways: Ways) -> ReaderSettings:
    return replace(reader, **ways)
