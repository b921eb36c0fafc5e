"""Who signs: only what policy allows, only for whom it allows it, and each time with a line."""

import asyncio
import json
import os
import pwd
import socket
from pathlib import Path
from typing import Any

import pytest

from cloud.contract.commands import CommandBody, Role
from cloud.contract.messages import Desired, MessageError, Signed
from cloud.contract.signing import Verifier, public_of
from cloud.contract.topics import Address
from cloud.fleet.home import Home
from cloud.fleet.signatory import Caller, Desk, Embedded, Log, Policy, callers, signatory_of
from cloud.fleet.signer import KEY_DAYS, SignerError, keys_of, make_key, make_root
from cloud.fleet.signer_client import LINE_MAX, RemoteSigner
from cloud.fleet.signer_service import SignerServer
from config.fleet import FleetSigner
from tests.fleet.machines import START

LOBBY = Address("acme", "lobby-1")
ROOT = b"r" * 32
ALL = Caller("root", frozenset(Role))
HOUR = 3_600_000


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    make_root(made, ROOT)
    make_key(made, "acme-1", "acme", (Role.OPERATOR, Role.SUPPORT, Role.CONFIG), b"1" * 32, START)
    return made


def desk(home: Home, **policy: Any) -> Desk:
    return Desk(
        lambda tenant: keys_of(home.keys, tenant),
        Policy(**policy),
        Log(home.keys / "signed.log"),
        lambda: START,
    )


def lines(home: Home) -> list[dict[str, Any]]:
    log = home.keys / "signed.log"
    assert log.stat().st_mode & 0o777 == 0o600
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def body(kind: str = "echo", **more: Any) -> CommandBody:
    return CommandBody.model_validate(
        {
            "tenant": "acme",
            "machine": "lobby-1",
            "id": "c1",
            "counter": 1,
            "kind": kind,
            "issued_at": START,
            "expires_at": START + HOUR,
            "issuer": "anna",
            **more,
        }
    )


def taken(signed: Signed) -> CommandBody:
    """Return it as a machine takes it."""
    return Verifier(public_of(ROOT), LOBBY).command(signed, START)


def test_what_is_signed_a_machine_takes_and_the_log_tells_of(home: Home) -> None:
    signed = desk(home).command(body("machine.lock", args={"reason": "recall"}), ALL)

    assert taken(signed).kind == "machine.lock"
    (line,) = lines(home)
    assert (line["outcome"], line["kind"], line["caller"], line["by"], line["kid"]) == (
        "signed", "machine.lock", "root", "anna", "acme-1"
    )  # fmt: skip


SUPPORT = Caller("desk", frozenset({Role.SUPPORT}))
REFUSED: tuple[tuple[CommandBody, Caller, dict[str, Any], str], ...] = (
    (body("machine.lock"), SUPPORT, {}, "desk may not ask for it; that wants operator"),
    (body(), Caller("www", frozenset()), {}, "www may not ask"),
    (body("software.update", args={"version": "1", "digest": "ab" * 32}), ALL, {},
     "wants a key for update; acme has 'acme-1'"),
    (body(tenant="other"), ALL, {}, "other has none"),
    (body(expires_at=START + 3 * HOUR), ALL, {"max_hours": 2}, "lives up to 2 h"),
    (body(expires_at=START), ALL, {}, "lives up to"),
    (body(issued_at=START - HOUR), ALL, {}, "look at the clocks"),
    (body("reboot"), ALL, {"never": frozenset({"reboot"})}, "for nobody"),
)  # fmt: skip


@pytest.mark.parametrize(("asked", "caller", "policy", "why"), REFUSED)
def test_what_policy_does_not_allow_is_refused_in_words_and_with_a_line(
    home: Home, asked: CommandBody, caller: Caller, policy: dict[str, Any], why: str
) -> None:
    with pytest.raises(SignerError, match=why):
        desk(home, **policy).command(asked, caller)

    (line,) = lines(home)
    assert line["outcome"] == "refused"
    assert why in line["why"]


def test_unknown_kinds_and_arguments_are_never_signed(home: Home) -> None:
    with pytest.raises(MessageError, match=r"machine\.explode"):
        desk(home).command(body("machine.explode"), ALL)
    assert lines(home)[0]["outcome"] == "refused"


def test_more_than_so_many_a_minute_are_refused(home: Home) -> None:
    signs = desk(home, per_minute=3)
    for _ in range(3):
        signs.command(body(), ALL)
    with pytest.raises(SignerError, match="more than 3 a minute for acme"):
        signs.command(body(), ALL)


def test_what_can_not_be_logged_is_not_signed(home: Home) -> None:
    (home.keys / "signed.log").mkdir()
    with pytest.raises(SignerError, match="nothing is signed"):
        desk(home).command(body(), ALL)


def test_a_key_that_others_may_read_signs_nothing(home: Home) -> None:
    (home.keys / "acme-1.key").chmod(0o640)
    with pytest.raises(SignerError, match="others may read it"):
        desk(home).command(body(), ALL)


def test_a_second_key_signs_what_the_first_one_may_not(home: Home) -> None:
    make_key(home, "acme-2", "acme", (Role.UPDATE,), b"2" * 32, START)
    update = body("software.update", args={"version": "1", "digest": "ab" * 32})

    signed = desk(home).command(update, ALL)

    assert (signed.kid, taken(signed).kind) == ("acme-2", "software.update")


def test_of_two_keys_that_may_the_one_signs_that_lives_longer(home: Home) -> None:
    roles = (Role.OPERATOR, Role.SUPPORT, Role.CONFIG)
    make_key(home, "acme-2", "acme", roles, b"2" * 32, START + 48 * HOUR)

    signed = desk(home).command(body(), ALL)

    ended = START + (KEY_DAYS * 24 + 1) * HOUR  # the first key, and a machine was away till now
    assert signed.kid == "acme-2"
    assert Verifier(public_of(ROOT), LOBBY).command(signed, ended).id == "c1"


async def test_the_embedded_signer_serves_its_own_process(home: Home) -> None:
    signs = Embedded(desk(home), ALL)
    assert taken(await signs.command(body())).id == "c1"


async def test_a_signer_behind_a_socket_knows_who_asks_and_signs_the_same(home: Home) -> None:
    path = home.folder / "signer.sock"
    server = SignerServer(desk(home), path, {})
    async with server.listening():
        assert path.stat().st_mode & 0o777 == 0o660
        signs = signatory_of(FleetSigner(socket="signer.sock"), home, lambda: START)
        assert isinstance(signs, RemoteSigner)
        assert taken(await signs.command(body())).id == "c1"
        configuration = Desired(
            tenant="acme", machine="lobby-1", revision=1, settings={}, issued_at=START
        )
        assert (await signs.desired(configuration)).kid == "acme-1"
        with pytest.raises(SignerError, match="wants a key for update"):
            await signs.command(body("software.update", args={"version": "1", "digest": "ab" * 32}))
    assert [line["caller"] for line in lines(home)] == [pwd.getpwuid(os.geteuid()).pw_name] * 3
    with pytest.raises(SignerError, match="the signer can't be asked"):
        await signs.command(body())


async def test_a_flood_or_garbage_on_the_socket_ends_its_own_connection_alone(home: Home) -> None:
    path = home.folder / "signer.sock"
    async with SignerServer(desk(home), path, {}).listening():
        for line in (b"[]\n", b'{"what":"command"}\n', b'{"what":"x","body":""}\n', b"\xff\n"):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(line)
            assert "refused" in json.loads(await reader.readline())
            writer.close()
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"x" * (LINE_MAX + 100) + b"\n")
        assert await reader.read() == b""
        writer.close()
        assert taken(await RemoteSigner(path).command(body())).id == "c1"


def test_callers_are_named_in_the_configuration() -> None:
    found = callers({"desk": ("support",)})
    assert found["desk"].roles == frozenset({Role.SUPPORT})


async def test_a_second_signer_leaves_the_first_one_its_socket(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "signer.sock"
    async with SignerServer(desk(home), path, {}).listening():
        with pytest.raises(OSError, match="another signer answers there"):
            async with SignerServer(desk(home), path, {}).listening():
                raise AssertionError("two of them")
        assert path.is_socket()
        _, writer = await asyncio.open_unix_connection(path)
        writer.close()
        await writer.wait_closed()


async def test_a_socket_that_was_left_behind_is_made_anew_and_a_file_is_not(
    home: Home, tmp_path: Path
) -> None:
    left, file = tmp_path / "left.sock", tmp_path / "notes.txt"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(left))
    file.write_text("mine", encoding="utf-8")

    async with SignerServer(desk(home), left, {}).listening():
        _, writer = await asyncio.open_unix_connection(left)
        writer.close()
        await writer.wait_closed()
    with pytest.raises(OSError, match=r"a file of that name.*notes\.txt"):
        async with SignerServer(desk(home), file, {}).listening():
            raise AssertionError("it is no socket")
    assert file.read_text(encoding="utf-8") == "mine"


async def test_a_question_without_a_bottom_is_refused(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "signer.sock"
    async with SignerServer(desk(home), path, {}).listening():
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"[" * (LINE_MAX - 100) + b"\n")
        async with asyncio.timeout(60):
            answer = json.loads(await reader.readline())
        writer.close()

    assert "that is no question" in answer["refused"]
