"""Files that are no configuration are refused in one line each, whatever they hold."""

from collections.abc import Callable
from pathlib import Path

import pytest

from config import fleet
from config.reading import MAX_FILE_BYTES, read_toml
from config.settings import load
from controller.app import real_parts
from controller.faults import ConfigError
from controller.guard import EXIT_CONFIG
from controller.vendd import main

DEMO = Path(__file__).resolve().parents[3] / "config" / "machines" / "demo.toml"


def _written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "machine.toml"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a=" + b"[" * 5000 + b"]" * 5000, "nested too deeply"),
        (b"#" * (MAX_FILE_BYTES + 1), "is larger than"),
        (b"a = \"\xff\"", r"no text in UTF-8 \(byte 6\)"),
        (b'[journal]\nfolder = "a\\u0000b"\n', r"journal\.folder: holds a NUL"),
        (b'[[columns]]\nselection = "\\u0000"\n', r"columns\[0\]\.selection: holds a NUL"),
    ],
    ids=["deep", "huge", "not UTF-8", "NUL in a path", "NUL in a list"],
)  # fmt: skip
@pytest.mark.parametrize("loader", [load, fleet.load], ids=["machine", "fleet"])
def test_what_is_no_configuration_is_refused_in_one_line(
    tmp_path: Path, content: bytes, words: str, loader: Callable[[Path], object]
) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        loader(_written(tmp_path, content))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("loader", [load, fleet.load], ids=["machine", "fleet"])
@pytest.mark.parametrize("where", ["/dev/zero", "."])
def test_a_device_without_an_end_and_a_folder_are_refused(
    loader: Callable[[Path], object], where: str
) -> None:
    with pytest.raises(ConfigError, match=r"is larger than|Is a directory"):
        loader(Path(where))


def test_a_name_that_no_file_can_have_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(Path("a\0b"))


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = _written(tmp_path, b"\xef\xbb\xbf" + DEMO.read_bytes())
    assert load(path) == load(DEMO)
    assert read_toml(path) == read_toml(DEMO)


def test_a_date_where_a_text_belongs_is_no_text(tmp_path: Path) -> None:
    text = DEMO.read_text(encoding="utf-8").replace('id = "demo"', "id = 2026-01-01", 1)
    with pytest.raises(ConfigError, match=r'machine\.id = "2026-01-01": is no text'):
        load(_written(tmp_path, text.encode()))


def test_the_home_of_a_user_who_is_not_here_is_refused(tmp_path: Path) -> None:
    text = DEMO.read_text(encoding="utf-8").replace("~/.local", "~nobody-of-that-name/x", 1)
    with pytest.raises(ConfigError, match="user not known here"):
        load(_written(tmp_path, text.encode()))


def test_check_config_takes_the_file_by_itself_or_behind_its_option(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check-config", str(DEMO)]) == 0
    assert main(["check-config", "--config", str(DEMO)]) == 0
    assert capsys.readouterr().out == f"{DEMO}: in order\n" * 2


@pytest.mark.parametrize("files", [[], [str(DEMO), "--config", str(DEMO)]])
def test_check_config_takes_exactly_one_file(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["check-config", *files])
    assert ended.value.code == 2
    assert "takes one FILE" in capsys.readouterr().err


def test_a_wrong_file_ends_check_config_with_the_status_of_a_wrong_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check-config", str(tmp_path / "absent.toml")]) == EXIT_CONFIG
    assert "cannot be read: No such file" in capsys.readouterr().err


def test_a_journal_folder_that_cannot_be_made_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where a folder belongs", encoding="utf-8")
    settings = load(DEMO, home=tmp_path / "taken")

    with pytest.raises(ConfigError, match=r"journal\.folder = .*: cannot be made: Not a directory"):
        real_parts(settings, None)
