"""A small chain, and keys made of nothing but a byte."""

from cloud.contract import journal, signing
from cloud.contract.commands import CommandBody, Role
from cloud.contract.topics import Address

JOURNAL = bytes(range(16))
MACHINE = Address("acme", "lobby-1")
ROOT = bytes([1]) * 32
SEED = bytes([2]) * 32
NOW = 1_790_000_000_000
DAY = 24 * 3_600_000

Row = tuple[int, int, bytes, bytes]


def body(number: int) -> bytes:
    return (
        f'{{"at":{NOW + number},"tc":false,"mono_ms":{number},"type":"device.noted","v":1,'
        f'"vend":null,"data":{{"n":{number}}},"postings":[]}}'
    ).encode()


def chain(count: int, *, first: int = 1, per_boot: int = 7) -> tuple[list[Row], bytes]:
    """Return ``count`` rows from ``first`` on, and the hash before them."""
    digest = journal.GENESIS
    rows: list[Row] = []
    before = digest
    for seq in range(1, first + count):
        if seq == first:
            before = digest
        boot = 1 + seq // per_boot
        digest = journal.link(digest, JOURNAL, seq, boot, body(seq))
        if seq >= first:
            rows.append((seq, boot, body(seq), digest))
    return rows, before


def key_of(
    *roles: Role, seed: bytes = SEED, tenant: str = "acme", end: int = NOW + DAY
) -> signing.KeyBody:
    return signing.KeyBody(
        kid="k1",
        tenant=tenant,
        public=signing.public_of(seed).hex(),
        roles=roles or (Role.OPERATOR,),
        not_after=end,
    )


def command(**changes: object) -> CommandBody:
    fields: dict[str, object] = {
        "tenant": "acme",
        "machine": "lobby-1",
        "id": "c-1",
        "counter": 1,
        "kind": "price.set",
        "args": {"column": "A1", "price": 150},
        "issued_at": NOW,
        "expires_at": NOW + DAY,
        "issuer": "anna",
    }
    return CommandBody.model_validate({**fields, **changes})
