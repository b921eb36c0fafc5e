"""The bill validator's driver against a simulated validator, byte for byte."""

import asyncio
from collections.abc import Callable

import pytest

from controller.faults import EffectUnknownError, LinkError
from controller.ports import (
    BillKind,
    DeviceLost,
    DeviceName,
    DeviceReady,
    DeviceWasReset,
    FaultRaised,
    Identity,
    Known,
)
from simulator.bench import BenchSettings, LinkKind
from simulator.peripherals.bill_settings import BillSettings, BillSpec
from simulator.truth import ESCROW, STACKER, TRAY
from tests.mdb_kit import Rig, at_least, now, rig, until, virtual

ALL_BILLS = frozenset(range(4))
BOTH: list[LinkKind] = ["native", "adapter"]


def validator(settings: BillSettings | None = None, kind: LinkKind = "native") -> Rig:
    bench = BenchSettings(changer=None, bill=settings or BillSettings(), readers=())
    return rig(kind, bench, devices=frozenset({DeviceName.BILL}))


async def selling(settings: BillSettings | None = None, kind: LinkKind = "native") -> Rig:
    it = await validator(settings, kind).up()
    it.bill.accept(ALL_BILLS)
    await until(lambda: it.bench.bill.accepted == 0x0F)
    return it


async def escrowed(it: Rig, value: int = 1000) -> None:
    before = len(it.sink.bills)
    await it.offer_bill(value)
    await at_least(before + 1, lambda: it.sink.bills)
    assert it.sink.bills[-1] == ("escrowed", value)


@virtual
async def test_a_validator_is_identified_and_nothing_accepted_yet() -> None:
    it = await validator().up()
    info = it.bill.info
    assert info is not None
    assert (info.level, info.scaling, info.decimals) == (1, 500, 2)
    assert info.bills == tuple(BillKind(i, v) for i, v in enumerate((500, 1000, 2000, 5000)))
    assert (info.has_escrow, info.stacker_capacity) == (True, 600)
    assert info.identity == Identity("XYZ", "B00000000815", "BILL-1", "1.00")
    assert it.bench.bill.accepted == 0
    assert [event for event in it.sink.events if not isinstance(event, DeviceReady)] == []
    await it.die()


@pytest.mark.parametrize(("scaling", "decimals"), [(5, 0), (50, 1), (500, 2)])
@virtual
async def test_values_are_the_same_in_every_style_of_scaling(scaling: int, decimals: int) -> None:
    it = await validator(BillSettings(scaling=scaling, decimals=decimals)).up()
    assert it.bill.info is not None
    assert [kind.value for kind in it.bill.info.bills] == [500, 1000, 2000, 5000]
    await it.die()


@virtual
async def test_bill_tokens_and_unused_types_are_understood() -> None:
    bills = (BillSpec(500), BillSpec(0), BillSpec(token=True))
    it = await validator(BillSettings(bills=bills, setup_values=16)).up()
    assert it.bill.info is not None
    assert it.bill.info.bills == (BillKind(0, 500), BillKind(2, 0, token=True))
    await it.die()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (BillSettings(currency=0x1840), "USD"),
        (BillSettings(scaling=0, bills=(BillSpec(token=True),)), "scaling factor 0"),
        (BillSettings(scaling=0, bills=()), "scaling factor 0"),
        (
            BillSettings(  # its 5.00 to 50.00 at a tenth of their value
                scaling=500, decimals=3, bills=tuple(map(BillSpec, (50, 100, 200, 500)))
            ),
            "EUR has no 0.50 EUR, 1.00 EUR, 2.00 EUR",
        ),
    ],
)
@virtual
async def test_a_validator_whose_money_is_not_ours_is_refused(
    settings: BillSettings, why: str
) -> None:
    it = validator(settings)
    await it.greet()
    it.start()
    await asyncio.sleep(30)
    assert not it.bill.ready
    assert why in it.sink.faults["bill", "device.unsuitable"]
    await it.die()


@pytest.mark.parametrize("fault", ["silent_commands", "lost_answers", "naks", "bad_checksums"])
@pytest.mark.parametrize("kind", BOTH)
@virtual
async def test_initialisation_survives_single_losses(kind: LinkKind, fault: str) -> None:
    it = validator(kind=kind)
    setattr(it.bench.bill.faults, fault, 4)
    await it.up()
    assert it.sink.faults == {}
    await it.die()


@virtual
async def test_a_wanted_security_mask_is_sent() -> None:
    it = validator()
    it.high_security = frozenset({2_000, 5_000, 77_700})
    await it.up()
    sent = [heard.data for heard in it.tap.log if heard.ours and heard.data[0] == 0x32]
    assert sent == [bytes.fromhex("32 00 0C 3E")]
    await it.die()


@pytest.mark.parametrize("kind", BOTH)
@virtual
async def test_a_bill_is_held_stacked_and_the_stacker_asked(kind: LinkKind) -> None:
    it = await selling(kind=kind)
    assert it.bench.bill.escrowed == 0x0F
    await escrowed(it)
    assert it.bench.truth.value(ESCROW) == 1000
    await it.bill.stack()
    await at_least(2, lambda: it.sink.bills)
    assert it.sink.bills[-1] == ("stacked", 1000)
    assert it.bench.truth.value(STACKER) == 1000
    assert (await it.bill.stacker()).bills == 1
    await it.die()


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        (["29", "91 81"], ["stacked"]),  # it said a state in between, and had heard no ACK
        (["29", "91 A1"], ["returned"]),
        (["81 91"], ["stacked", "escrowed"]),  # the next bill was quick
        (["81", "91 81"], ["stacked", "escrowed", "stacked"]),  # one that it stacks unbidden
        (["29", "91 80"], ["escrowed", "stacked"]),  # of two kinds: nobody knows
    ],
)
@virtual
async def test_a_bill_in_escrow_is_none_but_itself_until_it_is_said_where_it_went(
    answers: list[str], told: list[str]
) -> None:
    it = await selling()
    await escrowed(it)
    for answer in answers:
        it.bill.on_items(bytes.fromhex(answer))
        it.bill.on_told(acked=True)
    assert [kind for kind, _ in it.sink.bills[1:]] == told
    await it.die()


@virtual
async def test_a_returned_bill_is_told() -> None:
    it = await selling()
    await escrowed(it)
    await it.bill.return_bill()
    await at_least(2, lambda: it.sink.bills)
    assert it.sink.bills[-1] == ("returned", 1000)
    assert it.bench.truth.value(TRAY) == 1000
    await it.die()


@virtual
async def test_a_validator_without_escrow_stacks_at_once() -> None:
    it = await selling(BillSettings(has_escrow=False))
    assert it.bench.bill.escrowed == 0
    await it.offer_bill(500)
    await at_least(1, lambda: it.sink.bills)
    assert it.sink.bills == [("stacked", 500)]
    await it.die()


@virtual
async def test_accept_is_applied_and_kept_over_a_reset() -> None:
    it = await selling()
    it.bill.accept(frozenset({1}))
    await until(lambda: it.bench.bill.accepted == 2)
    it.bench.bill.self_reset()
    await until(lambda: it.sink.told(DeviceWasReset))
    await until(lambda: it.bench.bill.accepted == 2)
    assert len(it.tap.times(0x30)) == 1
    it.bill.accept(frozenset())
    await until(lambda: it.bench.bill.accepted == 0)
    await it.die()


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("fault", ["silent_commands", "lost_answers", "naks"])
@virtual
async def test_an_escrow_command_that_is_lost_is_repeated_and_counts_once(
    kind: LinkKind, fault: str
) -> None:
    it = await selling(kind=kind)
    await escrowed(it)
    setattr(it.bench.bill.faults, fault, 1)
    await it.bill.stack()
    await at_least(2, lambda: it.sink.bills)
    await asyncio.sleep(5)
    assert it.sink.bills == [("escrowed", 1000), ("stacked", 1000)]
    assert it.sink.faults == {}
    await it.die()


@virtual
async def test_an_escrow_command_that_is_never_acknowledged_is_a_link_error() -> None:
    it = await selling()
    await escrowed(it)
    handle = it.bench.bill._handle
    it.bench.bill._handle = (  # type: ignore[method-assign] # a firmware with this flaw
        lambda payload: None if payload[0] == 0x35 else handle(payload)
    )
    with pytest.raises(LinkError, match="never acknowledged"):
        await it.bill.stack()
    assert it.bench.truth.value(ESCROW) == 1000
    await it.die()


@virtual
async def test_a_validator_that_falls_silent_over_escrow_leaves_it_unknown() -> None:
    it = await selling()
    await escrowed(it)
    it.bench.bill.faults.silent = True
    with pytest.raises(EffectUnknownError):
        await it.bill.stack()
    with pytest.raises(LinkError):
        await it.bill.return_bill()
    await it.die()


@virtual
async def test_escrow_with_no_bill_there_is_told() -> None:
    it = await selling()
    await it.bill.stack()
    await until(lambda: ("bill", "bill.removed") in it.sink.faults)
    await escrowed(it)
    await it.bill.stack()
    await at_least(2, lambda: it.sink.bills)
    assert it.sink.faults == {}
    await it.die()


@virtual
async def test_a_bill_pulled_out_by_force_is_told_as_returned() -> None:
    it = await selling()
    await escrowed(it)
    assert it.bench.bill.pull_from_escrow()
    await at_least(2, lambda: it.sink.bills)
    assert it.sink.bills[-1] == ("returned", 1000)
    assert "bill.removed" in [event.code.value for event in it.sink.told(FaultRaised)]
    await it.die()


@pytest.mark.parametrize("weak", ["held", "uncounted", "late"])
@virtual
async def test_a_bill_without_escrow_result_is_an_alarm_after_30_s(weak: str) -> None:
    it = await selling()
    await escrowed(it)
    it.bench.bill.faults.weak_stacker = weak
    it.bench.bill.faults.weak_late_s = 40.0
    asked = now()
    await it.bill.stack()
    await until(lambda: ("bill", "bill.stuck_in_escrow") in it.sink.faults)
    assert 30.0 <= now() - asked <= 31.0
    if weak == "late":
        await at_least(2, lambda: it.sink.bills)
        assert it.sink.faults == {}
    await it.die()


@virtual
async def test_a_full_stacker_inhibits_until_it_is_emptied() -> None:
    it = await selling(BillSettings(stacker_capacity=2))
    for _ in range(2):
        await escrowed(it)
        before = len(it.sink.bills)
        await it.bill.stack()
        await at_least(before + 1, lambda: it.sink.bills)
    await until(lambda: it.bench.bill.accepted == 0)
    assert ("bill", "bill.stacker_full") in it.sink.faults
    it.bench.bill.remove_cashbox()
    await asyncio.sleep(1)
    it.bench.bill.insert_cashbox()
    await until(lambda: it.bench.bill.accepted == 0x0F, 20)
    await asyncio.sleep(1)
    assert it.sink.faults == {}
    await it.die()


def motor(it: Rig) -> None:
    it.bench.bill.faults.broken = "motor"


def sensor(it: Rig) -> None:
    it.bench.bill.faults.broken = "sensor"


def mend(it: Rig) -> None:
    it.bench.bill.faults.broken = ""


def take_cashbox(it: Rig) -> None:
    it.bench.bill.remove_cashbox()


def put_cashbox(it: Rig) -> None:
    it.bench.bill.insert_cashbox()


@pytest.mark.parametrize(
    ("harm", "heal", "code"),
    [
        (motor, mend, "bill.motor"),
        (sensor, mend, "bill.sensor"),
        (take_cashbox, put_cashbox, "bill.cashbox_out"),
    ],
)
@virtual
async def test_what_disables_the_validator_is_told_once_until_it_is_mended(
    harm: Callable[[Rig], None], heal: Callable[[Rig], None], code: str
) -> None:
    it = await selling()
    harm(it)
    await asyncio.sleep(10)
    assert list(it.sink.faults) == [("bill", code)]
    assert len(it.sink.told(FaultRaised)) == 1
    heal(it)
    await asyncio.sleep(1)
    assert it.sink.faults == {}
    await it.die()


@virtual
async def test_a_jam_on_the_way_to_the_stacker_is_told_and_no_bill_credited() -> None:
    it = await selling()
    await escrowed(it)
    it.bench.bill.faults.jam_on_stack = 1
    await it.bill.stack()
    await until(lambda: ("bill", "bill.jam") in it.sink.faults)
    await asyncio.sleep(35)
    assert it.sink.bills == [("escrowed", 1000)]
    assert ("bill", "bill.stuck_in_escrow") in it.sink.faults
    it.bench.bill.clear_jam()
    await asyncio.sleep(1)
    assert ("bill", "bill.jam") not in it.sink.faults
    await it.die()


@virtual
async def test_a_rom_error_told_with_the_reset_stays() -> None:
    it = validator()
    it.bench.bill.faults.rom_error = True
    await it.greet()
    it.start()
    await until(lambda: it.bill.ready)
    await asyncio.sleep(5)
    assert ("bill", "bill.rom") in it.sink.faults
    await it.die()


@virtual
async def test_bills_refused_and_offered_while_disabled_are_counted_not_told() -> None:
    it = await selling()
    it.bench.bill.faults.rejects = 1
    await it.offer_bill(500)
    await asyncio.sleep(3)
    it.bill.accept(frozenset())
    await until(lambda: it.bench.bill.accepted == 0)
    it.bench.bill.insert_bill(500)
    await asyncio.sleep(1)
    assert it.bill.oddities["bill rejected"] == 1
    assert it.bill.oddities["inserted while disabled"] >= 1
    assert it.sink.bills == []
    assert it.sink.faults == {}
    await it.die()


@virtual
async def test_a_validator_that_disables_itself_is_told_once_until_it_takes_bills() -> None:
    it = await selling()
    it.bench.bill.faults.disabled = True
    await until(lambda: ("bill", "bill.disabled") in it.sink.faults, 15.0)
    for mask in (frozenset[int](), ALL_BILLS):  # as around each vend
        it.bill.accept(mask)
        await asyncio.sleep(20)
    assert ("bill", "bill.disabled") in it.sink.faults
    it.bench.bill.faults.disabled = False
    await until(lambda: it.sink.faults == {})
    assert len(it.sink.told(FaultRaised)) == 1
    await it.offer_bill(500)
    await at_least(1, lambda: it.sink.bills)
    await it.die()


@virtual
async def test_a_validator_that_forgot_what_it_takes_is_told_again() -> None:
    it = await selling()
    it.bench.bill.accepted = 0
    await until(lambda: it.bench.bill.accepted == 0x0F, 10.0)
    assert it.sink.told(FaultRaised) == []
    await it.die()


@virtual
async def test_disabled_is_no_fault_while_no_bill_is_wanted() -> None:
    it = await validator().up()
    await asyncio.sleep(60)
    assert it.sink.told(FaultRaised) == []
    await it.die()


@virtual
async def test_undefined_bytes_before_a_bill_are_passed_over() -> None:
    it = await selling()
    it.bench.bill.faults.undefined_byte = 2
    await escrowed(it)
    await it.bill.stack()
    await at_least(2, lambda: it.sink.bills)
    assert it.sink.bills == [("escrowed", 1000), ("stacked", 1000)]
    assert it.bill.oddities["byte 14"] == 2
    await it.die()


@virtual
async def test_a_fraud_report_is_told() -> None:
    it = await selling()
    await escrowed(it)
    await it.bill.stack()
    await at_least(2, lambda: it.sink.bills)
    it.bench.bill.steal_credited_bill(1000)
    await until(lambda: "credited bill" in it.sink.faults.get(("bill", "bill.removed"), ""))
    await it.die()


@virtual
async def test_a_silent_validator_is_lost_after_5_s_and_picked_up() -> None:
    it = await selling()
    it.bench.bill.faults.silent = True
    began = now()
    await until(lambda: it.sink.told(DeviceLost))
    assert 5.0 <= now() - began <= 6.0
    it.bench.bill.faults.silent = False
    await until(lambda: it.bill.ready)
    assert it.bench.bill.accepted == 0x0F
    assert it.sink.faults == {}
    await it.die()


@pytest.mark.parametrize("kind", BOTH)
@virtual
async def test_after_a_kill_the_bill_in_escrow_is_found_and_can_be_stacked(kind: LinkKind) -> None:
    it = await selling(kind=kind)
    info = it.bill.info
    it.sink.stuck = True
    await it.offer_bill(2000)
    await until(lambda: it.sink.reports)
    it.cut()
    await it.die()
    it.sink.stuck = False
    it.sink.reports = []
    greeting = (await it.greet(bill=Known(info)))["bill"]
    assert greeting.present
    assert not greeting.just_reset
    if kind == "native":  # an adapter has acknowledged it: nobody knows but the validator
        assert it.sink.bills == [("escrowed", 2000)]
    before = (await it.bill.stacker()).bills
    await it.bill.stack()
    await until(lambda: ("stacked", 2000) in it.sink.bills)
    assert (await it.bill.stacker()).bills == before + 1
    assert it.tap.times(0x30) == []
    await it.die()


@virtual
async def test_after_a_power_cut_the_greeting_says_so() -> None:
    it = await selling()
    info = it.bill.info
    await escrowed(it)
    it.cut()
    it.bench.power_off()
    await it.die()
    it.bench.power_on()
    assert (await it.greet(bill=Known(info)))["bill"].just_reset
    await it.die()


@virtual
async def test_a_file_transfer_nobody_wants_is_denied() -> None:
    it = await validator().up()
    it.bench.bill._tell(bytes.fromhex("1F 00 30 01 05 00"), alone=True)
    await asyncio.sleep(1)
    assert b"\x37\xfb" in [heard.data[:2] for heard in it.tap.log if heard.ours]
    await it.die()


@virtual
async def test_recycler_news_of_a_mode_never_enabled_are_counted_only() -> None:
    it = await selling()
    it.bench.bill._tell(bytes((0b1101_0001, 0b1110_0001, 0x2A)))
    await asyncio.sleep(1)
    assert it.sink.bills == []
    assert it.bill.oddities["filled manually"] == it.bill.oddities["bill waiting"] == 1
    await it.die()
