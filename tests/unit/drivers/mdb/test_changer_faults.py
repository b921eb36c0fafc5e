"""What each pair of the extended diagnostics means as a fault."""

import pytest

from controller.faults import FaultCode
from drivers.mdb.changer_codec import DiagnosticPair
from drivers.mdb.changer_faults import diagnostic_fault
from drivers.mdb.changer_words import diagnostic_words

PAIRS = {
    # nothing is wrong: powering up and down, OK, keypad shifted, tubes touched, inhibited by us
    **dict.fromkeys((0x0100, 0x0200, 0x0300, 0x0400, 0x0510, 0x0520, 0x0600), None),
    0x1000: FaultCode.CHANGER_FAILURE,
    0x1001: FaultCode.CHANGER_ROM,
    0x1002: FaultCode.CHANGER_ROM,
    0x1003: FaultCode.CHANGER_VOLTAGE,
    0x1100: FaultCode.CHANGER_ACCEPTOR,
    0x1110: FaultCode.CHANGER_COIN_PATH_OPEN,
    0x1111: FaultCode.CHANGER_COIN_PATH_OPEN,
    0x1130: FaultCode.CHANGER_COIN_JAM,
    **dict.fromkeys((0x1141, 0x1150, 0x1151, 0x1152, 0x1153, 0x1154), FaultCode.CHANGER_ACCEPTOR),
    0x1200: FaultCode.CHANGER_GATE,
    0x1230: FaultCode.CHANGER_COIN_JAM,
    **dict.fromkeys((0x1231, 0x1240, 0x1250), FaultCode.CHANGER_GATE),
    0x1300: FaultCode.CHANGER_ROUTING,
    0x1310: FaultCode.CHANGER_ROUTING,
    0x1400: FaultCode.CHANGER_TUBE_JAM,
    0x1500: FaultCode.CHANGER_TUBE_SENSOR,
    0x1502: FaultCode.CHANGER_CASSETTE_REMOVED,
    0x1503: FaultCode.CHANGER_CASHBOX_SENSOR,
    0x1504: FaultCode.CHANGER_TUBE_SENSOR,
    # not in the standard: the main code counts, and one that nobody knows says nothing
    0x1177: FaultCode.CHANGER_ACCEPTOR,
    0x7700: None,
}


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair:04X}")
def test_each_pair_is_a_fault_of_its_own_kind_or_none(pair: int) -> None:
    assert diagnostic_fault(DiagnosticPair(pair >> 8, pair & 0xFF)) is PAIRS[pair]
    assert diagnostic_words(pair >> 8, pair & 0xFF)
