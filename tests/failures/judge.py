"""Holds what happened against a cell of the table."""

from __future__ import annotations

from controller.domain import accounts as acc
from controller.faults import FaultCode
from controller.journal import records as rec
from controller.machine.table import Mode
from controller.ports import DeviceName
from controller.saga.failure_cells import UNPAID, Cell, Gets, Next, Tender
from controller.saga.strategy import Strategy
from tests.failures.acts import CLAIMED, NAME, OTHER, PRICE, Play

NO_DROP = "drop not known"
NO_COUNT = "payout unknown"
STOP_S = 25.0  # what the daemon gives a graceful stop


def judge(play: Play, cell: Cell) -> None:
    """Look at the customer, the journal and the machine."""
    customer(play, cell)
    journal(play, cell)
    machine(play, cell)


def customer(play: Play, cell: Cell) -> None:
    """Compare what the customer ended up with."""
    price, got, column = play.price, play.products, play.column
    assert play.running is not None
    spent, credit = play.spent, play.running.machine.desk.credit
    if cell.tender is Tender.CLAIM:
        spent = CLAIMED - credit  # what is left of the claim stays, it never becomes coins
    match cell.gets:
        case Gets.PRODUCT if cell.tender in UNPAID:
            assert got == [NAME[column]]
            assert spent == 0
            assert not play.state.rights
        case Gets.OTHER:
            assert got == [NAME[OTHER]]
            assert spent == PRICE[OTHER]
        case Gets.ALL:
            assert got == [NAME[column], NAME[OTHER]]
            assert spent == price + PRICE[OTHER]
        case Gets.RIGHT:
            assert got == []
            assert len(play.state.rights) == 1
        case Gets.APP_MONEY:
            assert got == []
            assert not play.state.rights
            assert sum(data.amount for data in play.records("refund.requested")) == price
            assert play.state.ledger.balance(acc.APP_RECEIVABLE) == 0
        case Gets.PRODUCT:
            assert got[:1] == [NAME[column]], got
            assert spent == price
            assert play.claimed == 0
        case Gets.MONEY | Gets.NOTHING_PAID:
            assert got == []
            assert spent == 0
            assert play.claimed == 0
            assert credit == 0
        case Gets.CLAIM:
            assert got == []
            owed(play, cell, spent - credit)
        case Gets.PRODUCT_AND_CLAIM:
            assert got == [NAME[column]]
            # Where nobody knows what fell, and the owner gives the money back, it is owed whole.
            unknown = NO_DROP in play.flags
            owed(play, cell, spent - (0 if unknown else price))
        case Gets.CREDIT if cell.tender is Tender.CLAIM:
            assert got == []
            assert credit == CLAIMED
        case Gets.CREDIT:
            assert got == []
            assert credit == spent > 0
        case Gets.ON_CARD:
            assert got == []
            assert play.account.credited == play.account.inserted > 0
            assert (credit, play.claimed) == (0, 0)
        case _:
            seldom(play, cell, spent, credit)


def seldom(play: Play, cell: Cell, spent: int, credit: int) -> None:
    """Compare what no customer should see."""
    got, column = play.products, play.column
    match cell.gets:
        case Gets.BOTH:
            assert got[:1] == [NAME[column]]
            assert spent == 0
        case Gets.CHARGED:
            assert got == []
            assert spent == play.price
        case Gets.UNCLAIMED:
            assert got == []
            assert credit == 0
            assert -play.state.ledger.balance(acc.UNCLAIMED) == spent > 0
        case Gets.LOST:
            assert got == []
            assert credit == 0 < spent
        case Gets.ASKED:
            assert got == [NAME[column]]
            hidden = play.physical()[acc.CASH_CASHBOX] - play.booked()[acc.CASH_CASHBOX]
            assert spent - play.price == hidden > 0
        case Gets.FREE:
            assert got == [NAME[column]]
            assert play.price - spent == play.state.ledger.balance(acc.MISSING) > 0


def owed(play: Play, cell: Cell, amount: int) -> None:
    """A claim is over what the customer is out of pocket by; or over just what a flag asks about.

    The latter where nobody can know that a card has its money back, or how many of the coins that
    were ordered have fallen.
    """
    asked = [flag.amount for flag in play.records("review.flagged")]
    known = play.claimed == amount > 0
    least = amount if NO_COUNT in play.flags else 0
    unknown = cell.flagged and 0 <= amount == least < play.claimed and play.claimed in asked
    assert known or unknown, (play.claimed, amount, asked)


def journal(play: Play, cell: Cell) -> None:
    """Compare what was written."""
    told = {record.type for record in (*play.told, *play.written)}
    assert set(cell.journaled) <= told, set(cell.journaled) - told
    assert bool(play.flags) == cell.flagged, play.flags
    closed = [
        record.data
        for record in (*play.written, *play.told)
        if isinstance(record.data, rec.VendClosed)
    ]
    done = Strategy(closed[0].compensation) if closed else Strategy.NONE
    assert done == cell.strategy, done


def machine(play: Play, cell: Cell) -> None:
    """Compare what the machine does next."""
    assert play.running is not None
    desk = play.running.machine.desk
    off = play.state.stock.of(play.column).disabled
    match cell.then:
        case Next.SELLS:
            assert desk.mode.selling
            assert not off
        case Next.RESTARTS:
            assert desk.mode.selling
        case Next.COLUMN_OFF:
            assert desk.mode.selling
            assert off
        case Next.CASH_ONLY:
            assert desk.mode.selling
            assert play.faults_raised("cashless1", FaultCode.DEVICE_SILENT) == 1
        case Next.OTHER_READER:
            assert desk.mode.selling
            assert play.faults_raised("cashless1", FaultCode.DEVICE_SILENT) == 1
            assert desk.takes_cards(DeviceName.CASHLESS2)
        case Next.CARDS_ONLY:
            assert desk.mode.selling
            assert DeviceName.CHANGER not in desk.live.ready
        case Next.HELD_BACK:
            assert desk.mode.selling
            assert play.column in play.state.climate.unhealthy
            assert not off
        case Next.NO_BILLS:
            assert desk.mode.selling
            stuck = play.has_fault("bill", FaultCode.BILL_STUCK_IN_ESCROW)
            assert stuck or play.has_fault("bill", FaultCode.BILL_JAM)
        case Next.STOPS:
            assert desk.mode is Mode.OUT_OF_SERVICE
        case Next.ENDS:
            assert play.stop_took_s <= STOP_S
            assert desk.mode.selling
        case Next.STRANDED | Next.BEGINS_ANEW:
            assert desk.mode.selling
            assert play.was_stranded
