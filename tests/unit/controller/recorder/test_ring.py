"""What is kept of the lines."""

from controller.recorder.ring import Ring


def test_a_bill_validator_that_takes_nothing_fills_no_ring() -> None:
    ring = Ring(lambda: 0.0, most=8)
    ring.mdb(0.0, b"\x0b", "data", b"\x45\x00")
    for second in range(1, 10_000):
        ring.mdb(float(second), b"\x33", "data", b"\x09")
        ring.mdb(float(second), b"\x0b", "ack", b"")
    ring.mdb(10_000.0, b"\x33", "ack", b"")
    ring.mdb(10_001.0, b"\x33", "data", b"\x09")
    assert [(at, data, idle) for at, _, _, _, data, idle in ring.events] == [
        (0.0, b"\x45\x00", 0),
        (1.0, b"\x09", 0),
        (10_001.0, b"\x09", 19_998),
    ]


def test_the_same_coin_twice_is_told_twice() -> None:
    ring = Ring(lambda: 0.0)
    for at in (1.0, 2.0):
        ring.mdb(at, b"\x0b", "data", b"\x45\x00")
        ring.mdb(at, b"\x33", "data", b"\x90")
    assert len(ring.events) == 4


def test_an_edge_that_was_heard_late_has_its_own_time() -> None:
    ring = Ring(lambda: 5.0)
    ring.edge("pulse.pin", True, 3.5)
    ring.edge("motor", True)
    assert [event[0] for event in ring.events] == [3.5, 5.0]
    assert ring.since(4.0) == [(5.0, "pin", "motor", True)]
