"""A fleet's keys, made of nothing but a byte."""

from __future__ import annotations

from cloud.contract import signing
from cloud.contract.commands import Role
from cloud.contract.messages import Countersigned, Signed
from cloud.contract.topics import Address
from cloud.fleet.signer import Signer
from tests.fleet.machines import START

ROOT = bytes([1]) * 32
SEED = bytes([2]) * 32
DAY = 24 * 3_600_000


def fleet_signer(*, root: bytes = ROOT, not_after: int = START + DAY) -> Signer:
    body = signing.KeyBody(
        kid="acme-1",
        tenant="acme",
        public=signing.public_of(SEED).hex(),
        roles=(Role.OPERATOR,),
        not_after=not_after,
    )
    key = signing.sign_key(signing.signer_of(root), body)
    return Signer("acme-1", key, signing.signer_of(SEED))


async def countersign(address: Address, word: Countersigned) -> Signed:
    assert (word.tenant, word.machine) == (address.tenant, address.machine)
    return fleet_signer().countersign(word)


async def nobody(address: Address, word: Countersigned) -> Signed:
    raise OSError(f"no signer answers for {address} at {word.seq}")
