"""The messages beside the batch, each a versioned model. A field that a newer side adds is kept.

Times are UTC in milliseconds since 1970, amounts minor units of the machine's currency.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, ClassVar, Final, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
)

from cloud.contract.batch import HexHash, HexId, Seq, TraceParent

MAX_MESSAGE_BYTES: Final = 256 * 1024  # of each message here; a batch has its own bound

Ms = Annotated[int, Field(ge=0, lt=2**53, description="UTC, milliseconds since 1970")]
Nonce = Annotated[str, Field(max_length=64)]
REVISION_MAX: Final = 2**53 - 1
Revision = Annotated[int, Field(ge=1, le=REVISION_MAX, description="only rises")]
RevisionOrNone = Annotated[int, Field(ge=0, le=REVISION_MAX)]
SeqOrNone = Annotated[int, Field(ge=0, lt=2**63)]


def _from_base64(value: object) -> object:
    if isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValueError("is no base64") from error
    return value


Bytes = Annotated[
    bytes,
    BeforeValidator(_from_base64),
    PlainSerializer(lambda value: base64.b64encode(value).decode(), return_type=str),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]


class MessageError(Exception):
    """Bytes are not the message that was expected. ``newer``: of a version not known here."""

    def __init__(self, problem: str, *, newer: bool = False) -> None:
        """Say what is wrong."""
        super().__init__(problem)
        self.newer = newer


M = TypeVar("M", bound="Message")


class Message(BaseModel):
    """What all of them share: a version, and room for what a newer side adds."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: ClassVar[str]
    v: Literal[1] = 1

    def to_bytes(self) -> bytes:
        """Write it."""
        return self.model_dump_json(exclude_none=True).encode()


class Position(BaseModel):
    """The end of a chain, or a place in it."""

    model_config = ConfigDict(frozen=True, extra="allow")

    journal: HexId
    seq: SeqOrNone
    hash: HexHash


class Presence(Message):
    """Online, with the end of the machine's chain; or offline, the broker's last will."""

    name: ClassVar[str] = "presence"

    online: bool
    nonce: Nonce = ""
    head: Annotated[Position | None, Field(description="the last durable record")] = None
    public_key: Annotated[
        str, Field(pattern=r"^([0-9a-f]{64})?$", description="the machine's own, Ed25519, hex")
    ] = ""
    software: str = ""
    time: Annotated[Ms | None, Field(description="the machine's clock, confirmed or not")] = None


class Range(BaseModel):
    """Records first to last, both included; no last means to the end."""

    model_config = ConfigDict(frozen=True, extra="allow")

    first: Seq
    last: Seq | None = None


class SignedKey(BaseModel):
    """An operational key: a body (``signing.KeyBody``) and the root key's signature over it."""

    model_config = ConfigDict(frozen=True, extra="allow")

    body: Bytes
    sig: Annotated[Bytes, Field(min_length=64, max_length=64)]


class Signed(Message):
    """Exact bytes, and who signed them. Verify first, then parse."""

    name: ClassVar[str] = "signed"

    body: Bytes
    kid: Annotated[str, Field(min_length=1, max_length=64)]
    sig: Annotated[Bytes, Field(min_length=64, max_length=64)]
    key: Annotated[
        SignedKey | None, Field(description="the operational key, as the root key signed it")
    ] = None


class Ack(Message):
    """All records of ``journal`` to ``seq`` are committed in the fleet's database."""

    name: ClassVar[str] = "ack"

    journal: HexId
    seq: SeqOrNone
    hash: HexHash
    want: Annotated[Range | None, Field(description="please send these again")] = None
    time: Ms
    echo: Annotated[Nonce, Field(description="the nonce of what this answers")] = ""
    fork: Annotated[
        Position | None,
        Field(description="the last place where both chains agree; begin a new journal after it"),
    ] = None
    quarantined: Annotated[
        str, Field(description="why this journal is kept apart; it is still stored")
    ] = ""
    countersigned: Annotated[
        Signed | None,
        Field(description="the newest checkpoint that the fleet vouches for: a `Countersigned`"),
    ] = None
    first: Annotated[
        bool,
        Field(
            description="answering a presence: the fleet has seen no other disk of this machine, "
            "so that no command can have run on one"
        ),
    ] = False
    in_use: Annotated[
        bool | None,
        Field(
            description="whether the machine's books go on in this journal: of two disks with one "
            "name only that one takes commands; nothing: as it was told last"
        ),
    ] = None


class Urgent(Message):
    """A copy of one record that overtakes the backlog. It never moves the ack."""

    name: ClassVar[str] = "urgent"

    journal: HexId
    seq: Seq
    boot: Seq
    body: Annotated[Bytes, Field(description="the record's exact bytes")]
    trace: TraceParent | None = None


class ConfigReport(BaseModel):
    """What became of the configuration that the fleet wants."""

    model_config = ConfigDict(frozen=True, extra="allow")

    revision: Annotated[
        RevisionOrNone, Field(description="in force; 0: the machine's own file")
    ] = 0
    digest: Annotated[str, Field(description="of its settings, SHA-256, hex")] = ""
    trial: Annotated[bool, Field(description="in force, and not yet found to be good")] = False
    seen: Annotated[RevisionOrNone, Field(description="the newest revision that was judged")] = 0
    outcome: Annotated[
        str, Field(description="of that one: applied, refused or rolled_back; empty: none yet")
    ] = ""
    errors: Annotated[tuple[str, ...], Field(description="why it was not taken")] = ()
    waiting: Annotated[
        int, Field(ge=0, description="a revision that waits until no customer is served")
    ] = 0


class State(Message):
    """How the machine is now; a snapshot that may be lost and is made again."""

    name: ClassVar[str] = "state"

    at: Ms
    mode: str
    why: Annotated[str, Field(description="why it sells nothing; empty while it sells")] = ""
    currency: str = ""
    faults: tuple[str, ...] = ()
    stock: dict[str, int] = {}
    disabled: Annotated[dict[str, str], Field(description="columns that don't sell: why")] = {}
    tubes: Annotated[dict[str, int], Field(description="coins by value, minor units")] = {}
    recycler: Annotated[dict[str, int], Field(description="bills by value, minor units")] = {}
    stacker: Annotated[int | None, Field(description="bills; none: never counted")] = None
    cash: Annotated[
        dict[str, int], Field(description="where cash should be: tubes, stacker, cashbox, …")
    ] = {}
    devices: dict[str, str] = {}
    versions: dict[str, str] = {}
    desired: Annotated[RevisionOrNone, Field(description="revision applied last")] = 0
    configuration: ConfigReport | None = None
    drift: Annotated[
        dict[str, object], Field(description="what a technician changed against it, by key")
    ] = {}
    backlog: Annotated[int, Field(ge=0, description="records not acknowledged")] = 0
    every_s: Annotated[
        int, Field(ge=0, description="it says so at least so often; 0: it does not tell")
    ] = 0


class Desired(Message):
    """Configuration as the fleet wants it: the body of a signed message on ``desired``."""

    name: ClassVar[str] = "desired"

    tenant: str
    machine: str
    revision: Revision
    settings: dict[str, object] = {}
    issued_at: Ms
    issuer: str = ""


class Checkpoint(Message):
    """What a machine signs every hour and at each collection, and the fleet countersigns.

    It travels as the text inside a record ``checkpoint.signed``, and speaks of the record before
    that one.
    """

    name: ClassVar[str] = "checkpoint"

    journal: HexId
    seq: Seq
    hash: HexHash
    balances: Annotated[dict[str, int], Field(description="those that are not zero")]
    at: Ms
    confirmed: Annotated[
        bool, Field(description="the fleet or NTP had confirmed the machine's time")
    ] = False


class Countersigned(Message):
    """The fleet's word for a checkpoint: it holds the same chain, and comes to the same balances.

    It vouches for every record up to ``seq``.
    """

    name: ClassVar[str] = "countersigned"

    tenant: str
    machine: str
    journal: HexId
    seq: Seq
    hash: HexHash
    checkpoint: Annotated[HexHash, Field(description="SHA-256 of the checkpoint's bytes")]
    at: Annotated[Ms, Field(description="fleet time; the key had not ended then")]


class Progress(BaseModel):
    """How far a long command is; its result is a record, this may be lost."""

    model_config = ConfigDict(frozen=True, extra="allow")

    id: Annotated[str, Field(min_length=1, max_length=64)]
    text: Annotated[str, Field(max_length=80)]
    done: Annotated[int, Field(ge=0, description="steps")] = 0
    total: Annotated[int, Field(ge=0, description="steps in all; 0: nobody knows")] = 0


class Telemetry(Message):
    """What nobody waits for: samples, and how far long commands are."""

    name: ClassVar[str] = "telemetry"

    at: Ms
    samples: dict[str, float] = {}
    progress: Annotated[tuple[Progress, ...], Field(max_length=32)] = ()


def read(kind: type[M], payload: bytes) -> M:
    """Read a message.

    Raises:
        MessageError: It is too large, of a newer version, or not this message; says what and where.
    """
    if len(payload) > MAX_MESSAGE_BYTES:
        raise MessageError(f"{kind.name}: {len(payload)} bytes, more than {MAX_MESSAGE_BYTES}")
    try:
        return kind.model_validate_json(payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "all of it"
        raise MessageError(
            f"{kind.name}: {where}: {first['msg']}", newer=where == "v" and _newer(payload)
        ) from error


class _AnyVersion(BaseModel):
    v: int


def _newer(payload: bytes) -> bool:
    try:
        return _AnyVersion.model_validate_json(payload).v > 1
    except ValidationError:
        return False
