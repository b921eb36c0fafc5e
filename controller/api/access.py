"""Who is at the other end of the socket, and what they may do.

The kernel says who connected (SO_PEERCRED, SO_PEERGROUPS): nothing that a client sends counts.
"""

from __future__ import annotations

import grp
import os
import pwd
import socket
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from controller.faults import ConfigError

_UCRED: Final = struct.Struct("3i")  # pid, uid, gid
# Linux 4.13 and later; the socket module has no name for it. The same number on x86 and ARM.
_SO_PEERGROUPS: Final = 59
_GROUPS_BYTES: Final = 1_024  # 256 groups: the most that getsockopt of Python takes


class Right(IntEnum):
    """What a caller may do; each includes the ones below."""

    NOTHING = 0
    READ = 1
    ACT = 2


@dataclass(frozen=True, slots=True)
class Caller:
    """One end of a connection."""

    uid: int
    gid: int
    pid: int
    groups: frozenset[int]
    right: Right
    name: str  # "ada", or "uid 1007" for a user without a name

    def __str__(self) -> str:
        """Return what records and messages call them."""
        return self.name


class Access:
    """The rule: root and the daemon's own user may act; the two groups may read, and act."""

    def __init__(self, read_group: str | None = None, act_group: str | None = None) -> None:
        """Look the groups up once.

        Raises:
            ConfigError: A group is not known on this computer.
        """
        self.read_group, self.act_group = read_group, act_group
        self._read_gid = _gid(read_group, "api.read_group")
        self._act_gid = _gid(act_group, "api.act_group")
        self._own_uid = os.geteuid()

    @property
    def open_to_others(self) -> bool:
        """Tell whether anybody but root and our own user may connect."""
        return self._read_gid is not None or self._act_gid is not None

    def right_of(self, uid: int, groups: frozenset[int]) -> Right:
        """Return what a user in these groups may do."""
        if uid in (0, self._own_uid) or self._act_gid in groups:
            return Right.ACT
        return Right.READ if self._read_gid in groups else Right.NOTHING

    def caller(self, connection: socket.socket) -> Caller:
        """Ask the kernel who connected. Raises OSError if the connection is gone."""
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        pid, uid, gid = _UCRED.unpack(raw)
        groups = frozenset((gid, *_peer_groups(connection)))
        return Caller(uid, gid, pid, groups, self.right_of(uid, groups), _user_name(uid))

    def explain(self, caller: Caller, needed: Right) -> str:
        """Say why a call was refused and what would help."""
        group = self.act_group if needed is Right.ACT else (self.read_group or self.act_group)
        what = "change anything" if needed is Right.ACT else "look at this machine"
        if group is None:
            who = "only root and the user that runs vendd may"
            return f"{caller} may not {what}: {who}; set api.read_group and api.act_group"
        return (
            f"{caller} may not {what}: not in the group {group!r}"
            f" (as root: usermod -aG {group} {caller}; then log in again)"
        )


def _gid(group: str | None, key: str) -> int | None:
    if group is None:
        return None
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise ConfigError(f"{key}: no group {group!r} on this computer") from error


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _peer_groups(connection: socket.socket) -> tuple[int, ...]:
    """Return the groups that the peer had when it connected, beside its primary one.

    None for a user in more groups than fit, or on a kernel before 4.13: the primary one counts.
    """
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _GROUPS_BYTES)
    except OSError:
        return ()
    return struct.unpack(f"{len(raw) // 4}I", raw)
