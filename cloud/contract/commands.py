"""Commands from the fleet: what may be asked of a machine, by which role, and with what arguments.

A command's body is signed as bytes (``signing``). It runs at most once for its id; for one kind and
target a counter below the last one run is superseded, where a later one takes an earlier one's
place: a price does, a gift does not.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cloud.contract.batch import Seq
from cloud.contract.messages import Message, MessageError, Ms, Revision

MAX_LIFE_MS: Final = 30 * 24 * 3_600_000  # an id is kept until it expires, so it must expire

Selection = Annotated[str, Field(min_length=1, max_length=8, pattern=r"^[A-Z0-9]+$")]
Amount = Annotated[int, Field(ge=1, le=9_999_999, description="minor units")]


class Role(StrEnum):
    """What an operational key may ask for."""

    OPERATOR = "operator"  # anything but software
    SUPPORT = "support"  # what a help desk needs: refunds, claims, credit, tests
    CONFIG = "config"  # prices, planogram, settings
    UPDATE = "update"  # software


class Args(BaseModel):
    """A command's arguments. Unlike messages they refuse what they don't know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str]
    roles: ClassVar[frozenset[Role]] = frozenset({Role.OPERATOR})
    # A later one of the same target takes the place of one that has not run. Two gifts are two,
    # in whatever order they come, and two questions have two answers.
    replaced: ClassVar[bool] = True

    def target(self) -> str:
        """Return what it changes, for the order of commands; "" when there is but one."""
        return ""


_SUPPORT: Final = frozenset({Role.OPERATOR, Role.SUPPORT})
_CONFIG: Final = frozenset({Role.OPERATOR, Role.CONFIG})


class PriceSet(Args):
    """Set a column's price."""

    kind: ClassVar[str] = "price.set"
    roles: ClassVar[frozenset[Role]] = _CONFIG
    column: Selection
    price: Annotated[int, Field(ge=0, le=9_999_999)]

    def target(self) -> str:
        """Return the column."""
        return self.column


class PlanogramApply(Args):
    """Set products and prices of columns as one."""

    class Slot(BaseModel):
        """What one column holds from now on."""

        model_config = ConfigDict(frozen=True, extra="forbid")
        product: Annotated[str, Field(min_length=1, max_length=48)]
        price: Annotated[int, Field(ge=0, le=9_999_999)] | None = None
        capacity: Annotated[int, Field(ge=1, le=999)] | None = None

    class Ware(BaseModel):
        """A product, beside or in place of one that the machine's own file has."""

        model_config = ConfigDict(frozen=True, extra="forbid")
        name: Annotated[str, Field(min_length=1, max_length=40)]
        price: Annotated[
            int | None, Field(ge=0, le=9_999_999, description="of columns that name none")
        ] = None
        sold_out: Literal["product", "column"] = "product"
        min_age: Annotated[int, Field(ge=0, le=99, description="years")] = 0

    kind: ClassVar[str] = "planogram.apply"
    roles: ClassVar[frozenset[Role]] = _CONFIG
    currency: Annotated[
        str, Field(pattern=r"^([A-Z]{3})?$", description="of the prices; refused if another's")
    ] = ""
    products: Annotated[dict[str, Ware], Field(max_length=250, description="by id")] = {}
    columns: Annotated[dict[Selection, Slot], Field(min_length=1, max_length=250)]


class _OfColumn(Args):
    column: Selection

    def target(self) -> str:
        """Return the column."""
        return self.column


class ColumnEnable(_OfColumn):
    """Let a column sell again."""

    kind: ClassVar[str] = "column.enable"
    roles: ClassVar[frozenset[Role]] = _SUPPORT | _CONFIG
    reason: Annotated[str, Field(max_length=200)] = ""


class ColumnDisable(_OfColumn):
    """Stop a column from selling."""

    kind: ClassVar[str] = "column.disable"
    roles: ClassVar[frozenset[Role]] = _SUPPORT | _CONFIG
    reason: Annotated[str, Field(max_length=200)] = ""


class ColumnTest(_OfColumn):
    """Vend one product for nothing, as a test; only in service."""

    kind: ClassVar[str] = "column.test"
    replaced: ClassVar[bool] = False


class StockSet(_OfColumn):
    """Say how many products a column holds."""

    kind: ClassVar[str] = "stock.set"
    roles: ClassVar[frozenset[Role]] = _CONFIG
    count: Annotated[int, Field(ge=0, le=999)]


class ConfigApply(Args):
    """Apply a revision of the configuration, between vends and as one; `settings.nested`."""

    kind: ClassVar[str] = "config.apply"
    roles: ClassVar[frozenset[Role]] = _CONFIG
    revision: Revision
    settings: dict[str, Any]


class MessageShow(Args):
    """Show a text on the idle display."""

    kind: ClassVar[str] = "message.show"
    roles: ClassVar[frozenset[Role]] = _SUPPORT | _CONFIG
    text: Annotated[str, Field(max_length=80, description="empty: show none any more")]
    seconds: Annotated[int, Field(ge=1, le=604_800)] = 60
    until: Annotated[Ms | None, Field(description="or until then, if that is sooner")] = None


class CreditGrant(Args):
    """App credit: bound to an id, redeemed once, for one column, for a time."""

    kind: ClassVar[str] = "credit.grant"
    replaced: ClassVar[bool] = False
    roles: ClassVar[frozenset[Role]] = _SUPPORT
    credit: Annotated[str, Field(min_length=1, max_length=64, description="the payment's id")]
    amount: Amount
    seconds: Annotated[int, Field(ge=1, le=3_600, description="of the machine's monotonic clock")]
    column: Selection | None = None

    def target(self) -> str:
        """Return the credit's id."""
        return self.credit


class RefundLocal(Args):
    """Give the open credit back."""

    kind: ClassVar[str] = "refund.local"
    replaced: ClassVar[bool] = False
    roles: ClassVar[frozenset[Role]] = _SUPPORT
    reason: Annotated[str, Field(max_length=200)] = ""


class ClaimClose(Args):
    """Close a claim that was paid otherwise."""

    kind: ClassVar[str] = "claim.close"
    replaced: ClassVar[bool] = False
    roles: ClassVar[frozenset[Role]] = _SUPPORT
    claim: Annotated[Seq, Field(description="the seq of the record that told of it")]
    journal: Annotated[
        str,
        Field(pattern=r"^([0-9a-f]{32})?$", description="that record's; empty: the one in use"),
    ] = ""
    how: Annotated[str, Field(min_length=1, max_length=64)]

    def target(self) -> str:
        """Return the claim."""
        return f"{self.claim} {self.journal}".rstrip()


class ClaimAnswer(Args):
    """Answer a code of another machine that was keyed in; ``granted`` gives its worth, once."""

    kind: ClassVar[str] = "claim.answer"
    replaced: ClassVar[bool] = False
    roles: ClassVar[frozenset[Role]] = _SUPPORT
    journal: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$", description="that asked")]
    asked: Annotated[Seq, Field(description="the seq of its claim.asked")]
    answer: Literal["granted", "unknown", "paid", "later"]
    amount: Annotated[int, Field(ge=0, le=9_999_999, description="minor units; of granted")] = 0
    tender: Literal["cash", "card", "token"] = "cash"
    machine: Annotated[str, Field(max_length=48, description="that promised it")] = ""

    def target(self) -> str:
        """Return the question."""
        return f"{self.asked} {self.journal}"


class VendFree(_OfColumn):
    """Let the next vend of a column cost nothing."""

    kind: ClassVar[str] = "vend.free"
    replaced: ClassVar[bool] = False
    roles: ClassVar[frozenset[Role]] = _SUPPORT
    reason: Annotated[str, Field(max_length=200)] = ""


class MachineLock(Args):
    """Sell nothing until unlocked."""

    kind: ClassVar[str] = "machine.lock"
    reason: Annotated[str, Field(max_length=200)] = ""


class MachineUnlock(Args):
    """End ``machine.lock``."""

    kind: ClassVar[str] = "machine.unlock"


class ServiceEnter(Args):
    """Enter service mode."""

    kind: ClassVar[str] = "service.enter"


class ServiceLeave(Args):
    """Leave service mode."""

    kind: ClassVar[str] = "service.leave"


class AuditRead(Args):
    """Report the audit counters."""

    kind: ClassVar[str] = "audit.read"
    replaced: ClassVar[bool] = False
    roles: ClassVar[frozenset[Role]] = _SUPPORT | _CONFIG


class JournalUpload(Args):
    """Send a range of the journal again."""

    kind: ClassVar[str] = "journal.upload"
    replaced: ClassVar[bool] = False
    first: Seq
    last: Seq


class LogLevel(Args):
    """Say more or less in the log."""

    kind: ClassVar[str] = "log.level"
    roles: ClassVar[frozenset[Role]] = _SUPPORT | _CONFIG
    level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")]


class Reboot(Args):
    """Start vendd again, between vends."""

    kind: ClassVar[str] = "reboot"
    roles: ClassVar[frozenset[Role]] = frozenset({Role.OPERATOR, Role.UPDATE})


class SoftwareUpdate(Args):
    """Hand a version over to the updater, between vends."""

    kind: ClassVar[str] = "software.update"
    roles: ClassVar[frozenset[Role]] = frozenset({Role.UPDATE})
    version: Annotated[str, Field(min_length=1, max_length=64)]
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the bundle")]
    artefact: Annotated[
        str,
        Field(max_length=128, pattern=r"^[A-Za-z0-9._:-]*$", description="its id; no address"),
    ] = ""


class Echo(Args):
    """Answer with the same text."""

    kind: ClassVar[str] = "echo"
    replaced: ClassVar[bool] = False
    roles: ClassVar[frozenset[Role]] = frozenset(Role)
    text: Annotated[str, Field(max_length=200)] = ""


KINDS: Final[dict[str, type[Args]]] = {
    args.kind: args
    for args in (
        PriceSet,
        PlanogramApply,
        ColumnEnable,
        ColumnDisable,
        ColumnTest,
        StockSet,
        ConfigApply,
        MessageShow,
        CreditGrant,
        RefundLocal,
        ClaimClose,
        ClaimAnswer,
        VendFree,
        MachineLock,
        MachineUnlock,
        ServiceEnter,
        ServiceLeave,
        AuditRead,
        JournalUpload,
        LogLevel,
        Reboot,
        SoftwareUpdate,
        Echo,
    )
}


class CommandBody(Message):
    """What is signed."""

    name: ClassVar[str] = "command"

    tenant: str
    machine: str
    id: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
    counter: Annotated[int, Field(ge=0, lt=2**53, description="rises for one kind and target")]
    kind: Annotated[str, Field(min_length=1, max_length=48)]
    args: Annotated[dict[str, Any], Field(default_factory=dict)]
    issued_at: Ms
    expires_at: Ms
    issuer: Annotated[str, Field(max_length=96)] = ""


class Outcome(StrEnum):
    """How a command ended; the words of its result record."""

    DONE = "done"
    REFUSED = "refused"  # not now, or not so; the text says why
    SUPERSEDED = "superseded"  # a later one of its kind and target has run
    EXPIRED = "expired"
    HANDED_OVER = "handed_over"  # the updater has the request; what it does is its own
    INTERRUPTED = (
        "interrupted"  # vendd ended in the middle; whether it took effect stands in the journal
    )


def arguments_of(body: CommandBody) -> Args:
    """Read a command's arguments.

    Raises:
        MessageError: The kind is not known, or an argument is missing, wrong or not known.
    """
    kind = KINDS.get(body.kind)
    if kind is None:
        raise MessageError(f"no command {body.kind!r}; there are: {', '.join(sorted(KINDS))}")
    try:
        return kind.model_validate(body.args)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise MessageError(f"{body.kind}: {where}: {first['msg']}") from error
