"""Codes that are keyed in elsewhere, where machines tell odd things; the others are served on."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from cloud.contract.journal import records as rec
from cloud.fleet import moves, orders, reports
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.orders import OrderRefusedError
from cloud.fleet.projections.questions import MAX_WAIT_MS
from cloud.fleet.projections.rebuild import rebuild
from tests.fleet.test_claims_elsewhere import CODE, NOW, WAITS, Site

STRANGE = "00000077123456789012"


@pytest.fixture
async def site(database: FleetDatabase) -> Site:
    return await Site.of(database)


async def open_alerts(site: Site) -> list[str]:
    lines = await reports.alerts(site.database, site.a.address)
    return [line["cause"] for line in lines if line["cause"].startswith("claim ")]


async def questions(site: Site) -> list[Any]:
    async with site.database.reading() as connection:
        return list((await connection.execute(select(t.claim_question))).all())


async def granted(site: Site) -> None:
    await site.asks(site.b)
    await site.look()
    await site.closes()
    await site.look()


@pytest.mark.parametrize("amount", [-1, 10_000_000])
async def test_a_claim_that_no_answer_can_say_stops_nobody_elses(site: Site, amount: int) -> None:
    site.a.write(rec.ClaimOpened(amount=amount, tender="cash", code=STRANGE, reason="odd"))
    await site.up(site.a)
    await site.asks(site.c, STRANGE)
    await site.asks(site.b)
    await site.look()
    assert await site.answers(site.c) == ["later"]
    assert len(await site.commands(site.a, "claim.close")) == 1  # of the other one
    await site.closes()
    await site.look()
    assert await site.answers(site.b) == ["granted"]


async def test_an_answer_that_cannot_be_sent_is_given_up_and_the_next_one_is_sent(
    site: Site,
) -> None:
    await site.asks(site.c, STRANGE)
    await site.asks(site.b, STRANGE)
    async with site.database.writing() as connection:
        await connection.execute(
            update(t.claim_question)
            .where(t.claim_question.c.journal_uid == site.c.journal)
            .values(answer="granted", args='{"nothing": 1}')
        )
    await site.look()
    assert (await site.answers(site.c), await site.answers(site.b)) == ([], ["unknown"])
    assert all(one.sent for one in await questions(site))


async def test_a_clock_that_is_years_ahead_makes_no_question_that_never_ends(site: Site) -> None:
    await site.asks(site.b)
    async with site.database.writing() as connection:
        await connection.execute(update(t.claim_question).values(until_ms=NOW + 10**12))
    await site.look()
    (asked,) = await questions(site)
    assert asked.until_ms == NOW + MAX_WAIT_MS
    await site.look()
    ((_, args),) = await site.commands(site.a, "claim.close")
    assert args["how"] == rec.MOVED
    await site.look(NOW + MAX_WAIT_MS)
    (asked,) = await questions(site)
    assert asked.sent


async def test_what_the_fleet_holds_has_its_alert_until_it_is_given(site: Site) -> None:
    (cause,) = await open_alerts(site)
    await granted(site)
    assert await open_alerts(site) == [cause]
    await site.ends(site.b, "claim.answer", "refused")
    await site.look()
    assert await open_alerts(site) == [cause]
    await site.asks(site.c)
    await site.look()
    await site.takes(site.c)
    assert await open_alerts(site) == []


async def test_its_alert_ends_when_it_was_paid_by_hand(site: Site) -> None:
    await site.asks(site.b)
    await site.look()
    await site.closes()
    assert len(await open_alerts(site)) == 1
    await moves.end(site.database, site.a.address, site.claim, "by bank", NOW)
    assert await open_alerts(site) == []


async def test_what_a_lost_machine_was_granted_can_be_paid_once_somebody_has_seen_it(
    site: Site,
) -> None:
    await granted(site)
    late = NOW + WAITS + moves.SURELY_MS
    for now, seen in ((NOW, True), (late, False)):  # it may be given yet; nobody has looked
        with pytest.raises(OrderRefusedError, match="being given"):
            await moves.end(
                site.database, site.a.address, site.claim, "by bank", now, not_given=seen
            )
    for _ in range(2):
        with suppress(OrderRefusedError):
            paid = await moves.end(
                site.database, site.a.address, site.claim, "by bank", late, not_given=True
            )
    assert paid == 200
    assert await open_alerts(site) == []
    assert ((await site.line())["state"], (await site.line())["how"]) == ("closed", "by bank")
    await site.asks(site.c)
    await site.look()
    assert await site.answers(site.c) == ["paid"]


async def test_a_machine_whose_records_are_not_taken_is_not_asked_to_close(site: Site) -> None:
    async with site.database.writing() as connection:
        of_a = t.journal.c.uid == site.a.journal
        await connection.execute(update(t.journal).where(of_a).values(quarantine="a look"))
    await site.asks(site.b)
    await site.look()
    assert await site.answers(site.b) == ["later"]
    assert await site.commands(site.a, "claim.close") == []


async def test_a_record_that_nobody_understands_may_be_the_one_that_took_it(site: Site) -> None:
    await granted(site)
    async with site.database.writing() as connection:
        await connection.execute(
            update(t.command).where(t.command.c.kind == "claim.answer").values(expires_ms=1)
        )
        query = select(t.journal.c.id, t.journal.c.next_seq)
        row = (await connection.execute(query.where(t.journal.c.uid == site.b.journal))).one()
        await connection.execute(
            insert(t.dead_letter).values(
                journal_id=row.id, seq=row.next_seq, reason="newer", at_ms=NOW
            )
        )
    await site.look(NOW + 4_000_000)
    await site.asks(site.c)
    await site.look(NOW + WAITS // 2)
    assert await site.answers(site.c) == ["later"]
    async with site.database.writing() as connection:
        await connection.execute(update(t.dead_letter).values(replayed_ms=NOW))
    await site.look(NOW + 4_000_000)
    assert (await site.line())["state"] == "held"
    await site.asks(site.c)
    await site.look()
    assert (await site.answers(site.c))[-1] == "granted"


@pytest.mark.parametrize("first", ["its own machine", "the one that gave it"])
async def test_what_was_given_before_the_database_was_put_back_is_not_given_again(
    site: Site, first: str
) -> None:
    """Of the copy's time there is no question, no move and no command; the machines tell again."""
    site.a.write(
        rec.ClaimClosed(claim=site.claim, amount=200, tender="cash", how=rec.MOVED, by="fleet")
    )
    digest = hashlib.sha256(CODE.encode()).hexdigest()
    asked = site.b.write(rec.ClaimAsked(digest=digest, end=CODE[-4:], waits_ms=WAITS, days=90))
    site.b.write(rec.ClaimGranted(asked=asked, amount=200, tender="cash", machine="lobby-1"))
    machines = [site.a, site.b]
    for machine in machines if first == "its own machine" else reversed(machines):
        await site.up(machine)
        await site.look()
    await site.look()

    line = await site.line()
    assert (line["state"], line["how"]) == ("closed", "at lobby-2")
    assert await open_alerts(site) == []
    await site.asks(site.c)
    await site.look()
    assert await site.answers(site.c) == ["paid"]
    assert await site.answers(site.b) == []
    await rebuild(site.database, NOW)
    await site.look()
    assert all(one.sent for one in await questions(site))
    assert (await site.line())["how"] == "at lobby-2"


async def test_a_machine_that_gives_it_while_its_answer_is_being_noted_has_given_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.asks(site.b)
    await site.look()
    await site.closes()

    async def quick(*args: Any, **more: Any) -> Any:
        order = await orders.send(*args, **more)
        given = rec.ClaimGranted(
            asked=args[4]["asked"], amount=200, tender="cash", machine="lobby-1"
        )
        await site.ends(site.b, "claim.answer", before=given)
        return order

    monkeypatch.setattr("cloud.fleet.moves.send", quick)
    for _ in range(2):
        await site.look()

    assert ((await site.line())["state"], (await site.line())["how"]) == ("closed", "at lobby-2")
    assert await open_alerts(site) == []
    assert all(one.sent for one in await questions(site))
