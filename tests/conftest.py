"""What every test shares."""

import os
import signal
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

# A run in the background of a shell ignores Ctrl-C, and so would every program that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# `machine`, `machines`: simulated machines as processes of their own.
pytest_plugins = ["simulator.pytest_plugin"]

# The same examples on every run, so that a red build is red again; `--hypothesis-profile=explore`
# looks further. No deadline: a slow shared machine must not fail a true property.
settings.register_profile("vendd", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=2_000)
settings.load_profile("vendd")

TESTS = Path(__file__).parent
# Branch coverage makes a life in virtual time take three times as long, and these folders are
# thousands of lives through the same lines. All of them are lived; of so many cases of a test the
# first is traced as well. What that misses shows in the sum that `./run test` asks for.
LIVES = {"crash", "failures", "scenarios", "swarm"}
TRACED_OF = 8
# A planted bug is not the product; and whole lives again, of seeds that broke something once.
NEVER_TRACED = {"mutants", "swarm/test_rare_scenarios.py", "swarm/test_scenarios.py"}
# The processes of these tests are not traced: of one that is killed nobody hears which lines it
# ran, and the others run the same lines as those of test_processes.py, test_fleet.py and the demos.
UNHEARD = {
    "e2e/test_cctalk.py",
    "e2e/test_climate_and_recorder.py",
    "e2e/test_configuration.py",
    "e2e/test_disks.py",
    "e2e/test_fleet_renewal.py",
    "e2e/test_kills.py",
    "e2e/test_kills_of_acts.py",
    "e2e/test_kills_of_calls.py",
    "e2e/test_pushes.py",
    "e2e/test_stories.py",
    "fleet/test_every_fault.py",
}
# Tests that wait for real processes go first, beside others that compute: what comes at the end is
# quick, and no worker sits there while another one is at a test of a minute.
LONG = {"e2e", "fleet", "mutants"}


def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as there are processors: a third of the time tests wait for real time."""
    processors = len(os.sched_getaffinity(0))
    return processors + processors // 2


def place_of(item: pytest.Item) -> tuple[str, str]:
    """The folder of a test, and its file there."""
    folder, *rest = item.path.parts[len(TESTS.parts) :]
    return folder, "/".join((folder, *rest))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Choose which tests branch coverage does not trace, and put the long ones first."""
    items.sort(key=lambda item: place_of(item)[0] not in LONG)
    cases = Counter[str]()
    for item in items:
        folder, file = place_of(item)
        name = item.nodeid.partition("[")[0]
        later = cases[name] % TRACED_OF > 0
        cases[name] += 1
        if {folder, file} & NEVER_TRACED or (later and folder in LIVES):
            item.add_marker(pytest.mark.no_cover)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """What a test that is not traced starts as a process is not traced either."""
    held = None
    if item.get_closest_marker("no_cover") or place_of(item)[1] in UNHEARD:
        held = os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
    try:
        return (yield)
    finally:
        if held is not None:
            os.environ["COVERAGE_PROCESS_CONFIG"] = held
