"""Decisions: one input at a time, the state it sees, the records and effects it makes.

Synchronous and without I/O. The runner feeds it, commits what it wrote, and only then lets its
effects begin.
"""

from __future__ import annotations

from asyncio import Future
from dataclasses import asdict
from typing import Any, Final

from controller.domain import commands as cmd
from controller.faults import FaultCode
from controller.journal import records as rec
from controller.machine import checkpoints, orders, promises
from controller.machine import effects as fx
from controller.machine.cash import CashHandling
from controller.machine.climate import ClimateKeeping
from controller.machine.commands import enter_wanted_service, obey
from controller.machine.configuring import NO_DEVICE, Configuring
from controller.machine.desk import Desk
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
    BillInfo,
    BillsReport,
    ChangerInfo,
    CoinsReport,
    DeviceEvent,
    DeviceLost,
    DeviceName,
    DeviceReady,
    DeviceWasReset,
    DispenseResult,
    DoorChanged,
    EscrowLever,
    FaultCleared,
    FaultRaised,
    KeyPressed,
    LateApprovalReport,
    MoneyReport,
    OutputCut,
    ReaderDisplay,
    ReaderInfo,
    RefundErrorReport,
    SensorCheck,
    SessionBegun,
    SessionCancelRequested,
    SessionEnded,
    StackerCount,
    TemperatureRead,
    TubeCounts,
)
from controller.saga import (
    age,
    basket,
    basket_rules,
    escrow,
    give_back,
    late_card,
    patience,
    rights,
    vend,
)
from controller.saga import recovery as boot
from controller.state.saga import Saga

SENSOR_BLIND: Final = f"sensor {FaultCode.SENSOR_BLIND.value}"  # as the state lists them
MACHINE_REFUNDS: Final = f"machine {FaultCode.MACHINE_REFUNDS.value}"
DISK_RETRY_S: Final = 60.0  # between two looks for room on a full disk
SENSOR_RETRY_S: Final = 30.0  # between two self-tests of a blind drop sensor
STOP_BILL_S: Final = 5.0  # a bill takes two, in or out; what is later the next start finds
RECOUNT_S: Final = 1.0  # some polls: whatever the changer had to tell is told by then


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
                self.incidents.booted()
                if self.desk.journal.disk_full:
                    self.incidents.raised("journal", FaultCode.JOURNAL_FULL)
                    self.desk.do(fx.Wake("disk", DISK_RETRY_S))
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
                vend.refund_refused(self.desk, report)
            case LateApprovalReport():
                late_card.heard(self.desk, report, may_ask=not boot.will_ask(self.recovery))

    def _act(self, command: Any, by: str, reply: Future[dict[str, Any]]) -> dict[str, Any] | None:
        match command:
            case cmd.Remote():
                return self.remote.take(command, reply)
            case cmd.EndRemote():
                return self.remote.end(command)
            case cmd.ConfirmTime() | cmd.NoteRefused():
                return obey_link(self.desk, command)
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
            case _:
                return obey(desk, command, by, reply)

    def _after(self) -> None:
        """Bring the mode in line with what is true, whatever the input was."""
        desk = self.desk
        if self.recovery is not None and self.recovery.phase is boot.Phase.END:
            boot.proceed(desk, self.recovery)
        patience.keep_watch(desk)
        enter_wanted_service(desk)
        if desk.live.reselect and desk.mode.selling:
            selection, desk.live.reselect = desk.live.reselect, ""
            if vend.enough(desk, selection) or desk.live.session is not None:
                vend.select(desk, selection)
        if desk.mode.selling or desk.mode is Mode.OUT_OF_SERVICE:
            self._settle_mode()
            basket.proceed(desk)
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
        self.remote.tell()
        done = self.recovery is not None and self.recovery.phase is boot.Phase.DONE
        if done and not self._recovered:
            self._recovered = True
            self.incidents.recovered()
            self.cash.validator_away()
            if self.recovery is not None and self.recovery.by_latch:
                desk.do(fx.CheckSensor(0, next(iter(desk.planogram.columns))))

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

    def _settle_mode(self) -> None:
        desk = self.desk
        blocked = self.blocked()
        if desk.state.orders.lock is not None and desk.mode.selling:
            vend.give_credit_back(desk, "locked")  # before nothing is taken any more
            if desk.state.sagas:
                return
        if blocked and desk.mode is not Mode.OUT_OF_SERVICE:
            desk.fire(Trigger.FAIL)
            if desk.live.session is not None:
                desk.do(fx.EndSession(desk.live.session))
        elif not blocked and desk.mode is Mode.OUT_OF_SERVICE and not desk.state.sagas:
            desk.fire(Trigger.HEAL)
        if desk.mode.selling:
            paid = desk.credit > 0 or bool(desk.state.rights)
            present = paid or desk.live.session is not None
            if present and desk.mode is Mode.IDLE:
                desk.fire(Trigger.MONEY)
            elif not present and desk.mode is Mode.CREDIT:
                desk.fire(Trigger.SPENT)

    def blocked(self) -> str:
        """Return why nothing may be sold now, or an empty string."""
        desk = self.desk
        lock = desk.state.orders.lock
        if lock is not None:
            return f"locked by {lock.by}: {lock.reason or 'no reason given'}"
        if desk.live.door_open:
            return "door open"
        if SENSOR_BLIND in desk.state.faults:
            return "drop sensor blind"
        if desk.journal.disk_full:
            return "the disk is full"
        if MACHINE_REFUNDS in desk.state.faults:
            return "too many failed vends in a row: `vendctl service on`, look, `service off`"
        if self.devices and not desk.live.ready:
            return NO_DEVICE
        return ""

    # ------------------------------------------------------------------------------- heard

    def _heard(self, event: DeviceEvent) -> None:
        match event:
            case KeyPressed(key=key):
                self.keys.pressed(key)
            case EscrowLever():
                self.keys.lever()
            case DoorChanged(open=is_open):
                self._door(is_open)
            case FaultRaised(part=part, code=code, detail=detail):
                self.incidents.raised(part, code, detail)
                if code is FaultCode.DEVICE_UNSUITABLE:
                    self._unsuitable(part)
            case FaultCleared(part=part, code=code):
                self.incidents.cleared(part, code)
            case TemperatureRead():
                self.climate.read(event)
            case OutputCut():
                self.climate.cut(event)
            case DeviceReady(device=device, info=info):
                self._ready(device, info)
            case DeviceLost(device=device):
                self._gone(device)
                self._lost(device)
            case DeviceWasReset(device=device):
                self._gone(device)
            case _:
                self._heard_from_reader(event)

    def _unsuitable(self, part: str) -> None:
        """A device that is of no use here never will be ready: sell without it."""
        device = next((name for name in self.devices if name.value == part), None)
        recovery = self.recovery
        if device is not None and recovery is not None and recovery.phase is boot.Phase.START:
            boot.started(self.desk, recovery, device)

    def _heard_from_reader(self, event: DeviceEvent) -> None:
        desk, live = self.desk, self.desk.live
        match event:
            case SessionBegun(device=device):
                self._session(device, event)
            case SessionCancelRequested(device=device):
                self._session_cancel(device)
            case SessionEnded(device=device):
                if live.session is device:
                    self._no_session()
            case ReaderDisplay(text=text, seconds=seconds):
                desk.tell(Message.CARD_TEXT, text=text, seconds=min(seconds, 60.0))
            case _:
                raise AssertionError(f"no such event: {event}")

    def _gone(self, device: DeviceName) -> None:
        """What a device told before its reset or its silence holds no longer."""
        live = self.desk.live
        live.ready.pop(device, None)
        if device is DeviceName.CHANGER:
            live.tubes_checked = False
        elif device is DeviceName.BILL:
            live.stacker_checked = False
        if live.session is device:
            self._no_session()

    def _no_session(self) -> None:
        live = self.desk.live
        live.session, live.session_funds, live.session_language = None, None, ""
        live.session_ends = False

    def _door(self, is_open: bool) -> None:
        desk = self.desk
        desk.live.door_open = is_open
        if is_open:
            self.incidents.raised("door", FaultCode.DOOR_OPEN)
            self.climate.door()
        else:
            self.climate.door()
            self.incidents.cleared("door", FaultCode.DOOR_OPEN)
            if DeviceName.CHANGER in desk.live.ready and not desk.state.sagas:
                desk.do(fx.CountTubes("fill" if desk.mode is Mode.SERVICE else "check"))

    def _ready(self, device: DeviceName, info: ChangerInfo | BillInfo | ReaderInfo) -> None:
        desk, live = self.desk, self.desk.live
        live.ready[device] = info
        described = _plain(asdict(info))
        if desk.state.devices.get(device.value) != described:
            desk.write(rec.DeviceIdentified(device=device.value, info=described))
        self.incidents.ready(device)
        if self.recovery is not None and self.recovery.phase is not boot.Phase.DONE:
            boot.started(desk, self.recovery, device)
            if self.recovery.phase in (boot.Phase.GREET, boot.Phase.ASK, boot.Phase.START):
                return  # the count comes as a phase of its own
        if device is DeviceName.CHANGER and not live.tubes_checked:
            desk.do(fx.CountTubes("boot"))
        elif device is DeviceName.BILL and not live.stacker_checked:
            desk.do(fx.CountStacker("boot"))

    def _lost(self, device: DeviceName) -> None:
        desk = self.desk
        self.incidents.raised(device.value, FaultCode.DEVICE_SILENT)
        if device is DeviceName.BILL:
            self.cash.validator_away()
        if self.recovery is not None and self.recovery.phase is not boot.Phase.DONE:
            boot.started(desk, self.recovery, device)

    def _session(self, device: DeviceName, begun: SessionBegun) -> None:
        desk, live = self.desk, self.desk.live
        asked = self._asked_in_vain(device)
        taken = live.session is not None and live.session is not device
        if taken or not (desk.mode.selling or asked is not None):
            desk.do(fx.EndSession(device))
            return
        live.session_ends = False
        if asked is not None:
            live.reselect = asked.selection  # by this card, once the other reader has let go
            vend.cancel_approval(desk, asked)
        live.session, live.session_funds, live.session_language = (
            device, begun.funds, begun.language,
        )  # fmt: skip
        live.session_refundable = begun.refundable
        live.notice = None
        desk.do(fx.Wake(f"session {device.value}", desk.policy.session_timeout_s))

    def _asked_in_vain(self, device: DeviceName) -> Saga | None:
        """Return a vend for which another reader waits for the card that came to this one."""
        desk = self.desk
        saga = desk.customer_saga()
        if saga is None or desk.mode is not Mode.AUTHORISING or desk.live.session is not None:
            return None
        waits = saga.intent == "approval" and saga.device != device.value
        return saga if waits and saga.vend not in desk.live.cancelling else None

    def _session_cancel(self, device: DeviceName) -> None:
        saga = self.desk.customer_saga()
        if saga is not None and saga.device == device.value:
            vend.cancel_approval(self.desk, saga)  # a request is cancelled, a vend is finished
            return
        self.desk.do(fx.EndSession(device))

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
            case fx.CheckSensor():
                self._sensor_rechecked(result)
            case fx.Turn(column=column) if saga is not None:
                vend.turn_finished(desk, saga, column, result)
            case fx.Turn(column=column):
                self._motor_tested(column, result)
            case fx.RequestApproval() if saga is not None:
                vend.approval_finished(desk, saga, result)
            case fx.Settle(success=success, after_restart=False) if saga is not None:
                vend.settle_finished(desk, saga, success=success, result=result)
            case fx.RestoreBallast():
                self._disk_looked_at()
            case fx.JudgeConfig():
                self.configuring.judged(effect, result)
            case fx.HandOver():
                orders.handed_over(desk, effect, result)
            case fx.Payout() if saga is not None:
                give_back.payout_finished(desk, saga, result)
                vend.advance(desk, saga)
            case _:
                self._recovery_outcome(effect, result)
        if isinstance(effect, fx.CheckSensor | fx.Turn) and SENSOR_BLIND in desk.state.faults:
            desk.do(fx.Wake("sensor", SENSOR_RETRY_S))

    def _cash_outcome(self, effect: fx.Effect, result: Any) -> None:
        match effect:
            case fx.CountTubes(cause=cause):
                self._tubes_counted(cause, result)
            case fx.PourCoins():
                self._coins_poured(result)
            case fx.CountStacker(cause=cause):
                self._stacker_counted(result, cause)
            case _:
                self.cash.escrow_asked(result)

    def _age_told(self, asked: fx.VerifyAge, result: Any) -> None:
        """Go on with what was chosen, once its buyer is old enough."""
        selection = age.answered(self.desk, asked, result)
        if selection and self.desk.live.basket.items:
            basket.confirm(self.desk)
        elif selection:
            vend.select(self.desk, selection)

    def _recovery_outcome(self, effect: fx.Effect, result: Any) -> None:
        desk = self.desk
        if isinstance(effect, fx.VerifyAge):
            self._age_told(effect, result)
            return
        vend_seq = getattr(effect, "vend", None)
        saga = desk.state.sagas.get(vend_seq) if vend_seq is not None else None
        if saga is None or vend_seq is None or self.recovery is None:
            return
        match effect:
            case fx.ReadEvidence():
                boot.evidence_read(desk, saga, result)
                if saga.dispensed:
                    self.recovery.by_latch.append(saga.vend)
            case fx.CancelApproval(after_restart=True):
                boot.cancelled(desk, saga, result)
            case fx.Settle(success=success, after_restart=True):
                vend.book_settle(desk, saga, success=success, result=result)
            case fx.PayoutEvidenceAfterRestart():
                boot.payout_cleared(desk, saga, result)
            case _:
                return
        self.recovery.waiting.discard(f"saga {vend_seq}")
        boot.proceed(desk, self.recovery)

    def _tubes_counted(self, cause: str, result: TubeCounts | fx.Failed) -> None:
        desk = self.desk
        if isinstance(result, TubeCounts):
            desk.live.defective_tubes = result.defective
            saga = desk.customer_saga()
            if _pays(saga, DeviceName.CHANGER):
                assert saga is not None, "it pays"
                if self.recovery is not None and self.recovery.phase is boot.Phase.COUNT:
                    boot.payout_counted(desk, saga, result)
                elif saga.vend in desk.live.unproved:
                    give_back.payout_proved(desk, saga, result)
            elif not self._told_twice(cause, result):
                desk.do(fx.Wake(f"recount {cause}", RECOUNT_S))
                return
            else:
                if desk.live.staff_counts:
                    cause = "fill"  # whoever asked first: the door closes as the visit ends
                first = not desk.state.tubes_counted
                give_back.book_tubes(desk, result, "first_start" if first else cause)
                desk.live.staff_counts = False
            # A device that is being reset is counted once more when it is ready.
            desk.live.tubes_checked = DeviceName.CHANGER in desk.live.ready
        elif DeviceName.CHANGER in desk.live.ready:
            desk.do(fx.Wake(f"tubes {cause}", 5.0))
        self._counted("tubes")
        tubes = [{"type": t, "value": v, "count": n} for t, v, n in desk.state.tube_coins()]
        desk.answer("tubes", {"ok": isinstance(result, TubeCounts), "tubes": tubes})
        for open_saga in list(desk.state.sagas.values()):
            if self.recovery is None or self.recovery.phase in (boot.Phase.END, boot.Phase.DONE):
                vend.advance(desk, open_saga)

    def _coins_poured(self, result: TubeCounts | fx.Failed) -> None:
        desk = self.desk
        if isinstance(result, TubeCounts):
            give_back.book_tubes(desk, result, "fill")
            tubes = [{"type": t, "value": v, "count": n} for t, v, n in desk.state.tube_coins()]
            desk.answer("pour", {"ok": True, "tubes": tubes})
            return
        reply = desk.live.replies.pop("pour", None)
        if reply is not None and not reply.done():
            reply.set_exception(CommandRefused(result.detail))

    def _told_twice(self, cause: str, counts: TubeCounts) -> bool:
        """Tell whether a count may be booked: not while a difference may be a coin not yet told.

        A coin lies in its tube before a poll tells of it. After a reset there is none such.
        """
        desk = self.desk
        differs = give_back.differences(desk, counts)
        again, desk.live.tubes_doubt = desk.live.tubes_doubt, differs
        return cause == "boot" or not differs or differs == again

    def _stacker_counted(self, result: StackerCount | fx.Failed, cause: str) -> None:
        desk = self.desk
        if DeviceName.BILL not in desk.live.ready:
            pass  # lost or reset meanwhile: the count after its reset tells what became of a bill
        elif isinstance(result, StackerCount):
            desk.live.stacker_full = result.full
            self.cash.stacker_counted(result, after_reset=cause == "boot")
            desk.live.stacker_checked = True
            if result.recycler is not None:
                self._recycler_counted(result.recycler, cause)
        else:
            desk.do(fx.Wake(f"stacker {cause}", 5.0))
        self._counted("stacker")

    def _recycler_counted(self, counts: TubeCounts, cause: str) -> None:
        """Take the bills that a recycler holds: proof of a payout, or compared with the ledger.

        A difference is booked as one of the tubes is: when it is no bill that nobody told of yet.
        """
        desk = self.desk
        saga = desk.customer_saga()
        if _pays(saga, DeviceName.BILL):
            assert saga is not None, "it pays"
            if self.recovery is not None and self.recovery.phase is boot.Phase.COUNT:
                boot.payout_counted(desk, saga, counts)
            elif saga.vend in desk.live.unproved:
                give_back.payout_proved(desk, saga, counts)
            return
        differs = give_back.differences(desk, counts, DeviceName.BILL.value)
        again, desk.live.recycler_doubt = desk.live.recycler_doubt, differs
        if cause == "boot" or not differs or differs == again:
            give_back.book_recycler(desk, counts, cause)
        else:
            desk.do(fx.Wake(f"stacker {cause}", RECOUNT_S))

    def _counted(self, what: str) -> None:
        if self.recovery is not None and self.recovery.phase is boot.Phase.COUNT:
            self.recovery.waiting.discard(what)
            boot.proceed(self.desk, self.recovery)

    def _reconfigured(self) -> None:
        """Let what keeps times of its own go by the plan that holds now."""
        self.climate.reconfigured()
        self._minute()

    def _minute(self) -> None:
        """Come back when the next minute begins: an offer may begin or end with it."""
        if self.desk.offers.all:
            self.desk.do(fx.Wake("minute", 60.05 - self.desk.now_ms % 60_000 / 1000))

    def _disk_looked_at(self) -> None:
        if self.desk.journal.disk_full:
            self.desk.do(fx.Wake("disk", DISK_RETRY_S))
        else:
            self.desk.clear_fault("journal", FaultCode.JOURNAL_FULL)

    def _motor_tested(self, column: str, result: DispenseResult | fx.Failed) -> None:
        desk = self.desk
        answer: dict[str, Any]
        if isinstance(result, fx.Failed):
            answer = {"column": column, "outcome": "unknown", "detail": result.detail}
        else:
            answer = {
                "column": column,
                "outcome": result.outcome.value,
                "drops": result.drops,
                "run_ms": round(result.run_s * 1000),
                "detail": result.detail,
            }
            if result.drops:
                before = desk.state.stock.of(column).count
                after = max(0, before - result.drops)
                desk.write(rec.StockSet(column=column, count=after, before=before, by="motor test"))
        desk.answer("motor", answer)

    def _sensor_rechecked(self, result: SensorCheck | fx.Failed) -> None:
        if isinstance(result, SensorCheck) and result is not SensorCheck.BLIND:
            self.desk.clear_fault("sensor", FaultCode.SENSOR_BLIND)
        elif self.recovery is not None and self.recovery.by_latch:
            boot.latch_doubted(self.desk, self.recovery)

    # ------------------------------------------------------------------------------ timers

    def _timer(self, name: str) -> None:
        desk = self.desk
        what, _, rest = name.partition(" ")
        saga = desk.state.sagas.get(int(rest)) if rest.isdecimal() else None
        match what:
            case "recovery" if self.recovery is not None:
                boot.deadline(desk, self.recovery)
            case "approval" if saga is not None:
                vend.approval_timed_out(desk, saga)
            case "payout" if saga is not None:
                give_back.look_for_changer(desk, saga)
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
                self._session_timed_out(rest)
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

    def _session_timed_out(self, device: str) -> None:
        desk, session = self.desk, self.desk.live.session
        if session is None or session.value != device:
            return
        if desk.mode.vending:  # its own vend ends it; one that is paid in cash does not
            desk.do(fx.Wake(f"session {device}", desk.policy.session_timeout_s))
        else:
            desk.do(fx.EndSession(session))

    def _cash_timer(self, what: str) -> None:
        match what:
            case "escrow":
                self.cash.escrow_overdue()
            case "code":
                self.desk.live.code = None
            case "promises":
                promises.turn(self.desk)
            case "bill":
                self.cash.bill_moved()
            case "keys":
                self.keys.timed_out()
            case "credit":
                self.cash.credit_timed_out()
            case "disk":
                self.desk.do(fx.RestoreBallast())
            case "climate":
                self.climate.look()
            case _:
                pass  # "show": only the view is drawn again

    # -------------------------------------------------------------------------------- stop

    def _stop(self, reason: str) -> None:
        """Begin nothing new; what is open ends or compensates first."""
        desk = self.desk
        self.stopping = reason
        desk.fire(Trigger.STOP)
        saga = desk.customer_saga()
        if saga is not None:
            vend.cancel_approval(desk, saga)
        if desk.live.session is not None and saga is None:
            desk.do(fx.EndSession(desk.live.session))
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


def _pays(saga: Saga | None, device: DeviceName) -> bool:
    """Tell whether a payout of this device is under way, or waits for its proof."""
    return saga is not None and saga.intent == "payout" and saga.paying == device.value


def _plain(value: Any) -> Any:
    """Turn tuples into lists, as JSON will, so that what is written equals what is read."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
