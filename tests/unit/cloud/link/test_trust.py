"""By which time a certificate is judged: confirmed, else the floor, never the system's guess."""

import pytest

from cloud.link.transport import LinkLostError
from cloud.link.trust import dates_checked, surely
from controller.journal.wall_label import WallLabel
from tests.journal_kit import HandClock
from tests.unit.cloud.contract.kit import DAY, NOW

YEARS = 10 * 365 * DAY


MONTH = {"notBefore": "Sep  6 00:00:00 2026 GMT", "notAfter": "Oct  6 00:00:00 2026 GMT"}


def check(label: WallLabel) -> None:
    dates_checked(surely(label, HandClock()))(MONTH)


def test_a_clock_that_nobody_confirmed_ends_no_certificate() -> None:
    label = WallLabel(built_ms=NOW - YEARS)
    assert label.stamp(NOW + YEARS, 0) == (NOW + YEARS, False), "ten years ahead, for records"

    check(label)


def test_what_ended_before_the_last_confirmed_time_has_ended() -> None:
    with pytest.raises(LinkLostError, match="certificate ended"):
        check(WallLabel(built_ms=0, confirmed_ms=NOW + 30 * DAY))


def test_what_has_not_begun_is_refused_once_the_time_is_known() -> None:
    label = WallLabel(built_ms=0, confirmed_ms=NOW - 60 * DAY)
    check(label)

    label.confirm(NOW - 60 * DAY, 0)
    with pytest.raises(LinkLostError, match="certificate begins"):
        check(label)
