import json
from datetime import UTC, datetime
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.faults import InvariantError
from controller.journal.envelope import (
    EnvelopeError,
    Postings,
    RecordData,
    UnknownData,
    check_postings,
    decode,
    encode_body,
    registry_of,
    to_ms,
)
from tests.journal_kit import REGISTRY, MoneyTaken, NoteLeft

HASH = bytes(32)


def body_of(data: RecordData, postings: Postings = (), vend: int | None = None) -> bytes:
    return encode_body(
        data, at_ms=1_700_000_000_123, confirmed=True, mono_ms=42, vend=vend, postings=postings
    )


def test_a_body_is_compact_json_in_a_fixed_order() -> None:
    data = MoneyTaken(amount=100)
    assert body_of(data, data.postings(), 7) == (
        b'{"at":1700000000123,"tc":true,"mono_ms":42,"type":"money.taken","v":1,"vend":7,'
        b'"data":{"amount":100},"postings":[["cash.box",100],["credit",-100]]}'
    )


def test_bytes_are_written_as_hex_and_come_back() -> None:
    body = body_of(NoteLeft(text="é", raw=b"\x53\x08"))
    assert b'"raw":"5308"' in body
    record = decode(REGISTRY, seq=1, boot=1, body=body, digest=HASH)
    assert record.data == NoteLeft(text="é", raw=b"\x53\x08")


def test_the_label_reads_as_a_time() -> None:
    record = decode(REGISTRY, seq=1, boot=1, body=body_of(NoteLeft(text="")), digest=HASH)
    assert record.at == datetime(2023, 11, 14, 22, 13, 20, 123_000, tzinfo=UTC)
    assert to_ms(record.at) == record.at_ms


@given(
    st.text(),
    st.binary(max_size=40),
    st.lists(st.tuples(st.from_regex(r"[a-z0-9_.:-]+", fullmatch=True), st.integers()), max_size=4),
    st.none() | st.integers(1, 2**40),
)
def test_what_is_written_is_what_is_read(
    text: str, raw: bytes, lines: list[tuple[str, int]], vend: int | None
) -> None:
    data = NoteLeft(text=text.replace("break", ""), raw=raw)
    body = body_of(data, tuple(lines), vend)
    record = decode(REGISTRY, seq=3, boot=2, body=body, digest=HASH)
    assert (record.data, record.postings, record.vend) == (data, tuple(lines), vend)
    assert record.body is body
    json.loads(body)


class Nested(RecordData):
    type: ClassVar[str] = "nested.kept"
    inner: dict[str, object]


def test_data_that_looks_like_the_end_of_a_body_is_still_data() -> None:
    inner: dict[str, object] = {"a": 1, "postings": [["x", 1]], "t": ',"postings":[["y",2]]}'}
    data = Nested(inner=inner)
    for postings in ((), (("cash", 5), ("credit", -5))):
        body = body_of(data, postings)
        record = decode(registry_of(Nested), seq=1, boot=1, body=body, digest=HASH)
        assert (record.data, record.postings) == (data, postings)


def test_an_unknown_type_is_kept_as_bytes_and_still_posts() -> None:
    data = MoneyTaken(amount=5)
    body = body_of(data, data.postings())
    record = decode(registry_of(NoteLeft), seq=1, boot=1, body=body, digest=HASH)
    assert record.data == UnknownData("money.taken", 1, b'{"amount":5}', "unknown type")
    assert record.postings == data.postings()


class OldPrice(RecordData):
    type: ClassVar[str] = "price.set"
    euros: int


class NewPrice(RecordData):
    type: ClassVar[str] = "price.set"
    version: ClassVar[int] = 2
    cents: int

    @classmethod
    def upgraded(cls, version: int, data: dict[str, object]) -> dict[str, object]:
        assert version == 1
        return {"cents": int(str(data["euros"])) * 100}


def test_older_data_is_lifted_to_this_version_and_its_bytes_stay() -> None:
    body = body_of(OldPrice(euros=2))
    record = decode(registry_of(NewPrice), seq=1, boot=1, body=body, digest=HASH)
    assert record.data == NewPrice(cents=200)
    assert (record.version, record.body) == (1, body)


def test_newer_data_is_kept_as_bytes() -> None:
    record = decode(
        registry_of(OldPrice), seq=1, boot=1, body=body_of(NewPrice(cents=5)), digest=HASH
    )
    assert record.data == UnknownData("price.set", 2, b'{"cents":5}', "newer version")


@pytest.mark.parametrize("data", [b'{"amount":"much"}', b'{"amount":1,"more":2}', b"{}"])
def test_data_that_does_not_fit_its_model_is_kept_as_bytes(data: bytes) -> None:
    body = body_of(MoneyTaken(amount=1)).replace(b'{"amount":1}', data)
    record = decode(REGISTRY, seq=1, boot=1, body=body, digest=HASH)
    assert isinstance(record.data, UnknownData)
    assert record.data.raw == data
    assert record.data.reason.startswith("does not fit")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"at":1}',
        body_of(NoteLeft(text=""))[:-16],
        body_of(NoteLeft(text="")).replace(b'"tc":true', b'"tc":1'),
        body_of(NoteLeft(text="")).replace(b'"postings":[]', b'"postings":[3]'),
        body_of(NoteLeft(text="")).replace(b'"postings":[]', b'"postings":[["a"]]'),
        body_of(NoteLeft(text="")).replace(b'"postings":[]', b'"lines":[]'),
    ],
)
def test_a_body_of_another_form_is_refused(body: bytes) -> None:
    with pytest.raises(EnvelopeError):
        decode(REGISTRY, seq=1, boot=1, body=body, digest=HASH)


@pytest.mark.parametrize(
    "lines",
    [
        (("cash", 1),),
        (("cash", 5), ("credit", -4)),
        (("Cash", 1), ("credit", -1)),
        (('a"b', 1), ("credit", -1)),
        (("cash", True), ("credit", -1)),
        (("cash", 1.0), ("credit", -1.0)),
    ],
)
def test_lines_that_do_not_balance_or_are_malformed_are_our_own_bug(lines: Postings) -> None:
    with pytest.raises(InvariantError):
        check_postings("test.posted", lines)


def test_lines_that_balance_pass() -> None:
    check_postings("test.posted", (("cash", 5), ("credit", -3), ("unclaimed", -2)))


class Shouting(RecordData):
    type: ClassVar[str] = "NotLike.This"


@pytest.mark.parametrize("types", [(Shouting,), (NoteLeft, NoteLeft), (OldPrice, NewPrice)])
def test_a_type_is_named_once_and_well(types: tuple[type[RecordData], ...]) -> None:
    with pytest.raises(InvariantError):
        registry_of(*types)
