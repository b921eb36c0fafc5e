"""A code of another machine of the same owner: honoured here once the fleet confirms it, once."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import pytest

from controller.domain import accounts as acc
from controller.domain import commands as cmd
from controller.journal import records as rec
from controller.saga.claims import grouped, mint, well_formed
from controller.saga.redeem import ASK_S, PAUSE_S
from simulator.oracles import books_equal_cash, ledger_balances
from simulator.world import Link
from tests.scenarios.stage import Stage, play
from tests.scenarios.test_fleet_orders import with_a_claim
from tests.scenarios.test_remote_commands import confirm, order

KEY: Final = b"another machine's key, 32 bytes."
CODE: Final = mint(KEY, "lobby-2", 77, 200)
DAY: Final = 86_400_000


def codes(count: int) -> list[str]:
    return [mint(KEY, "lobby-2", number, 100) for number in range(100, 100 + count)]


async def in_touch(stage: Stage) -> None:
    """The fleet can be asked."""
    assert stage.running is not None
    await confirm(stage)
    await stage.running.machine.act(cmd.NoteFleet(hears=True), "fleet")


async def asks(stage: Stage, code: str = CODE) -> rec.ClaimAsked:
    before = len(stage.records("claim.asked"))
    stage.press("#" + code)
    await stage.until(lambda: len(stage.records("claim.asked")) > before, within_s=10.0)
    await stage.shows("one moment")
    asked = stage.records("claim.asked")[-1]
    assert isinstance(asked, rec.ClaimAsked)
    return asked


def answer(stage: Stage, word: str, amount: int = 0, **more: Any) -> cmd.AnswerClaim:
    seq = max(r.seq for r in stage.told if r.type == "claim.asked")
    return cmd.AnswerClaim(stage.state.journal, seq, word, amount, **more)  # type: ignore[arg-type]


async def told(stage: Stage, command: cmd.AnswerClaim, id_: str = "a") -> dict[str, Any]:
    """Have the fleet's answer come, as often as it likes."""
    assert stage.running is not None
    machine = stage.running.machine
    now = machine.desk.now_ms
    sent = order(
        id_, now, command, kind="claim.answer", target="", expires_ms=now + DAY, replaced=False
    )
    found: dict[str, Any] = await machine.act(sent, "fleet")
    assert await machine.act(sent, "fleet") == found
    return found


def sound(stage: Stage) -> None:
    """What the world can see, and the sums: who was promised what, it can't."""
    assert [*books_equal_cash(stage), *ledger_balances(stage.state)] == []


def test_a_cash_claim_of_another_machine_is_credit_that_is_paid_in_coins(link: Link) -> None:
    async def story(stage: Stage) -> None:
        await in_touch(stage)
        asked = await asks(stage)
        assert CODE not in asked.model_dump_json()
        assert asked.end == CODE[-4:]

        answered = await told(stage, answer(stage, "granted", 200, machine="lobby-2"))

        assert answered["outcome"] == "done"
        assert (stage.credit, stage.state.asked) == (200, 0)
        await stage.gives_back()
        assert (stage.credit, stage.spent) == (0, -200)
        assert stage.state.ledger.balance(acc.OPERATOR) - operator(stage) == 200
        assert len(stage.records("claim.granted")) == 1
        sound(stage)

    def operator(stage: Stage) -> int:
        before = stage.told.index(next(r for r in stage.told if r.type == "claim.granted"))
        lines = [line for record in stage.told[:before] for line in record.postings]
        return sum(amount for account, amount in lines if account == acc.OPERATOR)

    play(story, link, judged=False)


def test_a_card_claim_of_another_machine_buys_and_is_never_paid_out(link: Link) -> None:
    async def story(stage: Stage) -> None:
        await in_touch(stage)
        await asks(stage)
        await told(stage, answer(stage, "granted", 200, tender="card", machine="lobby-2"))
        assert stage.state.ledger.balance(acc.CREDIT_PRODUCT) == -200
        await stage.buys("A3")
        assert stage.last.result == "sold"
        assert stage.spent == 0
        sound(stage)

    play(story, link, judged=False)


def test_a_token_claim_of_another_machine_is_a_product(link: Link) -> None:
    async def story(stage: Stage) -> None:
        await in_touch(stage)
        await asks(stage)
        await told(stage, answer(stage, "granted", tender="token", machine="lobby-2"))
        assert [right.kind for right in stage.state.rights.values()] == ["token"]
        assert stage.credit == 0
        sound(stage)

    play(story, link, judged=False)


@pytest.mark.parametrize(
    ("word", "shown", "counted"),
    [("unknown", "not valid", 1), ("paid", "already paid", 0), ("later", "lobby-2", 0)],
)
def test_what_the_fleet_does_not_grant_is_told(
    word: str, shown: str, counted: int, link: Link
) -> None:
    async def story(stage: Stage) -> None:
        await in_touch(stage)
        await asks(stage)
        machine = "lobby-2" if word == "later" else ""
        await told(stage, answer(stage, word, machine=machine))
        await stage.shows(shown)
        assert (stage.credit, stage.state.wrong_codes, stage.state.asked) == (0, counted, 0)

    play(story, link)


def test_an_answer_that_comes_too_late_gives_nothing(link: Link) -> None:
    async def story(stage: Stage) -> None:
        await in_touch(stage)
        await asks(stage)
        await stage.shows("try later", within_s=ASK_S + 1.0)  # nobody has said that it is wrong
        assert stage.state.wrong_codes == 1
        late = await told(stage, answer(stage, "granted", 200))
        assert late["outcome"] == "refused"
        assert (stage.credit, stage.records("claim.granted")) == (0, [])

    play(story, link)


def test_an_answer_to_another_question_gives_nothing() -> None:
    async def story(stage: Stage) -> None:
        await in_touch(stage)
        await asks(stage)
        first = answer(stage, "granted", 200)
        await asks(stage, codes(1)[0])
        assert stage.state.wrong_codes == 1  # the first was given up
        assert (await told(stage, first, "a"))["outcome"] == "refused"
        elsewhere = cmd.AnswerClaim("ab" * 16, first.asked, "granted", 200)
        assert (await told(stage, elsewhere, "b"))["outcome"] == "refused"
        assert (await told(stage, answer(stage, "granted", 100), "c"))["outcome"] == "done"
        assert stage.credit == 100
        assert stage.state.wrong_codes == 0

    play(story, judged=False)


def test_the_same_code_again_asks_no_second_time() -> None:
    async def story(stage: Stage) -> None:
        await in_touch(stage)
        await asks(stage)
        await stage.passes(5.0)
        stage.press("#" + CODE)
        await stage.passes(3.0)
        assert len(stage.records("claim.asked")) == 1
        await told(stage, answer(stage, "granted", 200))
        assert stage.credit == 200

    play(story, judged=False)


def test_without_the_fleet_a_foreign_code_is_a_wrong_one() -> None:
    async def story(stage: Stage) -> None:
        await in_touch(stage)
        assert stage.running is not None
        await stage.running.machine.act(cmd.NoteFleet(hears=False), "fleet")
        stage.press("#" + CODE)
        await stage.shows("not valid")
        assert (stage.state.wrong_codes, stage.records("claim.asked")) == (1, [])

    play(story)


@pytest.mark.parametrize("how", ["answered", "given up", "timed out", "restarted"])
def test_five_codes_that_nobody_confirms_make_a_pause(how: str) -> None:
    async def story(stage: Stage) -> None:
        await in_touch(stage)
        for number, code in enumerate(codes(5)):
            await asks(stage, code)
            if how == "answered":
                await told(stage, answer(stage, "unknown"), f"a{number}")
            elif how == "timed out":
                await stage.passes(ASK_S + 1.0)
            elif how == "restarted":
                await stage.kill()
                await stage.opens()
                await in_touch(stage)
        if how == "given up":
            stage.press("#" + CODE)
            await stage.until(lambda: stage.state.wrong_codes == 5)
        assert stage.state.wrong_codes == 5
        asked = len(stage.records("claim.asked"))
        await stage.passes(10.0)
        stage.press("#" + CODE)
        await stage.shows("too many")
        assert len(stage.records("claim.asked")) == asked == 5
        await stage.passes(PAUSE_S)
        await asks(stage)

    play(story)


@pytest.mark.parametrize("after_s", [0.0, 0.001, 0.003, 0.01, 0.05, 1.0])
def test_a_kill_at_any_instant_of_the_answer_gives_it_once_or_not_at_all(
    after_s: float, link: Link
) -> None:
    async def story(stage: Stage) -> None:
        await in_touch(stage)
        await asks(stage)
        assert stage.running is not None
        machine = stage.running.machine
        command = answer(stage, "granted", 200, machine="lobby-2")
        now = machine.desk.now_ms
        sent = order(
            "a", now, command, kind="claim.answer", target="", expires_ms=now + DAY, replaced=False
        )
        waiting = asyncio.ensure_future(machine.act(sent, "fleet"))
        await asyncio.sleep(after_s)
        await stage.kill()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await stage.opens()
        await in_touch(stage)
        assert stage.running is not None
        outcomes = {(await stage.running.machine.act(sent, "fleet"))["outcome"] for _ in range(3)}
        types = [record.type async for record in stage.running.journal.records()]
        given = types.count("claim.granted")
        assert outcomes == ({"done"} if given else {"refused"})
        assert stage.credit == 200 * given
        assert stage.state.asked == 0
        assert types.count("claim.refused") == 1 - given
        sound(stage)

    play(story, link, judged=False)


def test_while_it_sells_nothing_a_machine_takes_no_grant() -> None:
    async def story(stage: Stage) -> None:
        await in_touch(stage)
        await asks(stage)
        await stage.act(cmd.EnterService())
        refused = await told(stage, answer(stage, "granted", 200))
        assert refused["outcome"] == "refused"
        assert stage.credit == 0
        await stage.act(cmd.LeaveService())

    play(story)


def test_its_own_code_that_the_fleet_took_over_is_asked_for_as_well(link: Link) -> None:
    async def story(stage: Stage) -> None:
        claim = await with_a_claim(stage)
        assert stage.running is not None
        closed = cmd.SettleClaim(claim.seq, "", rec.MOVED)
        await stage.running.machine.act(
            order("c", stage.running.machine.desk.now_ms, closed, kind="claim.close",
                  target="", expires_ms=stage.running.machine.desk.now_ms + DAY),
            "fleet",
        )  # fmt: skip
        assert stage.claimed == 0
        stage.press("#" + claim.code)
        await stage.shows("try later")
        assert stage.state.wrong_codes == 0
        await in_touch(stage)
        await asks(stage, claim.code)
        await told(stage, answer(stage, "granted", 200, machine="demo"))
        assert stage.credit == 200
        sound(stage)

    play(story, link, judged=False)


def test_what_the_fleet_took_over_is_not_closed_again_as_paid_by_hand() -> None:
    async def story(stage: Stage) -> None:
        claim = await with_a_claim(stage)
        assert stage.running is not None
        outcomes = []
        for number, how in enumerate((rec.MOVED, "in cash, by the caretaker", rec.MOVED)):
            now = stage.running.machine.desk.now_ms
            closing = cmd.SettleClaim(claim.seq, "", how)
            sent = order(f"c{number}", now, closing, kind="claim.close", target="",
                         counter=number + 1, expires_ms=now + DAY)  # fmt: skip
            outcomes.append((await stage.running.machine.act(sent, "fleet"))["outcome"])
        assert outcomes == ["done", "refused", "done"]

    play(story, judged=False)


def test_codes_of_other_machines_pass_the_check_digits() -> None:
    assert well_formed(grouped(CODE))
