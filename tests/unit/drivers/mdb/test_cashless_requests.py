"""What the VMC says to a reader: bytes beside values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.mdb import cashless_commands as vmc
from drivers.mdb.blocks import Address, BlockFault, MdbBlockError, build_block, parse_block
from drivers.mdb.cashless_requests import command_length, decode_command, encode_command
from drivers.mdb.fields import Identification
from drivers.mdb.ftl_codec import RetryDeny, SendBlock
from drivers.mdb.money import iso_currency

EUR = iso_currency("EUR")
OUR_ID_BLOCK = (
    "17 00 56 4E 44 30 30 30 30 30 30 30 30 30 30 34 32 56 45 4E 44 44 20 20 20 20 20 20 20 "
    "00 01 97"
)
OUR_ID = Identification("VND", "000000000042", "VENDD", version=1)

SHORT: list[tuple[str, vmc.CashlessCommand]] = [
    ("10 10", vmc.Reset()),
    ("11 00 03 14 02 01 2B", vmc.SetupConfig(level=3, columns=20, rows=2, display=1)),
    ("11 01 01 F4 00 50 57", vmc.SetupPrices(maximum=500, minimum=80)),
    ("11 01 FF FF 00 00 10", vmc.SetupPrices(vmc.PRICE_UNKNOWN_MAX, vmc.PRICE_UNKNOWN_MIN)),
    ("12 12", vmc.Poll()),
    ("13 00 00 78 00 07 92", vmc.VendRequest(price=120, item=7)),
    ("13 01 14", vmc.VendCancel()),
    ("13 02 00 07 1C", vmc.VendSuccess(item=7)),
    ("13 03 16", vmc.VendFailure()),
    ("13 04 17", vmc.SessionComplete()),
    ("13 05 00 78 00 07 97", vmc.CashSale(price=120, item=7)),
    ("13 06 00 78 00 07 98", vmc.NegativeVendRequest(value=120, item=7)),
    ("14 00 14", vmc.ReaderDisable()),
    ("14 01 15", vmc.ReaderEnable()),
    ("14 02 16", vmc.ReaderCancel()),
    ("14 03 37 00 00 00 00 00 00 00 4E", vmc.DataEntryResponse(b"7")),
    ("14 03 FF FF FF FF FF FF FF FF 0F", vmc.DataEntryResponse(None)),
    ("15 00 00 C8 DD", vmc.RevalueRequest(200)),
    ("15 01 16", vmc.RevalueLimitRequest()),
    (OUR_ID_BLOCK, vmc.RequestId(OUR_ID)),
    ("17 01 05 1D", vmc.ReadUserFile(5)),
    ("17 02 05 01 41 60", vmc.WriteUserFile(b"\x05\x01A")),
    ("17 03 26 11 21 14 19 48 06 47 00 00 34",
     vmc.WriteTimeDate(26, 11, 21, 14, 19, 48, weekday=6, week=47, summertime=0, holiday=0)),
    ("17 03 26 11 21 14 19 48 FF FF FF FF E3", vmc.WriteTimeDate(26, 11, 21, 14, 19, 48)),
    ("17 04 00 00 00 28 43", vmc.EnableOptions(0x28)),
    ("17 FB 10 00 00 22", RetryDeny(destination=0x10, source=0, delay_s=0)),
    ("17 FC 10 02 25", SendBlock(destination=0x10, block=2, data=b"")),
    ("17 FF 05 06 12 44 52 41 56 50 B0", vmc.AgeRequest(18)),
    ("17 FF 01 17", vmc.ManufacturerDiagnostics(b"\x01")),
]  # fmt: skip

EXPANDED: list[tuple[str, vmc.CashlessCommand]] = [
    ("11 01 00 00 01 F4 00 00 00 50 19 78 E8", vmc.SetupPrices(500, 80, EUR)),
    ("13 00 00 00 00 78 00 07 92", vmc.VendRequest(120, 7, expanded=True)),
    ("13 05 00 00 00 78 00 07 19 78 28", vmc.CashSale(120, 7, EUR)),
    ("13 06 00 00 00 78 00 07 98", vmc.NegativeVendRequest(120, 7, expanded=True)),
    ("15 00 00 00 00 C8 DD", vmc.RevalueRequest(200, expanded=True)),
]


def second_reader(payload: bytes) -> bytes:
    return bytes((payload[0] - Address.CASHLESS_1 + Address.CASHLESS_2,)) + payload[1:]


@pytest.mark.parametrize(("block", "command"), SHORT + EXPANDED)
def test_each_command_has_one_form_on_the_wire(block: str, command: vmc.CashlessCommand) -> None:
    payload = parse_block(bytes.fromhex(block))
    assert build_block(encode_command(command)) == bytes.fromhex(block)
    assert decode_command(payload) == command


@pytest.mark.parametrize(("block", "command"), SHORT + EXPANDED)
def test_the_second_reader_hears_the_same_at_its_own_address(
    block: str, command: vmc.CashlessCommand
) -> None:
    payload = second_reader(parse_block(bytes.fromhex(block)))
    assert encode_command(command, Address.CASHLESS_2) == payload
    assert decode_command(payload) == command


FREE = SendBlock | vmc.ManufacturerDiagnostics | vmc.AgeRequest | vmc.WriteUserFile


@pytest.mark.parametrize(("block", "command"), SHORT)
def test_a_reader_knows_the_length_from_the_first_bytes(
    block: str, command: vmc.CashlessCommand
) -> None:
    payload = parse_block(bytes.fromhex(block))
    assert command_length(payload[:2]) == (None if isinstance(command, FREE) else len(payload))


@pytest.mark.parametrize(("block", "command"), EXPANDED)
def test_in_expanded_currency_mode_the_lengths_are_others(
    block: str, command: vmc.CashlessCommand
) -> None:
    payload = parse_block(bytes.fromhex(block))
    assert command_length(payload[:2], expanded=True) == len(payload)


def test_an_unfinished_head_tells_no_length() -> None:
    for head in ("", "13", "17", "16 00", "13 07", "17 05"):
        assert command_length(bytes.fromhex(head)) is None


@pytest.mark.parametrize(
    ("item", "number", "flags"),
    [
        (0x0007, 7, 0),
        (0x8007, 7, vmc.CASH_SALE_FREE),
        (0x4FFF, 0xFFF, vmc.CASH_SALE_TEST),
        (0x2001, 1, vmc.CASH_SALE_NEGATIVE),
        (0x1001, 1, vmc.CASH_SALE_TOKEN),
        (vmc.ITEM_UNDEFINED, None, 0),  # undefined, not four flags
    ],
)
def test_a_cash_sale_item_is_a_number_and_flags(item: int, number: int | None, flags: int) -> None:
    sale = vmc.CashSale(120, item)
    assert (sale.item_number, sale.flags) == (number, flags)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ("", BlockFault.EMPTY),
        ("0B", BlockFault.WRONG_ADDRESS),
        ("16", BlockFault.UNKNOWN),
        ("16 00", BlockFault.UNKNOWN),
        ("10 00", BlockFault.WRONG_LENGTH),
        ("11", BlockFault.TRUNCATED),
        ("11 02 00", BlockFault.UNKNOWN),
        ("11 00 03", BlockFault.TRUNCATED),
        ("11 01 00 00 01 F4 00 00", BlockFault.WRONG_LENGTH),
        ("13", BlockFault.TRUNCATED),
        ("13 00 00 78 00", BlockFault.TRUNCATED),
        ("13 00 00 78 00 07 00", BlockFault.WRONG_LENGTH),
        ("13 07 00 00", BlockFault.UNKNOWN),
        ("14 03 37", BlockFault.TRUNCATED),
        ("14 04", BlockFault.UNKNOWN),
        ("15 02", BlockFault.UNKNOWN),
        ("17", BlockFault.TRUNCATED),
        ("17 00 56", BlockFault.TRUNCATED),
        ("17 05", BlockFault.UNKNOWN),
        ("17 03 2A 11 21 14 19 48 FF FF FF FF", BlockFault.BAD_VALUE),
        ("17 FB 10", BlockFault.TRUNCATED),
    ],
)
def test_what_is_no_command_says_why(payload: str, reason: BlockFault) -> None:
    with pytest.raises(MdbBlockError) as caught:
        decode_command(bytes.fromhex(payload))
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    "command",
    [
        vmc.SetupConfig(256, 0, 0, 0),
        vmc.SetupPrices(0x10000, 0),
        vmc.SetupPrices(1 << 32, 0, EUR),
        vmc.VendRequest(-1, 1),
        vmc.VendRequest(0x10000, 1),
        vmc.VendRequest(1 << 32, 1, expanded=True),
        vmc.VendRequest(1, 0x10000),
        vmc.VendSuccess(-1),
        vmc.CashSale(0x10000, 1),
        vmc.RevalueRequest(0x10000),
        vmc.EnableOptions(1 << 32),
        vmc.AgeRequest(256),
        vmc.WriteTimeDate(100, 1, 1, 0, 0, 0),
        vmc.DataEntryResponse("ä".encode("latin-1")),
    ],
)
def test_a_command_that_does_not_fit_never_reaches_the_wire(command: vmc.CashlessCommand) -> None:
    with pytest.raises(MdbBlockError) as caught:
        encode_command(command)
    assert caught.value.reason is BlockFault.BAD_VALUE


def test_more_keys_than_a_message_holds_are_refused() -> None:
    with pytest.raises(MdbBlockError) as caught:
        encode_command(vmc.DataEntryResponse(b"123456789"))
    assert caught.value.reason is BlockFault.TOO_LONG


def test_what_is_no_cashless_command_is_refused() -> None:
    with pytest.raises(MdbBlockError, match="not a cashless command"):
        encode_command("RESET")  # type: ignore[arg-type]  # the case under test


def test_our_id_never_carries_option_bits() -> None:
    mine = Identification("VND", "42", "VENDD", 1, options=7)
    assert len(encode_command(vmc.RequestId(mine))) == 31


garbage = st.one_of(
    st.binary(max_size=40),
    st.builds(
        lambda first, rest: bytes((first,)) + rest,
        st.sampled_from([0x10, 0x60]).flatmap(lambda base: st.integers(base, base + 7)),
        st.binary(max_size=36),
    ),
)


@given(garbage)
def test_garbage_is_a_command_or_the_one_error(payload: bytes) -> None:
    try:
        command = decode_command(payload)
    except MdbBlockError:
        return
    device = payload[0] & 0xF8
    try:
        again = encode_command(command, device)
    except MdbBlockError:
        assert isinstance(command, vmc.DataEntryResponse | vmc.RequestId)  # not ASCII, not BCD
        return
    assert decode_command(again) == command
