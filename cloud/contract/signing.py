"""Signatures: a machine pins one root key, which signs operational keys, which sign what is sent.

Ed25519 (RFC 8032) over a purpose and the exact bytes: a signature for one purpose is none for
another. Bytes are verified first and parsed afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, ClassVar, Final

from pydantic import Field

from cloud.contract.commands import MAX_LIFE_MS, CommandBody, Role, arguments_of
from cloud.contract.journal import attested, ed25519
from cloud.contract.messages import (
    Countersigned,
    Desired,
    Message,
    MessageError,
    Ms,
    Signed,
    SignedKey,
    read,
)
from cloud.contract.topics import Address

COMMAND: Final = b"vendd command 1|"
DESIRED: Final = b"vendd desired 1|"
# The journal's own, which its verification needs without us.
KEY: Final = attested.KEY
COUNTERSIGNED: Final = attested.COUNTERSIGNED

CLOCKS_MS: Final = 600_000  # the signer's clock may be so far ahead of the machine's

Sign = Callable[[bytes], bytes]


class SignatureRefusedError(Exception):
    """Not signed by whom it should be, for whom it should be, or not now. Says why."""


class KeyBody(Message):
    """What the root key signs: an operational key, its role and its end."""

    name: ClassVar[str] = "key"

    kid: Annotated[str, Field(min_length=1, max_length=64)]
    tenant: str
    public: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    roles: Annotated[tuple[Role, ...], Field(min_length=1)]
    not_after: Ms


def public_of(seed: bytes) -> bytes:
    """Return the 32 bytes of the public key of a 32-byte seed."""
    return ed25519().public(seed)


def signer_of(seed: bytes) -> Sign:
    """Return what signs with a 32-byte seed."""
    return partial(ed25519().sign, seed)


verifies = attested.verifies


def sign_key(root: Sign, key: KeyBody) -> SignedKey:
    """Have the root key sign an operational key."""
    body = key.to_bytes()
    return SignedKey(body=body, sig=root(KEY + body))


def sign(purpose: bytes, sign_with: Sign, kid: str, body: Message, key: SignedKey) -> Signed:
    """Sign a command or a configuration with an operational key."""
    raw = body.to_bytes()
    return Signed(body=raw, kid=kid, sig=sign_with(purpose + raw), key=key)


class Verifier:
    """The machine's side: its root key, its address, and the operational keys it has seen.

    Args:
        root: The pinned root key, 32 bytes.
        address: This machine.
    """

    def __init__(self, root: bytes, address: Address) -> None:
        self.root = root
        self._address = address

    def key_of(self, message: Signed, now_ms: int) -> KeyBody:
        """Return the operational key that signed ``message``.

        Raises:
            SignatureRefusedError: Not signed by the root key, or at its end, or another's.
        """
        if message.key is None:
            raise SignatureRefusedError(
                f"key {message.kid!r} came without the root key's signature"
            )
        if not verifies(self.root, message.key.sig, KEY + message.key.body):
            raise SignatureRefusedError(
                f"key {message.kid!r} is not signed by this machine's root key"
            )
        try:
            key = read(KeyBody, message.key.body)
        except MessageError as error:
            raise SignatureRefusedError(str(error)) from error
        if key.kid != message.kid:
            raise SignatureRefusedError(
                f"the message names key {message.kid!r}, its key is {key.kid!r}"
            )
        if key.tenant != self._address.tenant:
            raise SignatureRefusedError(f"key {key.kid!r} is of tenant {key.tenant!r}")
        if now_ms > key.not_after:
            raise SignatureRefusedError(f"key {key.kid!r} has ended")
        return key

    def _open(self, purpose: bytes, message: Signed, now_ms: int) -> KeyBody:
        key = self.key_of(message, now_ms)
        if not verifies(bytes.fromhex(key.public), message.sig, purpose + message.body):
            raise SignatureRefusedError(f"the signature of key {key.kid!r} does not fit")
        return key

    def _for_us(self, tenant: str, machine: str) -> None:
        if (tenant, machine) != (self._address.tenant, self._address.machine):
            raise SignatureRefusedError(f"it is for {tenant}/{machine}")

    def command(self, message: Signed, now_ms: int) -> CommandBody:
        """Return a command's body; its expiry is not judged here, the length of its life is.

        Raises:
            SignatureRefusedError: Not for this machine, not by a key whose role may ask for it.
            MessageError: The body can't be read, or its kind or arguments are not known.
        """
        key = self._open(COMMAND, message, now_ms)
        body = read(CommandBody, message.body)
        self._for_us(body.tenant, body.machine)
        # From now as well: its id is kept until its end, whenever it says that it was issued.
        if body.expires_at - min(body.issued_at, now_ms + CLOCKS_MS) > MAX_LIFE_MS:
            raise SignatureRefusedError("a command lives 30 days at most")
        allowed = arguments_of(body).roles
        if allowed.isdisjoint(key.roles):
            held = ", ".join(key.roles)
            raise SignatureRefusedError(f"{body.kind} is not for key {key.kid!r} ({held})")
        return body

    def desired(self, message: Signed, now_ms: int) -> Desired:
        """Return a configuration.

        Raises:
            SignatureRefusedError: Not for this machine, or not by a key that may configure.
            MessageError: The body can't be read.
        """
        key = self._open(DESIRED, message, now_ms)
        if {Role.OPERATOR, Role.CONFIG}.isdisjoint(key.roles):
            raise SignatureRefusedError(f"key {key.kid!r} may not configure")
        body = read(Desired, message.body)
        self._for_us(body.tenant, body.machine)
        return body

    def countersigned(self, message: Signed) -> Countersigned:
        """Return the fleet's word for a checkpoint; its key is judged at the time of that word.

        Raises:
            SignatureRefusedError: Not for this machine, or not by a key of its fleet.
            MessageError: The body can't be read.
        """
        body = read(Countersigned, message.body)
        self._open(COUNTERSIGNED, message, body.at)
        self._for_us(body.tenant, body.machine)
        return body
