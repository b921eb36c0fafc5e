"""The simulated ccTalk devices, asked byte by byte."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from drivers.cctalk.frames import Checksum, Frame, decode_frame, encode_frame
from drivers.cctalk.headers import Header
from simulator.cctalk_wire import CcTalkWire
from simulator.peripherals.base import Timeline
from simulator.peripherals.cctalk_base import CcTalkDevice
from simulator.peripherals.cctalk_bill import SimCcTalkBill
from simulator.peripherals.cctalk_coin import SimCoinAcceptor
from simulator.peripherals.cctalk_hopper import HopperSettings, SimHopper
from simulator.truth import CASHBOX, ESCROW, STACKER, TRAY, Truth
from tests.mdb_kit import virtual

H = bytes.fromhex


def ask(device: CcTalkDevice, header: int, data: str = "") -> bytes | None:
    """The reply's data; None for silence, NAK or BUSY."""
    raw = encode_frame(Frame(device.address, 1, header, H(data)), device.checksum)
    answer = device.receive(raw, asyncio.get_running_loop().time())
    if answer is None:
        return None
    frame = decode_frame(answer[1], device.checksum)
    return frame.data if frame.header == 0 else None


def world() -> tuple[Truth, Timeline]:
    loop = asyncio.get_running_loop()
    return Truth(loop.time), Timeline(loop)


def acceptor() -> SimCoinAcceptor:
    truth, timeline = world()
    device = SimCoinAcceptor(timeline, truth)
    ask(device, Header.MODIFY_INHIBIT_STATUS, "FF FF")
    ask(device, Header.READ_BUFFERED_CREDIT)
    return device


def hopper(**settings: object) -> SimHopper:
    truth, timeline = world()
    return SimHopper(timeline, truth, HopperSettings(100, **settings))  # type: ignore[arg-type]


def dispense(device: SimHopper, count: int) -> bytes | None:
    ask(device, Header.ENABLE_HOPPER, "A5")
    serial = ask(device, Header.REQUEST_SERIAL_NUMBER)
    assert serial is not None
    return ask(device, Header.DISPENSE_HOPPER_COINS, (serial + bytes((count,))).hex())


@virtual
@pytest.mark.parametrize("keeps", [False, True])
async def test_some_take_coins_right_behind_a_reset_of_their_own(keeps: bool) -> None:
    device = acceptor()
    device.settings = replace(device.settings, keeps_inhibits=keeps)
    device.self_reset()
    device.insert_coin(50)
    await asyncio.sleep(0.4)
    assert device.taken == keeps


@virtual
async def test_a_reset_with_data_is_ignored() -> None:
    device = acceptor()
    assert ask(device, Header.RESET_DEVICE, "E4 01") is None
    assert device.accepted == 0xFFFF
    assert ask(device, Header.RESET_DEVICE) == b""
    assert device.accepted == 0


@virtual
async def test_another_checksum_is_silence() -> None:
    device = acceptor()
    crc = encode_frame(Frame(2, None, Header.SIMPLE_POLL), Checksum.CRC)
    assert device.receive(crc, 0.0) is None


@virtual
async def test_a_coin_without_polls_comes_back() -> None:
    device = acceptor()
    device.insert_coin(50)
    await asyncio.sleep(0.5)
    assert ask(device, Header.READ_BUFFERED_CREDIT) == H("01 04 00 00 00 00 00 00 00 00 00")
    await asyncio.sleep(1.5)
    device.insert_coin(50)
    await asyncio.sleep(0.5)
    truth = device._truth
    assert (truth.value(CASHBOX), truth.value(TRAY)) == (50, 50)


@virtual
async def test_old_events_fall_out_and_the_counter_goes_on() -> None:
    device = acceptor()
    for _ in range(7):
        device.press_lever()
    assert ask(device, Header.READ_BUFFERED_CREDIT) == b"\x07" + H("00 FE") * 5


@pytest.mark.parametrize(("coins_before_cut", "status"), [(1, "00 00 01 02"), (3, "00 00 03 00")])
@virtual
async def test_a_cut_in_mid_payout_keeps_what_was_unpaid(
    coins_before_cut: int, status: str
) -> None:
    device = hopper()
    assert dispense(device, 3) == b"\1"
    await asyncio.sleep(0.2 * coins_before_cut + 0.05)
    device.power_off()
    device.power_on()
    await asyncio.sleep(1)
    assert ask(device, Header.REQUEST_HOPPER_STATUS) == H(status)
    assert ask(device, Header.REQUEST_DISPENSE_COUNT) == (3000 + coins_before_cut).to_bytes(
        3, "little"
    )


@virtual
async def test_a_hopper_refuses_what_is_not_proved_or_not_enabled() -> None:
    device = hopper()
    assert ask(device, Header.DISPENSE_HOPPER_COINS, "01 02 03 01") is None
    ask(device, Header.ENABLE_HOPPER, "A5")
    assert ask(device, Header.DISPENSE_HOPPER_COINS, "01 02 03 01") is None
    assert ask(device, Header.DISPENSE_HOPPER_COINS, "01") is None
    assert dispense(device, 2) == b"\1"
    assert dispense(device, 2) is None  # it pays
    assert ask(device, Header.EMERGENCY_STOP) == b"\2"


@virtual
async def test_an_empty_hopper_gives_up() -> None:
    device = hopper(coins=1)
    assert dispense(device, 3) == b"\1"
    await asyncio.sleep(5)
    assert ask(device, Header.REQUEST_HOPPER_STATUS) == H("01 00 01 02")
    flags = ask(device, Header.TEST_HOPPER)
    assert flags is not None
    assert flags[0] & 0x02


@virtual
async def test_a_validator_inhibits_itself_and_outlives_a_cut() -> None:
    truth, timeline = world()
    device = SimCcTalkBill(timeline, truth)
    ask(device, Header.MODIFY_INHIBIT_STATUS, "0F 00")
    ask(device, Header.MODIFY_MASTER_INHIBIT, "01")
    ask(device, Header.READ_BUFFERED_BILL_EVENTS)
    assert device.insert_bill(500)
    await asyncio.sleep(1.2)
    assert truth.value(ESCROW) == 500
    assert ask(device, Header.ROUTE_BILL, "01") == b""
    await asyncio.sleep(1)
    assert truth.value(STACKER) == 500
    assert ask(device, Header.REQUEST_INDIVIDUAL_ACCEPT_COUNTER, "01") == H("01 00 00")
    await asyncio.sleep(5)
    assert not device.master
    state = device.to_state()
    twin = SimCcTalkBill(timeline, truth)
    twin.from_state(state)
    assert twin.stacked == {1: 1}
    assert twin.log.counter == 0


@pytest.mark.parametrize("echo", [True, False])
@virtual
async def test_the_wire_gives_the_host_its_own_bytes(echo: bool) -> None:
    device = acceptor()
    wire = CcTalkWire(asyncio.get_running_loop(), [device], echo=echo)
    heard: list[bytes] = []
    wire.attach(heard.append)
    wire.host_write(H("02 00 01 FE FF"))
    await asyncio.sleep(0.1)
    reply = H("01 00 02 00 FD")
    assert b"".join(heard) == (H("02 00 01 FE FF") if echo else b"") + reply


@virtual
async def test_a_pause_ends_a_partial_frame_for_devices_too() -> None:
    device = acceptor()
    wire = CcTalkWire(asyncio.get_running_loop(), [device], echo=False)
    heard: list[bytes] = []
    wire.attach(heard.append)
    wire.host_write(H("02 00 01"))
    await asyncio.sleep(0.2)
    wire.host_write(H("02 00 01 FE FF"))
    await asyncio.sleep(0.2)
    assert b"".join(heard) == H("01 00 02 00 FD")
