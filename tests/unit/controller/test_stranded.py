"""What technicians are told of a machine that is out of service for want of a journal."""

from pathlib import Path

from config.settings import load
from controller.api import views
from controller.cli import status as screen_of
from controller.state.state import State
from controller.stranded import Stranded, StrandedService

DEMO = Path(__file__).parents[3] / "config" / "machines" / "demo.toml"


def test_a_stranded_machine_tells_how_long_it_is_up_and_that_no_journal_counts_the_start() -> None:
    now_s = 500.0
    stranded = Stranded(load(DEMO, home=Path("/nonexistent")), "the disk is broken")
    service = StrandedService(stranded, State(boot=7), None, lambda: now_s)
    now_s += 3_700.0
    status = views.status(service)
    assert (status["boot"], status["up_s"]) == (None, 3_700)
    assert "the disk is broken" in status["promise"]
    head = dict(screen_of._head(dict(status), "EUR"))
    assert status["faults"] == [
        {"part": "journal", "code": "journal.broken", "detail": "the disk is broken"}
    ]
    assert head["Up"] == "1 h 1 min, a start that no journal counts"
