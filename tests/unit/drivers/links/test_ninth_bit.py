import asyncio

import pytest

from controller.faults import LinkError
from drivers.links.mdb_link import ACKED, NEARLY_ACKED, AnswerKind
from drivers.links.ninth_bit import OS_SLACK_S, RET_LIMIT, NinthBitLink
from drivers.links.parmrk import encode_parmrk
from drivers.mdb.blocks import (
    BREAK_S,
    BYTE_TIME_S,
    RESPONSE_TOLERANT_S,
    SETTLE_S,
    build_block,
)
from tests.mdb_kit import ScriptedPort, now, virtual

POLL = b"\x0b"
ACK_RAW = b"\xff\x00\x00"
LIMIT_S = RESPONSE_TOLERANT_S + BYTE_TIME_S + OS_SLACK_S


async def opened(port: ScriptedPort) -> NinthBitLink:
    link = NinthBitLink(lambda: port)
    await link.open()
    return link


@virtual
async def test_a_block_goes_out_with_its_checksum() -> None:
    port = ScriptedPort()
    link = await opened(port)
    port.then((0.003, ACK_RAW))
    assert await link.exchange(bytes.fromhex("0C 00 3F 00 00")) is ACKED
    assert port.blocks[0][1] == bytes.fromhex("0C 00 3F 00 00 4B")


@virtual
async def test_an_ack_alone_is_told_from_a_readers_just_reset() -> None:
    port = ScriptedPort()
    link = await opened(port)
    port.then((0.003, ACK_RAW))
    port.then((0.003, b"\x00" + ACK_RAW))
    assert (await link.exchange(b"\x12")).kind is AnswerKind.ACK
    answer = await link.exchange(b"\x12")
    assert (answer.kind, answer.data) == (AnswerKind.DATA, b"\x00")


@virtual
async def test_data_is_not_acknowledged_before_the_caller_says_so() -> None:
    port = ScriptedPort()
    link = await opened(port)
    port.data(bytes.fromhex("52 20"))
    answer = await link.exchange(POLL)
    assert answer.data == bytes.fromhex("52 20")
    assert link.answered_at == now()
    assert port.controls == []
    link.ack()
    assert [byte for _, byte in port.controls] == [0x00]
    link.nak()
    assert [byte for _, byte in port.controls] == [0x00, 0xFF]


@virtual
async def test_an_answer_in_single_bytes_at_the_slowest_tolerated_pace_is_read() -> None:
    port = ScriptedPort()
    link = await opened(port)
    raw = encode_parmrk(build_block(bytes.fromhex("45 FF 12")))
    port.then(*((0.02 + 0.006 * index, raw[index : index + 1]) for index in range(len(raw))))
    assert (await link.exchange(POLL)).data == bytes.fromhex("45 FF 12")


@virtual
async def test_silence_is_told_after_the_tolerant_response_time() -> None:
    port = ScriptedPort()
    link = await opened(port)
    answer = await link.exchange(POLL)
    assert answer.kind is AnswerKind.SILENCE
    assert now() == pytest.approx(2 * BYTE_TIME_S + LIMIT_S)
    assert link.counters.silences == 1


@virtual
async def test_an_answer_cut_short_is_garbled_and_not_asked_again() -> None:
    port = ScriptedPort()
    link = await opened(port)
    port.then((0.003, b"\x52\x20"))
    answer = await link.exchange(POLL)
    assert answer.kind is AnswerKind.GARBLED
    assert "cut short: 52 20" in answer.why
    assert port.controls == []


@virtual
async def test_a_wrong_checksum_is_asked_again_at_once() -> None:
    port = ScriptedPort()
    link = await opened(port)
    port.then((0.003, encode_parmrk(bytes.fromhex("42 07 4A"))))
    port.on_ret = [(0.003, encode_parmrk(bytes.fromhex("42 07 49")))]
    answer = await link.exchange(POLL)
    assert answer.data == bytes.fromhex("42 07")
    (at, byte), *rest = port.controls
    assert (byte, rest) == (0xAA, [])
    assert at - port.blocks[0][0] < 0.010  # within 5 ms of the last byte
    assert link.counters.rets == 1


@virtual
async def test_a_block_that_stays_damaged_is_given_up_after_two_rets() -> None:
    port = ScriptedPort()
    link = await opened(port)
    wrong = encode_parmrk(bytes.fromhex("42 07 4A"))
    port.then((0.003, wrong))
    port.on_ret = [(0.003, wrong)]
    answer = await link.exchange(POLL)
    assert answer.kind is AnswerKind.GARBLED
    assert "wrong checksum" in answer.why
    assert [byte for _, byte in port.controls] == [0xAA] * RET_LIMIT


@virtual
async def test_a_ret_without_answer_leaves_the_block_garbled() -> None:
    port = ScriptedPort()
    link = await opened(port)
    port.then((0.003, encode_parmrk(bytes.fromhex("42 07 4A"))))
    assert (await link.exchange(POLL)).kind is AnswerKind.GARBLED
    assert len(port.controls) == 1


@virtual
async def test_a_nak_is_followed_by_the_whole_response_time_of_silence() -> None:
    port = ScriptedPort()
    link = await opened(port)
    port.then((0.001, b"\xff\x00\xff"), (0.004, encode_parmrk(bytes.fromhex("42 07 49"))))
    answer = await link.exchange(POLL)
    assert answer.kind is AnswerKind.NAK
    assert now() >= 0.001 + LIMIT_S
    assert link.counters.stray_bytes > 0  # the second device's answer belongs to nobody


@pytest.mark.parametrize(
    ("byte", "kind"),
    [(0x00, AnswerKind.ACK), (0x10, AnswerKind.ACK), (0xFF, AnswerKind.NAK), (0xFE, AnswerKind.NAK),
     (0xAA, AnswerKind.GARBLED), (0x03, AnswerKind.GARBLED), (0x3F, AnswerKind.GARBLED)],
)  # fmt: skip
@virtual
async def test_a_lone_byte_is_judged_by_its_set_bits(byte: int, kind: AnswerKind) -> None:
    port = ScriptedPort()
    link = await opened(port)
    port.then((0.003, bytes((0xFF, 0x00, byte))))
    assert (await link.exchange(POLL)).kind is kind


@virtual
async def test_an_ack_with_a_flipped_bit_is_told_from_a_clean_one() -> None:
    port = ScriptedPort()
    link = await opened(port)
    port.then((0.003, b"\xff\x00\x02"))
    assert await link.exchange(POLL) is NEARLY_ACKED


@virtual
async def test_more_than_36_bytes_without_an_end_are_garbled() -> None:
    port = ScriptedPort()
    link = await opened(port)
    port.then((0.003, bytes(range(40))))
    answer = await link.exchange(POLL)
    assert answer.kind is AnswerKind.GARBLED
    assert "36" in answer.why


@virtual
async def test_more_than_36_bytes_with_an_end_are_garbled_too() -> None:
    port = ScriptedPort()
    link = await opened(port)
    port.then((0.003, encode_parmrk(bytes(40))))
    assert (await link.exchange(POLL)).kind is AnswerKind.GARBLED


@virtual
async def test_chatter_between_transactions_is_dropped() -> None:
    port = ScriptedPort()
    link = await opened(port)
    port.say(b"\x52\x20\xff")
    port.data(b"\x01")
    assert (await link.exchange(POLL)).data == b"\x01"
    assert link.counters.stray_bytes == 3


@virtual
async def test_a_late_answer_does_not_become_the_next_ones_beginning() -> None:
    port = ScriptedPort()
    link = await opened(port)
    port.then((0.040, encode_parmrk(build_block(b"\x0b"))))
    assert (await link.exchange(POLL)).kind is AnswerKind.SILENCE
    await asyncio.sleep(0.05)
    port.data(b"\x01")
    assert (await link.exchange(POLL)).data == b"\x01"


@virtual
async def test_a_lost_port_ends_the_wait_and_refuses_the_next_block() -> None:
    port = ScriptedPort()
    link = await opened(port)
    asyncio.get_running_loop().call_later(0.005, port.lose)
    answer = await link.exchange(POLL)
    assert (answer.kind, answer.why) == (AnswerKind.SILENCE, "the port was lost")
    with pytest.raises(LinkError, match="unplugged"):
        await link.exchange(POLL)
    link.ack()  # nothing to tell, nobody to tell it to
    with pytest.raises(LinkError):
        await link.bus_reset()


@virtual
async def test_a_write_that_fails_sent_nothing() -> None:
    port = ScriptedPort()
    link = await opened(port)
    port.broken = True
    with pytest.raises(LinkError, match="gone"):
        await link.exchange(POLL)
    assert port.closed


@virtual
async def test_an_acknowledgement_that_cannot_be_written_loses_the_port() -> None:
    port = ScriptedPort()
    link = await opened(port)
    port.data(b"\x01")
    await link.exchange(POLL)
    port.broken = True
    link.ack()
    with pytest.raises(LinkError):
        await link.exchange(POLL)


@virtual
async def test_a_bus_reset_breaks_the_line_and_waits() -> None:
    port = ScriptedPort()
    link = await opened(port)
    await link.bus_reset()
    assert port.breaks == [BREAK_S]
    assert now() == pytest.approx(BREAK_S + SETTLE_S)


@virtual
async def test_opening_again_takes_a_new_port_and_closes_the_old_one() -> None:
    ports = [ScriptedPort(), ScriptedPort()]
    queue = list(ports)
    link = NinthBitLink(lambda: queue.pop(0))
    await link.open()
    await link.open()
    assert [port.closed for port in ports] == [True, False]
    assert link.counters.reopened == 2
    assert link.capabilities.withholds_ack
