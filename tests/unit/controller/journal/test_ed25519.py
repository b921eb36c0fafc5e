"""Python's OpenSSL and the cryptography library: the same bytes, the same refusals."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.journal.ed25519 import Ed25519, Library, OpenSsl, ed25519

ROOT = Path(__file__).parents[4]
BOTH = [pytest.param(OpenSsl(), id="openssl"), pytest.param(Library(), id="library")]
# RFC 8032, 7.1: seed, public key, message, signature.
VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701c"
            "f9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0"
            "f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
]


@pytest.mark.parametrize("of", BOTH)
@pytest.mark.parametrize(("seed", "public", "message", "signature"), VECTORS)
def test_the_vectors_of_the_standard(
    of: Ed25519, seed: str, public: str, message: str, signature: str
) -> None:
    assert of.public(bytes.fromhex(seed)).hex() == public
    assert of.sign(bytes.fromhex(seed), bytes.fromhex(message)).hex() == signature
    assert of.verifies(bytes.fromhex(public), bytes.fromhex(signature), bytes.fromhex(message))


@pytest.mark.parametrize("of", BOTH)
def test_what_is_no_key_and_no_signature_has_signed_nothing(of: Ed25519) -> None:
    seed = bytes(range(32))
    public, good = of.public(seed), of.sign(seed, b"words")
    assert of.verifies(public, good, b"words")
    for key, signature, message in (
        (public, good, b"other words"),
        (public, good[:-1] + bytes([good[-1] ^ 1]), b"words"),
        (public, bytes([good[0] ^ 1]) + good[1:], b"words"),
        (public, good[:63], b"words"),
        (public, good + b"\0", b"words"),
        (public, b"", b"words"),
        (public[:31], good, b"words"),
        (public + b"\0", good, b"words"),
        (b"", good, b"words"),
        (b"\xff" * 32, good, b"words"),
    ):
        assert not of.verifies(key, signature, message)


@pytest.mark.parametrize("of", BOTH)
@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(33)])
def test_a_seed_has_32_bytes(of: Ed25519, seed: bytes) -> None:
    with pytest.raises(ValueError, match="32"):
        of.sign(seed, b"words")
    with pytest.raises(ValueError, match="32"):
        of.public(seed)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=300), st.binary(max_size=80))
def test_both_say_the_same(seed: bytes, message: bytes, noise: bytes) -> None:
    one, other = OpenSsl(), Library()
    public, signature = one.public(seed), one.sign(seed, message)
    assert (other.public(seed), other.sign(seed, message)) == (public, signature)
    for key, told in ((public, signature), (public, noise), (noise, signature), (seed, signature)):
        assert one.verifies(key, told, message) == other.verifies(key, told, message)


def test_where_pythons_openssl_is_not_to_be_had_the_library_does_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import _ssl

    ed25519.cache_clear()
    try:
        monkeypatch.delattr(_ssl, "__file__")  # as of one that is built in
        assert isinstance(ed25519(), Library)
    finally:
        ed25519.cache_clear()
        monkeypatch.undo()
    assert isinstance(ed25519(), OpenSsl)


def test_a_signature_loads_no_second_openssl() -> None:
    check = """
import sys
from controller.journal.ed25519 import ed25519
told = ed25519()
assert told.verifies(told.public(bytes(32)), told.sign(bytes(32), b"words"), b"words")
print([name for name in sys.modules if name.startswith("cryptography")])
"""
    done = subprocess.run(
        [sys.executable, "-c", check],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
