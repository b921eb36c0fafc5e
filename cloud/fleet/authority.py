"""The fleet's own certificate authority: it says who a machine is, for the broker to believe.

A machine's common name is ``<tenant>/<machine>``; the broker takes it for the user's name, and its
access rules are patterns over that. 400 days, renewed after a third. ECDSA P-256, which every TLS
library of a broker or a Pi has. Times come in.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

MACHINE_DAYS: Final = 400
AUTHORITY_DAYS: Final = 7_300
_EARLY: Final = timedelta(days=1)  # a clock that is a little behind still takes it


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, PEM."""

    certificate: bytes
    key: bytes


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def make_authority(now: datetime) -> Pair:
    """Make the authority of a new fleet."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name("vendcloud authority"))
        .issuer_name(_name("vendcloud authority"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLY)
        .not_valid_after(now + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=False,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))


def issue(
    authority: Pair, common: str, now: datetime, *, hosts: tuple[str, ...] = (), days: int
) -> tuple[Pair, x509.Certificate]:
    """Issue a certificate with a new key.

    Args:
        authority: Who signs.
        common: The common name.
        now: From when on.
        hosts: Names and addresses of a server; without any it is a client's.
        days: How long.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = certify(authority, common, key.public_key(), now, hosts=hosts, days=days)
    return Pair(certificate.public_bytes(serialization.Encoding.PEM), _pem(key)), certificate


def certify(
    authority: Pair,
    common: str,
    public: ec.EllipticCurvePublicKey,
    now: datetime,
    *,
    hosts: tuple[str, ...] = (),
    days: int,
) -> x509.Certificate:
    """Issue a certificate for a key that somebody else holds; arguments as of ``issue``."""
    signer = _signer(authority)
    usage = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(common))
        .issuer_name(x509.load_pem_x509_certificate(authority.certificate).subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLY)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if hosts:
        names = [_host(host) for host in hosts]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer, hashes.SHA256())


def _signer(authority: Pair) -> ec.EllipticCurvePrivateKey:
    signer = serialization.load_pem_private_key(authority.key, None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey), "as make_authority makes it"
    return signer


def revocations(authority: Pair, revoked: Sequence[tuple[str, datetime]], now: datetime) -> bytes:
    """Return the list of revoked certificates (serial number, since when), PEM.

    It ends with the authority: a broker that finds an older end lets nobody in any more.
    """
    ca = x509.load_pem_x509_certificate(authority.certificate)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ca.subject)
        .last_update(now)
        .next_update(ca.not_valid_after_utc)
    )
    for serial, since in revoked:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(int(serial, 16))
            .revocation_date(since)
            .build()
        )
    made = builder.sign(_signer(authority), hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


class RequestRefusedError(Exception):
    """A request for a certificate can't be granted. Says why."""


def requested(pem: str, common: str) -> ec.EllipticCurvePublicKey:
    """Return the key of a request (PKCS #10).

    Raises:
        RequestRefusedError: It is none, not signed by its key, for another name or kind of key.
    """
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        public = request.public_key()
        signed = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm) as error:
        raise RequestRefusedError(f"request: {error}") from error
    if not signed:
        raise RequestRefusedError("request: not signed by its own key")
    if request.subject != _name(common):
        raise RequestRefusedError(f"request: not for {common}")
    if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != "secp256r1":
        raise RequestRefusedError("request: its key is no P-256")
    return public


def hash_of(public: ec.EllipticCurvePublicKey) -> bytes:
    """Return what a public key is known by."""
    raw = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return sha256(raw).digest()


def hosts_of(pem: bytes) -> tuple[str, ...]:
    """Return the names and addresses of a server's certificate."""
    certificate = x509.load_pem_x509_certificate(pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return tuple(str(name.value) for name in names)


def serial_and_end(pem: bytes) -> tuple[str, datetime]:
    """Return a certificate's serial number, as it is written down, and its end."""
    certificate = x509.load_pem_x509_certificate(pem)
    return f"{certificate.serial_number:x}", certificate.not_valid_after_utc


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
