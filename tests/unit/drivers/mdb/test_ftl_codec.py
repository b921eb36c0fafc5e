"""File transport messages, both ways and in both directions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.mdb.blocks import BlockFault, MdbBlockError
from drivers.mdb.ftl_codec import (
    DELAY_NEVER,
    FtlMessage,
    OkToSend,
    ReqToReceive,
    ReqToSend,
    RetryDeny,
    SendBlock,
    decode_message,
    decode_sub_command,
    encode_message,
    encode_sub_command,
    is_ftl_code,
    sub_command_length,
)


@pytest.mark.parametrize(
    ("vmc", "peripheral", "message"),
    [
        ("FA 08 00 01 10 02", "1B 08 00 01 10 02", ReqToReceive(0x08, 0, 1, 16, 2)),
        ("FB 08 00 00", "1C 08 00 00", RetryDeny(0x08, 0, DELAY_NEVER)),
        ("FC 08 03 41 42", "1D 08 03 41 42", SendBlock(0x08, 3, b"AB")),
        ("FC 08 04", "1D 08 04", SendBlock(0x08, 4, b"")),
        ("FD 08 00", "1E 08 00", OkToSend(0x08, 0)),
        ("FE 00 08 01 07 00", "1F 00 08 01 07 00", ReqToSend(0, 0x08, 1, 7, 0)),
    ],
)
def test_each_message_has_one_form_per_direction(
    vmc: str, peripheral: str, message: FtlMessage
) -> None:
    assert decode_sub_command(bytes.fromhex(vmc)) == message
    assert encode_sub_command(message) == bytes.fromhex(vmc)
    assert decode_message(bytes.fromhex(peripheral)) == message
    assert encode_message(message) == bytes.fromhex(peripheral)


byte = st.integers(0, 255)
messages = st.one_of(
    st.builds(ReqToReceive, byte, byte, byte, byte, byte),
    st.builds(RetryDeny, byte, byte, byte),
    st.builds(SendBlock, byte, byte, st.binary(max_size=31)),
    st.builds(OkToSend, byte, byte),
    st.builds(ReqToSend, byte, byte, byte, byte, byte),
)


@given(messages)
def test_every_message_survives_the_wire(message: FtlMessage) -> None:
    assert decode_message(encode_message(message)) == message
    assert decode_sub_command(encode_sub_command(message)) == message


@given(messages)
def test_the_length_is_known_from_the_sub_command_except_for_file_blocks(
    message: FtlMessage,
) -> None:
    data = encode_sub_command(message)
    expected = None if isinstance(message, SendBlock) else len(data)
    assert sub_command_length(data[0]) == expected


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", BlockFault.UNKNOWN),
        ("1A 00", BlockFault.UNKNOWN),
        ("20 00", BlockFault.UNKNOWN),
        ("1B 08 00", BlockFault.TRUNCATED),
        ("1E 08 00 00", BlockFault.WRONG_LENGTH),
    ],
)
def test_other_bytes_are_refused(data: str, reason: BlockFault) -> None:
    with pytest.raises(MdbBlockError) as caught:
        decode_message(bytes.fromhex(data))
    assert caught.value.reason is reason


@pytest.mark.parametrize("data", ["", "F9 00", "FF 00", "FB 08"])
def test_other_sub_commands_are_refused(data: str) -> None:
    with pytest.raises(MdbBlockError):
        decode_sub_command(bytes.fromhex(data))


def test_a_file_block_holds_31_bytes() -> None:
    with pytest.raises(MdbBlockError) as caught:
        encode_message(SendBlock(8, 0, bytes(32)))
    assert caught.value.reason is BlockFault.TOO_LONG


def test_only_the_five_codes_are_file_messages() -> None:
    assert [code for code in range(256) if is_ftl_code(code)] == [0x1B, 0x1C, 0x1D, 0x1E, 0x1F]
    assert sub_command_length(0xF9) is None
