import termios
from typing import Any

from drivers.links.parity import CMSPAR, ParitySwitch

STICK = termios.PARENB | CMSPAR


class RecordedTermios:
    """A termios port that keeps what was set and when it had to drain."""

    def __init__(self, *, has_parity: bool = True) -> None:
        self.set: list[tuple[int, list[Any]]] = []
        self.current: list[Any] = [0x500, 0x5, 0xBF, 0x8A3B, 13, 13, [b"\x03"] * 32]
        self.has_parity = has_parity

    def tcgetattr(self, fd: int, /) -> list[Any]:
        return [*self.current]

    def tcsetattr(self, fd: int, when: int, attributes: list[Any], /) -> None:
        self.set.append((when, [*attributes]))
        self.current = [*attributes]
        if not self.has_parity:
            self.current[2] &= ~STICK


def test_the_line_begins_raw_with_space_parity_and_marked_errors() -> None:
    port = RecordedTermios()
    assert ParitySwitch(7, port).effective
    [(when, (iflag, oflag, cflag, lflag, ispeed, ospeed, control))] = port.set
    assert when == termios.TCSAFLUSH
    assert iflag == termios.INPCK | termios.PARMRK | termios.IGNBRK
    assert (oflag, lflag) == (0, 0)
    assert cflag & STICK == STICK
    assert not cflag & termios.PARODD
    assert cflag & termios.CSIZE == termios.CS8
    assert ispeed == ospeed == termios.B9600
    assert (control[termios.VMIN], control[termios.VTIME]) == (0, 0)


def test_mark_and_space_differ_in_one_bit_and_drain_first() -> None:
    port = RecordedTermios()
    switch = ParitySwitch(7, port)
    switch.mark()
    switch.space()
    _, (mark_when, mark), (space_when, space) = port.set
    assert mark_when == space_when == termios.TCSADRAIN
    assert mark[2] ^ space[2] == termios.PARODD
    assert mark[2] & termios.PARODD
    assert mark[:2] + mark[3:] == space[:2] + space[3:]


def test_a_driver_that_drops_parity_is_noticed() -> None:
    assert not ParitySwitch(7, RecordedTermios(has_parity=False)).effective
