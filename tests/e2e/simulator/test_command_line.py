"""`vendsim` as a person types it."""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from typer.testing import CliRunner, Result

import simulator.cli
from controller.recorder.keeping import packed, unpacked
from simulator.cli.app import app
from simulator.client import SimClient, SimulatorError
from simulator.pytest_plugin import DEMO
from simulator.running import RunningMachine, start_machine
from tests.scenarios.stage import Stage, play

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def running() -> Iterator[RunningMachine]:
    with (
        tempfile.TemporaryDirectory(prefix="vendsim-") as folder,
        start_machine(DEMO, Path(folder), speed=20.0) as machine,
    ):
        yield machine


@pytest.fixture
def run(running: RunningMachine, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("VENDSIM_DIR", str(running.home))
    monkeypatch.setenv("COLUMNS", "120")

    def call(*words: str) -> Result:
        return CliRunner().invoke(app, list(words))

    return call


def answer(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_a_customer_at_the_machine(run: Run) -> None:
    assert "now there: ada" in run("do", "customer", "ada").output
    words = run("do", "coin", "1.00", "50", "€0.20").output
    assert "put in: 1.00 EUR, 0.50 EUR, 0.20 EUR" in words
    assert "slot -> tray (inhibited)" in words
    assert "slug" in run("do", "coin", "--slug", "33").output
    pressed = answer(run("do", "key", "A1", "--json"))
    assert pressed["pressed"] == "A1"
    assert "pressed the coin return lever" in run("do", "lever").output
    assert "card pulled" in run("do", "uncard").output
    assert "taken: 2.03 EUR" in run("do", "take").output
    assert answer(run("do", "take", "--json")) == {"products": [], "money": 0}


def test_a_technician_at_the_machine(run: Run) -> None:
    assert "door open" in run("do", "door", "open").output
    assert "door closed" in run("do", "door", "closed").output
    assert "taken out of A1: 8" in run("do", "unload", "A1").output
    assert "A1: 3" in run("do", "load", "A1", "3").output
    assert answer(run("do", "load", "--json"))["stock"]["A1"] == 8
    assert "0 x 50" in run("do", "empty", "50").output
    assert "9 x 50" in run("do", "fill", "0.50", "9").output
    assert answer(run("do", "empty", "--leave", "2", "--json"))["tubes"]["10"] == 2
    assert "80 x 10" in run("do", "fill").output
    assert "let out: 2 x 0.50" in run("do", "switch", "0.50", "2").output


def test_fate_at_the_machine(run: Run) -> None:
    for words, said in (
        (("jam", "A1"), "A1 jams"),
        (("unjam", "A1", "--home"), "A1 turns again"),
        (("hang", "A2", "2"), "the next 2 turns drop nothing"),
        (("blind",), "blind"),
        (("blind", "off"), "mended"),
        (("fault", "changer", "naks", "3"), "changer.naks = 3"),
        (("fault", "B1", "slow"), "B1.slow = True"),
        (("unplug", "bill"), "unplugged: bill"),
        (("plug", "bill"), "plugged in: bill"),
        (("cut-power",), "the power is off"),
    ):
        result = run("do", *words)
        assert result.exit_code == 0, result.output
        assert said in result.output
    listed = run("do", "faults").output
    assert "A1, A2, A3" in listed
    assert "A2 = 2" in listed
    assert answer(run("do", "faults", "changer", "--json"))["active"]["changer"] == {"naks": 3}
    shown = run("truth").output
    for word in ("no power", "hang 2", "changer: naks 3"):
        assert word in shown
    assert "the power is on" in run("do", "restore-power").output
    assert "mended: everything" in run("do", "heal").output
    assert answer(run("do", "faults", "A2", "--json"))["active"] == {}


def test_the_truth_in_words_and_in_json(run: Run) -> None:
    words = run("truth").output
    assert "put in by customers" in words
    assert re.search(r"A1 +water +8", words)
    assert "no vendd holds the pins" in words
    assert answer(run("truth", "--json"))["columns"]["A1"]["product"] == "water"


def test_display_and_pins_in_words_and_in_json(run: Run) -> None:
    assert "╭" in run("display", "--history", "3").output
    assert len(answer(run("display", "--json"))["lines"]) == 4
    assert "columns[0].motor.pin" in run("pins").output
    assert answer(run("pins", "--json"))["4"]["use"] == "columns[0].motor.pin"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("do", "coin", "3"), r"no coin '3'.*There are: 5 \(0.05 EUR\)"),
        (("do", "coin", "1.5"), "no coin '1.5'"),
        (("do", "bill", "7.00"), "no bill '7.00'"),
        (("do", "fault", "A1", "jamm"), "did you mean jam"),
        (("do", "fault", "Z1", "jam"), "there are: changer"),
        (("do", "card", "gold"), "there are: card, declined"),
        (("do", "key", "E"), "no key 'E'"),
        (("truth", "--dir", "/nowhere"), "start one with `vendsim machine`"),
    ],
)
def test_what_cannot_be_done_is_explained(run: Run, words: tuple[str, ...], said: str) -> None:
    result = run(*words)
    assert isinstance(result.exception, SimulatorError)
    assert re.search(said, str(result.exception))


def test_a_bill_or_a_card_that_nobody_takes_is_an_error(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulator.cli.do.PATIENCE_S", 0.05)
    for words, said in ((("bill", "500"), "did not pull"), (("card",), "took no notice")):
        result = run("do", *words)
        assert said in str(result.exception)


@pytest.mark.parametrize("words", [("door", "ajar"), ("blind", "half")])
def test_wrong_words_are_a_usage_error(run: Run, words: tuple[str, ...]) -> None:
    assert run("do", *words).exit_code == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--link", "morse"), "no link 'morse'"),
        (("--pins-on-exit", "float"), "no way 'float'"),
        (("--config", "/nowhere.toml"), "cannot be read"),
    ],
)
def test_wrong_options_of_a_machine_are_explained(
    run: Run, words: tuple[str, ...], said: str
) -> None:
    result = run("machine", *words)
    assert result.exit_code != 0
    assert said in result.output + str(result.exception)


def test_the_program_prints_errors_without_a_trace(
    running: RunningMachine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["vendsim", "truth", "--dir", "/nowhere"])
    with pytest.raises(SystemExit) as ended:
        simulator.cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("vendsim: no simulated machine at /nowhere")


@pytest.fixture
def programs() -> Iterator[Callable[..., IO[str]]]:
    """Start `vendsim` with these words; what is left at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(home: Path, *words: str) -> IO[str]:
        environment = os.environ | {"VENDSIM_DIR": str(home), "COLUMNS": "100"}
        process = subprocess.Popen(
            [sys.executable, "-m", "simulator", *words],
            stdout=subprocess.PIPE, env=environment, text=True,
        )  # fmt: skip
        started.append(process)
        assert process.stdout is not None
        return process.stdout

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def find(stream: IO[str], wanted: str) -> str:
    while not re.search(wanted, line := stream.readline()):
        assert line, f"ended without {wanted}"
    return line


def test_the_ready_words_and_what_watchers_see(
    programs: Callable[..., IO[str]], run_folder: Path
) -> None:
    machine = programs(run_folder, "machine", "--config", str(DEMO))
    assert "ready: machine demo" in machine.readline()
    words, values = (
        programs(run_folder, "watch", "--edges"),
        programs(run_folder, "watch", "--json"),
    )
    seen = threading.Event()

    def keep_busy() -> None:
        with SimClient(run_folder / "vendsim.sock") as sim:
            while not seen.wait(0.02):
                sim.door(True)
                sim.door(False)
                sim.insert_coin(50)
            sim.stop()

    customer = threading.Thread(target=keep_busy)
    customer.start()
    try:
        find(words, r"pin +22 high by world")
        find(words, r"moved +coin 50: customer -> slot")
        assert json.loads(find(values, "fact"))["data"]["what"] == "moved"
    finally:
        seen.set()
        customer.join()
    assert "demo" not in machine.read()


def test_a_recording_is_replayed(tmp_path: Path) -> None:
    """Whatever came out, the exit code says it."""
    recording = tmp_path / "jam.jsonl.gz"

    async def jams(stage: Stage) -> None:
        await stage.coins(200)
        stage.breaks("A3", "jam")
        await stage.buys("A3")

    recordings = play(jams).recordings
    ((name, _),) = recordings.names()
    content = recordings.read(name)
    assert content is not None
    recording.write_bytes(content)
    same = CliRunner().invoke(app, ["replay", str(recording)])
    assert same.exit_code == 0
    assert "the same came out: 1" in same.output
    assert answer(CliRunner().invoke(app, ["replay", str(recording), "--json"]))["same"] is True
    lines = [
        line.replace(b'\\"price\\":200', b'\\"price\\":190') + b"\n" for line in unpacked(content)
    ]
    recording.write_bytes(packed(lines))
    other = CliRunner().invoke(app, ["replay", str(recording)])
    assert other.exit_code == 1
    assert "other records" in other.output
    recording.write_bytes(b"x")
    with pytest.raises(SimulatorError, match="no recording"):
        CliRunner().invoke(app, ["replay", str(recording)], catch_exceptions=False)
