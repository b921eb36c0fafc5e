"""What the VMC says to a bill validator or recycler: bytes beside values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.mdb import bill_commands as vmc
from drivers.mdb.bill_commands import RecycleQuality
from drivers.mdb.blocks import BlockFault, MdbBlockError, build_block, parse_block
from drivers.mdb.ftl_codec import OkToSend, SendBlock

COMMANDS: list[tuple[str, vmc.BillCommand]] = [
    ("30 30", vmc.Reset()),
    ("31 31", vmc.AskSetup()),
    ("32 00 0C 3E", vmc.Security(high_mask=0x0C)),
    ("33 33", vmc.Poll()),
    ("34 00 0F 00 0E 51", vmc.BillType(accept_mask=0x0F, escrow_mask=0x0E)),
    ("34 00 00 00 00 34", vmc.BillType(0, 0)),
    ("35 01 36", vmc.Escrow(stack=True)),
    ("35 00 35", vmc.Escrow(stack=False)),
    ("36 36", vmc.AskStacker()),
    ("37 00 37", vmc.AskLevel1Identification()),
    ("37 01 00 00 00 02 3A", vmc.FeatureEnable(vmc.OPTION_RECYCLING)),
    ("37 02 39", vmc.AskLevel2Identification()),
    ("37 03 3A", vmc.AskRecyclerSetup()),
    ("37 04 00 02 00 03 01 00 00 00 00 00 00 00 00 00 00 00 00 00 41",
     vmc.RecyclerEnable(0x0002, (RecycleQuality.NONE, RecycleQuality.ALL, RecycleQuality.HIGH)
                        + (RecycleQuality.NONE,) * 13)),
    ("37 05 3C", vmc.AskBillDispenseStatus()),
    ("37 06 01 00 01 3F", vmc.DispenseBill(bill_type=1, count=1)),
    ("37 07 00 02 40", vmc.DispenseValue(2)),
    ("37 08 3F", vmc.AskPayoutStatus()),
    ("37 09 40", vmc.PayoutValuePoll()),
    ("37 0A 41", vmc.PayoutCancel()),
    ("37 FD 30 00 64", OkToSend(destination=0x30, source=0)),
    ("37 FC 30 00 63", SendBlock(destination=0x30, block=0, data=b"")),
    ("37 FF 41 77", vmc.ManufacturerDiagnostics(b"A")),
]  # fmt: skip


@pytest.mark.parametrize(("block", "command"), COMMANDS)
def test_each_command_has_one_form_on_the_wire(block: str, command: vmc.BillCommand) -> None:
    assert build_block(vmc.encode_command(command)) == bytes.fromhex(block)
    assert vmc.decode_command(parse_block(bytes.fromhex(block))) == command


@pytest.mark.parametrize(("block", "command"), COMMANDS)
def test_a_peripheral_knows_the_length_from_the_first_bytes(
    block: str, command: vmc.BillCommand
) -> None:
    payload = parse_block(bytes.fromhex(block))
    free = isinstance(command, SendBlock | vmc.ManufacturerDiagnostics)
    assert vmc.command_length(payload) == (None if free else len(payload))


def test_an_unfinished_head_tells_no_length() -> None:
    assert vmc.command_length(b"") is None
    assert vmc.command_length(b"\x37") is None
    assert vmc.command_length(b"\x37\x0b") is None


def test_recycler_enable_has_eighteen_data_bytes() -> None:
    assert len(vmc.encode_command(vmc.RecyclerEnable(0, (3,) * 16))) == 2 + 18


def test_only_bit_zero_of_escrow_counts() -> None:
    assert vmc.decode_command(b"\x35\xff") == vmc.Escrow(stack=True)
    assert vmc.decode_command(b"\x35\x02") == vmc.Escrow(stack=False)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ("", BlockFault.EMPTY),
        ("0B", BlockFault.WRONG_ADDRESS),
        ("33 00", BlockFault.WRONG_LENGTH),
        ("34 00 0F", BlockFault.TRUNCATED),
        ("35", BlockFault.TRUNCATED),
        ("37", BlockFault.TRUNCATED),
        ("37 0B", BlockFault.UNKNOWN),
        ("37 06 01 00", BlockFault.TRUNCATED),
        ("37 06 01 00 00", BlockFault.BAD_VALUE),
        ("37 07 00 00", BlockFault.BAD_VALUE),
        ("37 FD 30", BlockFault.TRUNCATED),
    ],
)
def test_what_is_no_command_says_why(payload: str, reason: BlockFault) -> None:
    with pytest.raises(MdbBlockError) as caught:
        vmc.decode_command(bytes.fromhex(payload))
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    "command",
    [
        vmc.Security(0x10000),
        vmc.BillType(-1, 0),
        vmc.FeatureEnable(-1),
        vmc.RecyclerEnable(0, (3,) * 15),
        vmc.RecyclerEnable(0, (256,) * 16),
        vmc.DispenseBill(16, 1),
        vmc.DispenseBill(0, 0),
        vmc.DispenseBill(0, 0x10000),
        vmc.DispenseValue(0),
        vmc.DispenseValue(0x10000),
    ],
)
def test_a_command_that_does_not_fit_never_reaches_the_wire(command: vmc.BillCommand) -> None:
    with pytest.raises(MdbBlockError) as caught:
        vmc.encode_command(command)
    assert caught.value.reason is BlockFault.BAD_VALUE


def test_what_is_no_bill_command_is_refused() -> None:
    with pytest.raises(MdbBlockError, match="not a bill command"):
        vmc.encode_command("RESET")  # type: ignore[arg-type]  # the case under test


@given(st.binary(max_size=36).map(lambda tail: b"\x37" + tail) | st.binary(max_size=40))
def test_garbage_is_a_command_or_the_one_error(payload: bytes) -> None:
    try:
        command = vmc.decode_command(payload)
    except MdbBlockError:
        return
    again = vmc.decode_command(vmc.encode_command(command))
    assert again == command
