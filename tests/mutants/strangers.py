"""Planted bugs as a stranger would think of them: orders, ends, doors, codes, columns, pages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from controller.domain import climate, offers
from controller.domain import rights as domain_rights
from controller.domain.credit import Credit, Order, Picked, Pocket
from controller.journal import records as rec
from controller.journal.wall_label import WallLabel
from controller.machine import effects as fx
from controller.machine import promises, runner, screen, selling
from controller.machine.brain import Brain
from controller.machine.performing import Performer
from controller.machine.screen import Acceptor
from controller.machine.table import Mode
from controller.ports import DispenseOutcome, RefundOutcome, SensorCheck
from controller.saga import (
    age,
    basket,
    basket_rules,
    cards,
    dispensing,
    escrow,
    late_card,
    patience,
    redeem,
    rights,
    vend,
)
from controller.state import state, table
from controller.state.state import State
from drivers.cctalk import bus, changer, frames
from drivers.cctalk.changer import CcTalkChanger
from drivers.cctalk.events import BUFFER_EVENTS, EventBuffer
from drivers.links.mdb_link import Answer, AnswerKind
from drivers.links.ninth_bit import NinthBitLink
from tests.mutants.planting import Mutant, Soil


def _folds(soil: Soil, kind: type[Any], after: Any) -> None:
    """Have the state do something more when it takes a record in."""
    folds = table.FOLDS
    real = folds[kind.type]

    def fold(s: Any, r: Any, d: Any) -> None:
        real(s, r, d)
        after(s)

    soil.put(state, "FOLDS", {**folds, kind.type: fold})


def spend_cash_before_credit_that_only_buys(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def pick(self: Credit, amount: int, order: Order = Order.OLDEST) -> Picked | None:
            product = [lot for lot in self.lots if lot.pocket is Pocket.PRODUCT]
            cash = [lot for lot in self.lots if lot.pocket is not Pocket.PRODUCT]
            first = self._pick(cash, min(amount, self.cash), order)
            rest = self._pick(product, amount - min(amount, self.cash), order)
            if first is None or rest is None:
                return None
            return Picked(rest.lots + first.lots, first.coins, first.bills, rest.product)

        return pick

    soil.wrap(Credit, "pick", make)


def sell_with_the_door_open(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def blocked(desk: Any, devices: Any) -> Any:
            was, desk.live.door_open = desk.live.door_open, False
            try:
                return real(desk, devices)
            finally:
                desk.live.door_open = was

        return blocked

    soil.wrap(selling, "blocked", make)


def turn_though_the_sensor_is_blind(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def checked(desk: Any, saga: Any, column: str, result: Any) -> None:
            real(desk, saga, column, SensorCheck.READY if result is SensorCheck.BLIND else result)

        return checked

    soil.wrap(vend, "sensor_checked", make)


def forget_failed_vends_with_a_restart(soil: Soil) -> None:
    def after(s: State) -> None:
        s.failures, s.failures_machine = {}, 0

    _folds(soil, rec.BootStarted, after)


def sell_on_a_faulty_column_behind_a_restart(soil: Soil) -> None:
    def after(s: State) -> None:
        s.column_faults = {}
        for name in list(s.stock.to_json()):
            s.stock.enable(name)

    _folds(soil, rec.BootStarted, after)


def believe_a_damaged_cctalk_answer(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def accept(raw: bytes, asked: int, checksum: Any, **more: Any) -> Any:
            if len(raw) >= 5 and checksum is frames.Checksum.SUM:
                raw = raw[:-1] + bytes((frames.simple_checksum(raw[:-1]),))
            elif len(raw) >= 5:
                crc = frames.crc16(raw[:2] + raw[3:-1])
                raw = raw[:2] + bytes((crc & 0xFF,)) + raw[3:-1] + bytes((crc >> 8,))
            return real.__wrapped__(raw, asked, checksum, **more)

        return accept

    soil.wrap(bus, "accept_reply", make)


def believe_a_damaged_mdb_answer(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def judge(self: Any, block: bytes) -> Answer:
            answer: Answer = real(self, block)
            if answer.kind is AnswerKind.GARBLED and self._damaged:
                self._damaged = False
                return Answer(AnswerKind.DATA, block[:-1])
            return answer

        return judge

    soil.wrap(NinthBitLink, "_judge", make)


def _writes(soil: Soil, edit: Any) -> None:
    from controller.machine.desk import Desk

    def make(write: Any) -> Any:
        def wrong(self: Desk, data: Any, vend_: int | None = None) -> Any:
            return write(self, edit(data), vend_)

        return wrong

    soil.wrap(Desk, "write", make)


def leave_a_late_approval_to_its_reader(soil: Soil) -> None:
    soil.put(late_card, "heard", lambda desk, report, *, may_ask: None)


def stop_in_the_middle_of_a_vend(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def stop(self: Brain, reason: str) -> None:
            real(self, reason)
            self._stop_requested = True
            self.desk.write(rec.StopRequested(reason=reason))
            self.desk.do(fx.Exit(reason))

        return stop

    soil.wrap(Brain, "_stop", make)


def show_less_credit_than_there_is(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def view(desk: Any) -> Any:
            shown = real(desk)
            return replace(shown, credit=max(0, shown.credit - 5)) if shown.credit else shown

        return view

    soil.wrap(runner, "view", make)


def believe_a_dead_thermometer(soil: Soil) -> None:
    soil.put(climate.Thermometer, "LOST_AFTER_S", 3_600.0)


def take_the_last_customer_s_proof_of_age(soil: Soil) -> None:
    soil.put(age, "HOLDS_S", 3_600.0)
    soil.put(age, "gone", lambda desk: None)


def keep_the_bill_that_waits(soil: Soil) -> None:
    soil.put(escrow, "hand_back", lambda desk, reason: 0)


def take_money_while_nothing_is_sold(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def taken(self: Acceptor) -> Any:
            desk = self._desk
            was = desk.mode
            if was is Mode.OUT_OF_SERVICE:
                desk.mode = Mode.CREDIT
            try:
                return real(self)
            finally:
                desk.mode = was

        return taken

    soil.wrap(Acceptor, "_taken", make)


def raise_the_clock_s_floor_by_any_time(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def stamp(self: Any, wall_ms: int, mono_ms: int) -> Any:
            if self._anchor is None:
                self._floor_ms = max(self._floor_ms, wall_ms)
            return real(self, wall_ms, mono_ms)

        return stamp

    soil.wrap(WallLabel, "stamp", make)


def hold_a_night_s_offer_on_the_wrong_morning(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def holds(self: offers.Offer, local: Any) -> bool:
            minute, day = local.hour * 60 + local.minute, local.weekday()
            if self.start < self.end:
                return bool(real(self, local))
            return day in self.days and (minute >= self.start or minute < self.end)

        return holds

    soil.wrap(offers.Offer, "holds", make)


def forget_in_snapshots_what_failed(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def decode(cls: Any, raw: bytes) -> State:
            found: State = real(raw)
            found.failures, found.failures_machine, found.wrong_codes = {}, 0, 0
            return found

        return classmethod(decode)

    soil.wrap(State, "decode", make)


def leave_grants_out_of_snapshots(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def encode(self: State) -> bytes:
            grants, self.grants = self.grants, {}
            raw: bytes = real(self)
            self.grants = grants
            return raw

        return encode

    soil.wrap(State, "encode", make)


def try_a_refund_for_an_hour(soil: Soil) -> None:
    soil.put(patience, "limit_s", lambda desk: 3_600.0)


def give_a_refund_up_at_once(soil: Soil) -> None:
    def overdue(desk: Any, saga: Any) -> bool:
        return bool(saga.short_payouts)

    soil.put(patience, "overdue", overdue)


def turn_twice_whatever_the_owner_says(soil: Soil) -> None:
    def deserves(desk: Any, saga: Any, column: str, outcome: str) -> bool:
        first = [c for c, _ in saga.turns].count(column) == 1
        return outcome == DispenseOutcome.NOT_SEEN and first

    soil.put(dispensing, "_deserves_another", deserves)


def turn_thrice(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def deserves(desk: Any, saga: Any, column: str, outcome: str) -> bool:
            twice = [c for c, _ in saga.turns].count(column) == 2
            extra = desk.planogram.columns[column].extra_turn
            return bool(real(desk, saga, column, outcome)) or (
                outcome == DispenseOutcome.NOT_SEEN and twice and extra
            )

        return deserves

    soil.wrap(dispensing, "_deserves_another", make)


def turn_another_column_behind_an_open_door(soil: Soil) -> None:
    def by_the_door(saga: Any) -> bool:
        return bool(saga.turns) and saga.turns[-1][1] == DispenseOutcome.DOOR_OPENED

    def unheld(real: Any) -> Any:
        def held_back(desk: Any, saga: Any, column: str) -> Any:
            return "" if by_the_door(saga) else real(desk, saga, column)

        return held_back

    def make(real: Any) -> Any:
        def following(desk: Any, saga: Any) -> Any:
            if by_the_door(saga):
                return dispensing._another_column(desk, saga, {c for c, _ in saga.turns})
            return real(desk, saga)

        return following

    soil.wrap(dispensing, "held_back", unheld)
    soil.wrap(dispensing, "next_column", make)


def tell_a_reader_of_twice_the_cash(soil: Soil) -> None:
    def make(real: Any) -> Any:
        async def perform(self: Performer, effect: Any) -> Any:
            if isinstance(effect, fx.ReportCashSale):
                effect = replace(effect, amount=2 * effect.amount)
            return await real(self, effect)

        return perform

    soil.wrap(Performer, "_card", make)


def sell_what_is_set_aside(soil: Soil) -> None:
    soil.put(domain_rights, "reserved", lambda rights: {})


def take_tokens_that_buy_nothing(soil: Soil) -> None:
    soil.put(screen, "takes_tokens", lambda desk: True)


def stop_the_compressor_at_once(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def on(plan: Any, cooling: Any, *more: Any) -> Any:
            return real(plan, replace(cooling, min_on_s=0.0), *more)

        return on

    soil.wrap(climate, "_while_cooling", make)


def leave_a_code_no_time_to_be_copied(soil: Soil) -> None:
    soil.put(promises, "TURN_S", 2.0)


def have_the_next_coin_take_a_code_away(soil: Soil) -> None:
    def left(desk: Any) -> None:
        desk.live.promises, desk.live.notice = [], None

    soil.put(promises, "left", left)


def never_give_a_request_up(soil: Soil) -> None:
    soil.put(cards, "approval_timed_out", lambda desk, saga: None)


def overhear_a_reader_s_refund_error(soil: Soil) -> None:
    soil.put(cards, "refund_refused", lambda desk, report: None)


def judge_a_claim_s_age_by_any_clock(soil: Soil) -> None:
    def expired(desk: Any, claim: Any) -> bool:
        return bool(desk.wall_ms - claim.at_ms > desk.policy.claim_days * redeem._DAY_MS)

    soil.put(redeem, "_expired", expired)


def count_a_right_for_every_item_of_a_basket(soil: Soil) -> None:
    def price_of(desk: Any, items: list[str]) -> int:
        total = 0
        for item in items:
            price = desk.planogram.columns[item].price
            right = rights.best(desk, item)
            total += price - (0 if right is None else right.worth(price))
        return total

    soil.put(basket, "price_of", price_of)


def go_on_with_a_basket_behind_a_claim(soil: Soil) -> None:
    soil.put(basket_rules, "codes_of", lambda desk, saga: [])

    def make(real: Any) -> Any:
        def goes_on(desk: Any, saga: Any) -> Any:
            claimed, saga.claimed = saga.claimed, 0
            try:
                return real(desk, saga)
            finally:
                saga.claimed = claimed

        return goes_on

    soil.wrap(basket_rules, "goes_on", make)


def credit_what_an_acceptor_told_somebody_else(soil: Soil) -> None:
    nothing = EventBuffer(0, ((0, 0),) * BUFFER_EVENTS)

    def make(real: Any) -> Any:
        async def read(self: Any, acceptor: Any) -> bool:
            self._seen = self._seen or nothing  # a first read is no baseline any more
            return bool(await real(self, acceptor))

        return read

    soil.wrap(CcTalkChanger, "_read", make)


def overlook_an_acceptor_s_reset(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def news(last: Any, now: Any) -> Any:
            found = real(last, now)
            return replace(found, events=(), lost=0) if found.reset else found

        return news

    soil.wrap(changer, "news_between", make)


def take_a_reset_reader_for_one_that_gave_back(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def book(desk: Any, saga: Any, *, success: bool, result: Any) -> Any:
            if result is RefundOutcome.CHARGED:
                result = RefundOutcome.REFUNDED
            return real(desk, saga, success=success, result=result)

        return book

    soil.wrap(cards, "book_settle", make)


MUTANTS: Final = (
    Mutant("spend cash before credit that only buys", spend_cash_before_credit_that_only_buys),
    Mutant("sell with the door open", sell_with_the_door_open, "door"),
    Mutant("turn though the sensor is blind", turn_though_the_sensor_is_blind, "sensor"),
    Mutant("forget failed vends with a restart", forget_failed_vends_with_a_restart),
    Mutant("sell on a faulty column behind a restart", sell_on_a_faulty_column_behind_a_restart),
    Mutant(
        "believe a damaged ccTalk answer",
        believe_a_damaged_cctalk_answer,
        "cctalk,hopper3,acceptor,billcc",
    ),
    Mutant("believe a damaged MDB answer", believe_a_damaged_mdb_answer, "line,bus", "native"),
    Mutant("leave a late approval to its reader", leave_a_late_approval_to_its_reader, "reader"),
    Mutant("stop in the middle of a vend", stop_in_the_middle_of_a_vend, "stop"),
    Mutant("show less credit than there is", show_less_credit_than_there_is),
    Mutant("believe a dead thermometer", believe_a_dead_thermometer),
    Mutant("take the last customer's proof of age", take_the_last_customer_s_proof_of_age),
    Mutant("keep the bill that waits", keep_the_bill_that_waits),
    Mutant("take money while nothing is sold", take_money_while_nothing_is_sold, "door"),
    Mutant("raise the clock's floor by any time", raise_the_clock_s_floor_by_any_time, "clock"),
    Mutant("hold a night's offer on the wrong morning", hold_a_night_s_offer_on_the_wrong_morning),
    Mutant("forget in snapshots what failed", forget_in_snapshots_what_failed),
    Mutant("leave grants out of snapshots", leave_grants_out_of_snapshots),
    Mutant("try a refund for an hour", try_a_refund_for_an_hour),
    Mutant("give a refund up at once", give_a_refund_up_at_once),
    Mutant("turn twice whatever the owner says", turn_twice_whatever_the_owner_says),
    Mutant("turn thrice", turn_thrice),
    Mutant(
        "turn another column behind an open door", turn_another_column_behind_an_open_door, "door"
    ),
    Mutant("tell a reader of twice the cash", tell_a_reader_of_twice_the_cash),
    Mutant("sell what is set aside", sell_what_is_set_aside),
    Mutant("take tokens that buy nothing", take_tokens_that_buy_nothing),
    Mutant("stop the compressor at once", stop_the_compressor_at_once),
    Mutant("leave a code no time to be copied", leave_a_code_no_time_to_be_copied),
    Mutant("have the next coin take a code away", have_the_next_coin_take_a_code_away),
    Mutant("never give a request up", never_give_a_request_up),
    Mutant("overhear a reader's refund error", overhear_a_reader_s_refund_error),
    Mutant("judge a claim's age by any clock", judge_a_claim_s_age_by_any_clock),
    Mutant("count a right for every item of a basket", count_a_right_for_every_item_of_a_basket),
    Mutant("go on with a basket behind a claim", go_on_with_a_basket_behind_a_claim),
    Mutant(
        "credit what an acceptor told somebody else", credit_what_an_acceptor_told_somebody_else
    ),
    Mutant("overlook an acceptor's reset", overlook_an_acceptor_s_reset),
    Mutant(
        "take a reset reader for one that gave back", take_a_reset_reader_for_one_that_gave_back
    ),
)
