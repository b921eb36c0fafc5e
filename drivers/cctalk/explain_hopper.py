"""A hopper's, a changer's and an escrow's commands in words.

Pure. Source: ccTalk Generic Specification 4.7, part 2; what stands before the count of a dispense:
the hopper manuals.
"""

from __future__ import annotations

from typing import Final

from drivers.cctalk.explain_coin import coin_id_words
from drivers.cctalk.explain_parts import (
    NO_DATA,
    Layout,
    Scribe,
    Talk,
    bits,
    choice,
    fixed,
    number,
    optional,
    rest,
    seq,
)
from drivers.cctalk.headers import Header
from drivers.cctalk.hopper_codec import (
    CIPHER_BYTES,
    ENABLE,
    FLAG_WORDS,
    SERIAL_BYTES,
    HopperStatus,
    decode_hopper_level,
)
from drivers.cctalk.money_ids import COIN_ID_CHARS
from drivers.explanation import counted, hex_pairs

_COIN_ID: Final = fixed(COIN_ID_CHARS, "coin id", coin_id_words)


def _coins(value: int) -> str:
    return counted(value, "coin")


def _event_words(count: int) -> str:
    if count == 0:
        return "0: powered up or reset since the last dispense command"
    return f"{count} (one more with each dispense command, after 255 comes 1)"


def _status(scribe: Scribe) -> None:
    raw = scribe.data[scribe.at : scribe.at + 4]
    scribe.number(1, "event counter", _event_words)
    scribe.number(1, "coins remaining", lambda v: _coins(v) + " to pay" if v else "none: stopped")
    scribe.number(1, "last payout: coins paid", _coins)
    scribe.number(1, "last payout: coins unpaid", _coins)
    if len(raw) == 4:
        status = HopperStatus(*raw)
        scribe.notes.append(status.words)
        if status.event == 0 and status.unpaid:
            scribe.notes.append("the power failed during that payout: it was never finished")


def _value_status(scribe: Scribe) -> None:
    scribe.number(1, "event counter", _event_words)
    for name in ("value remaining", "last payout: value paid", "last payout: value unpaid"):
        scribe.number(2, name, "in the smallest unit of the currency")


def _dispense(scribe: Scribe) -> None:
    security = scribe.left - 1
    words = {
        SERIAL_BYTES: "the hopper's serial number, bytes as header 242 gave them",
        CIPHER_BYTES: "cipher, or eight bytes that nobody checks",
    }.get(security, "depends on the hopper")
    if security > 0:
        scribe.blob(security, "security bytes", words)
    scribe.number(1, "coins to pay", _coins)
    scribe.notes.append("never repeat it blindly: header 166 tells whether it was heard")


def _dispense_value(scribe: Scribe) -> None:
    if scribe.left > 2:
        scribe.blob(scribe.left - 2, "security bytes", "cipher, or bytes that nobody checks")
    scribe.number(2, "value to pay", "in the smallest unit of the currency")
    scribe.notes.append("never repeat it blindly: header 133 tells whether it was heard")


def _test(scribe: Scribe) -> None:
    for register, names in enumerate(FLAG_WORDS, 1):
        if register == 1 or scribe.left:
            scribe.options(1, f"register {register}", names)


def _enable(value: int) -> str:
    return "enabled" if value == ENABLE else "disabled: only A5 enables"


def _level(value: int) -> str:
    return decode_hopper_level(bytes((value,))).words


def _hopper_and(size: int, name: str) -> Layout:
    """A number, with the hopper's number before it where there are several."""

    def read(scribe: Scribe) -> None:
        if scribe.left > size:
            scribe.number(1, "hopper")
        scribe.number(size, name)

    return read


def _bare(name: str) -> Talk:
    """A pair of modify and request share this: the request's answer."""
    return Talk(optional(number("hopper")), number(name, size=2))


def _value(name: str, size: int = 4) -> Layout:
    return number(name, "in the smallest unit of the currency", size=size)


_ACTIVITY: Final = (
    {
        0: "singulator",
        1: "conveyor",
        2: "money in",
        3: "money out",
        4: "fault",
        5: "avalanche",
        6: "initialising",
        7: "flap open",
    },
    {
        0: "continuous rejects",
        1: "hopper configuration changed",
        2: "reject divert",
        3: "exit cup full",
        4: "non-fatal fault",
    },
)


def _activity(scribe: Scribe) -> None:
    for register, names in enumerate(_ACTIVITY, 1):
        if register == 1 or scribe.left:
            scribe.options(1, f"register {register}", names)


def _error_device(value: int) -> str:
    if 1 <= value <= 8:
        return f"hopper {value}"
    names = {0: "none", 100: "acceptor", 250: "cash box", 255: "system"}
    return names.get(value, f"device {value}")


_CHANGER_FAULTS: Final = {
    0: "none",
    1: "empty",
    2: "jam",
    3: "fraud",
    4: "fault",
    101: "acceptor fault 1",
    102: "acceptor fault 2",
    103: "acceptor fault 3",
    104: "acceptor fault 4",
    251: "cash box full",
    252: "cash box missing",
}


def _key_bytes(scribe: Scribe) -> None:
    raw = scribe.data[scribe.at : scribe.at + CIPHER_BYTES]
    scribe.blob(CIPHER_BYTES, "cipher key", f"key {hex_pairs(raw)} for the next dispense")


TALKS: Final[dict[int, Talk]] = {
    Header.REQUEST_PAYOUT_HIGH_LOW: Talk(optional(number("hopper")), number("level", _level)),
    Header.MODIFY_ABSOLUTE_COUNT: Talk(_hopper_and(2, "coins")),
    Header.REQUEST_ABSOLUTE_COUNT: _bare("coins"),
    Header.MODIFY_PAYOUT_CAPACITY: Talk(_hopper_and(2, "capacity")),
    Header.REQUEST_PAYOUT_CAPACITY: _bare("capacity"),
    Header.MODIFY_PAYOUT_FLOAT: Talk(_hopper_and(2, "float")),
    Header.REQUEST_PAYOUT_FLOAT: _bare("float"),
    Header.EMERGENCY_STOP: Talk(answer=number("coins not paid", _coins)),
    Header.REQUEST_HOPPER_COIN: Talk(answer=_COIN_ID),
    Header.REQUEST_DISPENSE_COUNT: Talk(
        answer=number("dispense count", "coins ever paid, kept without power", size=3)
    ),
    Header.DISPENSE_HOPPER_COINS: Talk(
        _dispense,
        number("event counter", _event_words),
        ack="taken: the payout begins (this hopper gives no event counter)",
    ),
    Header.REQUEST_HOPPER_STATUS: Talk(answer=_status),
    Header.MODIFY_VARIABLE_SET: Talk(rest("variables", "defined by the product")),
    Header.ENABLE_HOPPER: Talk(number("enable code", _enable)),
    Header.TEST_HOPPER: Talk(answer=_test),
    Header.PUMP_RNG: Talk(
        lambda scribe: scribe.blob(CIPHER_BYTES, "random bytes", "for the cipher")
    ),
    Header.REQUEST_CIPHER_KEY: Talk(answer=_key_bytes),
    Header.DISPENSE_HOPPER_VALUE: Talk(
        _dispense_value, number("event counter", _event_words), ack="taken: the payout begins"
    ),
    Header.REQUEST_HOPPER_POLLING_VALUE: Talk(answer=_value_status),
    Header.EMERGENCY_STOP_VALUE: Talk(answer=_value("value not paid", 2)),
    Header.REQUEST_HOPPER_COIN_VALUE: Talk(
        number("coin type"), seq(_COIN_ID, _value("coin value", 2))
    ),
    Header.REQUEST_INDEXED_DISPENSE_COUNT: Talk(number("coin type"), number("count", size=3)),
    Header.REQUEST_ENCRYPTED_HOPPER_STATUS: Talk(
        rest("challenge", "encrypted"), rest("status", "encrypted with DES")
    ),
    Header.REQUEST_MONEY_IN: Talk(answer=_value("money in")),
    Header.REQUEST_MONEY_OUT: Talk(answer=_value("money out")),
    Header.CLEAR_MONEY_COUNTERS: NO_DATA,
    Header.PAY_MONEY_OUT: Talk(_value("value to pay")),
    Header.VERIFY_MONEY_OUT: Talk(
        answer=seq(
            number("payouts completed"),
            _value("last payout: value paid"),
            _value("last payout: value unpaid"),
        )
    ),
    Header.REQUEST_ACTIVITY_REGISTER: Talk(answer=_activity),
    Header.REQUEST_ERROR_STATUS: Talk(
        answer=seq(number("device", _error_device), choice("fault", _CHANGER_FAULTS))
    ),
    Header.PURGE_HOPPER: Talk(
        seq(
            number("hopper", lambda value: "all" if value == 255 else str(value)),
            number("coins", lambda value: _coins(value) if value else "all"),
        )
    ),
    Header.MODIFY_HOPPER_BALANCE: Talk(seq(number("hopper"), number("coins", size=2))),
    Header.REQUEST_HOPPER_BALANCE: Talk(number("hopper"), seq(_COIN_ID, number("coins", size=2))),
    Header.MODIFY_CASHBOX_VALUE: Talk(_value("cash box value")),
    Header.REQUEST_CASHBOX_VALUE: Talk(answer=_value("cash box value")),
    Header.MODIFY_REAL_TIME_CLOCK: Talk(number("seconds since 1970", size=4)),
    Header.REQUEST_REAL_TIME_CLOCK: Talk(answer=number("seconds since 1970", size=4)),
    Header.OPERATE_ESCROW: Talk(choice("action", {0: "accept the coins", 1: "return the coins"})),
    Header.REQUEST_ESCROW_STATUS: Talk(
        answer=seq(
            choice("status", {0: "idle", 1: "operating", 2: "fault"}),
            number("level"),
            optional(bits("fault", {})),
        )
    ),
}
