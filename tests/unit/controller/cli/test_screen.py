"""What reaches the terminal."""

import sys

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


def test_a_line_whose_last_cell_has_no_room_beside_the_others_has_the_lines_below(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(screen, "console", _narrow)
    screen.line(
        "     22", "vend.settled          ", "", ("vend 18   ", screen.DIM), "1.50 EUR earned"
    )
    screen.line("fifty letters and more, and no second cell at all")
    assert [text.rstrip() for text in capsys.readouterr().out.splitlines()] == [
        "22 vend.settled vend 18",
        "        1.50 EUR earned",
        "fifty letters and more, and no second",
        "cell at all",
    ]


def test_a_table_that_a_terminal_is_too_narrow_for_is_a_block_for_each_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(screen, "console", _narrow)
    heads = ("Device", "Manufacturer", "Model", ">Total EUR", "State")
    screen.table(heads, [("changer", "XYZ", "CHG-4", "57.00", ("", screen.BAD)),
                         ("bill", "", "BILL-1", "0.00", ("lost", screen.BAD))])  # fmt: skip
    assert [text.rstrip() for text in capsys.readouterr().out.splitlines()] == [
        "Device        changer",
        "Manufacturer  XYZ",
        "Model         CHG-4",
        "Total EUR     57.00",
        "",
        "Device     bill",
        "Model      BILL-1",
        "Total EUR  0.00",
        "State      lost",
    ]


def test_a_table_folds_cells_between_words_and_keeps_words_and_figures_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(screen, "console", _narrow)
    screen.table(
        ("Serial", "Ends", ">Amount", "State"),
        [("5967fc15970fa", "2027-12-27 07:35:14", "213.00", "valid"), ("0", "", "", "")],
    )
    screen.table(("Column", "Why"), [("A1", "a motor that does not come home in its time")])
    assert [text.rstrip() for text in capsys.readouterr().out.splitlines()] == [
        "Serial         Ends        Amount  State",
        "5967fc15970fa  2027-12-27  213.00  valid",
        "               07:35:14",
        "0",
        "Column  Why",
        "A1      a motor that does not come home",
        "        in its time",
    ]


def test_an_error_is_folded_between_words_on_a_terminal_and_whole_in_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "vendctl: no column 'Z9'; there are A1, A2, A3, B1, B2, B3, B4"
    screen.error(words)
    screen.error("\x1b[2Jno \a\n\tthere")
    assert capsys.readouterr().err == f"{words}\n�[2Jno �\n    there\n"
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    screen.error(words)
    assert capsys.readouterr().err.splitlines() == [
        "vendctl: no column 'Z9'; there are A1,",
        "A2, A3, B1, B2, B3, B4",
    ]


def test_a_machine_without_a_journal_shows_no_empty_name() -> None:
    assert status._journal({"id": "", "first": 1, "last": 0}) == ("none is open", screen.WARN)
    whole = {"id": "5fa3c0de00112233", "first": 1, "last": 38}
    assert status._journal(whole) == "5fa3c0de, records 1 to 38"
