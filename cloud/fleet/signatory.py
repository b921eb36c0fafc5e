"""Whoever signs for this process: an embedded signer, or one in a process of its own.

What may be signed is policy: which roles may ask for which kinds, for how long, how often. Each
signature, and each refusal, is a line in a log before anybody has it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import pwd
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from cloud.contract.commands import CommandBody, Role, arguments_of
from cloud.contract.messages import Countersigned, Desired, Message, MessageError, Signed, read
from cloud.contract.signing import KeyBody
from cloud.contract.topics import Address
from cloud.fleet.home import Home
from cloud.fleet.signer import Signer, SignerError, keys_of
from cloud.fleet.signer_client import RemoteSigner
from config.fleet import FleetSigner as SignerSettings

APART_MS: Final = 300_000  # between the clocks of who asks and who signs
_MINUTE_MS: Final = 60_000
LOG: Final = "signed.log"
_CONFIGURE: Final = frozenset({Role.OPERATOR, Role.CONFIG})
_ANY: Final = frozenset(Role)


class Signatory(Protocol):
    """Signs, or says why not."""

    async def command(self, body: CommandBody) -> Signed:
        """Sign a command.

        Raises:
            SignerError: It may not be signed, or nobody is there who could.
            cloud.contract.messages.MessageError: Its kind or arguments are not known.
        """
        ...

    async def desired(self, body: Desired) -> Signed:
        """Sign a configuration. Raises SignerError."""
        ...

    async def countersign(self, address: Address, word: Countersigned) -> Signed:
        """Say that the fleet has the same books. Raises SignerError."""
        ...


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be signed.

    Args:
        max_hours: A command's longest life.
        per_minute: Commands and configurations of one tenant.
        never: Kinds that nobody gets.
    """

    max_hours: int = 720
    per_minute: int = 120
    never: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the operating system says it, and what they may ask for."""

    name: str
    roles: frozenset[Role]


class Log:
    """Each line durable before its signature leaves; only ever appended to.

    Args:
        path: The file; its owner alone may read it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, line: Mapping[str, Any]) -> None:
        """Append a line. Raises SignerError: what is in no log is not signed."""
        raw = json.dumps(line, sort_keys=True, ensure_ascii=False).encode() + b"\n"
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            descriptor = os.open(self._path, flags, 0o600)
            try:
                os.write(descriptor, raw)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise SignerError(f"{self._path}: {error.strerror}: nothing is signed") from error


class Desk:
    """Judges what it is asked for, writes that down, and signs.

    Args:
        keys: Returns a tenant's operational keys.
        policy: What may be signed.
        log: Where it is written down.
        now_ms: UTC in ms since 1970.
    """

    def __init__(
        self,
        keys: Callable[[str], Sequence[Signer]],
        policy: Policy,
        log: Log,
        now_ms: Callable[[], int],
    ) -> None:
        self._keys = keys
        self._policy = policy
        self._log = log
        self._now_ms = now_ms
        self._times: dict[str, deque[int]] = {}

    def command(self, body: CommandBody, caller: Caller) -> Signed:
        """Sign a command. Raises SignerError, MessageError."""
        about = {"kind": body.kind, "id": body.id, "machine": body.machine, "by": body.issuer}

        def sign() -> tuple[Signed, str]:
            allowed = arguments_of(body).roles
            self._may_command(body, allowed, caller)
            key = self._key(body.kind, body.tenant, allowed)
            self._often(body.tenant)
            return key.command(body), key.kid

        return self._written("command", body.tenant, body, caller, about, sign)

    def desired(self, body: Desired, caller: Caller) -> Signed:
        """Sign a configuration. Raises SignerError."""
        about = {"revision": body.revision, "machine": body.machine, "by": body.issuer}

        def sign() -> tuple[Signed, str]:
            _hold("desired", _CONFIGURE, caller)
            key = self._key("desired", body.tenant, _CONFIGURE)
            self._often(body.tenant)
            return key.desired(body), key.kid

        return self._written("desired", body.tenant, body, caller, about, sign)

    def countersign(self, address: Address, word: Countersigned, caller: Caller) -> Signed:
        """Say that the fleet has the same books. Raises SignerError."""

        def sign() -> tuple[Signed, str]:
            _hold("countersigned", _ANY, caller)
            key = self._key("countersigned", address.tenant, _ANY)
            return key.countersign(word), key.kid

        about = {"machine": address.machine}
        return self._written("countersigned", address.tenant, word, caller, about, sign)

    def _written(
        self,
        what: str,
        tenant: str,
        body: Message,
        caller: Caller,
        about: Mapping[str, Any],
        sign: Callable[[], tuple[Signed, str]],
    ) -> Signed:
        """Return a signature once its line is durable."""
        line = {
            "at": self._now_ms(),
            "caller": caller.name,
            "what": what,
            "tenant": tenant,
            "sha256": hashlib.sha256(body.to_bytes()).hexdigest(),
            **about,
        }
        try:
            signed, kid = sign()
        except (SignerError, MessageError) as refusal:
            self._log.add({**line, "outcome": "refused", "why": str(refusal)})
            raise
        self._log.add({**line, "outcome": "signed", "kid": kid})
        return signed

    # ------------------------------------------------------------------------ what may be

    def _may_command(self, body: CommandBody, allowed: frozenset[Role], caller: Caller) -> None:
        if body.kind in self._policy.never:
            raise SignerError(f"{body.kind}: this signer signs it for nobody")
        _hold(body.kind, allowed, caller)
        if abs(body.issued_at - self._now_ms()) > APART_MS:
            raise SignerError(f"{body.kind}: issued at another time than now; look at the clocks")
        life_ms = body.expires_at - body.issued_at
        if not 0 < life_ms <= self._policy.max_hours * 3_600_000:
            raise SignerError(f"{body.kind}: a command lives up to {self._policy.max_hours} h here")

    def _key(self, what: str, tenant: str, allowed: frozenset[Role]) -> Signer:
        held, able = [], []
        for key in self._keys(tenant):
            body = read(KeyBody, key.key.body)
            if not allowed.isdisjoint(body.roles) and self._now_ms() <= body.not_after:
                able.append((body.not_after, key))
            ended = " (ended)" if self._now_ms() > body.not_after else ""
            held.append(f"{key.kid!r} for {', '.join(body.roles)}{ended}")
        if able:
            # What is signed now is judged when it comes: a machine may be away for weeks.
            return max(able, key=lambda one: one[0])[1]
        wanted = " or ".join(sorted(allowed))
        raise SignerError(
            f"{what} wants a key for {wanted}; {tenant} has {'; '.join(held) or 'none'}: "
            "`vendcloud key add`"
        )

    def _often(self, tenant: str) -> None:
        now = self._now_ms()
        times = self._times.setdefault(tenant, deque())
        while times and times[0] <= now - _MINUTE_MS:
            times.popleft()
        if len(times) >= self._policy.per_minute:
            raise SignerError(f"more than {self._policy.per_minute} a minute for {tenant}")
        times.append(now)


def _hold(what: str, allowed: frozenset[Role], caller: Caller) -> None:
    if allowed.isdisjoint(caller.roles):
        wanted = " or ".join(sorted(allowed))
        raise SignerError(f"{what}: {caller.name} may not ask for it; that wants {wanted}")


class Embedded:
    """The one-process default: the desk in this process; the log is one file for all of them.

    Args:
        desk: It.
        caller: This process's user; whoever may read the key may ask for anything.
    """

    def __init__(self, desk: Desk, caller: Caller) -> None:
        self._desk = desk
        self._caller = caller

    async def command(self, body: CommandBody) -> Signed:
        """Sign a command. Raises SignerError, MessageError."""
        return await asyncio.to_thread(self._desk.command, body, self._caller)

    async def desired(self, body: Desired) -> Signed:
        """Sign a configuration. Raises SignerError."""
        return await asyncio.to_thread(self._desk.desired, body, self._caller)

    async def countersign(self, address: Address, word: Countersigned) -> Signed:
        """Say that the fleet has the same books. Raises SignerError."""
        return await asyncio.to_thread(self._desk.countersign, address, word, self._caller)


def callers(named: Mapping[str, Sequence[str]]) -> dict[str, Caller]:
    """Return who may ask for what, by the name of their user."""
    return {
        name: Caller(name, frozenset(Role(role) for role in roles)) for name, roles in named.items()
    }


def signatory_of(settings: SignerSettings, home: Home, now_ms: Callable[[], int]) -> Signatory:
    """Return who signs for this process: the signer of its own, where one is configured."""
    if settings.socket:
        return RemoteSigner(home.folder / settings.socket)
    name = pwd.getpwuid(os.geteuid()).pw_name
    return Embedded(desk_of(settings, home, now_ms), Caller(name, _ANY))


def desk_of(settings: SignerSettings, home: Home, now_ms: Callable[[], int]) -> Desk:
    """Return the desk over the keys that lie in the configured folder."""
    keys = home.folder / settings.keys
    policy = Policy(settings.max_hours, settings.per_minute, frozenset(settings.never))
    return Desk(lambda tenant: keys_of(keys, tenant), policy, Log(keys / LOG), now_ms)
