"""What the fleet orders and a restart must not forget: locks, notices, updates; and audits."""

from __future__ import annotations

import json

import pytest

from controller.domain import commands as cmd
from controller.journal.database import companions
from controller.journal.errors import JournalRefusedError
from controller.journal.identity import journal_file
from controller.journal.records import MachineUnlocked
from controller.machine.inputs import CommandRefused
from controller.state.claims import Claim
from controller.state.fold import StateFold
from simulator.disk_sqlite import DiskStorage
from tests.scenarios.stage import Stage, play
from tests.scenarios.test_remote_commands import DAY, confirm, order

DIGEST = "ab" * 32


async def sent(stage: Stage, id_: str, kind: str, command: cmd.Command) -> dict[str, object]:
    assert stage.running is not None
    now = stage.running.machine.desk.now_ms
    return await stage.running.machine.act(
        order(id_, now, command, kind=kind, target="", counter=1), "fleet"
    )


def types(stage: Stage, prefix: str) -> list[str]:
    return [record.type for record in stage.told if record.type.startswith(prefix)]


# ------------------------------------------------------------------------------------- locks


def test_a_lock_gives_the_customer_their_money_back_and_holds_over_restarts() -> None:
    async def story(stage: Stage) -> None:
        await confirm(stage)
        await stage.coins(100, 50)

        locked = await sent(stage, "l", "machine.lock", cmd.LockMachine("recall"))

        assert locked["outcome"] == "done"
        await stage.shows("closed for now")
        await stage.quiet()
        assert (stage.spent, stage.credit) == (0, 0)
        await stage.kill()
        await stage.boot()
        await stage.shows("closed for now")
        assert stage.running is not None
        assert stage.running.machine.brain.blocked() == "locked by fleet: anna: recall"
        stage.world.insert_coin(100)
        await stage.passes(5.0)
        assert stage.credit == 0, "the acceptors are off"

        await confirm(stage)
        await sent(stage, "u", "machine.unlock", cmd.UnlockMachine())
        await stage.sells()
        assert types(stage, "machine.") == ["machine.locked", "machine.unlocked"]

    play(story)


def test_a_lock_waits_for_the_vend_that_is_under_way() -> None:
    async def story(stage: Stage) -> None:
        await confirm(stage)
        await stage.coins(100, 50)
        stage.press("A1")
        await stage.until(lambda: bool(stage.state.sagas))

        await sent(stage, "l", "machine.lock", cmd.LockMachine(""))

        await stage.shows("closed for now", within_s=60.0)
        assert (stage.last.result, len(stage.products)) == ("sold", 1)

    play(story)


def test_what_a_card_was_asked_for_is_not_bought_in_coins_of_a_machine_locked_meanwhile() -> None:
    async def story(stage: Stage) -> None:  # seed 500005722
        await confirm(stage)
        stage.press("B4")
        await stage.until(lambda: "approval" in stage.intents)

        await sent(stage, "l", "machine.lock", cmd.LockMachine(""))
        stage.world.insert_coin(50)

        await stage.shows("closed for now")
        await stage.quiet()
        assert (stage.products, stage.spent, stage.credit) == ([], 0, 0)

    play(story)


def test_whoever_stands_at_a_locked_machine_may_overrule_it_with_a_record() -> None:
    async def story(stage: Stage) -> None:
        await confirm(stage)
        await sent(stage, "l", "machine.lock", cmd.LockMachine("recall"))
        await stage.shows("closed for now")
        await stage.act(cmd.EnterService())
        await stage.act(cmd.LeaveService())
        await stage.shows("closed for now")

        await stage.act(cmd.UnlockMachine("the recall is another batch"))

        await stage.sells()
        (record,) = [record for record in stage.told if record.type == "machine.unlocked"]
        assert record.data == MachineUnlocked(by="tech", reason="the recall is another batch")
        assert types(stage, "review.") == ["review.flagged"], "the fleet is told so"

    play(story)


# ----------------------------------------------------------------------------------- notices


def test_a_notice_waits_for_customers_and_never_covers_what_they_must_read() -> None:
    async def story(stage: Stage) -> None:
        await confirm(stage)

        await sent(stage, "m", "message.show", cmd.ShowMessage("Neu: Wasser  für 1€\x07", 60.0))

        await stage.shows("Neu: Wasser für 1€")
        await stage.coins(100)
        await stage.shows("Credit")
        assert "Wasser" not in stage.screen
        await stage.gives_back()
        assert "Wasser" not in stage.screen, "the money's way is said first"
        await stage.shows("Neu: Wasser")
        stage.press("A")
        await stage.shows("Insert money")
        await stage.shows("Neu: Wasser")
        await stage.passes(60.0)
        await stage.shows("Insert money")

    play(story)


def test_a_notice_outlives_a_restart_only_where_the_time_says_that_it_still_holds() -> None:
    async def story(stage: Stage) -> None:
        await confirm(stage)
        await sent(stage, "m", "message.show", cmd.ShowMessage("Back on Monday", 600.0))
        await stage.shows("Back on Monday")
        await stage.kill()
        await stage.opens()
        assert "Back on Monday" not in stage.screen, "nobody knows how long that was"
        await confirm(stage)
        await stage.shows("Back on Monday")
        await sent(stage, "n", "message.show", cmd.ShowMessage("", 1.0))
        await stage.shows("Insert money")

    play(story)


def test_a_notice_that_no_display_can_show_is_refused() -> None:
    async def story(stage: Stage) -> None:
        await confirm(stage)
        answer = await sent(stage, "m", "message.show", cmd.ShowMessage("漢字", 60.0))
        assert answer["outcome"] == "refused"
        late = cmd.ShowMessage("late", 60.0, until_ms=1)
        assert (await sent(stage, "n", "message.show", late))["outcome"] == "refused"

    play(story)


# ------------------------------------------------------------------------------------ audits


def test_an_audit_tells_sales_by_column_product_and_tender_since_the_collection_and_in_all() -> (
    None
):
    async def story(stage: Stage) -> None:
        await confirm(stage)
        await stage.coins(100, 50)
        await stage.buys("A1")
        await stage.pays_by_card("A1")
        before = stage.state.ledger
        box = before.balance("cash.cashbox")
        await stage.act(cmd.Collect(box, 0, 0))
        await stage.coins(200)
        await stage.buys("A1")

        audit = (await sent(stage, "a", "audit.read", cmd.ReadAudit()))["result"]

        assert isinstance(audit, dict)
        life, since = audit["life"], audit["since_collection"]
        price = stage.state.closed[-1].price
        assert life["columns"] == {"A1": [3, 3 * price]}
        assert life["tenders"] == {"cash": [2, 2 * price], "card": [1, price]}
        assert (life["coins_in"], since["coins_in"]) == (350, 200)
        assert since["columns"] == {"A1": [1, price]}
        assert since["paid_out"] == 200 - price
        assert since["since_ms"] > 0
        assert len(json.dumps(audit)) < 4_000

    play(story)


# ----------------------------------------------------------------------------------- updates


def update(id_: str, version: str = "1.2.0", life_ms: int = DAY) -> cmd.UpdateSoftware:
    return cmd.UpdateSoftware(id_, version, DIGEST, "vendd-1.2.0-arm64", life_ms)


async def ordered(stage: Stage, id_: str, version: str = "1.2.0") -> dict[str, object]:
    assert stage.running is not None
    now = stage.running.machine.desk.now_ms
    return await sent(stage, id_, "software.update", update(id_, version, now + DAY))


def test_an_update_waits_for_a_quiet_moment_and_is_handed_over_once() -> None:
    async def story(stage: Stage) -> None:
        await confirm(stage)
        await stage.coins(100)

        answer = await ordered(stage, "up")

        assert answer["outcome"] == ""
        await stage.passes(30.0)
        assert stage.spool.files == {}, "a customer's money is in"
        await stage.gives_back()
        await stage.until(lambda: bool(stage.spool.files))
        await stage.quiet()
        again = await ordered(stage, "up")
        assert again["outcome"] == "handed_over"
        (content,) = stage.spool.files.values()
        assert json.loads(content) == {
            "command": "up",
            "version": "1.2.0",
            "sha256": DIGEST,
            "artefact": "vendd-1.2.0-arm64",
        }
        assert stage.spool.written == ["update-up.json"]

    play(story)


def test_an_update_that_waits_goes_on_waiting_after_a_restart() -> None:
    async def story(stage: Stage) -> None:
        await confirm(stage)
        await stage.coins(100)
        await ordered(stage, "up")
        await stage.kill()
        await stage.boot()
        await stage.until(lambda: stage.credit == 100)
        assert stage.spool.files == {}
        await stage.sells()
        await stage.gives_back()
        await stage.until(lambda: bool(stage.spool.files))
        await stage.quiet()
        assert types(stage, "update.") == ["update.requested", "update.intended", "update.finished"]

    play(story)


@pytest.mark.parametrize("picked_up", [False, True])
@pytest.mark.parametrize("instant", ["before", "after"])
def test_a_kill_around_the_hand_over_never_hands_it_over_twice(
    instant: str, *, picked_up: bool
) -> None:
    async def story(stage: Stage) -> None:
        await confirm(stage)
        await stage.coins(100)
        await ordered(stage, "up")
        stage.spool.write_s = 1.0
        stage.press("*")
        await stage.until(lambda: "update.intended" in types(stage, "update."))
        if instant == "after":
            await stage.until(lambda: bool(stage.spool.files))
        await stage.kill()
        if picked_up:
            stage.spool.pick_up()
        await stage.opens()
        await stage.until(lambda: "update.finished" in types(stage, "update."))
        await stage.quiet()
        assert len(stage.spool.written) <= 1
        told = instant == "after" and not picked_up
        command = stage.state.remote.commands["up"]
        assert command.outcome == ("handed_over" if told else "interrupted")

    play(story)


def test_a_later_version_takes_the_place_of_one_that_waits() -> None:
    async def story(stage: Stage) -> None:
        await confirm(stage)
        await stage.coins(100)
        await ordered(stage, "one")
        await ordered(stage, "two", "1.3.0")
        await stage.gives_back()
        await stage.until(lambda: bool(stage.spool.files))
        await stage.quiet()
        assert stage.spool.written == ["update-two.json"]
        assert stage.state.remote.commands["one"].outcome == "superseded"

    play(story)


# ---------------------------------------------------------------------- carried out elsewhere


def test_a_command_that_is_carried_out_beside_the_machine_ends_when_its_end_is_told() -> None:
    async def story(stage: Stage) -> None:
        assert stage.running is not None
        now = await confirm(stage)
        act = stage.running.machine.act
        wanted = order("j", now, None, kind="journal.upload", target="", outside=True)
        waiting = stage.loop.create_task(act(wanted, "fleet"))
        await stage.until(lambda: "command.started" in types(stage, "command."))
        assert (await act(wanted, "fleet"))["outcome"] == "", "a repeat is told that it runs"

        await act(cmd.EndRemote("j", "done", "512 records"), "fleet")

        assert (await waiting)["detail"] == "512 records"
        assert types(stage, "command.") == ["command.started", "command.finished"]
        with pytest.raises(CommandRefused, match="no command 'j' runs"):
            await act(cmd.EndRemote("j", "done"), "fleet")

    play(story)


# ------------------------------------------------------------------------------------ claims


async def with_a_claim(stage: Stage) -> Claim:
    for value in list(stage.world.tubes()):
        stage.world.empty_tube(value)
    await stage.kill()
    await stage.opens()
    await confirm(stage)
    await stage.coins(200)
    stage.press("*")
    await stage.until(lambda: bool(stage.state.claims))
    await stage.quiet()
    (claim,) = stage.state.claims.values()
    return claim


def settled(claim: Claim, journal: str = "") -> cmd.SettleClaim:
    return cmd.SettleClaim(claim.seq, journal, "bank transfer")


@pytest.mark.parametrize("cut", ["whole", "kill"])
def test_a_claim_that_the_fleet_paid_is_refused_at_the_keypad_as_paid(cut: str) -> None:
    async def story(stage: Stage) -> None:
        claim = await with_a_claim(stage)
        assert stage.running is not None
        journal = stage.running.journal.journal_id.hex()

        first = await sent(stage, "c", "claim.close", settled(claim, journal))

        assert first["result"] == {"claim": claim.seq, "amount": 200, "open": True}
        if cut == "kill":
            await stage.kill()
            await stage.opens()
            await confirm(stage)
        assert claim.code[:4] not in stage.screen
        again = await sent(stage, "d", "claim.close", settled(claim))
        assert again["result"] == {"claim": claim.seq, "open": False, "how": "bank transfer"}
        stage.press("#" + claim.code)
        await stage.shows("already paid")
        assert (stage.credit, stage.claimed, stage.state.wrong_codes) == (0, 0, 0)
        assert len(types(stage, "claim.closed")) == 1

    play(story, judged=False)  # the customer was paid elsewhere, which no world can see


def test_a_claim_that_was_honoured_here_is_not_closed_as_paid_by_the_fleet() -> None:
    async def story(stage: Stage) -> None:
        claim = await with_a_claim(stage)
        stage.press("#" + claim.code)
        await stage.until(lambda: stage.credit == 200)

        answer = await sent(stage, "c", "claim.close", settled(claim))

        assert answer["outcome"] == "refused"
        assert "was honoured here" in str(answer["detail"])

    play(story, judged=False)


def test_behind_a_fork_a_code_is_for_the_fleet_and_no_guess() -> None:
    async def story(stage: Stage) -> None:
        claim = await with_a_claim(stage)
        StateFold().forked(stage.state)

        stage.press("#" + claim.code)
        await stage.shows("ask the operator")
        with pytest.raises(CommandRefused, match=f"claim {claim.seq} of journal"):
            await stage.act(cmd.CloseClaim(claim.code, "cash"))

        assert (stage.claimed, stage.state.wrong_codes) == (200, 0)
        answer = await sent(stage, "c", "claim.close", settled(claim))
        assert answer["outcome"] == "done"
        assert stage.claimed == 0

    play(story, judged=False)


def test_commands_that_were_issued_before_a_journal_replaced_another_are_refused() -> None:
    async def story(stage: Stage) -> None:
        stage.state.remote.begun(replaces=True)
        now = await confirm(stage)
        assert stage.running is not None
        act = stage.running.machine.act
        price = cmd.SetPrice("A1", 170)

        late = await act(order("old", now, price, issued_ms=now - 10_000), "fleet")
        new = await act(order("new", now, price, issued_ms=now + 10_000), "fleet")

        assert (late["outcome"], new["outcome"]) == ("refused", "done")
        assert "before this journal began" in late["detail"]

    play(story)


@pytest.mark.parametrize(
    ("first", "outcome"),
    [(True, "done"), (False, "refused")],
    ids=["the fleet saw no other disk", "it saw one"],
)
def test_what_was_sent_before_an_empty_disks_first_contact_runs_where_no_other_disk_was(
    first: bool, outcome: str
) -> None:
    async def story(stage: Stage) -> None:
        assert stage.running is not None
        machine = stage.running.machine
        machine.desk.confirm_time("ntp")  # knows nothing of disks
        now = machine.desk.now_ms + 1_000
        await machine.act(cmd.ConfirmTime(now, machine.desk.now, first=first), "fleet")
        # Later words are of this disk, whose own commands have run by then.
        await machine.act(cmd.ConfirmTime(now + 60_000, machine.desk.now), "fleet")
        price = cmd.SetPrice("A1", 170)

        early = await machine.act(order("old", now, price, issued_ms=now - 10_000), "fleet")
        new = await machine.act(order("new", now, price, issued_ms=now + 10_000), "fleet")

        assert (early["outcome"], new["outcome"]) == (outcome, "done")

    play(story)


def test_behind_a_lost_journal_a_command_of_before_does_not_run_a_second_time() -> None:
    async def story(stage: Stage) -> None:
        now = await confirm(stage)
        assert stage.running is not None
        price = cmd.SetPrice("A1", 170)
        sent_before = order("c1", now, price, issued_ms=now)
        assert (await stage.running.machine.act(sent_before, "fleet"))["outcome"] == "done"
        journal = stage.running.journal.journal_id
        await stage.kill()
        await DiskStorage(stage.disk).remove(companions(journal_file(journal)))
        with pytest.raises(JournalRefusedError):
            await stage.boot()
        await stage.begin_journal("its file is gone")
        await stage.opens()
        assert stage.state.remote.commands == {}, "nobody here remembers it"
        later = await confirm(stage)

        again = await stage.running.machine.act(sent_before, "fleet")

        assert again["outcome"] == "refused"
        assert "before this journal began" in again["detail"]
        new = order("c2", later, price, counter=1, issued_ms=later + 5_000)
        assert (await stage.running.machine.act(new, "fleet"))["outcome"] == "done"

    play(story, judged=False)
