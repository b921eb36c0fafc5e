import random

import pytest

from controller.journal.identity import (
    ID_FILE,
    KEY_FILE,
    MachineKey,
    Witness,
    make_key,
    read_key,
    read_witness,
    write_witness,
)
from simulator.disk import Disk
from simulator.disk_sqlite import DiskStorage


async def test_the_key_is_made_once_and_signs_the_same_for_ever() -> None:
    storage = DiskStorage(Disk())
    assert await read_key(storage) is None
    made = await make_key(storage, random.Random(1).randbytes)
    read = await read_key(storage)
    assert read is not None
    assert read.sign(b"message") == made.sign(b"message")
    assert read.verifies(made.sign(b"message"), b"message")
    assert not read.verifies(made.sign(b"message"), b"massage")


def test_the_key_is_the_one_of_the_standard() -> None:
    # RFC 8032, 7.1, test 1.
    seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
    public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    signature = (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )
    key = MachineKey(bytes.fromhex(seed))
    assert key.public().hex() == public
    assert key.sign(b"").hex() == signature


@pytest.mark.parametrize("content", [b"", b"zz", b"00" * 31, b"\xff" * 64])
async def test_a_damaged_key_is_no_key(content: bytes) -> None:
    disk = Disk()
    disk.create(KEY_FILE).data[:] = content
    assert await read_key(DiskStorage(disk)) is None


async def test_the_witness_says_what_was_written() -> None:
    storage = DiskStorage(Disk())
    for witness in (Witness(bytes(range(16)), 7), Witness(bytes(16), 9, "broken somehow")):
        await write_witness(storage, witness)
        assert await read_witness(storage) == witness


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b'{"journal": "00", "seq": 1}',
        b'{"journal": 5, "seq": 1}',
        b"\xff",
        b"[" * 100_000,
        b'{"journal": "%s", "seq": 1e999}' % (b"00" * 16),
    ],
)
async def test_a_damaged_witness_says_nothing(content: bytes) -> None:
    disk = Disk()
    disk.create(ID_FILE).data[:] = content
    assert await read_witness(DiskStorage(disk)) is None
