"""The signer: it holds an operational key and signs what it is asked for and nothing else.

The API process holds no key: it asks a ``signatory``. In the one-process default that is part of
it, with its key in a file that only it may read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloud.contract import signing
from cloud.contract.commands import CommandBody, Role, arguments_of
from cloud.contract.messages import (
    Countersigned,
    Desired,
    MessageError,
    Signed,
    SignedKey,
    read,
)
from cloud.fleet.home import Home, write_private, write_public

ROOT: Final = "root"
_DAY_MS: Final = 24 * 3_600_000
KEY_DAYS: Final = 365


class SignerError(Exception):
    """A key is missing, unreadable or not allowed to."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs with one operational key."""

    kid: str
    key: SignedKey
    _sign: signing.Sign

    def command(self, body: CommandBody) -> Signed:
        """Sign a command whose kind and arguments are known.

        Raises:
            cloud.contract.messages.MessageError: They are not.
        """
        arguments_of(body)
        return signing.sign(signing.COMMAND, self._sign, self.kid, body, self.key)

    def desired(self, body: Desired) -> Signed:
        """Sign a configuration."""
        return signing.sign(signing.DESIRED, self._sign, self.kid, body, self.key)

    def countersign(self, word: Countersigned) -> Signed:
        """Say that the fleet has the same books."""
        return signing.sign(signing.COUNTERSIGNED, self._sign, self.kid, word, self.key)


def make_root(home: Home, entropy: bytes) -> bytes:
    """Make the fleet's root key and return its public half, which machines pin."""
    write_private(home.keys / f"{ROOT}.key", entropy.hex().encode() + b"\n")
    public = signing.public_of(entropy)
    write_public(home.keys / f"{ROOT}.pub", public.hex().encode() + b"\n")
    return public


def make_key(
    home: Home,
    kid: str,
    tenant: str,
    roles: tuple[Role, ...],
    entropy: bytes,
    now_ms: int,
    *,
    keys: Path | None = None,
    root: Path | None = None,
) -> SignedKey:
    """Make an operational key for one tenant and have the root key sign it.

    Args:
        home: The server's folder.
        kid: Its name.
        tenant: Whose machines it may speak to.
        roles: What it may ask for.
        entropy: Its seed, 32 bytes.
        now_ms: From when on it lives ``KEY_DAYS``.
        keys: Where it is kept; None: in the server's folder.
        root: The root key's file; None: in the server's folder.

    Raises:
        SignerError: The root key is not there.
    """
    keys = keys or home.keys
    by_root = signing.signer_of(_seed(root or home.keys / f"{ROOT}.key"))
    body = signing.KeyBody(
        kid=kid,
        tenant=tenant,
        public=signing.public_of(entropy).hex(),
        roles=roles,
        not_after=now_ms + KEY_DAYS * _DAY_MS,
    )
    signed = signing.sign_key(by_root, body)
    write_private(keys / f"{kid}.key", entropy.hex().encode() + b"\n")
    write_public(keys / f"{kid}.signed", signed.model_dump_json().encode() + b"\n")
    return signed


def keys_of(folder: Path, tenant: str) -> list[Signer]:
    """Return a tenant's operational keys, the oldest first.

    Raises:
        SignerError: One can't be read, or others than its owner may read it.
    """
    found = []
    for path in sorted(folder.glob(f"{tenant}-*.signed"), key=lambda each: (len(each.name), each)):
        try:
            key = SignedKey.model_validate_json(path.read_bytes())
            of = read(signing.KeyBody, key.body).tenant
        except (OSError, ValueError, MessageError) as error:
            raise SignerError(f"{path}: {error}") from error
        if of == tenant:
            seed = _seed(path.with_suffix(".key"))
            found.append(Signer(path.stem, key, signing.signer_of(seed)))
    return found


def root_public(home: Home) -> str:
    """Return the root key's public half, hex."""
    try:
        return (home.keys / f"{ROOT}.pub").read_text(encoding="ascii").strip()
    except OSError as error:
        raise SignerError(f"{home.keys}: {error}; `vendcloud init` makes the keys") from error


def _seed(path: Path) -> bytes:
    try:
        if path.stat().st_mode & 0o077:
            raise SignerError(f"{path}: others may read it; `chmod 600`")
        return bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        raise SignerError(f"{path}: {error}") from error
