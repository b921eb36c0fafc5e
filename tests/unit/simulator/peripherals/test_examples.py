"""The printed conversations, byte for byte, from the peripherals' side."""

from __future__ import annotations

import asyncio

from simulator.bench import BenchSettings, MdbBench
from simulator.conversation import ScriptedMaster, run_story
from simulator.peripherals.bill_settings import BillSettings, BillSpec
from simulator.peripherals.changer_settings import ChangerSettings, CoinSpec
from simulator.peripherals.reader_settings import (
    OPTION_32_BIT,
    OPTION_ALWAYS_IDLE,
    OPTION_MULTI_CURRENCY,
    OPTION_NEGATIVE_VEND,
    AtOnce,
    Card,
    ReaderSettings,
)

BRITISH = ChangerSettings(
    currency=0x1826,
    coins=(
        CoinSpec(5, 80, 12),
        CoinSpec(10, 62, 62),
        CoinSpec(20, 80, 31),
        CoinSpec(50),
        CoinSpec(100, 80, 9),
        CoinSpec(200),
    ),
    options=0b11,
    pays_first=(2, 0, 1, 4),
    payout_s=0.15,
)


def test_the_changer_starts_up_as_printed() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await master.play(
            """
            M>  08* 08
            P>  00*             ACK
            POLL, just reset (after the silence of its start)
            """
        )
        await asyncio.sleep(0.5)
        await master.play(
            """
            M>  0B* 0B
            P>  0B 0B*
            M>  00              ACK
            M>  09* 09
            P>  03 18 26 05 02 00 17 01 02 04 0A 14 28 00 00 00 00 00 00 00 00 00 00 AC*
            M>  00              ACK
            M>  0F* 00 0F
            P>  58 59 5A 41 30 30 30 30 30 30 30 34 37 31 31 43 48 47 2D 34 20 20 20 20 20 20 20 01 23 00 00 00 03 A3*
            M>  00              ACK
            M>  0F* 01 00 00 00 03 13
            P>  00*             ACK
            M>  0F* 05 14
            P>  06 00 06*
            M>  00              ACK
            M>  0A* 0A
            P>  00 02 0C 3E 1F 00 09 74*
            M>  00              ACK
            M>  0C* 00 3F 00 00 4B
            P>  00*             ACK
            """  # noqa: E501 - the printed line
        )
        assert bench.changer.accepted == 0x3F
        bench.changer.insert_coin(20)
        bench.changer.insert_coin(200)
        await asyncio.sleep(1)
        await master.play(
            """
            20p into its tube, 32 there now, and 2 pounds into the cash box
            M>  0B* 0B
            P>  52 20 45 00 B7*
            M>  00              ACK
            M>  0D* 30 3D
            P>  00*             ACK
            M>  0B* 0B
            P>  02 02*
            M>  00              ACK
            """
        )
        await asyncio.sleep(1)
        assert bench.truth.totals().returned == 15
        await master.play(
            """
            M>  0B* 0B
            P>  00*             ACK
            PAYOUT 1.35
            M>  0F* 02 1B 2C
            P>  00*             ACK
            """
        )
        await asyncio.sleep(0.1)  # the first coin has fallen when the master asks
        await master.play(
            """
            M>  0F* 04 13
            P>  04 04*
            M>  00              ACK
            """
        )
        await asyncio.sleep(1)
        await master.play(
            """
            M>  0F* 04 13
            P>  00*             ACK
            M>  0F* 03 12
            P>  01 01 01 00 01 04*
            M>  00              ACK
            """
        )
        assert bench.truth.totals().returned == 15 + 135

    run_story(story, BenchSettings(changer=BRITISH))


def test_the_validator_starts_up_and_stacks_as_printed() -> None:
    validator = BillSettings(
        bills=tuple(BillSpec(value) for value in (500, 1000, 2000, 5000)),
        stacked_before=37,
        reports_disabled=False,
    )

    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await master.play("M>  30* 30\nP>  00*")
        await asyncio.sleep(0.5)
        await master.play(
            """
            M>  33* 33
            P>  06 06*
            M>  00              ACK
            M>  31* 31
            P>  01 19 78 01 F4 02 02 58 FF FF FF 01 02 04 0A F1*
            M>  00              ACK
            M>  36* 36
            P>  00 25 25*
            M>  00              ACK
            M>  34* 00 0F 00 0E 51
            P>  00*             ACK
            """
        )
        assert bench.bill.insert_bill(1000)
        await asyncio.sleep(1.5)
        await master.play(
            """
            M>  33* 33
            P>  91 91*
            M>  00              ACK
            M>  35* 01 36
            P>  00*             ACK
            """
        )
        await asyncio.sleep(1.5)
        await master.play(
            """
            M>  33* 33
            P>  81 81*
            M>  00              ACK
            M>  34* 00 00 00 00 34
            P>  00*             ACK
            M>  36* 36
            P>  00 26 26*
            M>  00              ACK
            """
        )
        assert bench.truth.value("stacker") == 37 * 500 + 1000

    run_story(story, BenchSettings(bill=validator))


READER_START = """
    M>  12* 12
    P>  00 00*
    M>  00              ACK
    M>  11* 00 03 14 02 01 2B
    P>  00*             ACK
    M>  12* 12
    P>  01 03 19 78 01 02 14 09 B5*
    M>  00              ACK
    M>  11* 01 01 F4 00 50 57
    P>  00*             ACK
    M>  17* 00 56 4E 44 30 30 30 30 30 30 30 30 30 30 34 32 56 45 4E 44 44 20 20 20 20 20 20 20 00 01 97
    P>  00*             ACK
    M>  12* 12
"""  # noqa: E501 - the printed line


def test_the_reader_starts_up_and_vends_as_printed() -> None:
    settings = ReaderSettings(options=OPTION_NEGATIVE_VEND | OPTION_ALWAYS_IDLE)

    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await master.play("M>  10* 10\nP>  00*")
        await asyncio.sleep(0.5)
        await master.play(READER_START)
        await master.play(
            """
            M>  12* 12
            P>  09 41 42 43 30 30 30 30 30 30 31 32 33 34 35 36 54 41 50 2D 31 20 20 20 20 20 20 20 02 10 00 00 00 28 81*
            M>  00              ACK
            M>  17* 04 00 00 00 28 43
            P>  00*             ACK
            M>  14* 01 15
            P>  00*             ACK
            """  # noqa: E501 - the printed line
        )
        assert bench.reader.prices == (500, 80)
        bench.truth.customer = "ann"
        card = Card("ann's", balance=2000, media_id=0x00123456)
        assert bench.reader.present_card(card)
        await asyncio.sleep(1)
        await master.play(
            """
            M>  12* 12
            P>  03 07 D0 00 12 34 56 00 00 00 76*
            M>  00              ACK
            M>  13* 00 00 78 00 07 92
            P>  00*             ACK
            M>  12* 12
            P>  00*             ACK
            """
        )
        await asyncio.sleep(2)
        await master.play(
            """
            M>  12* 12
            P>  05 00 78 7D*
            M>  00              ACK
            product delivered
            M>  13* 02 00 07 1C
            P>  00*             ACK
            M>  13* 04 17
            P>  00*             ACK
            M>  12* 12
            P>  07 07*
            M>  00              ACK
            """
        )
        assert card.balance == 1880
        assert bench.truth.totals().card_captured == 120
        assert bench.truth.accounts["ann"].charged == 120

    run_story(story, BenchSettings(readers=(settings,)))


def test_the_expanded_currency_mode_goes_as_printed() -> None:
    settings = ReaderSettings(options=OPTION_32_BIT | OPTION_MULTI_CURRENCY)

    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await master.play(READER_START)
        await master.control(0x00)
        await master.play(
            """
            M>  17* 04 00 00 00 06 21
            P>  00*             ACK
            M>  11* 01 00 00 01 F4 00 00 00 50 19 78 E8
            P>  00*             ACK
            M>  14* 01 15
            P>  00*             ACK
            """
        )
        assert bench.reader.prices == (500, 80)
        bench.reader.present_card(Card("card", balance=2000, media_id=0x00123456))
        await asyncio.sleep(1)
        await master.play(
            """
            M>  12* 12
            P>  03 00 00 07 D0 00 12 34 56 00 00 00 65 6E 19 78 02 DC*
            M>  00              ACK
            M>  13* 00 00 00 00 78 00 07 92
            P>  00*             ACK
            """
        )
        await asyncio.sleep(2)
        await master.play(
            """
            M>  12* 12
            P>  05 00 00 00 78 7D*
            M>  00              ACK
            M>  13* 02 00 07 1C
            P>  00*             ACK
            """
        )
        assert bench.truth.totals().card_captured == 120

    run_story(story, BenchSettings(readers=(settings,)))


async def _approved(bench: MdbBench, master: ScriptedMaster) -> None:
    """Bring the first reader into an approved vend of 1.20."""
    await master.play(READER_START)
    await master.control(0x00)
    await master.ask("14 01")
    bench.reader.present_card(Card("card", balance=2000))
    await asyncio.sleep(1)
    await master.ask("12")
    await master.ask("13 00 00 78 00 07")
    await asyncio.sleep(2)
    assert await master.ask("12") == bytes.fromhex("05 00 78")


def test_a_failed_vend_is_refunded_as_printed() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await _approved(bench, master)
        await master.play(
            """
            M>  13* 03 16
            P>  00*             ACK
            M>  12* 12
            P>  -               (silence: refund in progress)
            """
        )
        await asyncio.sleep(0.5)
        await master.play(
            """
            M>  12* 12
            P>  00*             ACK
            refunded: only now close the session
            M>  13* 04 17
            P>  07 07*
            M>  00              ACK
            """
        )
        assert bench.truth.totals().card_refunded == 120
        assert bench.truth.totals().card_captured == 0

    run_story(story, BenchSettings(readers=(ReaderSettings(at_once=frozenset({AtOnce.END})),)))


def test_a_refund_that_is_impossible_goes_as_printed() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await _approved(bench, master)
        bench.reader.faults.refund = "error"
        await master.play(
            """
            M>  13* 03 16
            P>  00*             ACK
            M>  12* 12
            P>  0A C1 CB*
            M>  00              ACK
            M>  13* 04 17
            P>  00*             ACK
            M>  12* 12
            P>  07 07*
            M>  00              ACK
            """
        )
        assert bench.truth.totals().card_refunded == 0
        assert bench.truth.totals().card_captured == 120

    run_story(story, BenchSettings(readers=(ReaderSettings(refund_s=0),)))
