"""What the VMC says to a changer: bytes beside values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.mdb import changer_commands as vmc
from drivers.mdb.blocks import BlockFault, MdbBlockError, build_block, parse_block
from drivers.mdb.ftl_codec import RetryDeny, SendBlock

COMMANDS: list[tuple[str, vmc.ChangerCommand]] = [
    ("08 08", vmc.Reset()),
    ("09 09", vmc.AskSetup()),
    ("0A 0A", vmc.AskTubeStatus()),
    ("0B 0B", vmc.Poll()),
    ("0C 00 3F 00 00 4B", vmc.CoinType(accept_mask=0x3F, manual_dispense_mask=0)),
    ("0C 00 00 FF FF 0A", vmc.CoinType(accept_mask=0, manual_dispense_mask=0xFFFF)),
    ("0D 30 3D", vmc.Dispense(coin_type=0, count=3)),
    ("0D FF 0C", vmc.Dispense(coin_type=15, count=15)),
    ("0F 00 0F", vmc.AskIdentification()),
    ("0F 01 00 00 00 03 13",
     vmc.FeatureEnable(vmc.OPTION_ALTERNATIVE_PAYOUT | vmc.OPTION_EXTENDED_DIAGNOSTICS)),
    ("0F 02 1B 2C", vmc.Payout(27)),
    ("0F 03 12", vmc.AskPayoutStatus()),
    ("0F 04 13", vmc.PayoutValuePoll()),
    ("0F 05 14", vmc.AskDiagnosticStatus()),
    ("0F 06 15", vmc.AskManualFillReport()),
    ("0F 07 16", vmc.AskManualPayoutReport()),
    ("0F FB 08 00 00 12", RetryDeny(destination=0x08, source=0, delay_s=0)),
    ("0F FC 08 01 41 55", SendBlock(destination=0x08, block=1, data=b"A")),
    ("0F FF 01 02 11", vmc.ManufacturerDiagnostics(b"\x01\x02")),
]  # fmt: skip


@pytest.mark.parametrize(("block", "command"), COMMANDS)
def test_each_command_has_one_form_on_the_wire(block: str, command: vmc.ChangerCommand) -> None:
    assert build_block(vmc.encode_command(command)) == bytes.fromhex(block)
    assert vmc.decode_command(parse_block(bytes.fromhex(block))) == command


@pytest.mark.parametrize(("block", "command"), COMMANDS)
def test_a_peripheral_knows_the_length_from_the_first_bytes(
    block: str, command: vmc.ChangerCommand
) -> None:
    payload = parse_block(bytes.fromhex(block))
    free = isinstance(command, SendBlock | vmc.ManufacturerDiagnostics)
    assert vmc.command_length(payload) == (None if free else len(payload))
    assert vmc.command_length(payload[:2]) == (None if free else len(payload))


def test_an_unfinished_head_tells_no_length() -> None:
    assert vmc.command_length(b"") is None
    assert vmc.command_length(b"\x0f") is None
    assert vmc.command_length(b"\x0e") is None
    assert vmc.command_length(b"\x0f\x08") is None


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ("", BlockFault.EMPTY),
        ("0E", BlockFault.UNKNOWN),
        ("33", BlockFault.WRONG_ADDRESS),
        ("0B 00", BlockFault.WRONG_LENGTH),
        ("0C 00 3F", BlockFault.TRUNCATED),
        ("0D", BlockFault.TRUNCATED),
        ("0D 03", BlockFault.BAD_VALUE),
        ("0F", BlockFault.TRUNCATED),
        ("0F 08", BlockFault.UNKNOWN),
        ("0F 02", BlockFault.TRUNCATED),
        ("0F 02 00", BlockFault.BAD_VALUE),
        ("0F 00 00", BlockFault.WRONG_LENGTH),
        ("0F FB 08", BlockFault.TRUNCATED),
    ],
)
def test_what_is_no_command_says_why(payload: str, reason: BlockFault) -> None:
    with pytest.raises(MdbBlockError) as caught:
        vmc.decode_command(bytes.fromhex(payload))
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    "command",
    [
        vmc.Dispense(coin_type=0, count=0),
        vmc.Dispense(coin_type=0, count=16),
        vmc.Dispense(coin_type=16, count=1),
        vmc.Payout(0),
        vmc.Payout(256),
        vmc.CoinType(0x10000, 0),
        vmc.CoinType(0, -1),
        vmc.FeatureEnable(1 << 32),
    ],
)
def test_a_command_that_does_not_fit_never_reaches_the_wire(command: vmc.ChangerCommand) -> None:
    with pytest.raises(MdbBlockError) as caught:
        vmc.encode_command(command)
    assert caught.value.reason is BlockFault.BAD_VALUE


def test_what_is_no_changer_command_is_refused() -> None:
    with pytest.raises(MdbBlockError, match="not a changer command"):
        vmc.encode_command("RESET")  # type: ignore[arg-type]  # the case under test


@given(st.binary(max_size=40))
def test_garbage_is_a_command_or_the_one_error(payload: bytes) -> None:
    try:
        command = vmc.decode_command(payload)
    except MdbBlockError:
        return
    assert vmc.encode_command(command) == payload


@given(st.binary(max_size=36).map(lambda tail: b"\x0f" + tail))
def test_garbage_behind_expansion_is_a_command_or_the_one_error(payload: bytes) -> None:
    try:
        command = vmc.decode_command(payload)
    except MdbBlockError:
        return
    assert vmc.encode_command(command) == payload
