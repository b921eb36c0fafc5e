"""Codes of claims that are keyed in elsewhere: whose they are, and that nobody gets one twice."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner

from cloud.contract.commands import CommandBody
from cloud.contract.journal import records as rec
from cloud.contract.messages import Countersigned, Desired, Signed, Urgent
from cloud.contract.topics import Address
from cloud.fleet import moves, reports
from cloud.fleet import schema as t
from cloud.fleet.cli.app import app
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.moves import Moves
from cloud.fleet.orders import OrderRefusedError
from cloud.fleet.projections.rebuild import rebuild
from cloud.fleet.registry import adopt_journal
from cloud.fleet.signer import Signer, SignerError
from tests.fleet.machines import START, Machine, register
from tests.fleet.signing import fleet_signer

CODE = "00000004123456789012"
WAITS = 30_000
NOW = START + 1_000


class Signs:
    """The fleet's signer; None: nobody signs."""

    def __init__(self, signer: Signer | None = None) -> None:
        self.signer = signer

    async def command(self, body: CommandBody) -> Signed:
        if self.signer is None:
            raise SignerError("nobody signs")
        return self.signer.command(body)

    async def desired(self, body: Desired) -> Signed:
        raise AssertionError(body)

    async def countersign(self, address: Address, word: Countersigned) -> Signed:
        raise AssertionError(address)


class Site:
    """Two machines of a tenant, one of another, and their fleet."""

    def __init__(self, database: FleetDatabase) -> None:
        self.database = database
        self.ingest = Ingest(database)
        self.signs = Signs(fleet_signer())
        self.moves = Moves(database, self.signs)
        self.a, self.b = Machine("lobby-1"), Machine("lobby-2", number=2)
        self.c, self.other = Machine("hall-1", number=3), Machine("far-1", tenant="zeta", number=4)
        self.had: dict[bytes, int] = {}
        self.claim = 0

    @classmethod
    async def of(cls, database: FleetDatabase) -> Site:
        made = cls(database)
        await register(database, made.a, made.b, made.c, made.other)
        for machine in (made.a, made.b, made.c, made.other):
            machine.begin()
        made.claim = made.a.write(
            rec.ClaimOpened(amount=200, tender="cash", code=CODE, reason="no change")
        )
        await made.up(made.a, made.b, made.c, made.other)
        await made.online(made.a, made.b, made.c)
        return made

    async def up(self, *machines: Machine) -> None:
        """Have what they wrote come in."""
        for machine in machines:
            first = self.had.get(machine.journal, 0) + 1
            if first <= machine.seq:
                verdict = await self.ingest.take(machine.address, machine.batch(first), NOW)
                assert verdict.fate == "applied", verdict
            self.had[machine.journal] = machine.seq

    async def online(self, *machines: Machine, is_so: bool = True) -> None:
        async with self.database.writing() as connection:
            for machine in machines:
                await connection.execute(
                    update(t.machine)
                    .where(t.machine.c.name == machine.address.machine)
                    .values(online=is_so)
                )

    async def asks(self, machine: Machine, code: str = CODE, *, days: int = 90) -> int:
        digest = hashlib.sha256(code.encode()).hexdigest()
        seq = machine.write(rec.ClaimAsked(digest=digest, end=code[-4:], waits_ms=WAITS, days=days))
        await self.up(machine)
        return seq

    async def look(self, now_ms: int = NOW) -> None:
        await self.moves.look(now_ms)

    async def commands(self, machine: Machine, kind: str) -> list[tuple[str, dict[str, Any]]]:
        """Ids and arguments of what a machine was asked."""
        async with self.database.reading() as connection:
            rows = await connection.execute(
                select(t.command.c.id, t.command.c.args)
                .join(t.machine, t.machine.c.id == t.command.c.machine_id)
                .where(t.machine.c.name == machine.address.machine, t.command.c.kind == kind)
                .order_by(t.command.c.issued_ms)
            )
            found = [(row.id, json.loads(row.args)) for row in rows]
            return sorted(found, key=lambda one: one[1].get("asked", 0))

    async def answers(self, machine: Machine) -> list[str]:
        return [args["answer"] for _, args in await self.commands(machine, "claim.answer")]

    async def ends(
        self, machine: Machine, kind: str, outcome: str = "done", *, before: Any = None
    ) -> None:
        """Have a machine carry its last command of a kind out, and say so."""
        id_, _ = (await self.commands(machine, kind))[-1]
        if before is not None:
            machine.write(before)
        machine.write(
            rec.CommandFinished.model_validate(
                {"id": id_, "kind": kind, "outcome": outcome, "expires_ms": NOW + WAITS}
            )
        )
        await self.up(machine)

    async def closes(self) -> None:
        """Machine A closes its claim, as it was asked to."""
        ((_, args),) = (await self.commands(self.a, "claim.close"))[-1:]
        assert args == {
            "claim": self.claim, "journal": self.a.journal.hex(), "how": rec.MOVED,
        }  # fmt: skip
        closed = rec.ClaimClosed(
            claim=self.claim, amount=200, tender="cash", how=args["how"], by="fleet"
        )
        await self.ends(self.a, "claim.close", before=closed)

    async def takes(self, machine: Machine) -> None:
        """A machine gives what it was granted."""
        ((_, args),) = (await self.commands(machine, "claim.answer"))[-1:]
        assert (args["answer"], args["amount"], args["tender"]) == ("granted", 200, "cash")
        granted = rec.ClaimGranted(
            asked=args["asked"], amount=200, tender="cash", machine=args["machine"]
        )
        await self.ends(machine, "claim.answer", before=granted)
        await self.look()

    async def line(self) -> dict[str, Any]:
        """What the fleet tells of the claim."""
        (line,) = await reports.claims(self.database, self.a.address, closed=True)
        return line


@pytest.fixture
async def site(database: FleetDatabase) -> Site:
    return await Site.of(database)


async def test_a_claim_is_closed_at_its_own_machine_before_it_is_granted(site: Site) -> None:
    asked = await site.asks(site.b)
    for _ in range(3):
        await site.look()
    assert len(await site.commands(site.a, "claim.close")) == 1
    assert await site.answers(site.b) == []
    await site.closes()
    assert (await site.line())["state"] == "held"
    for _ in range(3):
        await site.look()
    ((_, args),) = await site.commands(site.b, "claim.answer")
    assert args == {
        "journal": site.b.journal.hex(), "asked": asked, "answer": "granted", "amount": 200,
        "tender": "cash", "machine": "lobby-1",
    }  # fmt: skip
    await site.takes(site.b)
    line = await site.line()
    assert (line["state"], line["how"]) == ("closed", "at lobby-2")
    for machine in (site.b, site.c):
        await site.asks(machine)
        await site.look()
        assert (await site.answers(machine))[-1] == "paid"
    # What one machine's books lose the other's have: the operator owes neither.
    assert site.a.balances().get("operator", 0) + site.b.balances().get("operator", 0) == 0


async def test_a_code_that_no_claim_of_the_tenant_has_is_unknown(site: Site) -> None:
    await site.asks(site.b, "99999999999999999012")  # the same end
    await site.asks(site.other)
    await site.online(site.other)
    await site.look()
    assert await site.answers(site.b) == ["unknown"]
    assert await site.answers(site.other) == ["unknown"]
    assert await site.commands(site.a, "claim.close") == []


async def test_a_machine_that_is_away_keeps_its_claim(site: Site) -> None:
    await site.online(site.a, is_so=False)
    await site.asks(site.b)
    await site.look()
    ((_, args),) = await site.commands(site.b, "claim.answer")
    assert (args["answer"], args["machine"]) == ("later", "lobby-1")
    assert await site.commands(site.a, "claim.close") == []
    assert (await site.line())["closed_ms"] is None


async def test_one_that_does_not_answer_in_time_is_asked_again_by_the_next(site: Site) -> None:
    await site.asks(site.b)
    await site.look()
    await site.look(START + WAITS - 4_000)
    assert await site.answers(site.b) == ["later"]
    await site.asks(site.c)
    await site.look(START + WAITS - 4_000)
    assert len(await site.commands(site.a, "claim.close")) == 1  # the first may still be done
    assert await site.answers(site.c) == ["later"]
    # It did it after all: nobody waits any more, and the fleet holds what is owed.
    await site.closes()
    assert (await site.line())["state"] == "held"
    await site.asks(site.c)
    await site.look()
    assert (await site.answers(site.c))[-1] == "granted"
    assert len(await site.commands(site.a, "claim.close")) == 1


async def test_a_close_that_ended_unheard_is_sent_anew(site: Site) -> None:
    await site.asks(site.b)
    await site.look()
    async with site.database.writing() as connection:
        await connection.execute(update(t.claim_move).values(close_by_ms=NOW))
    await site.asks(site.c)
    await site.look()
    assert len(await site.commands(site.a, "claim.close")) == 2


async def test_what_its_own_machine_has_honoured_meanwhile_is_paid(site: Site) -> None:
    await site.asks(site.b)
    await site.look()
    honoured = rec.ClaimRedeemed(claim=site.claim, amount=200, tender="cash")
    await site.ends(site.a, "claim.close", "refused", before=honoured)
    await site.look()
    assert await site.answers(site.b) == ["paid"]


async def test_a_claim_that_its_machine_does_not_know_is_not_taken_for_closed(site: Site) -> None:
    await site.asks(site.b)
    await site.look()
    await site.ends(site.a, "claim.close")  # done, and no record that closed it
    assert (await site.line())["closed_ms"] is None
    await site.look()
    assert await site.answers(site.b) == ["later"]


async def test_two_who_ask_at_once_get_it_once(site: Site) -> None:
    await site.asks(site.b)
    await site.asks(site.c)
    await site.look()
    assert len(await site.commands(site.a, "claim.close")) == 1
    await site.closes()
    await asyncio.gather(site.look(), Moves(site.database, site.signs).look(NOW), site.look())
    await site.look()
    words = [*await site.answers(site.b), *await site.answers(site.c)]
    assert sorted(words) == ["granted", "later"]


async def test_a_grant_that_was_not_taken_leaves_the_claim_held(site: Site) -> None:
    await site.asks(site.b)
    await site.look()
    await site.closes()
    await site.look()
    await site.ends(site.b, "claim.answer", "refused")
    await site.look()
    assert (await site.line())["state"] == "held"
    for machine in (site.a, site.b):  # wherever it is keyed in next, where it was promised too
        await site.asks(machine)
        await site.look()
        assert (await site.answers(machine))[-1] == "granted"
        if machine is site.a:
            await site.ends(machine, "claim.answer", "refused")
            await site.look()
    await site.takes(site.b)
    assert (await site.line())["how"] == "at lobby-2"


async def test_nobody_else_gets_what_a_machine_may_have_taken(site: Site) -> None:
    await site.asks(site.b)
    await site.look()
    await site.closes()
    await site.look()
    for now in (NOW, NOW + 10_000_000_000):  # it is away, for ever
        await site.look(now)
        await site.asks(site.c)
        await site.look()
        assert (await site.answers(site.c))[-1] == "later"
    with pytest.raises(OrderRefusedError, match="being given"):
        await moves.end(site.database, site.a.address, site.claim, "cash", NOW)
    await site.takes(site.b)
    assert (await site.line())["state"] == "closed"


async def test_a_refusal_behind_a_disk_that_went_back_frees_nothing(site: Site) -> None:
    await site.asks(site.b)
    await site.look()
    await site.closes()
    await site.look()
    behind = Machine("lobby-2", number=9)
    behind.begin(previous=(site.b.journal.hex(), 3))
    id_, _ = (await site.commands(site.b, "claim.answer"))[-1]
    refused = {"id": id_, "kind": "claim.answer", "outcome": "refused", "expires_ms": NOW}
    behind.write(rec.CommandFinished.model_validate(refused))
    await site.ingest.take(behind.address, behind.batch(1), NOW)
    await adopt_journal(site.database, behind.address, behind.journal, NOW)
    await site.look()
    await site.asks(site.c)
    await site.look()
    assert await site.answers(site.c) == ["later"]


async def test_a_machine_that_never_heard_of_a_grant_and_speaks_again_frees_it(site: Site) -> None:
    await site.asks(site.b)
    await site.look()
    await site.closes()
    await site.look()
    async with site.database.writing() as connection:
        await connection.execute(
            update(t.command).where(t.command.c.kind == "claim.answer").values(expires_ms=1)
        )
    await site.look(NOW + 4_000_000)
    assert (await site.line())["state"] == "held"


async def test_a_grant_that_nobody_signs_is_no_grant(site: Site) -> None:
    await site.asks(site.b)
    await site.look()
    await site.closes()
    site.signs.signer = None
    await site.look()
    await site.look(NOW + WAITS)
    assert await site.answers(site.b) == []
    site.signs.signer = fleet_signer()
    await site.look(NOW + WAITS + moves.SURELY_MS)
    await site.asks(site.c)
    await site.look()
    assert await site.answers(site.c) == ["granted"]


async def test_what_was_decided_and_not_sent_is_sent_by_the_next(site: Site) -> None:
    await site.asks(site.b)
    await site.look()
    await site.closes()
    site.signs.signer = None
    await site.look()
    site.signs.signer = fleet_signer()
    await Moves(site.database, site.signs).look(NOW)
    assert await site.answers(site.b) == ["granted"]


async def test_a_question_is_answered_once_however_often_it_comes(site: Site) -> None:
    site.b.sell()
    digest = hashlib.sha256(b"12345678901234567890").hexdigest()
    seq = site.b.write(rec.ClaimAsked(digest=digest, end="7890", waits_ms=WAITS, days=90))
    _, boot, body, _ = site.b.rows[-1]
    copy = Urgent(journal=site.b.journal.hex(), seq=seq, boot=boot, body=body)
    for _ in range(2):
        await site.ingest.copied(site.b.address, copy, NOW)
        await site.look()
    assert await site.answers(site.b) == ["unknown"]
    await site.up(site.b)
    await site.look()
    await rebuild(site.database, NOW)
    await site.look()
    assert await site.answers(site.b) == ["unknown"]


async def test_nobody_answers_when_its_customer_has_gone(site: Site) -> None:
    await site.asks(site.b)
    await site.look(START + 2 * WAITS)
    assert await site.commands(site.a, "claim.close") == []
    assert await site.answers(site.b) == []
    async with site.database.reading() as connection:
        rows = await connection.execute(select(t.claim_question.c.answer, t.claim_question.c.sent))
        assert [tuple(row) for row in rows] == [("late", True)]


async def test_a_claim_that_only_a_copy_tells_of_is_not_paid_yet(site: Site) -> None:
    code = "00000099123456789012"
    site.a.sell()
    site.a.write(rec.ClaimOpened(amount=100, tender="cash", code=code, reason="no change"))
    seq, boot, body, _ = site.a.rows[-1]
    copy = Urgent(journal=site.a.journal.hex(), seq=seq, boot=boot, body=body)
    await site.ingest.copied(site.a.address, copy, NOW)
    await site.asks(site.b, code)
    await site.look()
    ((_, args),) = await site.commands(site.b, "claim.answer")
    assert (args["answer"], args["machine"]) == ("later", "lobby-1")


async def test_a_claim_that_is_too_old_is_unknown(site: Site) -> None:
    async with site.database.writing() as connection:
        await connection.execute(update(t.claim).values(opened_ms=START - 91 * 86_400_000))
    await site.asks(site.b)
    await site.look()
    assert await site.answers(site.b) == ["unknown"]


async def test_a_claim_in_another_money_is_not_to_be_had(site: Site) -> None:
    async with site.database.writing() as connection:
        await connection.execute(
            update(t.machine).where(t.machine.c.name == "lobby-2").values(currency="CHF")
        )
    await site.asks(site.b)
    await site.look()
    assert await site.answers(site.b) == ["later"]
    assert await site.commands(site.a, "claim.close") == []


async def test_what_the_fleet_holds_survives_a_rebuild_and_is_paid_by_hand_once(
    site: Site,
) -> None:
    with pytest.raises(OrderRefusedError, match="holds no claim"):
        await moves.end(site.database, site.a.address, site.claim, "cash", NOW)
    await site.asks(site.b)
    await site.look()
    await site.closes()
    await rebuild(site.database, NOW)
    held = await reports.claims(site.database, site.a.address)
    assert [(line["claim"], line["state"]) for line in held] == [(site.claim, "held")]
    assert await moves.end(site.database, site.a.address, site.claim, "by bank", NOW) == 200
    assert await reports.claims(site.database, site.a.address) == []
    line = await site.line()
    assert (line["state"], line["how"]) == ("closed", "by bank")
    with pytest.raises(OrderRefusedError, match="was paid: by bank"):
        await moves.end(site.database, site.a.address, site.claim, "twice", NOW)
    await site.look()
    assert await site.answers(site.b) == ["paid"]


async def test_the_shell_tells_what_the_fleet_holds_and_ends_it(
    tmp_path: Path, migrated_file: Path
) -> None:
    (tmp_path / "fleet.db").write_bytes(migrated_file.read_bytes())
    database = FleetDatabase(f"sqlite+aiosqlite:///{tmp_path / 'fleet.db'}")
    site = await Site.of(database)
    await site.asks(site.b)
    await site.look()
    await site.closes()
    await database.close()
    runner = CliRunner()

    def shell(*words: str) -> str:
        done = runner.invoke(app, ["--home", str(tmp_path), "claims", *words])
        assert done.exit_code == 0, done.output
        return done.output

    told = await asyncio.to_thread(shell)
    assert all(word in told for word in ("2.00", "acme/lobby-1", "owed by the fleet"))
    number = str(site.claim)
    await asyncio.to_thread(shell, "end", "acme/lobby-1", number, "--how", "by bank")
    assert "lobby-1" not in await asyncio.to_thread(shell)
    assert "closed: by bank" in await asyncio.to_thread(shell, "--all")
    (line,) = json.loads(await asyncio.to_thread(shell, "--all", "--json"))
    assert (line["state"], line["how"]) == ("closed", "by bank")
