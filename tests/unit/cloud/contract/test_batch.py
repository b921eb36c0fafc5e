"""A batch carries records and nothing that can be computed, and one changed byte is found."""

import json

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from cloud.contract.batch import (
    MAX_BYTES,
    MAX_RECORDS,
    BatchError,
    pack,
    read_head,
    traceparent,
    unpack,
)
from cloud.contract.journal import link
from tests.unit.cloud.contract.kit import JOURNAL, chain


@given(first=st.integers(1, 40), count=st.integers(1, 60))
def test_what_is_packed_is_unpacked_with_its_hashes(first: int, count: int) -> None:
    rows, before = chain(count, first=first)

    batch = unpack(pack(JOURNAL, rows, before, nonce="n", trace=None))

    assert [(row.seq, row.boot, row.body, row.hash) for row in batch.rows] == rows
    assert (batch.head.first, batch.head.end) == (first, first + count - 1)
    assert batch.head.nonce == "n"


def test_no_hash_and_no_id_travels_with_a_record() -> None:
    rows, before = chain(200)

    message = pack(JOURNAL, rows, before)

    assert len(message) / 200 < 20, "these records are small and alike"
    assert not any(row[3] in message for row in rows)


def test_a_duplicate_is_seen_without_unpacking() -> None:
    rows, before = chain(5)
    message = pack(JOURNAL, rows, before)

    head, packed = read_head(message)

    assert (head.journal, head.end, head.last) == (JOURNAL.hex(), 5, rows[-1][3].hex())
    assert len(packed) < len(message)


def test_one_changed_byte_anywhere_is_found() -> None:
    rows, before = chain(9)
    message = pack(JOURNAL, rows, before)
    good = unpack(message)

    for at in range(len(message)):
        for flip in (0x01, 0x80):
            broken = bytearray(message)
            broken[at] ^= flip
            try:
                read = unpack(bytes(broken))
            except BatchError:
                continue
            # What is no part of the chain may differ: what is committed is the same.
            assert read.rows == good.rows
            assert read.head.journal == good.head.journal


@given(st.binary(max_size=300))
def test_garbage_ends_in_one_kind_of_error(garbage: bytes) -> None:
    with pytest.raises(BatchError):
        unpack(garbage)
    with pytest.raises(BatchError):
        unpack(b'{"v":1}\n' + garbage)


def test_a_batch_of_ten_megabytes_is_refused_before_anything_is_unpacked() -> None:
    with pytest.raises(BatchError, match="more than"):
        read_head(b"x" * 10_000_000)


def test_a_bomb_is_not_unpacked_beyond_what_its_head_says() -> None:
    rows, before = chain(3)
    head, _ = read_head(pack(JOURNAL, rows, before))
    line = head.model_dump_json(exclude_none=True).encode()

    with pytest.raises(BatchError, match="do not unpack to"):
        unpack(line + b"\n" + zstd.compress(bytes(50_000_000)))
    assert len(line) < MAX_BYTES


def test_a_newer_version_is_told_from_garbage() -> None:
    rows, before = chain(2)
    message = pack(JOURNAL, rows, before).replace(b'"v":1', b'"v":2', 1)

    with pytest.raises(BatchError) as caught:
        unpack(message)

    assert caught.value.newer
    assert "v:" in str(caught.value)


def test_a_field_that_a_newer_machine_adds_is_kept() -> None:
    rows, before = chain(2)
    message = pack(JOURNAL, rows, before).replace(b'{"v":1,', b'{"v":1,"colour":"red",', 1)

    head = unpack(message).head

    assert head.model_dump()["colour"] == "red"


def test_a_damaged_body_with_a_line_end_travels_by_its_length() -> None:
    body = b"half a\nrecord"
    rows = [(4, 2, body, link(bytes(32), JOURNAL, 4, 2, body))]

    batch = unpack(pack(JOURNAL, rows, bytes(32)))

    assert batch.rows[0].body == body
    assert batch.head.lengths == (len(body),)


def test_only_dense_rows_make_a_batch() -> None:
    rows, before = chain(4)

    with pytest.raises(ValueError, match="dense"):
        pack(JOURNAL, [rows[0], rows[2]], before)
    with pytest.raises(ValueError, match="1 to"):
        pack(JOURNAL, [], before)
    with pytest.raises(ValueError, match="1 to"):
        pack(JOURNAL, chain(MAX_RECORDS + 1)[0], before)


def test_the_head_is_one_line_of_json_that_people_can_read() -> None:
    rows, before = chain(3)

    line = pack(JOURNAL, rows, before).split(b"\n", 1)[0]

    assert json.loads(line) == {
        "v": 1,
        "journal": JOURNAL.hex(),
        "first": 1,
        "count": 3,
        "boots": [[1, 3]],
        "prev": before.hex(),
        "last": rows[-1][3].hex(),
        "raw": sum(len(row[2]) for row in rows) + 2,
    }


def test_the_trace_of_records_is_the_same_however_often_they_are_sent() -> None:
    one, again = traceparent(JOURNAL, 7, "n1"), traceparent(JOURNAL, 7, "n2")
    rows, before = chain(3, first=7)

    head, _ = read_head(pack(JOURNAL, rows, before, nonce="n1", trace=one))

    assert head.trace == one
    assert one.split("-")[1] == again.split("-")[1] != traceparent(JOURNAL, 8, "n1").split("-")[1]
    assert one.split("-")[2] != again.split("-")[2]
    assert len(one) == 55, "a third of a byte for each record of a batch of 200"
