"""The kernel's word on its clock."""

import pytest

from controller.ntp import STA_UNSYNC, TIME_ERROR, Adjtimex, Timex, synchronised


def kernel(state: int, status: int) -> Adjtimex:
    def adjtimex(timex: Timex) -> int:
        assert timex.modes == 0, "it only reads"
        timex.status = status
        return state

    return adjtimex


@pytest.mark.parametrize(
    ("state", "status", "right"),
    [
        (0, 0x2001, True),  # TIME_OK, STA_PLL | STA_NANO: chrony is at work
        (1, 0x2001, True),  # a leap second comes
        (0, 0x2001 | STA_UNSYNC, False),
        (TIME_ERROR, STA_UNSYNC, False),
        (TIME_ERROR, 0, False),
        (-1, 0, False),  # not permitted
    ],
)
def test_a_disciplined_clock_is_told_from_one_that_nobody_sets(
    state: int, status: int, right: bool
) -> None:
    assert synchronised(kernel(state, status)) is right


def test_where_the_kernel_can_not_be_asked_nobody_keeps_it_right() -> None:
    def missing(_: Timex) -> int:
        raise AttributeError("adjtimex")

    assert not synchronised(missing)


def test_this_kernel_has_an_answer() -> None:
    assert synchronised() in (True, False)
