"""What reaches the terminal."""

import pytest
from rich.console import Console

from controller.cli import screen, status


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (8_000, "2 h 13 min"), (90_061, "1 d 1 h"),
     (86_400, "1 d")],
)  # fmt: skip
def test_a_time_span_has_its_two_greatest_units(seconds: float, words: str) -> None:
    assert screen.duration(seconds) == words


def test_nouns_follow_their_number() -> None:
    assert [screen.many(count, "bill") for count in (0, 1, 2)] == ["0 bills", "1 bill", "2 bills"]


def test_a_pipe_gets_no_colours_and_no_folded_lines(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 500
    screen.line("7", long)
    assert capsys.readouterr().out == f"7 {long}\n"
    long = "x" * 300
    screen.line((long, screen.BAD), ("end", screen.GOOD))
    screen.table(("A", ">B"), [((long, screen.BAD), "1")])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert [line.rstrip() for line in out.splitlines()] == [
        f"{long} end",
        f"A{' ' * 299}  B",
        f"{long}  1",
    ]


def test_brackets_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    screen.line("[red]7[/red]", ":smile:")
    assert capsys.readouterr().out == "[red]7[/red] :smile:\n"


def test_a_terminal_gets_colours(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    screen.line(("ready", screen.GOOD))
    assert "\x1b[32m" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    screen.line(("ready", screen.GOOD))
    assert "\x1b[32m" not in capsys.readouterr().out


def _narrow() -> Console:
    return Console(width=40, force_terminal=True, color_system=None, highlight=False)


def test_a_line_too_long_for_the_terminal_goes_on_below_its_last_cell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(screen, "console", _narrow)
    screen.line("  7", "payout.finished", "paid 0.50 EUR of 0.50 EUR")
    assert [text.rstrip() for text in capsys.readouterr().out.splitlines()] == [
        "  7 payout.finished paid 0.50 EUR of",
        "                    0.50 EUR",
    ]


def test_a_line_whose_last_cell_has_no_room_below_itself_is_left_to_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(screen, "console", _narrow)
    screen.line("x" * 30, "y" * 20)
    screen.line("z" * 50)
    assert capsys.readouterr().out == f"{'x' * 30} {'y' * 20}\n{'z' * 50}\n"


def test_a_machine_without_a_journal_shows_no_empty_name() -> None:
    assert status._journal({"id": "", "first": 1, "last": 0}) == ("none is open", screen.WARN)
    whole = {"id": "5fa3c0de00112233", "first": 1, "last": 38}
    assert status._journal(whole) == "5fa3c0de, records 1 to 38"
