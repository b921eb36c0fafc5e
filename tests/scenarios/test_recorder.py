"""The flight recorder: what it keeps, that no card data is in it, and that it can be replayed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.domain import commands as cmd
from controller.machine.inputs import CommandRefused
from controller.recorder import checkpoint, recorder
from controller.recorder.keeping import packed, unpacked
from controller.recorder.replay import Replayed, ReplayError, replay
from controller.recorder.story import story
from controller.saga.claims import mint
from simulator.world import Link
from tests.climate_kit import cooled
from tests.scenarios.stage import SETTINGS, Stage, play
from tests.scenarios.test_remote_commands import confirm, order

GOLDEN = Path(__file__).parents[1] / "golden" / "recordings"


def kept(stage: Stage) -> dict[str, list[bytes]]:
    """Return the lines of each recording by its word."""
    return {
        name[7 : -len(".jsonl.gz")]: lines for name, lines in sorted(stage.recordings.kept.items())
    }


def replayed(stage: Stage) -> list[Replayed]:
    return [replay(lines) for lines in kept(stage).values()]


def bodies(lines: list[bytes]) -> list[bytes]:
    """Return the bodies of the records in a recording."""
    found = []
    for line in lines[1:]:
        found += [body.encode() for body in json.loads(line).get("records", [])]
    return found


async def jams(stage: Stage) -> None:
    await stage.coins(200)
    stage.breaks("A3", "jam")
    await stage.buys("A3")


def test_a_jam_is_kept_with_its_frames_its_edges_and_its_keys(link: Link) -> None:
    stage = play(jams, link)
    lines = kept(stage)["a3-column.jammed"]
    text = b"\n".join(lines).decode()
    assert '"mdb":"0f 02' in text or '"mdb":"0d' in text  # the coins are paid back
    assert '{"at":' in text
    assert '"pin":"the motor of column A3","on":true' in text
    assert ':KeyPressed"' in text
    times = [json.loads(line)["at"] for line in lines[1:]]
    assert times == sorted(times)


def test_the_same_is_decided_again_byte_for_byte(link: Link) -> None:
    stage = play(jams, link)
    (found,) = replayed(stage)
    assert found.same
    assert found.types[-1] == "vend.closed"
    written = [record.body for record in stage.told]
    again = bodies(kept(stage)["a3-column.jammed"])
    assert again == written[written.index(again[0]) :][: len(again)]
    assert len(again) == found.records > 20


def test_another_decision_is_found() -> None:
    stage = play(jams)
    lines = kept(stage)["a3-column.jammed"]
    changed = [line.replace(b'\\"price\\":200', b'\\"price\\":190') for line in lines]
    assert changed != lines
    found = replay(changed)
    assert not found.same
    assert found.difference is not None
    assert found.difference.what == "records"
    late = [line.replace(b'"column":"A3"', b'"column":"A1"') for line in lines]
    assert replay(late).difference is not None


def test_a_vend_long_after_the_start_is_replayed_from_its_rest() -> None:
    async def scenario(stage: Stage) -> None:
        for _ in range(24):
            await stage.coins(100)
            await stage.buys("B4")
            if stage.state.stock.of("B4").count < 3:
                stage.world.cabinet.load("B4")
                await stage.act(cmd.FillStock("B4"))
        await jams(stage)

    stage = play(scenario)
    lines = kept(stage)["a3-column.jammed"]
    head = json.loads(lines[0])
    assert head["after_seq"] > 100
    assert replay(lines).same


def test_a_card_leaves_nothing_but_what_was_decided(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("A3", "jam")
        await stage.pays_by_card("A3", "prepaid")

    stage = play(scenario, link)
    lines = kept(stage)["a3-column.jammed"]
    assert replay(lines).same
    for line in lines[1:]:
        event = json.loads(line)
        if "mdb" in event and event["mdb"].startswith(("1", "6")):
            assert len(event["mdb"].split("(")[0].split()) <= 2, event
            assert len(event.get("data", "").split("(")[0].split()) <= 1, event
    sessions = [line for line in lines if b"SessionBegun" in line]
    assert all(b'"funds":null' in line for line in sessions)


def test_what_happens_under_another_configuration_is_replayed_from_there() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(50)
        wanted = {
            "policy": {"max_credit": 3_000},
            "machine": {"languages": ["de", "en"]},
            "planogram": {"columns": {"A3": {"price": 150}}},
        }
        await stage.act(cmd.ApplyConfig(1, "d", wanted))
        await stage.act(cmd.ApplyConfig(2, "d", {"gpio": {"rows": [1]}}))
        await stage.until(lambda: stage.state.config.seen == 2)
        await stage.act(cmd.ApplyConfig(3, "d", wanted))
        await stage.gives_back()
        await stage.until(lambda: stage.state.config.held.revision == 3)
        await jams(stage)
        await stage.act(cmd.ApplyConfig(4, "d", {}))
        await stage.act(cmd.ApplyPlanogram({"columns": {"B1": {"price": 5}}}))
        await stage.quiet()
        stage.breaks("A3", "jam")
        await stage.act(cmd.EnableColumn("A3"))
        await stage.coins(200)
        await stage.buys("A3")

    stage = play(scenario)
    found = replayed(stage)
    assert found
    assert all(one.same for one in found), [one.difference for one in found]
    assert any("dispense.finished" in one.types for one in found)


def test_a_judgement_that_waits_for_its_moment_is_replayed_as_well() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200)
        await stage.act(cmd.ApplyConfig(1, "d", {"policy": {"max_credit": 3_000}}))
        await stage.passes(2.0)
        stage.breaks("A3", "jam")
        await stage.buys("A3")

    stage = play(scenario)
    found = replayed(stage)
    assert found
    assert all(one.same for one in found), [one.difference for one in found]


def test_a_killed_machines_next_life_is_kept_as_well() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200)
        stage.press("A3")
        await stage.until(lambda: "dispense" in stage.intents)
        stage.breaks("A3", "jam")
        await stage.kill()
        await stage.opens()
        await stage.quiet()

    stage = play(scenario)
    assert kept(stage)
    assert all(found.same for found in replayed(stage))


def test_the_health_timers_end_is_kept_and_replayed() -> None:
    async def scenario(stage: Stage) -> None:
        assert stage.world.cabin is not None
        stage.breaks("climate", "sensor", "gone")
        await stage.passes(70.0)
        stage.mends("climate", "sensor")
        await stage.passes(15.0)

    stage = play(scenario, settings=cooled())
    assert "thermometer-cabin-temperature.sensor" in kept(stage)
    assert all(found.same for found in replayed(stage))


def test_commands_and_their_refusals_are_replayed() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.SetPrice("A3", 100))
        with pytest.raises(Exception, match="service"):
            await stage.act(cmd.TryMotor("A3"))
        await stage.coins(100)
        stage.breaks("A3", "jam")
        await stage.buys("A3")

    stage = play(scenario)
    (found,) = replayed(stage)
    assert found.same
    assert "price.set" in found.types


def test_a_claims_code_is_replayed_without_the_machines_key() -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("cashless1", "refund", "error")
        stage.breaks("A3", "jam")
        await stage.pays_by_card("A3")
        assert stage.claimed

    stage = play(scenario)
    found = replayed(stage)
    assert all(one.same for one in found)
    assert any("claim.opened" in one.types for one in found)


def test_codes_that_are_shown_in_turn_are_replayed_from_a_rest_between_two_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The notice shown and the promise that it is were one object, and two after a rest (seed
    # 2200000392).
    monkeypatch.setattr(recorder, "INPUTS_MIN", 2)

    async def scenario(stage: Stage) -> None:
        for value in list(stage.world.tubes()):
            stage.world.empty_tube(value)
        await stage.kill()
        await stage.opens()
        await stage.coins(200)  # for which there is no tube
        stage.breaks("B2", "jam")
        stage.breaks("cashless1", "refund", "error")
        await stage.pays_by_card("B2")
        assert len(stage.state.claims) == 2
        for _ in range(4):
            await stage.passes(10.5)  # another code is shown meanwhile
            await stage.act(cmd.KeepRecording())

    found = replayed(play(scenario))
    assert found
    assert all(one.same for one in found)


def test_a_machine_without_a_recorder_keeps_nothing() -> None:
    stage = play(jams, settings=SETTINGS.model_copy(update={"recorder": None}))
    assert kept(stage) == {}


def test_a_broken_act_is_kept() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200)
        assert stage.running is not None

        async def breaks(column: str, *, extra: bool = False) -> Any:
            raise RuntimeError(f"{column} {extra}")

        stage.running.machine.hands.dispenser.turn = breaks  # type: ignore[method-assign]
        stage.press("A3")
        with pytest.raises(Exception, match="an act broke"):
            await stage.ends()

    stage = play(scenario, ends=False)
    assert replay(kept(stage)["broken"]).same


def test_a_fleets_command_that_takes_a_while_is_replayed() -> None:
    async def scenario(stage: Stage) -> None:
        assert stage.running is not None
        machine = stage.running.machine
        now = await confirm(stage)
        await stage.coins(100)
        back = order("c1", now, cmd.ReturnCredit(), kind="refund.local")
        answer = await machine.act(back, "fleet")
        assert answer["outcome"] == "done"
        await stage.act(cmd.KeepRecording())
        await stage.passes(1.0)

    stage = play(scenario)
    found = replay(kept(stage)["asked"])
    assert found.same, found.difference
    assert "command.finished" in found.types


def test_a_question_to_the_fleet_is_replayed_and_written_down_at_rest() -> None:
    async def scenario(stage: Stage) -> None:
        assert stage.running is not None
        machine = stage.running.machine
        now = await confirm(stage)
        await machine.act(cmd.NoteFleet(hears=True), "fleet")
        stage.press("#" + mint(b"another machine's key, 32 bytes.", "m2", 7, 200))
        await stage.until(lambda: bool(stage.state.asked))
        assert checkpoint.take(machine.brain).memory["live"]["asked"]
        told = cmd.AnswerClaim(stage.state.journal, stage.state.asked, "paid")
        answer = order("c1", now, told, kind="claim.answer")
        assert (await machine.act(answer, "fleet"))["outcome"] == "done"
        await stage.act(cmd.KeepRecording())
        await stage.passes(1.0)

    stage = play(scenario)
    found = replay(kept(stage)["asked"])
    assert found.same, found.difference
    assert {"claim.asked", "claim.refused"} <= set(found.types)


def test_every_life_can_be_written_down_at_rest() -> None:
    """A part of the brain that can't be written down would leave the recorder empty."""

    async def scenario(stage: Stage) -> None:
        assert stage.running is not None
        brain = stage.running.machine.brain
        await stage.coins(100)
        await stage.gives_back()
        assert checkpoint.at_rest(brain)
        assert checkpoint.take(brain).seq == stage.state.seq
        assert checkpoint.configuration(brain.desk)["policy"]

    play(scenario)


def test_a_disputed_vend_is_kept_on_request() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200)
        await stage.buys("A3")
        assert kept(stage) == {}
        await stage.act(cmd.KeepRecording())
        await stage.passes(1.0)

    stage = play(scenario)
    found = replay(kept(stage)["asked"])
    assert found.same
    assert "vend.closed" in found.types


def test_without_a_recorder_nothing_can_be_kept() -> None:
    async def scenario(stage: Stage) -> None:
        with pytest.raises(CommandRefused, match="no flight recorder"):
            await stage.act(cmd.KeepRecording())

    play(scenario, settings=SETTINGS.model_copy(update={"recorder": None}))


def test_a_stretch_that_lost_a_part_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.recorder.recorder.INPUTS_MAX", 20)

    async def scenario(stage: Stage) -> None:
        await stage.coins(10, 10, 10, 10, 10, 50, 100)
        stage.breaks("A3", "jam")
        await stage.buys("A3")

    stage = play(scenario)
    lines = kept(stage)["a3-column.jammed"]
    with pytest.raises(ReplayError, match="a part is missing: 20 inputs without rest"):
        replay(lines)
    assert "can't be replayed" in next(iter(story(lines)))[2]


def test_after_the_time_was_confirmed_a_recording_begins_anew() -> None:
    async def scenario(stage: Stage) -> None:
        assert stage.running is not None
        label = stage.running.journal.label
        label.confirm(1_800_000_000_000, int(stage.loop.time() * 1000))
        await stage.coins(100)
        await stage.gives_back()
        await jams(stage)

    stage = play(scenario)
    assert all(found.same for found in replayed(stage))


def test_a_recording_is_told_in_words() -> None:
    stage = play(jams)
    told = list(story(kept(stage)["a3-column.jammed"]))
    assert told[0][1:] == ("recording", told[0][2])
    assert "A3-column.jammed: demo" in told[0][2]
    words = [(what, line) for _, what, line in told]
    assert ("pin", "the motor of column A3 on") in words
    assert any(what == "record" and line.startswith("dispense.finished") for what, line in words)
    assert any(what == "input" and "KeyPressed(key=3)" in line for what, line in words)
    assert any(what == "effect" and line.startswith("Turn(") for what, line in words)
    assert any(what == "bus" and "idle polls" in line for what, line in words)


@pytest.mark.parametrize(
    "lines", [[], [b"{}"], [b'{"format":2}'], [b"x"], [b'{"format":1,"gap":"2000 inputs"}']]
)
def test_what_cannot_be_replayed_says_why(lines: list[bytes]) -> None:
    with pytest.raises(ReplayError):
        replay(lines)


Edit = Callable[[dict[str, Any]], Any]


def first_line(change: Edit) -> Callable[[list[bytes]], list[bytes]]:
    """Change what a recording's first line says."""
    return lambda lines: [json.dumps(change(json.loads(lines[0]))).encode(), *lines[1:]]


def first_input(**changed: Any) -> Callable[[list[bytes]], list[bytes]]:
    """Change the first input."""

    def edit(lines: list[bytes]) -> list[bytes]:
        at = next(number for number, line in enumerate(lines) if b'"input"' in line)
        line = json.dumps(json.loads(lines[at]) | changed).encode()
        return [*lines[:at], line, *lines[at + 1 :]]

    return edit


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda lines: [], id="empty"),
        pytest.param(lambda lines: [b"[]"], id="a list"),
        pytest.param(lambda lines: [b"5", *lines[1:]], id="a number"),
        pytest.param(lambda lines: [b"[" * 100_000], id="too deep"),
        pytest.param(lambda lines: [b"\0" * 100], id="zeros"),
        pytest.param(lambda lines: lines[:1], id="its first line alone"),
        pytest.param(first_line(lambda head: head | {"format": 99}), id="another version"),
        pytest.param(first_line(lambda head: head | {"state": 5}), id="no state"),
        pytest.param(first_line(lambda head: head | {"memory": {}}), id="no memory"),
        pytest.param(first_line(lambda head: head | {"configuration": {}}), id="no configuration"),
        pytest.param(first_line(lambda head: head | {"devices": ["toaster"]}), id="no device"),
        pytest.param(first_input(input=5), id="no input"),
        pytest.param(first_input(wall_us=10**30), id="no time"),
        pytest.param(first_input(at="soon"), id="no instant"),
        pytest.param(first_input(codes=5), id="no codes"),
    ],
)
def test_a_spoilt_recording_ends_in_words_and_never_in_the_same(
    spoil: Callable[[list[bytes]], list[bytes]],
) -> None:
    lines = kept(play(jams))["a3-column.jammed"]
    assert replay(lines).same
    with pytest.raises(ReplayError):
        replay(spoil(lines))


@pytest.mark.parametrize("spoil", ["cut", "flipped"])
def test_a_file_that_is_damaged_is_no_recording(spoil: str) -> None:
    content = bytearray(packed(kept(play(jams))["a3-column.jammed"]))
    if spoil == "cut":
        del content[len(content) // 2 :]
    else:
        content[len(content) // 2] ^= 0xFF
    with pytest.raises(ValueError, match="no recording"):
        unpacked(bytes(content))


def test_an_input_that_is_left_out_is_noticed() -> None:
    lines = kept(play(jams))["a3-column.jammed"]
    inputs = [number for number, line in enumerate(lines) if b'"input"' in line]
    assert replay(lines).inputs == replay(lines).whole == len(inputs)
    without = [line for number, line in enumerate(lines) if number != inputs[2]]
    assert replay(without).difference is not None
    ended = replay(lines[: inputs[-1]])
    assert ended.inputs < ended.whole


def test_what_is_no_recording_has_no_story() -> None:
    with pytest.raises(ValueError, match="no recording"):
        list(story([b"{}"]))


def decided_otherwise(folder: Path) -> list[str]:
    """Return the recordings of a folder that this software decides otherwise."""
    files = sorted(folder.glob("*.jsonl.gz"))
    return [file.name for file in files if not replay(unpacked(file.read_bytes())).same]


def test_recordings_from_the_field_are_decided_as_they_were(tmp_path: Path) -> None:
    lines = kept(play(jams))["a3-column.jammed"]
    (tmp_path / "good.jsonl.gz").write_bytes(packed(lines))
    assert decided_otherwise(tmp_path) == []
    dearer = [line.replace(b'\\"price\\":200', b'\\"price\\":190') for line in lines]
    (tmp_path / "other.jsonl.gz").write_bytes(packed(dearer))
    assert decided_otherwise(tmp_path) == ["other.jsonl.gz"]
    assert decided_otherwise(GOLDEN) == []


def test_packing_is_the_same_each_time() -> None:
    lines = [b"one\n", b"two\n"]
    assert packed(lines) == packed(lines)


def test_what_the_fleet_orders_is_replayed() -> None:
    async def scenario(stage: Stage) -> None:
        assert stage.running is not None
        machine = stage.running.machine
        now = await confirm(stage)
        ordered: tuple[cmd.Command, ...] = (
            cmd.UpdateSoftware("c0", "2.0.0", "ab" * 32, "vendd-2.0.0", now + 3_600_000),
            cmd.ShowMessage("Hello", 60.0),
            cmd.LockMachine("recall"),
            cmd.ReadAudit(),
            cmd.SettleClaim(7, "", "bank"),
            cmd.UnlockMachine(),
        )
        for number, command in enumerate(ordered):
            given = order(f"c{number}", now, command, kind=type(command).__name__, target="")
            assert (await machine.act(given, "fleet"))["outcome"] in ("done", "")
            await stage.passes(1.0)
        outside = order("out", now, None, kind="journal.upload", outside=True)
        waiting = stage.loop.create_task(machine.act(outside, "fleet"))
        await stage.passes(1.0)
        await machine.act(cmd.EndRemote("out", "done", "records 1 to 9"), "fleet")
        assert (await waiting)["outcome"] == "done"
        await stage.act(cmd.KeepRecording())
        await stage.passes(1.0)

    stage = play(scenario)
    found = replay(kept(stage)["asked"])
    assert found.same, found.difference
    assert {"update.finished", "message.shown", "machine.locked"} <= set(found.types)
