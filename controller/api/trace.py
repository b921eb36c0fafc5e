"""Each cent's way: what became of the money that one record took in, or that one vend used.

Works on any readable journal. Lots say where money comes from; within a payout, whose coins are
all alike, the lots are paid in the order in which the record names them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from controller.api import shapes, views
from controller.api.errors import NothingToTraceError
from controller.api.service import JournalView
from controller.journal import records as rec
from controller.journal.envelope import Record, RecordData

# Decoding so many takes a few milliseconds of the machine's loop.
_PAGE: Final = 200
# A lot is used up within a few records; claims may stay open for long, and are looked for this far.
MAX_SCAN: Final = 50_000
# A vend that began before the lots it used makes the reading start earlier; this often at most.
_MAX_RESTARTS: Final = 4

# Where money can be. That of the first line may still move.
ESCROW, CREDIT, HELD, OWED, CLAIMED = "escrow", "credit", "held", "owed", "claimed"
EARNED, RETURNED, PAID_BACK = "earned", "returned", "paid back"
REFUNDED, CLAIM_PAID, IN_APP = "refunded to card", "claim paid", "refunded in the app"
ON_CARD: Final = "put on a card"
EARLIER: Final = "earlier"  # the origin of money that was taken in before what was read
_OPEN: Final = frozenset((ESCROW, CREDIT, HELD, OWED, CLAIMED))

# What a saga of these is called; others tell of no customer's choice.
_KINDS: Final[Mapping[type, str]] = {
    rec.VendOpened: "vend",
    rec.CreditReturnOpened: "return",
    rec.RevalueOpened: "revalue",
}

_LOT_TYPES: Final = frozenset(
    model.type
    for model in (
        rec.CoinsDeposited,
        rec.BillEscrowed,
        rec.BillStacked,
        rec.CreditGranted,
        rec.ClaimGranted,
        rec.RightGranted,
    )
)
# A bill's way begins in escrow, some records before the lot it becomes.
_BEFORE_A_LOT: Final = 64


@dataclass(slots=True)
class Way:
    """One lot's money: how much of it is where, and how it came there."""

    lot: int
    origin: str
    amount: int
    words: str
    steps: list[shapes.StepShape] = field(default_factory=list)
    now: dict[str, int] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Tell whether any of it may still move."""
        return any(self.now.get(place) for place in _OPEN)


class Tracer:
    """Folds records into the ways of all lots that they name."""

    def __init__(self) -> None:
        """Start before the first record."""
        self.ways: dict[int, Way] = {}
        self.used_by: dict[int, set[int]] = {}  # vend -> lots
        # vend -> money that is to leave the machine, in the order in which it leaves
        self._owed: dict[int, list[tuple[int, int]]] = {}
        self._escrow: Way | None = None
        self._card: dict[int, tuple[int, int]] = {}  # vend -> (lot, amount) held on a card
        self._claims: dict[int, list[tuple[int, int]]] = {}  # claim's seq -> its money

    def feed(self, record: Record) -> None:
        """Take the next record in; those that move no customer's money change nothing."""
        step = _STEPS.get(record.type)
        if step is not None and isinstance(record.data, rec.REGISTRY[record.type]):
            step(self, record, record.data)

    # -------------------------------------------------------------------- where it comes from

    def open(self, record: Record, origin: str, amount: int, words: str, place: str) -> Way | None:
        """Begin a way; None for worthless tokens."""
        if not amount:
            return None
        way = self.ways[record.seq] = Way(record.seq, origin, amount, words)
        self._step(way, record, amount, "customer", place, words)
        return way

    def coins(self, record: Record, data: rec.CoinsDeposited) -> None:
        """Begin the way of coins; those of fill mode are the operator's own."""
        if data.owner == "customer":
            count = len(data.coins)
            words = f"{count} coins inserted" if count > 1 else "a coin inserted"
            self.open(record, "coins", sum(coin[1] for coin in data.coins), words, CREDIT)

    def escrow(self, record: Record, data: rec.BillEscrowed) -> None:
        """Begin the way of a bill."""
        self._escrow = self.open(record, "bills", data.value, "a bill inserted", ESCROW)

    def stack(self, record: Record, data: rec.BillStacked) -> None:
        """Make a bill a lot: the one in escrow, or one that was never held."""
        way = self._escrow if data.escrowed else None
        if way is None:
            if not data.claimed:
                self.open(record, "bills", data.value, "a bill stacked", CREDIT)
            return
        self._escrow = None
        if not data.claimed:
            way.lot = record.seq
            self.ways[record.seq] = way
            self.move(record, [(way.lot, way.amount)], ESCROW, CREDIT, f"stacked ({data.proof})")

    def give_back(self, record: Record, data: rec.BillReturned) -> None:
        """End the way of a bill that went back."""
        way, self._escrow = self._escrow, None
        if way is not None and data.escrowed and not data.claimed:
            self.move(record, [(way.lot, way.amount)], ESCROW, RETURNED, f"returned ({data.proof})")

    # ------------------------------------------------------------------------- where it goes

    def move(
        self, record: Record, lots: Iterable[tuple[int, int]], source: str, target: str, words: str
    ) -> None:
        """Move parts of lots from one place to another."""
        for lot, amount in lots:
            way = self.ways.get(lot)
            if way is None:  # taken in before the first record that was read
                way = self.ways[lot] = Way(lot, EARLIER, 0, "taken in before the records read")
            if record.vend is not None:
                self.used_by.setdefault(record.vend, set()).add(lot)
            if way.origin == EARLIER:
                unseen = max(amount - way.now.get(source, 0), 0)
                way.amount += unseen
                way.now[source] = way.now.get(source, 0) + unseen
            way.now[source] = way.now.get(source, 0) - amount
            self._step(way, record, amount, source, target, words)

    def owe(self, record: Record, lots: Iterable[tuple[int, int]], words: str) -> None:
        """Order money to leave the machine."""
        lots = tuple(lots)
        self.move(record, lots, CREDIT, OWED, words)
        self._owed.setdefault(record.vend or 0, []).extend(lots)

    def pay(self, record: Record, amount: int, target: str, words: str) -> list[tuple[int, int]]:
        """Let ordered money of a vend arrive somewhere, the first ordered first."""
        queue, paid = self._owed.get(record.vend or 0, []), []
        while queue and amount > 0:
            lot, there = queue[0]
            part = min(there, amount)
            paid.append((lot, part))
            amount -= part
            if part == there:
                queue.pop(0)
            else:
                queue[0] = (lot, there - part)
        self.move(record, paid, OWED, target, words)
        return paid

    def pay_out(self, record: Record, data: rec.PayoutFinished) -> None:
        """Let a payout's coins be the first money that was ordered."""
        doubt = "" if data.certain else ", not certain"
        paid = self.pay(record, min(data.amount, data.ordered), PAID_BACK, f"paid out{doubt}")
        for lot, _ in paid:
            self.ways[lot].steps[-1]["coins"] = [(value, count) for _, value, count in data.paid]

    def approve(self, record: Record, data: rec.ApprovalFinished) -> None:
        """Begin the money that a reader took from a card."""
        if data.amount:
            self.open(record, "card", data.amount, f"{data.outcome} by {data.device}", HELD)
            if record.vend is not None:
                self._card[record.vend] = (record.seq, data.amount)
                self.used_by.setdefault(record.vend, set()).add(record.seq)

    def settle(self, record: Record, data: rec.SettleFinished) -> None:
        """Earn a card payment or give it back; else it stays held until the claim that follows."""
        if data.success:
            self.settle_card(record, EARNED, f"product delivered, {data.device}: {data.outcome}")
        elif data.outcome in rec.REFUNDED:
            self.settle_card(record, REFUNDED, f"vend failed, {data.device} refunded")

    def settle_card(self, record: Record, target: str, words: str) -> tuple[int, int] | None:
        """Move a vend's card money to where it stays."""
        card = self._card.pop(record.vend or 0, None)
        if card is not None:
            self.move(record, [card], HELD, target, words)
        return card

    def revalue(self, record: Record, data: rec.RevalueFinished) -> None:
        """Put money on a card, or make it credit again; what nobody knows is owed."""
        if data.outcome == "approved":
            self.move(record, data.lots, HELD, ON_CARD, f"put on the card, {data.device}")
        elif data.outcome == "unknown":
            self.move(record, data.lots, HELD, OWED, "nobody knows whether the card has it")
            self._owed.setdefault(record.vend or 0, []).extend(data.lots)
        else:
            self.move(record, data.lots, HELD, CREDIT, f"{data.device}: {data.outcome}")

    def use_right(self, record: Record, data: rec.RightUsed) -> None:
        """Earn an app's credit; what is more than the price goes back to the app."""
        if data.amount:
            self.move(record, ((data.right, data.worth),), HELD, EARNED, "product delivered")
        if rest := data.amount - data.worth if data.amount else 0:
            self.move(record, ((data.right, rest),), HELD, IN_APP, "more than the price")

    def claim(self, record: Record, data: rec.ClaimOpened) -> None:
        """Turn ordered or held money into a promise."""
        words = f"claim {data.code}: {data.reason}"
        money: list[tuple[int, int]]
        if data.escrow:
            money = [] if self._escrow is None else [(self._escrow.lot, self._escrow.amount)]
            self.move(record, money, ESCROW, CLAIMED, words)
        elif data.tender == "card":
            card = self.settle_card(record, CLAIMED, words)
            money = [] if card is None else [card]
        else:
            money = self.pay(record, data.amount, CLAIMED, words)
        self._claims[record.seq] = money

    def close_claim(self, record: Record, data: rec.ClaimClosed) -> None:
        """Let staff keep a promise."""
        words = f"claim settled: {data.how}"
        self.move(record, self._claims.pop(data.claim, ()), CLAIMED, CLAIM_PAID, words)

    def _step(
        self, way: Way, record: Record, amount: int, source: str, target: str, words: str
    ) -> None:
        way.now[target] = way.now.get(target, 0) + amount
        way.steps.append(
            {
                "seq": record.seq,
                "at": views.moment(record),
                "type": record.type,
                "vend": record.vend,
                "amount": amount,
                "source": source,
                "target": target,
                "words": words,
            }
        )


_Step = Callable[[Tracer, Record, Any], object]

_STEP_FUNCTIONS: Final[dict[type[RecordData], _Step]] = {
    rec.CoinsDeposited: Tracer.coins,
    rec.BillEscrowed: Tracer.escrow,
    rec.BillStacked: Tracer.stack,
    rec.BillReturned: Tracer.give_back,
    rec.CreditGranted: lambda t, r, d: t.open(
        r, "granted", d.amount, f"granted by {d.by}: {d.reason}", CREDIT
    ),
    rec.ClaimGranted: lambda t, r, d: t.open(
        r, "claims", d.amount, f"a claim of {d.machine}, by the fleet's word", CREDIT
    ),
    rec.RightGranted: lambda t, r, d: t.open(r, "app", d.amount, f"paid in an app: {d.id}", CREDIT),
    rec.RightHeld: lambda t, r, d: t.move(r, d.lots, CREDIT, HELD, "locked for the vend"),
    rec.RightUsed: Tracer.use_right,
    rec.RightReturned: lambda t, r, d: t.move(
        r, d.lots, HELD, IN_APP if d.ended else CREDIT, f"no product: {d.reason}"
    ),
    rec.RightEnded: lambda t, r, d: t.move(
        r, d.lots, CREDIT, IN_APP, f"{d.reason}: back to the app"
    ),
    rec.CreditAuthorised: lambda t, r, d: t.move(r, d.lots, CREDIT, HELD, "locked for the vend"),
    rec.CreditRestored: lambda t, r, d: t.move(r, d.lots, HELD, CREDIT, "unlocked: no product"),
    rec.VendSettled: lambda t, r, d: t.move(r, d.lots, HELD, EARNED, "product delivered"),
    rec.PayoutIntended: lambda t, r, d: t.owe(r, d.lots, f"payout ordered: {d.reason}"),
    rec.ShortfallBooked: lambda t, r, d: t.owe(r, d.lots, "no coins to pay it with"),
    rec.PayoutFinished: Tracer.pay_out,
    rec.RevalueIntended: lambda t, r, d: t.move(
        r, d.lots, CREDIT, HELD, f"for the card, {d.device}"
    ),
    rec.RevalueFinished: Tracer.revalue,
    rec.ApprovalFinished: Tracer.approve,
    rec.SettleFinished: Tracer.settle,
    rec.ClaimOpened: Tracer.claim,
    rec.ClaimClosed: Tracer.close_claim,
}
_STEPS: Final = {model.type: step for model, step in _STEP_FUNCTIONS.items()}


# ---------------------------------------------------------------------------------- reading


async def trace(view: JournalView, seq: int, *, currency: str) -> shapes.TraceShape:
    """Trace a vend (by the seq of any of its records) or a lot (by the record that took it in).

    Raises:
        NothingToTraceError: There is no such record, or it belongs to no vend and took nothing in.
    """
    page = await view.records(seq - 1, 1)
    if not page or page[0].seq != seq:
        raise NothingToTraceError(f"no record {seq}: the journal has {view.first} to {view.last}")
    asked = page[0]
    saga: list[Record] = []
    if asked.type in _LOT_TYPES:
        lots = {seq}
    elif asked.vend is not None:
        saga = await _saga(view, asked.vend)
        lots = _lots_named(saga) | {one.seq for one in saga if one.type == "approval.finished"}
    else:
        raise NothingToTraceError(
            f"record {seq} ({asked.type}) took no money in and belongs to no vend"
        )
    tracer = await _read(view, lots)
    found = {tracer.ways[lot].lot: tracer.ways[lot] for lot in lots if lot in tracer.ways}
    ways = [found[lot] for lot in sorted(found)]
    return {
        "currency": currency,
        "asked": seq,
        "vend": _vend(saga),
        "ways": [
            {
                "lot": way.lot,
                "origin": way.origin,
                "amount": way.amount,
                "words": way.words,
                "steps": way.steps,
                "now": {place: amount for place, amount in way.now.items() if amount},
            }
            for way in ways
        ],
        "records": [views.record(one) for one in saga or [asked]],
    }


async def _saga(view: JournalView, vend: int) -> list[Record]:
    """Return the records of one saga, from the one that opened it to the one that closed it."""
    saga: list[Record] = []
    after = max(vend, view.first) - 1
    stop = after + MAX_SCAN
    while after < stop:
        page = await view.records(after, _PAGE)
        for record in page:
            if record.vend == vend:
                saga.append(record)
                if record.type == rec.VendClosed.type:
                    return saga
        after = page[-1].seq if page else stop
    return saga


def _vend(saga: Iterable[Record]) -> shapes.VendShape | None:
    """Sum a saga's records up; None for none."""
    shape: shapes.VendShape | None = None
    for record in saga:
        data = record.data
        if isinstance(data, rec.VendOpened | rec.CreditReturnOpened | rec.RevalueOpened):
            shape = {
                "vend": record.seq,
                "kind": _KINDS[type(data)],
                "selection": getattr(data, "selection", ""),
                "column": getattr(data, "column", ""),
                "price": getattr(data, "price", 0),
                "result": "open",
                "paid_back": 0,
                "claimed": 0,
                "flags": [],
            }
        elif shape is None:
            continue
        elif isinstance(data, rec.DispenseIntended):
            shape["column"] = data.column
        elif isinstance(data, rec.PayoutFinished):
            shape["paid_back"] += data.amount
        elif isinstance(data, rec.SettleFinished):
            refunded = not data.success and data.outcome in rec.REFUNDED
            shape["paid_back"] += data.amount if refunded else 0
        elif isinstance(data, rec.ClaimOpened):
            shape["claimed"] += data.amount
        elif isinstance(data, rec.ReviewFlagged):
            shape["flags"].append(data.reason)
        elif isinstance(data, rec.VendClosed):
            shape["result"] = data.result
            shape["flags"] = list(dict.fromkeys([*shape["flags"], *data.flags]))
    return shape


def _lots_named(records: Iterable[Record]) -> set[int]:
    """Return the lots that any of these records used."""
    return {lot for record in records for lot, _ in getattr(record.data, "lots", ())}


async def _read(view: JournalView, lots: set[int]) -> Tracer:
    """Read from the first lot until nothing of them can move any more, or the journal ends."""
    start = max(min(lots, default=view.last + 1) - _BEFORE_A_LOT, view.first)
    for _ in range(_MAX_RESTARTS):
        tracer = Tracer()
        after, stop = start - 1, start + MAX_SCAN
        while after < stop:
            page = await view.records(after, _PAGE)
            for record in page:
                tracer.feed(record)
            after = page[-1].seq if page else stop
            if all(lot in tracer.ways and not tracer.ways[lot].is_open for lot in lots):
                break
        # Money of an older lot may have been ordered by the same vend before: begin with that.
        ours = (vend for vend, used in tracer.used_by.items() if used & lots)
        earlier = min((min(vend, *tracer.used_by[vend]) for vend in ours), default=start)
        if earlier >= start or start <= view.first:
            break
        start = max(earlier, view.first)
    return tracer
