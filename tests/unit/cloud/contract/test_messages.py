"""Messages: what is written is read, what is added is kept, and what is wrong is named."""

import json
import re
import struct
from hashlib import sha256
from pathlib import Path

import pytest
from backports import zstd
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from cloud.contract import asyncapi, batch, https, messages, signing
from cloud.contract.commands import KINDS as COMMANDS
from cloud.contract.commands import CommandBody, Role, arguments_of
from cloud.contract.events import Aggregate, event_id, event_of
from cloud.contract.journal import REGISTRY, RecordData, decode
from cloud.contract.journal import records as rec
from cloud.contract.messages import Ack, Message, MessageError, Position, Presence, Range, read
from cloud.contract.topics import Address
from controller.journal.envelope import encode_body
from tests.unit.cloud.contract.kit import JOURNAL, NOW, body, chain

ROOT = Path(__file__).resolve().parents[4]
GOLDEN = ROOT / "tests" / "golden" / "contract"
KINDS: dict[str, type[Message]] = {
    kind.name: kind
    for kind in (
        messages.Ack,
        messages.Checkpoint,
        messages.Countersigned,
        messages.Desired,
        messages.Presence,
        messages.Signed,
        messages.State,
        messages.Telemetry,
        messages.Urgent,
        CommandBody,
        signing.KeyBody,
        https.Answer,
        https.Question,
        https.Renewal,
        https.RenewalRequest,
    )
}


def test_an_ack_is_written_and_read() -> None:
    ack = Ack(
        journal=JOURNAL.hex(),
        seq=9,
        hash="ab" * 32,
        want=Range(first=4),
        time=NOW,
        echo="n1",
        fork=Position(journal=JOURNAL.hex(), seq=3, hash="cd" * 32),
    )

    assert read(Ack, ack.to_bytes()) == ack


def test_what_a_newer_side_adds_is_kept() -> None:
    presence = read(Presence, b'{"v":1,"online":true,"colour":"red"}')

    assert json.loads(presence.to_bytes())["colour"] == "red"


@given(st.binary(max_size=200))
@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_garbage_ends_in_one_kind_of_error(kind: type[Message], garbage: bytes) -> None:
    with pytest.raises(MessageError, match=kind.name):
        read(kind, garbage)


def test_a_newer_version_is_told_from_garbage() -> None:
    with pytest.raises(MessageError) as caught:
        read(Presence, b'{"v":2,"online":true}')

    assert caught.value.newer


def test_a_message_that_is_too_large_is_not_parsed() -> None:
    with pytest.raises(MessageError, match="more than"):
        read(Ack, b" " * (messages.MAX_MESSAGE_BYTES + 1))


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("v*/*.json")), ids=lambda path: path.stem)
def test_every_message_ever_written_is_still_read(path: Path) -> None:
    raw = path.read_bytes()

    message = read(KINDS[path.stem.partition(".")[0]], raw)

    written = json.loads(message.to_bytes())
    before = json.loads(raw)
    assert {key: written[key] for key in before} == before


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("v*/command*.json")), ids=lambda p: p.stem)
def test_every_command_ever_written_is_still_understood(path: Path) -> None:
    body = read(CommandBody, path.read_bytes())

    assert arguments_of(body).model_dump(mode="json", exclude_unset=True) == body.args


def test_every_kind_of_message_has_a_golden_one() -> None:
    newest = max(GOLDEN.glob("v*"))

    assert {path.stem.partition(".")[0] for path in newest.glob("*.json")} == set(KINDS)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("v*/batch.bin")), ids=lambda p: p.parent.name)
def test_every_batch_ever_written_is_still_read(path: Path) -> None:
    read_batch = batch.unpack(path.read_bytes())

    assert [row.seq for row in read_batch.rows] == [3, 4, 5, 6, 7, 8]
    assert read_batch.rows[0].body == body(3)


def test_the_documents_are_current() -> None:
    folder = ROOT / "docs" / "contract"
    there = {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in folder.rglob("*.json")
    }

    assert there == asyncapi.files(), "python -m cloud.contract.asyncapi docs/contract"


def test_the_document_names_every_topic_once_in_its_direction() -> None:
    document = asyncapi.document()

    assert set(document["channels"]) == {channel.topic.value for channel in asyncapi.CHANNELS}
    assert document["operations"]["receive_events"]["action"] == "receive"
    assert document["operations"]["send_ack"]["bindings"]["mqtt"]["retain"] is True
    text = json.dumps(document)
    for name in document["components"]["schemas"]:
        assert f"#/components/schemas/{name}" in text or name in {
            model.__name__ for model in asyncapi.INSIDE
        } | {kind.__name__ for kind in COMMANDS.values()}


def test_what_the_document_says_of_chain_and_signatures_is_how_they_are_made() -> None:
    """By code of its own, from the words alone."""
    channels = asyncapi.document()["channels"]
    said = {name: channel.get("description", "") for name, channel in channels.items()}
    assert "32 zero bytes" in said["events"]
    bodies = [b'{"any":1}', b"not understood"]
    digest = bytes(32)
    for seq, text in enumerate(bodies, 1):
        digest = sha256(digest + JOURNAL + struct.pack(">QQ", seq, 7) + text).digest()
    head = {
        "journal": JOURNAL.hex(), "first": 1, "count": 2, "boots": [[7, 2]], "prev": "00" * 32,
        "last": digest.hex(), "raw": len(b"\n".join(bodies)),
    }  # fmt: skip
    message = json.dumps(head).encode() + b"\n" + zstd.compress(b"\n".join(bodies))
    assert [row.body for row in batch.unpack(message).rows] == bodies

    root, key = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    purpose, root_purpose = re.findall("over `([^`]+)`", said["cmd"])
    vouched = signing.KeyBody(
        kid="k1", tenant="acme", public=key.public_key().public_bytes_raw().hex(),
        roles=(Role.OPERATOR,), not_after=NOW + 1,
    ).to_bytes()  # fmt: skip
    order = CommandBody(
        tenant="acme", machine="lobby-1", id="c1", counter=1, kind="echo", args={"text": "hi"},
        issued_at=NOW, expires_at=NOW + 1,
    ).to_bytes()  # fmt: skip
    made = messages.Signed(
        body=order, kid="k1", sig=key.sign(purpose.encode() + order),
        key=messages.SignedKey(body=vouched, sig=root.sign(root_purpose.encode() + vouched)),
    )  # fmt: skip
    verifier = signing.Verifier(root.public_key().public_bytes_raw(), Address("acme", "lobby-1"))
    assert verifier.command(made, NOW).id == "c1"


def test_a_records_event_has_a_derived_id_that_is_a_uuid_of_version_8() -> None:
    first = event_id(JOURNAL, 1)

    assert first == event_id(JOURNAL, 1)
    assert first.version == 8
    assert len({event_id(JOURNAL, seq) for seq in range(1, 1000)}) == 999
    assert event_id(bytes(16), 1) != first


@pytest.mark.parametrize(
    ("data", "vend", "about"),
    [
        (rec.VendClosed(result="sold"), 5, (Aggregate.VEND, "5")),
        (
            rec.ClaimOpened(amount=50, tender="cash", code="1", reason="empty"),
            5,
            (Aggregate.REFUND, "5"),
        ),
        (
            rec.StockSet(column="A1", count=10, before=0, cause="opening"),
            None,
            (Aggregate.COLUMN, "A1"),
        ),
        (
            rec.ClaimClosed(claim=7, amount=50, tender="cash", how="cash"),
            None,
            (Aggregate.REFUND, "7"),
        ),
        (
            rec.RefundRequested(tender="app", reference="grant-1", amount=50, reason="expired"),
            None,
            (Aggregate.REFUND, "grant-1"),
        ),
        (rec.BootStarted(boot=1, software="0.1.0"), None, (Aggregate.MACHINE, "m")),
    ],
    ids=lambda value: getattr(value, "type", None),
)
def test_an_event_says_what_it_is_about_when_it_was_and_where_it_comes_from(
    data: RecordData, vend: int | None, about: tuple[Aggregate, str]
) -> None:
    written = encode_body(
        data, at_ms=NOW, confirmed=True, mono_ms=1, vend=vend, postings=data.postings()
    )
    record = decode(REGISTRY, seq=9, boot=2, body=written, digest=bytes(32))
    trace = batch.traceparent(JOURNAL, 9, "n")

    event = event_of(record, tenant="acme", machine="m", journal=JOURNAL, trace=trace)

    assert (event.type, event.aggregate) == (data.type, about)
    assert event.event_id == event_id(JOURNAL, 9)
    assert event.at.timestamp() * 1_000 == NOW
    assert type(data).model_validate(event.payload) == data
    assert event.metadata.model_dump() == {
        "tenant": "acme",
        "machine": "m",
        "journal": JOURNAL.hex(),
        "seq": 9,
        "boot": 2,
        "version": 1,
        "confirmed": True,
        "trace": trace,
    }


def test_a_record_that_is_not_understood_is_an_event_all_the_same() -> None:
    rows, _ = chain(1)
    seq, boot, raw, digest = rows[0]
    record = decode({}, seq=seq, boot=boot, body=raw, digest=digest)

    event = event_of(record, tenant="acme", machine="m", journal=JOURNAL)

    assert event.payload == {"n": 1}
    assert event.aggregate == (Aggregate.MACHINE, "m")
    assert REGISTRY, "the machine's own types are handed on"


@pytest.mark.parametrize("depth", [150, 300, 1_000, 100_000])
def test_an_event_of_an_unknown_type_can_be_written_however_deep_it_is(depth: int) -> None:
    data = b'{"n":%s}' % (b"[" * depth + b"]" * depth)
    raw = body(1).replace(b'{"n":1}', data)
    record = decode({}, seq=1, boot=1, body=raw, digest=bytes(32))

    event = event_of(record, tenant="acme", machine="m", journal=JOURNAL)

    assert list(event.payload) == (["n"] if depth == 150 else ["raw"])
    assert event.model_dump_json()
