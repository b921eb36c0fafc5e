"""Claims of other machines that are keyed in at one of the swarm: who comes, and the fleet's part.

The fleet's part is what it knows of such a claim, and how it answers: at once, late, twice, with
other words, or not at all. ``fleet`` signs and sends; of the server's own code nothing is here.

The oracle: a claim is given once at most, only where the fleet has granted it, to the question and
in the time for which it did, in full; whatever is told as given was given; no question stays open.
What was granted and not given is still owed: it is granted when its code is keyed in once more.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Literal

from controller.journal import records as rec
from controller.journal.envelope import Record
from controller.saga.claims import mint
from simulator.swarm.orders import GOOD, Order
from simulator.swarm.plan import Act
from simulator.swarm.shelf import Shelf
from simulator.whole import Whole

SHARE: Final = 0.2  # of the customers of a machine that has a fleet
THERE: Final = "lobby-2"  # the machine that promised them
KIND: Final = "claim.answer"
WAITS_S: Final = 30.0  # so long somebody waits in front of a machine
LATE_S: Final = 0.5  # a timer's turn
LIVES_S: Final = 600
AGAIN_S: Final = 0.2  # between two answers to one question
GRANTED, TWICE, SILENT = "granted", "twice", "silent"
FATES: Final = (GRANTED,) * 5 + (TWICE,) * 3 + (SILENT, "unknown", "paid", "later")
DELAYS_S: Final = (0.2, 0.2, 1.0, 5.0, 29.5, 31.0)


# ------------------------------------------------------------------------------------ who comes


def keyed_in(rng: random.Random, acts: Sequence[Act], shelf: Shelf) -> list[Act]:
    """Return what a customer does who may have a claim of another machine besides."""
    if rng.random() >= SHARE:
        return list(acts)
    amount = rng.choice((*shelf.prices.values(), 35, 500))
    tender = rng.choice(("cash", "cash", "card"))
    code = mint(b"another machine's key, 32 bytes.", THERE, rng.getrandbits(30), amount)
    mine: list[Act] = []
    for _ in range(rng.choice((1, 1, 2, 3))):  # who got nothing tries again; who got it, perhaps
        fate, delay_s = rng.choice(FATES), rng.choice(DELAYS_S)
        text = f"{code} {tender} {fate} {delay_s}"
        mine.append(Act("elsewhere", amount, text, after_s=0.5, until="end"))
        mine.append(Act("wait", after_s=rng.choice((0.0, delay_s + 1.0, delay_s + 1.0))))
    if rng.random() < 0.5:
        mine.append(Act("keys", text=rng.choice(("*", *shelf.selections)), until="credit"))
    return [*mine, *acts] if rng.random() < 0.7 else mine


async def promised(machine: Whole, act: Act) -> str:
    """Have the fleet know of a claim; returns what is keyed in for it."""
    if machine.on_promise is not None:
        machine.on_promise(act.value, act.text)
    return f"#{act.text.split()[0]}"


# ------------------------------------------------------------------------------ the fleet's part


@dataclass(slots=True)
class _Claim:
    amount: int
    tender: Literal["cash", "card"]
    fate: str
    delay_s: float
    given: int = 0


@dataclass(slots=True)
class _Question:
    record: Record
    claim: _Claim | None  # None: nobody has promised that
    heard_s: float  # on the loop's clock: durable, which is when its timer is set
    granted: set[str] = field(default_factory=set)  # the orders that say so
    outcomes: list[str] = field(default_factory=list)  # of those
    given: bool = False
    over: bool = False


class Elsewhere:
    """The claims of other machines that one machine of the swarm asks about.

    Args:
        machine: The machine.
        send: Signs an order and sends it, and again until it has a result.
    """

    def __init__(self, machine: Whole, send: Callable[[Order], None]) -> None:
        """Nobody has promised anything."""
        self._machine = machine
        self._send = send
        self._claims: dict[str, _Claim] = {}  # by digest
        self._questions: dict[int, _Question] = {}  # by the record that asks
        self._of: dict[str, _Question] = {}  # by the order that grants it
        self._waiting = 0  # answers that are on their way
        self._numbers = 0
        self._findings: list[str] = []

    @property
    def waiting(self) -> bool:
        """Whether an answer has yet to be sent."""
        return self._waiting > 0

    def promised(self, amount: int, text: str) -> None:
        """Know of a claim, and how it is answered for the next time."""
        code, tender, fate, delay_s = text.split()
        digest = sha256(code.encode()).hexdigest()
        new = _Claim(amount, "card" if tender == "card" else "cash", fate, float(delay_s))
        known = self._claims.setdefault(digest, new)
        known.fate, known.delay_s = new.fate, new.delay_s

    # ------------------------------------------------------------------------------ records

    def recorded(self, record: Record) -> None:
        """Take a durable record, as the fleet gets them all in the end."""
        match record.data:
            case rec.ClaimAsked(digest=digest):
                self._asked(record, self._claims.get(digest))
            case rec.ClaimGranted():
                self._granted(record, record.data)
            case rec.ClaimRefused():
                self._over()
            case rec.CommandFinished(id=id_, kind=kind, outcome=outcome) if kind == KIND:
                if id_ in self._of:
                    self._of[id_].outcomes.append(outcome)
            case _:
                pass

    def _over(self) -> None:
        for question in self._questions.values():
            question.over = True

    def _asked(self, record: Record, claim: _Claim | None) -> None:
        self._over()
        question = self._questions[record.seq] = _Question(record, claim, self._machine.loop.time())
        if claim is None:
            self._later(AGAIN_S, question, "unknown")
        elif claim.given:
            self._later(claim.delay_s, question, "paid")
        elif claim.fate != SILENT:
            word = GRANTED if claim.fate == TWICE else claim.fate
            self._later(claim.delay_s, question, word)
            if claim.fate == TWICE:
                self._later(claim.delay_s + AGAIN_S, question, word)

    def _later(self, delay_s: float, question: _Question, word: str) -> None:
        journal = self._machine.state.journal
        self._waiting += 1
        self._machine.loop.call_later(delay_s, self._answer, journal, question, word)

    def _answer(self, journal: str, question: _Question, word: str) -> None:
        self._waiting -= 1
        self._numbers += 1
        id_ = f"claim-{question.record.seq}-{self._numbers}"
        args: dict[str, Any] = {"journal": journal, "asked": question.record.seq, "answer": word}
        if word == GRANTED and question.claim is not None:
            claim = question.claim
            args |= {"amount": claim.amount, "tender": claim.tender, "machine": THERE}
            question.granted.add(id_)
            self._of[id_] = question
        self._send(Order(id_, GOOD, KIND, args, LIVES_S))

    def _granted(self, record: Record, data: rec.ClaimGranted) -> None:
        tell = self._findings.append
        question = self._questions.get(data.asked)
        if question is None or question.claim is None or not question.granted:
            tell(f"a claim over {data.amount} was given, and nobody has granted it")
            return
        question.given = question.over = True
        claim, asked = question.claim, question.record
        claim.given += 1
        if claim.given > 1:
            tell(f"a claim over {claim.amount} was given {claim.given} times")
        if (data.amount, data.tender, data.machine) != (claim.amount, claim.tender, THERE):
            tell(f"a claim over {claim.amount} ({claim.tender}) was given as {data.amount}")
        waited_s = (record.mono_ms - asked.mono_ms) / 1_000
        if asked.boot != record.boot or waited_s > WAITS_S + LATE_S:
            tell(f"a claim over {claim.amount} was given, and nobody waited for it any more")

    # -------------------------------------------------------------------------------- oracle

    def check(self) -> Iterator[str]:
        """Yield what is wrong; a customer has left, and nothing moves."""
        found, self._findings = self._findings, []
        yield from found
        now_s = self._machine.loop.time()
        for seq, question in list(self._questions.items()):
            done = "done" in question.outcomes
            if done and not question.given:
                yield f"the claim of question {seq} is told as given, and was not"
            elif question.given and question.outcomes and not done:
                yield f"the claim of question {seq} was given, and is told as {question.outcomes}"
            if question.over:
                continue
            waited_s = now_s - question.heard_s
            if waited_s > WAITS_S + LATE_S or question.record.boot != self._machine.state.boot:
                yield f"question {seq} is open, and nobody waits for its answer"
                question.over = True
