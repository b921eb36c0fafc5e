"""Decisions: one input at a time, the state it sees, the records and effects it makes.

Synchronous and without I/O. The runner feeds it, commits what it wrote, and only then lets its
effects begin.
"""

from __future__ import annotations

from asyncio import Future
from typing import Any, Final

from controller.domain import commands as cmd
from controller.faults import FaultCode
from controller.journal import records as rec
from controller.machine import (
    checkpoints,
    counts,
    damage,
    languages,
    looks,
    orders,
    presence,
    promises,
    recovering,
    selling,
    sessions,
)
from controller.machine import effects as fx
from controller.machine.cash import CashHandling
from controller.machine.climate import ClimateKeeping
from controller.machine.commands import enter_wanted_service, obey
from controller.machine.configuring import Configuring
from controller.machine.desk import READERS, Desk
from controller.machine.incidents import Incidents
from controller.machine.inputs import (
    Act,
    Boot,
    CommandRefused,
    Heard,
    Input,
    Money,
    Outcome,
    Stop,
    Timer,
)
from controller.machine.keys import Keys
from controller.machine.remote import RemoteDesk, obey_link
from controller.machine.table import Mode, Trigger
from controller.panel.view import Message
from controller.ports import (
    BillsReport,
    CoinsReport,
    DeviceEvent,
    DeviceLost,
    DeviceName,
    DeviceReady,
    DeviceRestarts,
    DeviceWasReset,
    DoorChanged,
    EscrowEmpty,
    EscrowLever,
    FaultCleared,
    FaultRaised,
    KeyPressed,
    LateApprovalReport,
    MoneyReport,
    OutputCut,
    ReaderDisplay,
    RefundErrorReport,
    RequestGivenUpReport,
    RevalueReport,
    SessionBegun,
    SessionCancelRequested,
    SessionEnded,
    TemperatureRead,
    TubesTouched,
)
from controller.saga import (
    age,
    basket,
    basket_rules,
    cards,
    escrow,
    give_back,
    late_card,
    patience,
    proofs,
    redeem,
    revalue,
    rights,
    vend,
)
from controller.saga import recovery as boot

SENSOR_RETRY_S: Final = 30.0  # between two self-tests of a blind drop sensor
STOP_BILL_S: Final = 5.0  # a bill takes two, in or out; what is later the next start finds


class Brain:
    """The machine's mind."""

    def __init__(self, desk: Desk, devices: tuple[DeviceName, ...]) -> None:
        """Bind the desk; ``devices`` are those the configuration names."""
        self.desk = desk
        self.devices = devices
        self.recovery: boot.Recovery | None = None
        self.keys = Keys(desk)
        self.cash = CashHandling(desk)
        self.incidents = Incidents(desk, self.cash, devices)
        self.climate = ClimateKeeping(desk, self.incidents)
        self.configuring = Configuring(desk)
        self.remote = RemoteDesk(desk, self._obey)
        self._recovered = False
        self.stopping = ""
        self._stop_requested = False
        self._bill_until = 0.0  # monotonic: the end waits so long for a bill that moves

    # ------------------------------------------------------------------------------ inputs

    def take(self, item: Input) -> None:
        """Decide about one input."""
        self.desk.look_at_offers()
        match item:
            case Money(report=report):
                self._money(report)
            case Heard(event=event):
                self._heard(event)
            case Outcome(effect=effect, result=result):
                self._outcome(effect, result)
            case Timer(name=name):
                self._timer(name)
            case Act(command=command, by=by, reply=reply):
                try:
                    answer = self._act(command, by, reply)
                except CommandRefused as refusal:
                    if not reply.done():
                        reply.set_exception(refusal)
                else:
                    if answer is not None:
                        self.desk.reply(reply, answer)
            case Boot():
                self._open_stock()
                self.remote.boot()
                orders.boot(self.desk)
                give_back.claim_inherited(self.desk)
                redeem.boot(self.desk)
                self.incidents.booted()
                if self.desk.journal.disk_full:
                    self.incidents.raised("journal", FaultCode.JOURNAL_FULL)
                    self.desk.do(fx.Wake("disk", looks.DISK_RETRY_S))
                self.recovery = boot.begin(self.desk, self.devices)
                self.climate.boot()
                self.configuring.boot()
                checkpoints.boot(self.desk)
                self.desk.do(fx.AskTime())
                self._minute()
            case Stop(reason=reason):
                self._stop(reason)
            case _:
                raise AssertionError(f"no such input: {item}")
        self._after()

    def _money(self, report: MoneyReport) -> None:
        match report:
            case CoinsReport():
                self.cash.coins(report)
            case BillsReport():
                self.cash.bills(report)
            case RefundErrorReport():
                cards.refund_refused(self.desk, report)
            case LateApprovalReport():
                late_card.heard(self.desk, report, may_ask=not boot.will_ask(self.recovery))
            case RequestGivenUpReport():
                cards.given_up(self.desk, report)
            case RevalueReport():
                revalue.heard(self.desk, report)

    def _act(self, command: Any, by: str, reply: Future[dict[str, Any]]) -> dict[str, Any] | None:
        match command:
            case cmd.Remote():
                return self.remote.take(command, reply)
            case cmd.EndRemote():
                return self.remote.end(command)
            case cmd.ConfirmTime() | cmd.NoteRefused():
                return obey_link(self.desk, command)
            case cmd.NoteFleet(hears=hears):
                self.desk.live.fleet = hears
                return {}
            case cmd.KeepCountersignature():
                return checkpoints.keep(self.desk, command)
            case _:
                return self._obey(self.desk, command, by, reply)

    def _obey(
        self, desk: Desk, command: cmd.Command, by: str, reply: Future[dict[str, Any]]
    ) -> dict[str, Any] | None:
        match command:
            case cmd.ApplyConfig():
                return self.configuring.take(command, by, reply)
            case cmd.ApplyPlanogram():
                self.configuring.shelve(command, by, reply)
                return None
            case cmd.EnableReader(device=device) if device in set(READERS) - set(self.devices):
                known = ", ".join(name for name in READERS if name in self.devices) or "none"
                raise CommandRefused(f"this machine has no {device}; its readers: {known}")
            case _:
                return obey(desk, command, by, reply)

    def _after(self) -> None:
        """Bring the mode in line with what is true, whatever the input was."""
        desk = self.desk
        if self.recovery is not None and self.recovery.phase is boot.Phase.END:
            boot.proceed(desk, self.recovery)
        patience.keep_watch(desk)
        enter_wanted_service(desk)
        self.keys.look()
        if desk.live.reselect and not desk.mode.vending:
            self._reselect()
        if desk.mode.selling or desk.mode is Mode.OUT_OF_SERVICE:
            selling.settle_mode(desk, self.blocked())
            basket.proceed(desk)
            revalue.look(desk)
            if self.configuring.turn(self.blocked()):
                self._reconfigured()
        orders.look_at_update(desk)
        if (
            self.stopping
            and not desk.state.sagas
            and not self._stop_requested
            and not self._bill_on_its_way()
        ):
            self._stop_requested = True
            desk.write(rec.StopRequested(reason=self.stopping))
            desk.do(fx.Exit(self.stopping))
        promises.look(desk)
        self.remote.tell()
        done = self.recovery is not None and self.recovery.phase is boot.Phase.DONE
        if done and not self._recovered:
            self._recovered = True
            self.incidents.recovered()
            self.cash.validator_away()
            if self.recovery is not None and self.recovery.by_latch:
                desk.do(fx.CheckSensor(0, next(iter(desk.planogram.columns))))

    def _reselect(self) -> None:
        """Sell for coins what a card was asked for, unless nothing is sold any more."""
        desk = self.desk
        selection, desk.live.reselect = desk.live.reselect, ""
        paid = vend.enough(desk, selection) or desk.live.session is not None
        if paid and desk.mode.selling and not self.blocked():
            vend.select(desk, selection)

    def _bill_on_its_way(self) -> bool:
        """Return a bill that waits before the end; True while one may still be on its way."""
        desk = self.desk
        escrow.hand_back(desk, "stop")
        bill = desk.state.escrow
        if bill is None or not bill.asked or bill.claimed:
            return False
        if not self._bill_until:
            desk.do(fx.Wake("stop", STOP_BILL_S))
            self._bill_until = desk.now + STOP_BILL_S
        return desk.now < self._bill_until

    def blocked(self) -> str:
        """Return why nothing may be sold now, or an empty string."""
        return selling.blocked(self.desk, self.devices)

    # ------------------------------------------------------------------------------- heard

    def _heard(self, event: DeviceEvent) -> None:
        match event:
            case KeyPressed(key=key):
                self.keys.pressed(key)
            case EscrowLever():
                self.keys.lever()
            case EscrowEmpty():
                self.cash.escrow_empty()
            case TubesTouched():
                self._count_tubes()
            case DoorChanged(open=is_open):
                self._door(is_open)
            case FaultRaised(part=part, code=code, detail=detail):
                self.incidents.raised(part, code, detail)
                if code is FaultCode.DEVICE_UNSUITABLE:
                    presence.unsuitable(self.desk, self.recovery, self.devices, part)
            case FaultCleared(part=part, code=code):
                self.incidents.cleared(part, code)
            case TemperatureRead():
                self.climate.read(event)
            case OutputCut():
                self.climate.cut(event)
            case DeviceReady(device=device, info=info):
                presence.ready(self.desk, self.recovery, self.incidents, device, info)
            case DeviceLost(device=device):
                presence.gone(self.desk, device)
                presence.lost(self.desk, self.recovery, self.incidents, self.cash, device)
            case DeviceWasReset(device=device) | DeviceRestarts(device=device):
                presence.gone(self.desk, device)
            case _:
                self._heard_from_reader(event)

    def _heard_from_reader(self, event: DeviceEvent) -> None:
        desk, live = self.desk, self.desk.live
        match event:
            case SessionBegun(device=device):
                sessions.begun(desk, device, event)
            case SessionCancelRequested(device=device):
                sessions.cancel_requested(desk, device)
            case SessionEnded(device=device):
                if live.session is device:
                    sessions.over(desk)
                cards.wait_for_card(desk, device)
            case ReaderDisplay(text=text, seconds=seconds):
                desk.tell(Message.CARD_TEXT, text=text, seconds=min(seconds, 60.0))
            case _:
                raise AssertionError(f"no such event: {event}")

    def _door(self, is_open: bool) -> None:
        desk = self.desk
        desk.live.door_open = is_open
        if is_open:
            self.incidents.raised("door", FaultCode.DOOR_OPEN)
            self.climate.door()
            cards.kept_still(desk)
        else:
            self.climate.door()
            self.incidents.cleared("door", FaultCode.DOOR_OPEN)
            self._count_tubes()

    def _count_tubes(self) -> None:
        """Ask what is in the tubes, unless a vend or payout runs, which asks at its end."""
        desk = self.desk
        if DeviceName.CHANGER in desk.live.ready and not desk.state.sagas:
            desk.do(fx.CountTubes("fill" if desk.mode is Mode.SERVICE else "check"))

    # ---------------------------------------------------------------------------- outcomes

    def _outcome(self, effect: fx.Effect, result: Any) -> None:
        desk = self.desk
        if isinstance(result, fx.Failed) and result.stuck:
            patience.tell_stuck(desk, result.detail)
        vend_seq = getattr(effect, "vend", None)
        saga = desk.state.sagas.get(vend_seq) if vend_seq is not None else None
        match effect:
            case fx.Greet(device=device):
                assert self.recovery is not None, "greetings belong to recovery"
                boot.greeted(desk, self.recovery, device, result)
            case (
                fx.CountTubes()
                | fx.PourCoins()
                | fx.CountStacker()
                | fx.StackBill()
                | fx.ReturnBill()
            ):
                self._cash_outcome(effect, result)
            case fx.CheckSensor(column=column) if saga is not None:
                vend.sensor_checked(desk, saga, column, result)
            case fx.Turn(column=column) if saga is not None:
                vend.turn_finished(desk, saga, column, result)
            case fx.CheckSensor() | fx.Turn() | fx.RestoreBallast():
                looks.taken(desk, self.recovery, effect, result)
            case fx.RequestApproval() if saga is not None:
                vend.approval_finished(desk, saga, result)
            case fx.Settle(success=success, after_restart=False) if saga is not None:
                vend.settle_finished(desk, saga, success=success, result=result)
            case fx.AskRevalueLimit() | fx.Revalue():
                revalue.outcome(desk, effect, result)
            case fx.JudgeConfig():
                self.configuring.judged(effect, result)
            case fx.HandOver():
                orders.handed_over(desk, effect, result)
            case fx.VerifyAge():
                self._age_told(effect, result)
            case fx.Payout() if saga is not None:
                proofs.payout_finished(desk, saga, result)
                vend.advance(desk, saga)
            case _:
                recovering.outcome(desk, self.recovery, effect, result)
        blind = selling.SENSOR_BLIND in desk.state.faults
        if blind and isinstance(effect, fx.CheckSensor | fx.Turn):
            desk.do(fx.Wake("sensor", SENSOR_RETRY_S))

    def _cash_outcome(self, effect: fx.Effect, result: Any) -> None:
        match effect:
            case fx.CountTubes(cause=cause):
                counts.tubes_counted(self.desk, self.recovery, cause, result)
            case fx.PourCoins():
                counts.coins_poured(self.desk, result)
            case fx.CountStacker(cause=cause):
                counts.stacker_counted(self.desk, self.recovery, self.cash, result, cause)
            case _:
                self.cash.escrow_asked(result)

    def _age_told(self, asked: fx.VerifyAge, result: Any) -> None:
        """Go on with what was chosen, once its buyer is old enough."""
        selection = age.answered(self.desk, asked, result)
        if selection and self.desk.live.basket.items:
            basket.confirm(self.desk)
        elif selection:
            vend.select(self.desk, selection)

    def _reconfigured(self) -> None:
        """Let what keeps times of its own go by the plan that holds now."""
        self.climate.reconfigured()
        self._minute()

    def _minute(self) -> None:
        """Come back when the next minute begins: an offer may begin or end with it."""
        if self.desk.offers.all:
            self.desk.do(fx.Wake("minute", 60.05 - self.desk.now_ms % 60_000 / 1000))

    # ------------------------------------------------------------------------------ timers

    def _timer(self, name: str) -> None:
        desk = self.desk
        what, _, rest = name.partition(" ")
        saga = desk.state.sagas.get(int(rest)) if rest.isdecimal() else None
        match what:
            case "recovery" if self.recovery is not None:
                boot.deadline(desk, self.recovery)
            case "approval" if saga is not None:
                cards.approval_timed_out(desk, saga)
            case "payout" if saga is not None:
                proofs.look_for_changer(desk, saga)
                vend.advance(desk, saga)
            case "watch":
                self._watch()
            case "remote":
                self.remote.look()
            case "config":
                if self.configuring.look(self.blocked()):
                    self._reconfigured()
            case "checkpoint":
                checkpoints.due(self.desk)
            case "session":
                sessions.timed_out(desk, rest)
            case "time" | "minute" | "basket" | "right" | "age":
                self._offer_timer(what, rest)
            case "recount" | "tubes":
                desk.do(fx.CountTubes(rest))
            case "stacker":
                desk.do(fx.CountStacker(rest))
            case "sensor":
                if desk.state.sagas:
                    desk.do(fx.Wake("sensor", SENSOR_RETRY_S))
                else:
                    first = next(iter(desk.planogram.columns))
                    desk.do(fx.CheckSensor(0, first))
            case _:
                self._cash_timer(what)

    def _offer_timer(self, what: str, rest: str) -> None:
        """Take a timer of what is sold in another way: offers, baskets, rights."""
        desk = self.desk
        match what, rest:
            case "time", "known":
                if not desk.journal.label.confirmed:
                    desk.confirm_time("ntp")
            case "time", _:
                desk.do(fx.AskTime())
            case "age", _:
                age.forget(desk)
            case "minute", _:
                self._minute()
            case "basket", "card":
                basket.no_card_came(desk)
            case "basket", _:
                basket_rules.forgotten(desk)
            case _:
                rights.timed_out(desk, int(rest))

    def _watch(self) -> None:
        """Push on what lies still: a wake-up that never came must not keep a customer's money."""
        if self.recovery is not None and self.recovery.phase in (boot.Phase.END, boot.Phase.DONE):
            for saga in patience.stuck(self.desk):
                patience.tell_stuck(self.desk, f"vend {saga.vend} lay still")
                vend.advance(self.desk, saga)

    def _cash_timer(self, what: str) -> None:
        match what:
            case "escrow":
                self.cash.escrow_overdue()
            case "code":
                self.desk.live.code = None
            case "asked":
                redeem.timed_out(self.desk)
            case promises.TURN:
                promises.turn(self.desk)
            case "show":
                self._show_on()
            case "language":
                languages.look(self.desk)
            case "bill" | "untold":
                self.cash.woken(what)
            case "damage":
                damage.look(self.desk)
            case "keys":
                self.keys.timed_out()
            case "credit":
                self.cash.credit_timed_out()
            case "disk":
                self.desk.do(fx.RestoreBallast())
            case "climate":
                self.climate.look()
            case _:
                pass  # "stop", "notice": the turn itself looks

    def _show_on(self) -> None:
        """What is told now may have begun later than its timer: a small glass had more to show."""
        notice = self.desk.live.notice
        if notice is not None and self.desk.now < notice.until_s:
            self.desk.do(fx.Wake("show", notice.until_s - self.desk.now))

    # -------------------------------------------------------------------------------- stop

    def _stop(self, reason: str) -> None:
        """Begin nothing new; what is open ends or compensates first."""
        desk = self.desk
        self.stopping = reason
        damage.tell_all(desk)
        desk.fire(Trigger.STOP)
        saga = desk.customer_saga()
        if saga is not None:
            cards.cancel_approval(desk, saga)
        session = desk.live.session
        if session is not None and (saga is None or saga.device != session.value):
            desk.end_session(session)  # else its own vend does
        desk.live.bill_until = desk.now + escrow.STOPPING_S
        desk.do(fx.Wake("bill", escrow.STOPPING_S))

    def _open_stock(self) -> None:
        """At the very first start, believe that each column is full."""
        desk = self.desk
        if desk.state.stock_known:
            return
        for column in desk.base_planogram.columns.values():
            desk.write(
                rec.StockSet(column=column.name, count=column.capacity, before=0, cause="opening")
            )
