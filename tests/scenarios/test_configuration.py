"""Configuration from the fleet: whole or not at all, between customers, and back if it fails."""

from __future__ import annotations

from typing import Any

import pytest

from cloud.contract.settings import digest_of, nested
from cloud.link.snapshot import snapshot
from controller.domain import commands as cmd
from controller.machine.configuring import NO_DEVICE, TRIAL_S
from controller.machine.desk import Desk
from controller.machine.inputs import CommandRefused
from controller.state.config import drift as differences
from simulator.world import Link
from tests.scenarios.card_kit import begin
from tests.scenarios.stage import SETTINGS, Stage, play

CHEAP = {"planogram.columns.A1.price": 100, "policy.max_credit": 3_000}


def config(revision: int, settings: dict[str, Any], *, waits: bool = False) -> cmd.ApplyConfig:
    whole = nested(settings)
    return cmd.ApplyConfig(revision, digest_of(whole), whole, waits=waits)


async def push(stage: Stage, revision: int, settings: dict[str, Any]) -> dict[str, Any]:
    assert stage.running is not None
    return await stage.running.machine.act(config(revision, settings), "fleet: anna")


def price(stage: Stage, column: str = "A1") -> int:
    assert stage.running is not None
    return stage.running.machine.desk.planogram.columns[column].price


def max_credit(stage: Stage) -> int:
    assert stage.running is not None
    return stage.running.machine.desk.policy.max_credit


def trial(stage: Stage) -> bool:
    return stage.state.config.trial


def drift(desk: Desk) -> dict[str, dict[str, Any]]:
    return differences(desk.state.config.held, desk.planogram)


def holds(stage: Stage) -> tuple[int, int, int]:
    return stage.state.config.held.revision, price(stage), max_credit(stage)


OLD, NEW = (0, 150, 5_000), (1, 100, 3_000)


async def until_judged(stage: Stage) -> None:
    config = stage.state.config
    await stage.until(lambda: config.seen > 0 or _ready(stage), within_s=10.0)


def _ready(stage: Stage) -> bool:
    assert stage.running is not None
    waiting = stage.running.machine.desk.live.config
    return waiting is not None and waiting.judged is not None


def test_a_revision_holds_as_one_and_is_good_after_a_while(link: Link) -> None:
    async def story(stage: Stage) -> None:
        answer = await push(stage, 1, CHEAP)
        assert answer["outcome"] == "waits"
        await stage.until(lambda: holds(stage) == NEW)
        (applied,) = stage.records("config.applied")
        assert (applied.revision, applied.by) == (1, "fleet: anna")
        assert applied.digest == digest_of(nested(CHEAP))
        assert trial(stage)
        await stage.coins(100)
        assert (await stage.buys("A1")).price == 100
        assert stage.spent == 100
        await stage.passes(TRIAL_S)
        assert not trial(stage)
        assert [data.revision for data in stage.records("config.confirmed")] == [1]
        await stage.kill()
        await stage.opens()
        assert holds(stage) == NEW

    play(story, link, judged=False)  # the oracles count in the file's prices


def test_texts_offers_and_what_is_taken_change_while_it_runs() -> None:
    async def story(stage: Stage) -> None:
        await push(
            stage,
            1,
            {
                "machine.languages": ["de", "en"],
                "machine.locale": "de_DE",
                "mdb.changer.accept": [50, 100],
                "offers": [{"name": "happy", "percent": 50, "start": "00:00", "end": "00:00"}],
            },
        )
        await stage.shows("Willkommen")
        assert stage.running is not None
        desk = stage.running.machine.desk
        assert desk.policy.coins_accepted == frozenset({50, 100})
        stage.world.insert_coin(200)
        await stage.quiet()
        assert stage.credit == 0, "a coin that is not wanted falls through"
        await stage.act(cmd.ConfirmTime(desk.now_ms + 1_000, desk.now, first=True))
        await stage.until(lambda: price(stage) == 75)

    play(story)


@pytest.mark.parametrize("busy", ["credit", "escrow", "card", "motor", "service", "keys"])
def test_it_waits_until_nobody_is_served(busy: str, link: Link) -> None:
    async def story(stage: Stage) -> None:
        match busy:
            case "credit" | "keys":
                if busy == "credit":
                    await stage.coins(100, 50)
                else:
                    stage.press("A")
                    await stage.passes(0.5)
            case "escrow":
                await stage.bill(500)
            case "card":
                await begin(stage)
            case "motor":
                await stage.coins(100, 50)
                stage.press("A1")
                await stage.until(lambda: "dispense" in stage.intents)
            case "service":
                await stage.act(cmd.EnterService())
        assert stage.running is not None
        await push(stage, 1, CHEAP)
        await until_judged(stage)
        assert holds(stage) == OLD
        told = snapshot(stage.running.machine, "x", 0)
        assert told.configuration is not None
        assert (told.configuration.revision, told.configuration.waiting) == (0, 1)
        match busy:
            case "credit":
                assert (await stage.buys("A1")).price == 150, "the price that they saw"
            case "escrow" | "card":
                await stage.gives_back_session() if busy == "card" else await stage.gives_back()
            case "keys":
                stage.press("1")
            case "service":
                await stage.act(cmd.LeaveService())
        await stage.until(lambda: holds(stage) == NEW, within_s=120.0)
        await stage.quiet()

    play(story, link)


def test_what_is_wrong_is_told_with_its_place_while_a_customer_is_served() -> None:
    async def story(stage: Stage) -> None:
        await push(stage, 1, CHEAP)
        await stage.until(lambda: holds(stage) == NEW)
        await stage.coins(100)
        await push(
            stage,
            2,
            {
                "policy.max_credit": -1,
                "policy.max_change": "much",
                "planogram.columns.A1.price": 120,
            },
        )
        await stage.until(lambda: stage.state.config.seen == 2)
        assert holds(stage) == NEW
        (refused,) = stage.records("config.refused")
        assert refused.revision == 2
        range_, kind = refused.reasons
        assert range_ == (
            "policy.max_credit = -1: is out of range; allowed: 0 to 99999999 minor units"
        )
        assert kind.startswith('policy.max_change = "much": is no whole number; allowed: a whole')
        assert stage.running is not None
        told = snapshot(stage.running.machine, "x", 0).configuration
        assert told is not None
        assert (told.revision, told.seen, told.outcome) == (1, 2, "refused")
        assert told.errors == refused.reasons
        await stage.gives_back()

    play(story)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"gpio.rows": [1]}, "gpio: stays with the machine's own file: wiring"),
        ({"mdb.port": "/dev/x"}, "mdb.port: stays with the machine's own file"),
        ({"cloud.root_key": "ab" * 32}, "cloud.root_key: stays with the machine's own file: whom"),
        ({"machine.currency": "USD"}, "a journal counts in one currency"),
        ({"planogram.columns.99.price": 1}, "planogram.columns.99: there is no such column"),
        ({"planogram.columns.A1.product": "tea"}, 'A1.product = "tea": is no product'),
        ({"planogram.currency": "USD"}, "planogram.currency = USD: this machine sells in EUR"),
        ({"planogram.columns.A1.price": -5}, "planogram.columns.A1.price = -5: is out of range"),
        ({"planogram.columns.A1.prize": 5}, "planogram.columns.A1.prize = 5: is an unknown key"),
        ({"planogram.columns.A1.capacity": 0}, "columns.A1.capacity = 0: is out of range"),
        ({"policy.max_credit": 10}, "policy.max_credit = 10: cash buys nothing here"),
        ({"machine.languages": ["fr"]}, 'has no texts for "fr"'),
        ({"policy": 5}, "policy = 5: is no table"),
        ({"planogram": 5}, "planogram = 5"),
    ],
)
def test_what_no_fleet_may_change_or_no_machine_could_do_is_refused(
    settings: dict[str, Any], says: str
) -> None:
    async def story(stage: Stage) -> None:
        await push(stage, 1, settings)
        await stage.until(lambda: stage.state.config.seen == 1)
        (refused,) = stage.records("config.refused")
        assert says in "\n".join(refused.reasons)
        assert holds(stage) == OLD

    play(story)


def test_a_revision_only_rises_and_a_repeat_writes_nothing() -> None:
    async def story(stage: Stage) -> None:
        assert stage.running is not None
        await push(stage, 5, CHEAP)
        await stage.until(lambda: stage.state.config.seen == 5)
        await stage.passes(TRIAL_S + 1.0)
        written = stage.running.journal.next_seq
        assert (await push(stage, 5, CHEAP))["outcome"] == "known"
        assert (await push(stage, 5, {"policy.max_credit": 1}))["outcome"] == "differs"
        assert (await push(stage, 4, {"policy.max_credit": 1}))["outcome"] == "known"
        await stage.passes(5.0)
        assert stage.running.journal.next_seq == written
        with pytest.raises(CommandRefused, match="revision 5 came before"):
            await stage.act(config(5, CHEAP, waits=True))

    play(story)


def test_of_two_that_come_while_a_customer_is_served_the_newer_holds() -> None:
    async def story(stage: Stage) -> None:
        await stage.coins(100, 50)
        await push(stage, 1, {"planogram.columns.A1.price": 110})
        await push(stage, 2, {"planogram.columns.A1.price": 120})
        await stage.gives_back()
        await stage.until(lambda: price(stage) == 120)
        assert [data.revision for data in stage.records("config.applied")] == [2]

    play(story)


def test_a_revision_says_all_that_revisions_say() -> None:
    async def story(stage: Stage) -> None:
        await push(stage, 1, CHEAP)
        await stage.until(lambda: holds(stage) == NEW)
        await push(stage, 2, {"planogram.columns.A2.price": 110})
        await stage.until(lambda: stage.state.config.seen == 2)
        assert (price(stage), price(stage, "A2"), max_credit(stage)) == (150, 110, 5_000)
        _, second = stage.records("config.applied")
        assert {name: shelf.price for name, shelf in second.others.items()} == {"A1": 150}

    play(story)


# ------------------------------------------------------------------------------------------ back


async def stops(stage: Stage) -> None:
    """End it as ``systemctl stop`` does: the process lets go of its pins."""
    await stage.stop()
    stage.cut_strings()


async def on_trial(stage: Stage) -> None:
    await push(stage, 1, CHEAP)
    await stage.until(lambda: holds(stage) == NEW)


def test_a_machine_that_dies_on_trial_starts_with_the_last_good_one(link: Link) -> None:
    async def story(stage: Stage) -> None:
        await stage.act(cmd.SetPrice("A1", 160))
        await on_trial(stage)
        await stage.kill()
        await stage.opens()
        assert holds(stage) == (0, 160, 5_000)
        config = stage.state.config
        assert (config.seen, config.outcome, config.trial) == (1, "rolled_back", False)
        assert config.errors == ["vendd died before it was found to be good"]
        assert (await push(stage, 1, CHEAP))["outcome"] == "known", "it is not tried again"
        await push(stage, 2, CHEAP)
        await stage.until(lambda: holds(stage) == (2, 100, 3_000))

    play(story, link)


def test_a_stop_or_a_power_cut_on_trial_is_no_fault_of_it() -> None:
    async def story(stage: Stage) -> None:
        await on_trial(stage)
        await stops(stage)
        await stage.opens()
        assert holds(stage) == NEW
        await stage.cut_power()
        await stage.restore_power()
        await stage.opens()
        assert holds(stage) == NEW
        await stage.passes(TRIAL_S + 1.0)
        assert not trial(stage)

    play(story)


def test_one_that_takes_the_power_with_it_each_time_is_taken_back() -> None:
    async def story(stage: Stage) -> None:
        await on_trial(stage)
        for _ in range(3):
            assert holds(stage) == NEW
            await stage.cut_power()
            await stage.restore_power()
            await stage.opens()
        assert holds(stage) == OLD
        assert stage.state.config.errors == ["not found to be good in 3 starts"]

    play(story)


def test_a_machine_that_finds_no_payment_device_with_it_goes_back_by_itself() -> None:
    async def story(stage: Stage) -> None:
        await on_trial(stage)
        for device in ("changer", "bill", "cashless1"):
            stage.world.unplug(device)
        await stage.until(lambda: holds(stage) == OLD, within_s=3 * TRIAL_S)
        assert stage.state.config.outcome == "rolled_back"
        assert NO_DEVICE in stage.state.config.errors[0]
        for device in ("changer", "bill", "cashless1"):
            stage.world.plug(device)
        await stage.sells()

    play(story)


def test_what_does_not_fit_the_machines_own_file_any_more_is_taken_back() -> None:
    async def story(stage: Stage) -> None:
        await push(stage, 1, {**CHEAP, "tokens.products": ["gum"]})
        await stage.until(lambda: holds(stage) == NEW)
        await stage.passes(TRIAL_S + 1.0)
        await stops(stage)
        without = tuple(c for c in SETTINGS.columns if c.product != "gum")
        products = tuple(p for p in SETTINGS.products if p.id != "gum")
        stage.settings = SETTINGS.model_copy(update={"columns": without, "products": products})
        await stage.opens()
        assert holds(stage) == OLD
        (error,) = stage.state.config.errors
        assert 'tokens.products[0] = "gum": is not there' in error
        stage.settings = SETTINGS

    play(story)


# ------------------------------------------------------------------------------------- planogram


PLANOGRAM: dict[str, Any] = {
    "currency": "EUR",
    "products": {"tea": {"name": "Iced tea", "price": 170, "min_age": 0}},
    "columns": {
        "A1": {"product": "tea", "price": None, "capacity": 6},
        "B1": {"product": "crisps", "price": 190, "capacity": None},
    },
}


def test_a_planogram_is_applied_as_one_and_outlives_restarts() -> None:
    async def story(stage: Stage) -> None:
        assert stage.running is not None
        answer = await stage.act(cmd.ApplyPlanogram(PLANOGRAM))
        assert answer == {"columns": ["A1", "B1"]}
        for _ in range(2):
            columns = stage.running.machine.desk.planogram.columns
            a1, b1 = columns["A1"], columns["B1"]
            assert (a1.product, a1.price, a1.capacity) == ("tea", 170, 6)
            assert (b1.product, b1.price, b1.capacity) == ("crisps", 190, 10)
            await stage.kill()
            await stage.opens()
        await stage.act(cmd.SetPrice("A1", 175))
        assert price(stage) == 175
        await stage.act(cmd.ApplyPlanogram({"columns": {"A1": {"price": 165}}}))
        assert price(stage) == 165, "the last word counts"

    play(story, ends=False)


def test_a_planogram_that_is_wrong_changes_nothing() -> None:
    async def story(stage: Stage) -> None:
        wrong = {"columns": {"B1": {"price": 190}, "A1": {"product": "tea"}}}
        with pytest.raises(CommandRefused, match=r'A1\.product = "tea": is no product'):
            await stage.act(cmd.ApplyPlanogram(wrong))
        assert (price(stage), price(stage, "B1")) == (150, 180)
        assert not stage.records("planogram.applied")

    play(story)


def test_a_basket_that_is_being_filled_keeps_its_prices() -> None:
    async def story(stage: Stage) -> None:
        assert stage.running is not None
        await stage.coins(100, 100, 100)
        task = stage.loop.create_task(
            stage.act(cmd.ApplyPlanogram({"columns": {"A1": {"price": 200}}}))
        )
        await stage.passes(1.0)
        assert not task.done()
        assert (await stage.buys("A1")).price == 150
        await stage.until(task.done)
        assert price(stage) == 200

    play(story)


# ----------------------------------------------------------------------------------------- drift


def test_what_a_technician_changes_after_a_revision_is_drift_and_stands() -> None:
    async def story(stage: Stage) -> None:
        assert stage.running is not None
        desk = stage.running.machine.desk
        await stage.act(cmd.SetPrice("A1", 170))
        assert drift(desk) == {}, "no revision speaks of it"
        await on_trial(stage)
        assert drift(desk) == {}
        await stage.act(cmd.SetPrice("A1", 180))
        await stage.act(cmd.SetPrice("B1", 10))
        expected = {"planogram.columns.A1.price": {"wanted": 100, "found": 180, "by": "tech"}}
        assert drift(desk) == expected
        assert snapshot(stage.running.machine, "x", 0).drift == expected
        await push(stage, 1, CHEAP)
        await stage.passes(TRIAL_S + 1.0)
        await stage.kill()
        await stage.opens()
        assert stage.running is not None
        assert drift(stage.running.machine.desk) == expected, "it stands"
        adopted = {**CHEAP, "planogram.columns.A1.price": 180}
        await push(stage, 2, adopted)
        await stage.until(lambda: stage.state.config.seen == 2)
        assert drift(stage.running.machine.desk) == {}
        assert price(stage) == 180
        await push(stage, 3, CHEAP)
        await stage.until(lambda: stage.state.config.seen == 3)
        assert price(stage) == 100, "overwritten"

    play(story)


def test_a_planogram_by_command_is_drift_from_a_revision_too() -> None:
    async def story(stage: Stage) -> None:
        assert stage.running is not None
        await on_trial(stage)
        await stage.act(cmd.ApplyPlanogram({"columns": {"A1": {"capacity": 5}}}))
        assert drift(stage.running.machine.desk) == {
            "planogram.columns.A1.capacity": {"wanted": 8, "found": 5, "by": "tech"}
        }

    play(story)


# ----------------------------------------------------------------------------------------- kills


@pytest.mark.parametrize("fate", ["kill", "power"])
def test_whenever_it_dies_the_old_one_or_the_new_one_holds_whole(fate: str) -> None:
    """At every write and sync between the word of the fleet and the end of the trial."""
    deaths: list[tuple[int, int, int]] = []

    def dies_at(instant: int) -> bool:
        async def story(stage: Stage) -> None:
            assert stage.running is not None
            seen: list[str] = []
            dead = stage.loop.create_future()

            def told(what: str) -> None:
                if what.startswith("disk"):
                    seen.append(what)
                    if len(seen) == instant and not dead.done():
                        dead.set_result(None)
                        stage.cut_strings()

            stage.hook_disk()
            stage.on_instant = told
            await push_quietly(stage)
            await stage.until(lambda: dead.done() or not _waits(stage), within_s=30.0)
            stage.on_instant = None
            reached.append(dead.done())
            if fate == "kill":
                await stage.kill()
            else:
                await stage.cut_power()
                await stage.restore_power()
            await stage.opens()
            deaths.append(holds(stage))
            verified = await stage.running.journal.verify()
            assert verified.ok
            assert holds(stage) in (OLD, NEW)
            if fate == "kill":
                assert holds(stage) == OLD, "it died before it was good"

        reached: list[bool] = []
        play(story)
        return reached[0]

    instant = 1
    while dies_at(instant):
        instant += 1
    assert instant > 4
    if fate == "power":
        assert {OLD, NEW} == set(deaths)


async def push_quietly(stage: Stage) -> None:
    assert stage.running is not None
    task = stage.loop.create_task(push(stage, 1, CHEAP))
    await stage.passes_without(2.0)
    task.cancel()


def _waits(stage: Stage) -> bool:
    return False
