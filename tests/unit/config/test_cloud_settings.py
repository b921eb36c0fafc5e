"""The sections that tie a machine to its fleet, and the fleet server's own file."""

from pathlib import Path

import pytest

from config import fleet
from config.settings import load
from controller.faults import ConfigError

DEMO = Path(__file__).resolve().parents[3] / "config" / "machines" / "demo.toml"
CLOUD = """
[cloud]
tenant = "acme"
host = "broker.example"
ca = "ca.pem"
certificate = "m.pem"
key = "m-key.pem"
root_key = "{root}"

[machine]
""".replace("{root}", "ab" * 32)


def with_cloud(folder: Path, *changes: tuple[str, str]) -> Path:
    text = DEMO.read_text(encoding="utf-8").replace("[machine]\n", CLOUD, 1)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "machine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_machine_of_a_fleet_finds_its_files_below_its_home(tmp_path: Path) -> None:
    cloud = load(with_cloud(tmp_path), home=tmp_path / "home").cloud

    assert cloud is not None
    assert (cloud.port, cloud.version, cloud.tls) == (8883, 5, True)
    assert cloud.key == tmp_path / "home" / "m-key.pem"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('key = "m-key.pem"\n', ""), "cloud.key: is missing"),
        (('tenant = "acme"', 'tenant = "ACME"'), "cloud.tenant"),
        (("ab" * 32, "xy"), "cloud.root_key"),
        (('host = "broker.example"', 'host = ""'), "cloud.host"),
        (('host = "broker.example"', 'host = "a"\nversion = 4'), "cloud.version"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    with pytest.raises(ConfigError, match=says.replace(".", r"\.")):
        load(with_cloud(tmp_path, change))


def test_a_server_without_a_file_runs_on_sqlite_in_its_folder(tmp_path: Path) -> None:
    settings = fleet.load(tmp_path / "fleet.toml")

    assert settings.database.url == "sqlite+aiosqlite:///fleet.db"
    assert settings.broker.tls is True


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[database]\nurl = 'mysql://x'", "database.url"),
        ("[broker]\nversion = 4", "broker.version"),
        ("log_level = 'loud'", "log_level"),
        ("= 1", "is no TOML"),
    ],
)
def test_a_servers_file_that_is_wrong_says_where(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError, match=says.replace(".", r"\.")):
        fleet.load(path)
