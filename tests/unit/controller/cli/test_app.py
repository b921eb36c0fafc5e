"""The root: where the machine is, other packages' commands, completion, and a quick start."""

import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import typer

from controller.cli import app
from controller.cli.errors import CliError, Exit
from controller.cli.place import DEFAULT_FOLDER, DEFAULT_SOCKET, Place
from controller.machine.table import Mode

ROOT = Path(__file__).parents[4]
START = [sys.executable, "-c", "from controller.cli import main; main()"]


def test_without_a_word_the_places_of_the_packaged_service_are_meant() -> None:
    assert Place.find(None, None, None) == Place(DEFAULT_SOCKET, DEFAULT_FOLDER)


def test_a_home_names_socket_and_journal(tmp_path: Path) -> None:
    assert Place.find(None, tmp_path, None) == Place(tmp_path / "vendd.sock", tmp_path / "journal")
    assert Place.find(Path("/x"), tmp_path, None) == Place(Path("/x"), tmp_path / "journal")


def test_a_configuration_names_both(tmp_path: Path) -> None:
    config = ROOT / "config/machines/demo.toml"
    place = Place.find(None, tmp_path, config)
    assert place == Place(tmp_path / "vendd.sock", tmp_path / "journal")
    pi = Place.find(None, None, ROOT / "config/machines/pi-example.toml")
    assert pi == Place(DEFAULT_SOCKET, DEFAULT_FOLDER)


def test_a_wrong_configuration_is_explained(tmp_path: Path) -> None:
    with pytest.raises(CliError) as caught:
        Place.find(None, None, tmp_path / "none.toml")
    assert caught.value.code is Exit.USAGE
    assert "none.toml" in str(caught.value)


def test_the_help_lists_every_command_and_the_exit_codes(vendctl: Any) -> None:
    ended = vendctl("--help")
    assert ended.code == 0
    for name in ("status", "watch", "stock", "price", "credit", "claim", "grant", "coins", "reader",
                 "bus", "collect", "service", "vend", "motor", "journal", "trace",
                 "ledger"):  # fmt: skip
        assert f"│ {name} " in ended.out
    assert "Exit codes" in ended.out
    for name in ("stock", "journal", "service", "vend"):
        assert vendctl(name, "--help").code == 0


def test_no_socket_ends_with_its_code(vendctl: Any, tmp_path: Path) -> None:
    ended = vendctl("--home", tmp_path, "status")
    assert (ended.code, ended.out) == (3, "")
    assert "is vendd running?" in ended.err


# --------------------------------------------------------------------- other packages' commands


class Package:
    """Another package's entry point."""

    def __init__(self, name: str, broken: bool = False) -> None:
        self.name, self.broken = name, broken

    def load(self) -> typer.Typer:
        if self.broken:
            raise ImportError("No module named 'half_installed'")
        group = typer.Typer()
        group.callback()(lambda: None)
        group.command("mdb")(lambda: typer.echo("explained"))
        return group


def test_commands_of_other_packages_hang_in_by_an_entry_point(
    vendctl: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "_plugins", lambda: {"decode": Package("decode")})
    assert vendctl("decode", "mdb").lines == ["explained"]
    assert "│ decode" in vendctl("--help").out


def test_half_an_installation_leaves_the_other_commands_alone(
    vendctl: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "_plugins", lambda: {"decode": Package("decode", broken=True)})
    ended = vendctl("decode", "mdb")
    assert ended.code == 2
    assert "'decode' cannot be loaded: No module named 'half_installed'" in ended.err
    assert "│ status" in vendctl("--help").out


# -------------------------------------------------------------------------------- completion


def complete(words: str, **environment: str) -> list[str]:
    """Ask as bash does."""
    done = subprocess.run(
        START,
        env=os.environ | {
            "_VENDCTL_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        } | environment,
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout.split()


def test_a_shell_completes_commands() -> None:
    assert complete("vendctl sto") == ["stock"]
    assert complete("vendctl journal v") == ["verify"]
    assert "--json" in complete("vendctl status --")


def test_a_shell_completes_the_columns_of_the_running_machine(socket_path: Path) -> None:
    there = {"VENDD_SOCKET": str(socket_path)}
    assert complete("vendctl price ", **there) == ["A1", "A2", "B1"]
    assert complete("vendctl motor test B", **there) == ["B1"]


def test_a_shell_completes_nothing_when_there_is_no_machine(tmp_path: Path) -> None:
    assert complete("vendctl price A", VENDD_HOME=str(tmp_path)) == []


# ------------------------------------------------------------------------- processes of their own


def started(*words: str, socket: Path, **more: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*START, *words],
        env=os.environ
        | {
            "VENDD_SOCKET": str(socket),
            "PYTHONIOENCODING": more.get("encoding", "utf-8"),
        },
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def test_a_status_for_scripts_loads_neither_rich_nor_asyncio_nor_the_settings(
    socket_path: Path,
) -> None:
    # What a Pi would need a second for; the time itself is measured in benchmarks/.
    check = (
        "import sys; from controller.cli import main\n"
        "slow = {'rich', 'asyncio', 'config.settings', 'controller.api'}\n"
        "try: main()\n"
        "finally: print(sorted(slow & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", check, "status", "--json"],
        env=os.environ | {"VENDD_SOCKET": str(socket_path)},
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stderr.strip() == "[]"


def test_a_terminal_without_our_signs_shows_others(socket_path: Path, machine: Any) -> None:
    machine.state.stock.doubt("A1")
    with started("stock", socket=socket_path, encoding="latin-1") as child:
        assert child.stdout is not None
        assert "? 3" in child.stdout.read()
        assert child.wait(60) == 0


def test_a_pipe_that_closes_early_ends_it_quietly(socket_path: Path) -> None:
    child = started("journal", "export", socket=socket_path)
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.readline()
    child.stdout.close()
    assert child.wait(60) in (0, -signal.SIGPIPE)  # 0: it had written all before we closed
    assert child.stderr.read() == ""
    child.stderr.close()


def test_a_watch_shows_what_happens_until_interrupted(socket_path: Path, machine: Any) -> None:
    with started("watch", socket=socket_path) as child:
        assert child.stdout is not None
        seen = threading.Event()

        def stir() -> None:
            while not machine.sinks:
                seen.wait(0.01)
            machine.tell_from_outside({"kind": "mode", "mode": Mode.SERVICE.value})
            machine.tell_from_outside({"kind": "display", "lines": ["Hello ", "", " you "]})
            machine.tell_from_outside({"kind": "lost", "events": 7})
            machine.tell_from_outside({"kind": "of tomorrow"})
            machine.tell_from_outside({"kind": "record", "record": RECORD})

        stirrer = threading.Thread(target=stir)
        stirrer.start()
        lines = [child.stdout.readline().rstrip() for _ in range(4)]
        stirrer.join(30)
        child.send_signal(signal.SIGINT)
        assert child.wait(60) == 130
    assert lines == [
        "        mode service",
        "        display Hello | you",
        "7 events were too fast for this terminal",
        "     39 12:00:39 stock.set                          B1: 0 → 4 (set)",
    ]


RECORD = {
    "seq": 39,
    "at": "2026-11-21T12:00:39.000Z",
    "type": "stock.set",
    "vend": None,
    "data": {"column": "B1", "before": 0, "count": 4, "cause": "set"},
}


def test_following_the_journal_goes_on_where_it_ended(socket_path: Path, machine: Any) -> None:
    with started("journal", "tail", "-n", "1", "-f", "--json", socket=socket_path) as child:
        assert child.stdout is not None
        assert '"seq":38' in child.stdout.readline()
        seen = threading.Event()

        def stir() -> None:
            while not machine.sinks:
                seen.wait(0.01)
            machine.tell_from_outside({"kind": "record", "record": RECORD | {"seq": 38}})
            machine.tell_from_outside({"kind": "mode", "mode": "idle"})
            machine.tell_from_outside({"kind": "record", "record": RECORD})

        stirrer = threading.Thread(target=stir)
        stirrer.start()
        assert '"seq":39' in child.stdout.readline()
        stirrer.join(30)
        child.send_signal(signal.SIGINT)
        assert child.wait(60) == 130


def test_a_watch_for_scripts_is_a_line_of_json_each(
    socket_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from controller.cli.client import Client

    events = [{"kind": "mode", "mode": "idle"}, {"kind": "lost", "events": 2}]
    monkeypatch.setattr(Client, "events", lambda self: iter(events))
    monkeypatch.setattr(sys, "argv", ["vendctl", "--socket", str(socket_path), "watch", "--json"])
    with pytest.raises(SystemExit):
        app.run()
    assert capsys.readouterr().out == (
        '{"kind":"mode","mode":"idle"}\n{"kind":"lost","events":2}\n'
    )


def test_an_interrupt_ends_quietly(vendctl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "app", interrupt)
    assert vendctl("status") == type(vendctl("status"))(130, "", "")
    assert isinstance(sys.stdin, io.StringIO)


def test_an_answer_of_another_shape_ends_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def other(**_: object) -> None:
        answer: dict[str, str] = {}
        answer["currency"]

    monkeypatch.setattr(app, "app", other)
    with pytest.raises(SystemExit) as ended:
        app.run()
    assert ended.value.code is Exit.FAILED
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "KeyError 'currency' in test_app.py" in error
    assert "same version?" in error


DECODE = [*START, "decode", "mdb", "--device", "changer", "--response", "00"]


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_a_full_disk_behind_the_pipe_is_said_in_a_line(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [*DECODE, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert ended.stderr == "vendctl: cannot write: No space left on device\n"
    assert ended.returncode == Exit.FAILED


def test_without_a_standard_output_it_says_so() -> None:
    shell = ["sh", "-c", '"$@" >&-', "sh", *DECODE]
    ended = subprocess.run(shell, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.stderr == "vendctl: there is no standard output\n"
    assert ended.returncode == Exit.FAILED


def test_without_a_standard_error_it_answers_all_the_same() -> None:
    shell = ["sh", "-c", '"$@" 2>&-', "sh", *DECODE]
    ended = subprocess.run(shell, stdout=subprocess.PIPE, text=True, check=False)
    assert "ACK" in ended.stdout
    assert ended.returncode == 0
    shell[-1] = "XX"
    assert subprocess.run(shell, stdout=subprocess.PIPE, check=False).returncode == Exit.USAGE
