"""Who may do what: by the kernel's word, never by the client's."""

import asyncio
import grp
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.api.access import Access, Caller, Right
from controller.api.methods import dispatcher
from controller.api.server import ApiServer
from controller.faults import ConfigError

READERS, ACTORS, OTHERS = [group for group in grp.getgrall() if group.gr_gid != 0][:3]
STRANGER = 61_234  # a user without a name and without a home

# It changes its user after the start: another one may not be allowed to run this Python.
CLIENT = """
import os, socket, sys
uid, gid, *groups = map(int, sys.argv[3:])
if os.geteuid() == 0:
    os.setgroups(groups)
    os.setgid(gid)
    os.setuid(uid)
with socket.socket(socket.AF_UNIX) as s:
    s.connect(sys.argv[1])
    s.sendall(sys.argv[2].encode() + b"\\n")
    print(s.makefile().readline())
"""


@pytest.fixture
def access() -> Access:
    return Access(READERS.gr_name, ACTORS.gr_name)


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """Return a folder that every user may enter."""
    with tempfile.TemporaryDirectory(prefix="vendd-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_root_and_our_own_user_may_always_act(access: Access) -> None:
    assert access.right_of(0, frozenset()) is Right.ACT
    assert access.right_of(os.geteuid(), frozenset()) is Right.ACT
    assert Access().right_of(os.geteuid(), frozenset()) is Right.ACT


@pytest.mark.parametrize(
    ("groups", "right"),
    [
        ({OTHERS.gr_gid}, Right.NOTHING),
        (set(), Right.NOTHING),
        ({READERS.gr_gid, OTHERS.gr_gid}, Right.READ),
        ({ACTORS.gr_gid}, Right.ACT),
        ({READERS.gr_gid, ACTORS.gr_gid}, Right.ACT),
    ],
)
def test_one_group_may_look_and_one_may_act(access: Access, groups: set[int], right: Right) -> None:
    assert access.right_of(STRANGER, frozenset(groups)) is right


def test_without_groups_nobody_else_may_anything() -> None:
    assert not Access().open_to_others
    assert Access(READERS.gr_name).open_to_others
    assert Access().right_of(STRANGER, frozenset({0, 1, 2})) is Right.NOTHING


def test_a_group_that_this_computer_does_not_know_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match=r"api\.act_group: no group 'no-such-group'"):
        Access(None, "no-such-group")


def test_a_refusal_names_the_group_and_the_remedy(access: Access) -> None:
    ada = Caller(1007, 1007, 1, frozenset(), Right.NOTHING, "ada")
    words = access.explain(ada, Right.ACT)
    assert f"not in the group '{ACTORS.gr_name}'" in words
    assert f"usermod -aG {ACTORS.gr_name} ada" in words
    assert f"'{READERS.gr_name}'" in access.explain(ada, Right.READ)
    assert f"'{ACTORS.gr_name}'" in Access(None, ACTORS.gr_name).explain(ada, Right.READ)
    assert "api.read_group" in Access().explain(ada, Right.READ)


def test_the_kernel_says_who_is_at_the_other_end(access: Access) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        caller = access.caller(ours)
    assert (caller.uid, caller.gid, caller.pid) == (os.geteuid(), os.getegid(), os.getpid())
    assert caller.groups >= {os.getegid(), *os.getgroups()}
    assert caller.right is Right.ACT
    assert str(caller) == caller.name != ""


def ask_as(path: Path, line: str, gid: int, groups: list[int]) -> Any:
    """Ask from a process of another user; as our own where only root could change that."""
    ids = [str(number) for number in (STRANGER, gid, *groups)]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", CLIENT, str(path), line, *ids],
        capture_output=True,
        check=True,
        timeout=30,
    )
    return json.loads(done.stdout)


READ = '{"jsonrpc":"2.0","id":1,"method":"stock.show"}'
ACT = '{"jsonrpc":"2.0","id":1,"method":"stock.set","params":{"column":"B1","count":3}}'
WATCH = '{"jsonrpc":"2.0","id":1,"method":"watch.start"}'
NO_SUCH = '{"jsonrpc":"2.0","id":1,"method":"no.such"}'


@pytest.mark.parametrize(
    ("line", "gid", "groups", "code"),
    [
        (READ, STRANGER, [], -32001),
        (NO_SUCH, STRANGER, [], -32001),
        (READ, STRANGER, [READERS.gr_gid], 0),
        (READ, READERS.gr_gid, [], 0),
        (WATCH, READERS.gr_gid, [], 0),
        (NO_SUCH, READERS.gr_gid, [], -32601),
        (ACT, STRANGER, [READERS.gr_gid], -32001),
        (ACT, STRANGER, [READERS.gr_gid, ACTORS.gr_gid], 0),
        (READ, STRANGER, [OTHERS.gr_gid, ACTORS.gr_gid], 0),
    ],
)
async def test_another_users_rights_come_from_its_groups(
    access: Access,
    machine: Any,
    public_folder: Path,
    line: str,
    gid: int,
    groups: list[int],
    code: int,
) -> None:
    server = ApiServer(public_folder / "s", dispatcher(machine, access), access)
    task = asyncio.create_task(server.serve())
    await server.listening.wait()
    answer = await asyncio.to_thread(ask_as, server.path, line, gid, groups)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    if os.geteuid() != 0:  # the child was ourselves, who may do everything
        code = -32601 if line == NO_SUCH else 0
    assert answer.get("error", {}).get("code", 0) == code
    if line == ACT:
        assert len(machine.told) == (code == 0)
        assert all(by == (f"uid {STRANGER}" if not os.geteuid() else by) for _, by in machine.told)


async def test_a_stranger_gets_one_answer_and_no_more(
    access: Access, machine: Any, public_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "right_of", lambda uid, groups: Right.NOTHING)
    server = ApiServer(public_folder / "s", dispatcher(machine, access), access)
    task = asyncio.create_task(server.serve())
    await server.listening.wait()
    reader, writer = await asyncio.open_unix_connection(str(server.path))
    writer.write(f"{READ}\n{READ}\n".encode())
    lines = (await asyncio.wait_for(reader.read(), 10)).splitlines()
    assert [json.loads(line)["error"]["code"] for line in lines] == [-32001]
    writer.close()
    await writer.wait_closed()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
