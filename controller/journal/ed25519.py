"""Ed25519 (RFC 8032), by the OpenSSL that Python's own ``ssl`` has in memory anyway.

The cryptography library carries an OpenSSL of its own: 9 MiB in a daemon that is allowed 64, for
one signature an hour. It is asked where Python's is not to be had: in a Python that has OpenSSL
built in and keeps its names to itself, or one that has a strange OpenSSL. Both make the same bytes
(a signature follows from key and message) and refuse the same.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_void_p, create_string_buffer
from functools import cache
from typing import Any, Final, Protocol

SEED_BYTES: Final = 32  # RFC 8032, 5.1.5
PUBLIC_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
_NID: Final = 1087  # NID_ED25519, in OpenSSL's obj_mac.h

# name: (result, arguments); OpenSSL 1.1.1 and 3 have all of them.
_FUNCTIONS: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "EVP_PKEY_new_raw_private_key": (c_void_p, (c_int, c_void_p, c_char_p, c_size_t)),
    "EVP_PKEY_new_raw_public_key": (c_void_p, (c_int, c_void_p, c_char_p, c_size_t)),
    "EVP_PKEY_get_raw_public_key": (c_int, (c_void_p, c_char_p, POINTER(c_size_t))),
    "EVP_PKEY_free": (None, (c_void_p,)),
    "EVP_MD_CTX_new": (c_void_p, ()),
    "EVP_MD_CTX_free": (None, (c_void_p,)),
    "EVP_DigestSignInit": (c_int, (c_void_p, c_void_p, c_void_p, c_void_p, c_void_p)),
    "EVP_DigestSign": (c_int, (c_void_p, c_char_p, POINTER(c_size_t), c_char_p, c_size_t)),
    "EVP_DigestVerifyInit": (c_int, (c_void_p, c_void_p, c_void_p, c_void_p, c_void_p)),
    "EVP_DigestVerify": (c_int, (c_void_p, c_char_p, c_size_t, c_char_p, c_size_t)),
    "ERR_clear_error": (None, ()),
}


class Ed25519(Protocol):
    """Who does it."""

    def public(self, seed: bytes) -> bytes:
        """Return the 32 bytes of the public key. Raises ValueError: no seed."""

    def sign(self, seed: bytes, message: bytes) -> bytes:
        """Return the 64 bytes of the signature. Raises ValueError: no seed."""

    def verifies(self, public: bytes, signature: bytes, message: bytes) -> bool:
        """Tell whether ``public`` signed ``message``; no key and no signature did."""


class OpenSsl:
    """Python's own OpenSSL.

    Raises:
        OSError, AttributeError, ImportError: It can't be asked.
        ValueError: It knows no Ed25519.
    """

    def __init__(self) -> None:
        import _ssl  # noqa: PLC0415 - an extension module, which is linked to what we look for

        # What is looked up in a library is looked up in those that it is linked to, as well.
        library = ctypes.CDLL(_ssl.__file__)
        self._call: dict[str, Any] = {}
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
            self._call[name] = function
        self.public(bytes(SEED_BYTES))

    def public(self, seed: bytes) -> bytes:
        """Return the public key."""
        key = self._private(seed)
        try:
            found, length = create_string_buffer(PUBLIC_BYTES), c_size_t(PUBLIC_BYTES)
            self._held(self._call["EVP_PKEY_get_raw_public_key"](key, found, byref(length)))
            return found.raw[: length.value]
        finally:
            self._call["EVP_PKEY_free"](key)

    def sign(self, seed: bytes, message: bytes) -> bytes:
        """Return the signature."""
        key = self._private(seed)
        context = self._call["EVP_MD_CTX_new"]()
        try:
            self._held(self._call["EVP_DigestSignInit"](context, None, None, None, key))
            found, length = create_string_buffer(SIGNATURE_BYTES), c_size_t(SIGNATURE_BYTES)
            self._held(
                self._call["EVP_DigestSign"](context, found, byref(length), message, len(message))
            )
            return found.raw[: length.value]
        finally:
            self._call["EVP_MD_CTX_free"](context)
            self._call["EVP_PKEY_free"](key)

    def verifies(self, public: bytes, signature: bytes, message: bytes) -> bool:
        """Tell whether ``public`` signed ``message``."""
        if len(public) != PUBLIC_BYTES or len(signature) != SIGNATURE_BYTES:
            return False
        key = self._call["EVP_PKEY_new_raw_public_key"](_NID, None, public, len(public))
        if not key:
            self._call["ERR_clear_error"]()
            return False
        context = self._call["EVP_MD_CTX_new"]()
        try:
            self._held(self._call["EVP_DigestVerifyInit"](context, None, None, None, key))
            told = self._call["EVP_DigestVerify"](
                context, signature, len(signature), message, len(message)
            )
            self._call["ERR_clear_error"]()
            return bool(told == 1)
        finally:
            self._call["EVP_MD_CTX_free"](context)
            self._call["EVP_PKEY_free"](key)

    def _private(self, seed: bytes) -> int:
        if len(seed) != SEED_BYTES:
            raise ValueError(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
        key = self._call["EVP_PKEY_new_raw_private_key"](_NID, None, seed, len(seed))
        self._held(key)
        return int(key)

    def _held(self, result: int | None) -> None:
        if not result or result < 0:
            self._call["ERR_clear_error"]()
            raise ValueError("OpenSSL can't do Ed25519")


class Library:
    """The cryptography library."""

    def public(self, seed: bytes) -> bytes:
        """Return the public key."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - see above
            Ed25519PrivateKey,
        )

        return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()

    def sign(self, seed: bytes, message: bytes) -> bytes:
        """Return the signature."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - see above
            Ed25519PrivateKey,
        )

        return Ed25519PrivateKey.from_private_bytes(seed).sign(message)

    def verifies(self, public: bytes, signature: bytes, message: bytes) -> bool:
        """Tell whether ``public`` signed ``message``."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - see above
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - see above
            Ed25519PublicKey,
        )

        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@cache
def ed25519() -> Ed25519:
    """Return who does it here."""
    try:
        return OpenSsl()
    except (OSError, AttributeError, ImportError, ValueError):
        return Library()
