"""The first steps of docs/fleet.md, as they stand there, whoever takes them."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cloud.fleet import certificates, own
from cloud.fleet.home import Home
from cloud.fleet.reach import broker_of
from cloud.mqtt import MqttError, StrictClient
from config import fleet
from config.models import Cloud
from simulator.fleet.site import free_port
from tests.fleet.servers import PATIENCE_S, mosquitto_program
from tests.fleet.site import asked, vendcloud

TRIES = 600
PAUSE_S = 0.1


@pytest.fixture
def home() -> Iterator[Home]:
    """A server's folder where every user may enter, as in /var/lib, with its broker running."""
    folder = Path(tempfile.mkdtemp(prefix="vendd-first-"))
    folder.chmod(0o755)
    made = Home(folder / "vendcloud")
    made.folder.mkdir()
    made.config.write_text(f"[broker]\nport = {free_port()}\n", encoding="utf-8")
    asked(made.folder, "init", "acme", "--host", "localhost")
    broker = subprocess.Popen([mosquitto_program(), "-c", str(made.broker / "mosquitto.conf")])
    yield made
    ended = broker.poll()
    if ended is None:
        broker.send_signal(signal.SIGTERM)
        broker.wait(PATIENCE_S)
    shutil.rmtree(folder)
    assert ended is None, "the broker did not start, or ended"


async def hand_shaken(home: Home) -> bool:
    broker = broker_of(fleet.load(home.config), home, "first")
    for _ in range(TRIES):
        try:
            async with StrictClient(broker):
                return True
        except (MqttError, OSError):
            await asyncio.sleep(PAUSE_S)
    return False


async def test_the_broker_starts_with_what_init_wrote_and_shows_what_is_renewed(home: Home) -> None:
    assert await hand_shaken(home)

    long_ago = datetime.now(UTC) - timedelta(days=200)
    own.make(home, certificates.pair_of(home), "broker", own.hosts_of(home), long_ago)
    renewed = await asyncio.to_thread(asked, home.folder, "certificates", "--renew")
    assert (renewed["made"], renewed["broker"]) == (["tls/broker.pem"], "told")
    assert await hand_shaken(home)

    key = (home.tls / "broker-key.pem").stat()
    assert key.st_mode & 0o777 == 0o600
    assert key.st_uid == home.broker.stat().st_uid
    if os.geteuid() == 0:
        assert key.st_uid != 0, "a broker that is root could read every key"
        assert (home.tls / "server-key.pem").stat().st_uid == 0


def test_what_a_new_machine_is_to_be_told_can_be_pasted_into_its_configuration(home: Home) -> None:
    told = vendcloud(home.folder, "machine", "add", "acme/lobby-9")
    before, section, after = told.partition("[cloud]")
    pasted = tomllib.loads(section + after)["cloud"]
    assert (pasted["tenant"], pasted["host"]) == ("acme", "localhost")
    assert '`machine.id` is "lobby-9"' in before
    named = [Path(line.strip()) for line in before.splitlines() if line.startswith("  /")]
    assert [file.name for file in named] == [pasted[key] for key in ("ca", "certificate", "key")]
    assert all(file.exists() for file in named)
    assert Cloud.model_validate(pasted, strict=False).port == 8883


def test_the_help_cuts_no_sentence_and_lists_the_exit_codes_one_below_the_other(
    tmp_path: Path,
) -> None:
    told = vendcloud(tmp_path, "--help")
    assert "..." not in told.replace("[ARGS]...", "")
    lines = [line.strip() for line in told.splitlines()]
    assert "6  not found" in lines
