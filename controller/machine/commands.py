"""A technician's commands, decided like any other input and journaled with who called."""

from __future__ import annotations

from asyncio import Future
from dataclasses import asdict
from typing import Any, Final

from controller.domain import accounts as acc
from controller.domain import commands as cmd
from controller.domain.tubes import plan_payout
from controller.faults import FaultCode, part_and_code
from controller.journal import records as rec
from controller.machine import checkpoints, health, orders
from controller.machine import effects as fx
from controller.machine.desk import READERS, Desk
from controller.machine.inputs import CommandRefused
from controller.machine.table import Mode, Trigger
from controller.ports import DeviceName
from controller.saga import cards, claims, escrow, proofs, rights, vend

Reply = Future[dict[str, Any]]
KEEP: Final = "record keep"
MOTOR: Final = "motor"  # whom the end of a motor test answers
MAX_PRICE: Final = 9_999_999  # as in the configuration; every machine's change is planned in ms


def obey(desk: Desk, command: cmd.Command, by: str, reply: Reply) -> dict[str, Any] | None:
    """Carry out one command; None when the answer comes later through ``reply``.

    Raises:
        CommandRefused: Not now, or not so; the text says why and what to do.
    """
    match command:
        case cmd.FillStock() | cmd.SetStock():
            return _stock(desk, command, by)
        case cmd.SetPrice() | cmd.EnableColumn() | cmd.DisableColumn():
            return _shelf(desk, command, by)
        case cmd.EnterService() | cmd.LeaveService():
            enter = isinstance(command, cmd.EnterService)
            return _enter_service(desk, by, reply) if enter else _leave_service(desk, by)
        case cmd.TryVend() | cmd.TryMotor() | cmd.PayCoins() | cmd.CountTubes() | cmd.PourCoins():
            _later(desk, command, by, reply)
            return None
        case cmd.KeepRecording():
            if not desk.recorded:
                raise CommandRefused("no flight recorder is configured: [recorder]")
            desk.write(rec.OperatorActed(by=by, what=KEEP))
            return {"kept": True}
        case cmd.SyncNow():
            acted = desk.write(rec.OperatorActed(by=by, what="sync now"))
            desk.do(fx.SyncNow())
            return {"to": acted.seq}
        case cmd.ServeHealth(column=column):
            return health.serve(desk, column, by)
        case cmd.LockMachine() | cmd.UnlockMachine() | cmd.ShowMessage() | cmd.UpdateSoftware():
            return orders.obey_order(desk, command, by)
        case cmd.SettleClaim() | cmd.AnswerClaim() | cmd.ReadAudit() | cmd.Echo():
            return orders.obey_order(desk, command, by)
        case cmd.BeginJournal():
            raise CommandRefused("this journal is whole; a new one is begun only after a damage")
        case _:
            return _money(desk, command, by, reply)


def _shelf(
    desk: Desk, command: cmd.SetPrice | cmd.EnableColumn | cmd.DisableColumn, by: str
) -> dict[str, Any]:
    match command:
        case cmd.SetPrice(column=column, price=price):
            found = _column(desk, column)
            before = found.price + found.discount
            if not 0 <= price <= MAX_PRICE:
                raise CommandRefused(f"a price is 0 to {MAX_PRICE} minor units, not {price}")
            desk.write(rec.PriceSet(column=column, price=price, before=before, by=by))
            return {"column": column, "price": price, "before": before}
        case cmd.EnableColumn(column=column):
            return _enable(desk, column, by)
        case cmd.DisableColumn(column=column, reason=reason):
            _column(desk, column)
            desk.write(rec.ColumnDisabled(column=column, reason=reason or "by staff", by=by))
            cards.kept_still(desk)
            return {"column": column, "disabled": reason or "by staff"}


def _money(desk: Desk, command: cmd.Command, by: str, reply: Reply) -> dict[str, Any] | None:
    match command:
        case cmd.ReturnCredit():
            return _return_credit(desk, by, reply)
        case cmd.GrantCredit(amount=amount, reason=reason):
            if not 0 < amount <= desk.policy.max_credit:
                most = desk.money(desk.policy.max_credit)
                raise CommandRefused(
                    f"credit is {desk.money(1)} to {most}, not {desk.money(amount)}"
                )
            desk.write(rec.CreditGranted(amount=amount, reason=reason, by=by))
            desk.credit_is_new()
            cards.paid_meanwhile(desk)
            return {"credit": desk.state.credit.total, "granted": amount}
        case cmd.GrantAppCredit() | cmd.GiveFreeVend():
            return rights.grant(desk, command, by)
        case cmd.EndGrant(id=id_):
            return rights.end_by_staff(desk, id_, by)
        case cmd.Collect():
            return _collect(desk, command, by)
        case cmd.CloseClaim(code=code, how=how):
            return _close_claim(desk, code, how, by)
        case cmd.EnableReader(device=device, on=on):
            name = _reader(device)
            desk.write(rec.ReaderSwitched(device=name.value, on=on, by=by))
            return {"device": device, "on": on}
        case cmd.FillCoins(on=on):
            _need_service(desk)
            _need_changer(desk)
            desk.write(rec.OperatorActed(by=by, what="coins fill", arguments=asdict(command)))
            desk.live.fill_mode = on
            return {"fill_mode": on, "tubes": desk.state.ledger.balance(acc.CASH_TUBES)}
    raise CommandRefused(f"not known here: {command}")


def _later(
    desk: Desk,
    command: cmd.TryVend | cmd.TryMotor | cmd.PayCoins | cmd.CountTubes | cmd.PourCoins,
    by: str,
    reply: Reply,
) -> None:
    """Begin what takes a while; its end answers."""
    match command:
        case cmd.PourCoins():
            _pour(desk, command, by, reply)
        case cmd.CountTubes():
            _need_changer(desk)
            if desk.state.sagas:
                raise CommandRefused("a vend or payout is under way; try again when it has ended")
            if "tubes" in desk.live.replies:
                raise CommandRefused("the tubes are being counted; try again when that has ended")
            desk.write(rec.OperatorActed(by=by, what="coins count"))
            desk.live.replies["tubes"] = reply
            desk.do(fx.CountTubes("fill" if desk.live.fill_mode else "check"))
        case cmd.TryVend(column=column):
            _need_service(desk)
            _column(desk, column)
            _need_no_motor(desk)
            saga = vend.open_test(desk, column, by)
            desk.live.replies[f"vend {saga.vend}"] = reply
        case cmd.TryMotor(column=column):
            _need_service(desk)
            _column(desk, column)
            _need_no_motor(desk)
            desk.write(rec.OperatorActed(by=by, what="motor test", arguments=asdict(command)))
            desk.live.replies[MOTOR] = reply
            desk.do(fx.Turn(0, column, extra=False))
        case cmd.PayCoins(amount=amount):
            _need_service(desk)
            _need_changer(desk)
            if desk.state.credit.total:
                raise CommandRefused("there is a customer's credit; return it first")
            if amount < 1 or plan_payout(amount, desk.tubes()) is None:
                words = "can't be paid exactly from the tubes" if amount else "is nothing to pay"
                raise CommandRefused(f"{desk.money(amount)} {words}")
            desk.write(rec.CreditGranted(amount=amount, reason="paid out by staff", by=by))
            paying = vend.give_credit_back(desk, "staff payout")
            assert paying is not None, "credit was just granted"
            desk.live.replies[f"vend {paying.vend}"] = reply


def _pour(desk: Desk, command: cmd.PourCoins, by: str, reply: Reply) -> None:
    """Have the hopper's account know what staff put in; its counts are booked to the operator."""
    _need_service(desk)
    _need_changer(desk)
    if "pour" in desk.live.replies:
        raise CommandRefused("coins are being noted; try again when that has ended")
    stores = {value: type_ for type_, value, _ in desk.state.tube_coins() if value}
    if command.value not in stores or not command.count:
        known = ", ".join(desk.money(value) for value in sorted(stores)) or "none"
        value = desk.money(command.value)
        raise CommandRefused(f"no hopper for {command.count} coins of {value}; there are: {known}")
    desk.write(rec.OperatorActed(by=by, what="coins pour", arguments=asdict(command)))
    desk.live.replies["pour"] = reply
    desk.do(fx.PourCoins(stores[command.value], command.count))


def _column(desk: Desk, name: str) -> Any:
    column = desk.planogram.find(name)
    if column is None:
        known = ", ".join(desk.planogram.columns)
        raise CommandRefused(f"no column {name!r}; there are: {known}")
    return column


def _reader(name: str) -> DeviceName:
    found = next((reader for reader in READERS if reader.value == name), None)
    if found is None:
        known = ", ".join(reader.value for reader in READERS)
        raise CommandRefused(f"no reader {name!r}; there are: {known}")
    return found


def _need_service(desk: Desk) -> None:
    if desk.mode is not Mode.SERVICE:
        raise CommandRefused("only in service mode: `vendctl service on` first")
    if desk.state.sagas:
        raise CommandRefused("a vend or payout is under way; try again when it has ended")


def _need_no_motor(desk: Desk) -> None:
    if MOTOR in desk.live.replies:
        raise CommandRefused("another motor test is running")


def _need_changer(desk: Desk) -> None:
    if DeviceName.CHANGER not in desk.live.ready:
        raise CommandRefused("the coin changer does not answer")


def _stock(desk: Desk, command: cmd.FillStock | cmd.SetStock, by: str) -> dict[str, Any]:
    if isinstance(command, cmd.SetStock):
        column = _column(desk, command.column)
        if not 0 <= command.count <= column.capacity:
            raise CommandRefused(
                f"{command.column} holds 0 to {column.capacity}, not {command.count}"
            )
        counts = {command.column: command.count}
    elif command.column is not None:
        counts = {command.column: _column(desk, command.column).capacity}
    else:
        counts = {name: column.capacity for name, column in desk.planogram.columns.items()}
    cause = "set" if isinstance(command, cmd.SetStock) else "fill"
    for name, count in counts.items():
        before = desk.state.stock.of(name).count
        desk.write(
            rec.StockSet.model_validate(
                {"column": name, "count": count, "before": before, "cause": cause, "by": by}
            )
        )
        if count and desk.state.stock.of(name).disabled == FaultCode.COLUMN_EMPTY.value:
            _enable(desk, name, by)
    return {"stock": counts}


def _enable(desk: Desk, column: str, by: str) -> dict[str, Any]:
    _column(desk, column)
    desk.write(rec.ColumnEnabled(column=column, by=by))
    for part, code in list(map(part_and_code, desk.state.faults)):
        if part == column and code != FaultCode.HEALTH_EXCEEDED.value:  # that is `health served`'s
            desk.write(rec.FaultCleared(part=part, code=code, by=by))
    return {"column": column, "disabled": ""}


def _return_credit(desk: Desk, by: str, reply: Reply) -> dict[str, Any] | None:
    if desk.state.sagas:
        raise CommandRefused("a vend or payout is under way; try again when it has ended")
    desk.write(rec.OperatorActed(by=by, what="credit return"))
    waiting = escrow.waiting(desk)
    bill = 0 if waiting is None else waiting.value
    saga = vend.give_credit_back(desk, "by staff")
    if saga is None:
        return {"paid_back": 0, "claimed": 0, "bill": bill}
    if saga.vend not in desk.state.sagas:  # ended at once: nothing could be paid
        return {"paid_back": saga.paid_back, "claimed": saga.claimed, "bill": bill}
    desk.live.replies[f"vend {saga.vend}"] = reply
    return None


def _collect(desk: Desk, command: cmd.Collect, by: str) -> dict[str, Any]:
    if desk.state.sagas:
        raise CommandRefused("a vend or payout is under way; try again when it has ended")
    emptied = command.recycler is not None
    stacked = desk.state.ledger.balance(acc.CASH_STACKER)
    unknown = desk.state.stacker_unknown and command.bills
    counts = (command.cashbox, command.stacker, command.bills, command.recycler, command.tokens)
    if min(count or 0 for count in counts) < 0:
        raise CommandRefused("counts are not negative")
    booked = stacked + desk.state.ledger.balance(acc.CASH_CASHBOX)
    booked += desk.state.ledger.balance(acc.CASH_RECYCLER) if emptied else 0
    if command.expected not in (None, booked):
        raise CommandRefused(
            f"{desk.money(booked)} must be there by now, not {desk.money(command.expected)}: "
            "somebody has paid or collected meanwhile; nothing was booked, look again"
        )
    # A validator may have told already that they are gone.
    bills = command.bills if unknown else min(command.bills, max(0, desk.state.stacker))
    data = rec.CashCollected(
        cashbox_counted=command.cashbox,
        cashbox_expected=desk.state.ledger.balance(acc.CASH_CASHBOX),
        stacker_counted=command.stacker,
        stacker_expected=stacked,
        bills_taken=bills,
        by=by,
        recycler_emptied=emptied,
        recycler_counted=command.recycler or 0,
        recycler_expected=desk.state.ledger.balance(acc.CASH_RECYCLER) if emptied else 0,
        stacker_opening=max(0, command.stacker - stacked) if unknown else 0,
    )
    desk.write(data)
    if (short := desk.state.stacker) < 0:  # as above, and those of unknown value are known now
        desk.write(rec.StackerCounted(cause="check", counted=0, believed=short))
    if unknown and not desk.state.stacker_unknown:
        desk.clear_fault(DeviceName.BILL.value, FaultCode.BILL_UNCOUNTED, by)
    answer: dict[str, Any] = {
        name: {
            "counted": getattr(data, f"{name}_counted"),
            "expected": getattr(data, f"{name}_expected"),
        }
        for name in (("cashbox", "stacker", "recycler") if emptied else ("cashbox", "stacker"))
    }
    answer["stacker"]["opening"] = data.stacker_opening
    off = sum(place["counted"] - place["expected"] for place in answer.values())
    answer["difference"] = off - data.stacker_opening
    if command.tokens is not None:
        expected = desk.state.ledger.balance(acc.TOKENS_CASHBOX)
        if expected or command.tokens:
            desk.write(rec.TokensCollected(counted=command.tokens, expected=expected, by=by))
        answer["tokens"] = {"counted": command.tokens, "expected": expected}
    checkpoints.state_books(desk, "collection")
    return answer


def _enter_service(desk: Desk, by: str, reply: Reply) -> dict[str, Any] | None:
    if desk.mode is Mode.SERVICE:
        return {"service": True, "by": desk.state.service_by}
    saga = desk.customer_saga()
    if desk.mode is Mode.AUTHORISING and desk.live.session is None and saga is not None:
        # Nobody has shown a card yet: the reader stops waiting, then the technician has it.
        wanted = desk.live.service_wanted
        if wanted is not None and not wanted[1].done():
            raise CommandRefused(f"{wanted[0]} is about to have it: the reader still waits")
        cards.cancel_approval(desk, saga)
        desk.live.service_wanted = (by, reply)
        return None
    if not (desk.mode.selling or desk.mode is Mode.OUT_OF_SERVICE):
        raise CommandRefused(f"the machine is {desk.mode.value}; try again when it has ended")
    escrow.hand_back(desk, "service")
    desk.write(rec.ServiceEntered(by=by))
    desk.fire(Trigger.ENTER_SERVICE)
    if desk.live.session is not None:
        desk.end_session(desk.live.session)
    return {"service": True, "by": by}


def enter_wanted_service(desk: Desk) -> None:
    """Enter the service that waited for a reader to stop waiting."""
    if desk.live.service_wanted is None or not desk.mode.selling:
        return
    (by, reply), desk.live.service_wanted = desk.live.service_wanted, None
    answer = _enter_service(desk, by, reply)
    if answer is not None:
        desk.reply(reply, answer)


def _leave_service(desk: Desk, by: str) -> dict[str, Any]:
    if desk.mode is not Mode.SERVICE:
        return {"service": False}
    if desk.state.sagas or MOTOR in desk.live.replies:
        raise CommandRefused("a test or payout is under way; try again when it has ended")
    desk.live.fill_mode = False
    desk.write(rec.ServiceLeft(by=by))
    desk.clear_fault("machine", FaultCode.MACHINE_REFUNDS, by)
    desk.clear_fault("machine", FaultCode.MACHINE_STUCK, by)
    for device in (DeviceName.CHANGER, DeviceName.BILL):
        desk.clear_fault(device.value, FaultCode.CHANGER_PAID_OTHER, by)
    desk.fire(Trigger.LEAVE_SERVICE)
    if DeviceName.CHANGER in desk.live.ready:
        desk.live.staff_counts = True
        desk.do(fx.CountTubes("fill"))
    if proofs.payer_ready(desk, DeviceName.BILL):
        desk.do(fx.CountStacker("fill"))
    if desk.state.escrow is not None and desk.state.escrow.claimed:
        desk.do(fx.CountStacker("boot"))  # a person has been inside: it is out, or stacked
    return {"service": False}


def _close_claim(desk: Desk, code: str, how: str, by: str) -> dict[str, Any]:
    digits = code.replace(" ", "")
    if not claims.well_formed(digits):
        raise CommandRefused("a digit of the code is wrong: its check digits do not fit")
    for claim in desk.state.claims.values():
        if claim.code == digits:
            if claim.fleet_only:
                origin, number = claim.identity
                raise CommandRefused(
                    "the fleet may have paid it: it is from before this disk went back; there it "
                    f"is claim {number} of journal {origin or desk.state.journal}"
                )
            orders.close_claim(desk, claim, how, by)
            return {"claim": claim.seq, "amount": claim.amount, "tender": claim.tender}
    raise CommandRefused("no open claim of this machine has that code")
