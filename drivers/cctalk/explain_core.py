"""Commands that any device may have, in words.

Pure. Source: ccTalk Generic Specification 4.7, part 2.
"""

from __future__ import annotations

from typing import Final

from drivers.cctalk.addresses import category_of
from drivers.cctalk.explain_parts import (
    NO_DATA,
    Kind,
    Scribe,
    Talk,
    bits,
    choice,
    each,
    fixed,
    mask,
    number,
    optional,
    rest,
    seq,
    string,
)
from drivers.cctalk.fault_words import fault_words, info_words
from drivers.cctalk.fields import PollingPriority, decode_date
from drivers.cctalk.headers import Header
from drivers.explanation import hex_pairs

_MAKERS: Final = {
    "AES": "Aardvark",
    "ALB": "Alberici",
    "ANI": "AlfaNet",
    "AST": "AstroSystems",
    "AZK": "Azkoyen",
    "CMG": "Comestero",
    "CCC": "Crane CashCode",
    "CPS": "Crane Payment Solutions",
    "ECP": "Encopim",
    "GTD": "Gaming Technology Distribution",
    "HIM": "Himecs",
    "IL": "Industrias Lorenzo",
    "ITL": "Innovative Technology",
    "INT": "Intergrated Technology",
    "ICT": "International Currency Technologies",
    "JCM": "Japan Cash Machine",
    "JOF": "Jofemar",
    "KUK": "Kuky",
    "MEI": "Mars",
    "MSC": "Microcoin",
    "MCI": "Money Controls",
    "NRI": "National Rejectors",
    "PMD": "Phoenix Mecano",
    "SEL": "Starpoint",
    "TQP": "Telequip",
    "WFT": "Weavefuture",
    "WHM": "WH Muenzpruefer",
}


def _maker(text: str) -> str:
    name = text.strip(" \0")
    return f"{name!r}: {_MAKERS[name]}" if name in _MAKERS else repr(name)


def _category(text: str) -> str:
    name = text.strip(" \0")
    return repr(name) if category_of(name) else f"{name!r}, no category of the specification"


def _poll_priority(scribe: Scribe) -> None:
    unit, value, *_ = (*scribe.data[scribe.at : scribe.at + 2], 0, 0)
    words = PollingPriority(unit, value).words
    scribe.number(1, "unit", _UNITS.get(unit, "undefined"))
    scribe.number(1, "value", f"poll every {words}" if unit else words)


_UNITS: Final = {
    0: "special",
    1: "ms",
    2: "10 ms",
    3: "seconds",
    4: "minutes",
    5: "hours",
    6: "days",
    7: "weeks",
    8: "months",
    9: "years",
}


def _serial(scribe: Scribe) -> None:
    size = max(scribe.left, 3)
    raw = scribe.data[scribe.at : scribe.at + size]
    scribe.number(size, "serial number", lambda value: f"{value} (bytes {hex_pairs(raw)})")


def _variables(scribe: Scribe) -> None:
    if scribe.kind is Kind.BILL:
        scribe.number(1, "bill types", "")
        scribe.number(1, "banks", "")
    rest("variables", "defined by the product")(scribe)


def _option_flags(scribe: Scribe) -> None:
    scribe.options(1, "options", _COIN_OPTIONS if scribe.kind is Kind.COIN else _BILL_OPTIONS)


_COIN_OPTIONS: Final = {0: "credit codes are values (CVF)"}
_BILL_OPTIONS: Final = {
    0: "stacker",
    1: "escrow",
    2: "accept counters per bill",
    3: "error counters",
    4: "non-volatile counters",
    5: "teach mode",
    6: "security tuning",
    7: "remote programming",
}


def _self_check(scribe: Scribe) -> None:
    code = scribe.number(1, "fault code", fault_words)
    if scribe.left:
        scribe.number(1, "extra information", lambda info: info_words(code, info))


def _thermistor(scribe: Scribe) -> None:
    scribe.number(1, "temperature", lambda raw: f"{raw - 256 if raw > 127 else raw} degrees C")


_STORAGE: Final = {
    0: "lost on reset",
    1: "lost on power-down",
    2: "permanent, limited use",
    3: "permanent, unlimited use",
}
_BAUD: Final = {
    0: "4800 baud",
    1: "9600 baud",
    2: "19200 baud",
    3: "38400 baud",
    4: "57600 baud",
    5: "115200 baud",
    6: "230400 baud",
    7: "460800 baud",
    8: "512000 baud",
    9: "921600 baud",
    10: "1 Mbaud",
    18: "1.8432 Mbaud",
    20: "2 Mbaud",
    30: "3 Mbaud",
}


def _master(value: int) -> str:
    return "normal operation" if value & 1 else "inhibited"


def _date(value: int) -> str:
    return decode_date(value).words


def _blocks(count: int) -> str:
    return f"{count or 256} blocks"


def _block(size: int) -> str:
    return str(size) if size else "none: there is no such storage"


def _revision(scribe: Scribe) -> None:
    """Three numbers; some makers answer a text, such as 132-IT."""
    told = scribe.data[scribe.at :]
    if len(told) > 3 and all(0x20 <= byte < 0x7F for byte in told):
        scribe.string(len(told), "revision")
    else:
        seq(number("release"), number("issue"), optional(number("minor issue")))(scribe)


def _pin(scribe: Scribe) -> None:
    scribe.blob(4, "PIN", "four digits of a PIN; 0 switches it off")


_MASK: Final = {bit: f"line {bit + 1}" for bit in range(8)}
_DATE_ANSWER: Final = Talk(answer=number("date", _date, size=2))
_COUNTER: Final = Talk(answer=number("count", size=3))

TALKS: Final[dict[int, Talk]] = {
    Header.SIMPLE_POLL: NO_DATA,
    Header.ADDRESS_CHANGE: Talk(number("new address")),
    Header.ADDRESS_RANDOM: NO_DATA,
    Header.REQUEST_POLLING_PRIORITY: Talk(answer=_poll_priority),
    Header.REQUEST_VARIABLE_SET: Talk(answer=_variables),
    Header.REQUEST_MANUFACTURER_ID: Talk(answer=string("manufacturer", _maker)),
    Header.REQUEST_EQUIPMENT_CATEGORY_ID: Talk(answer=string("category", _category)),
    Header.REQUEST_PRODUCT_CODE: Talk(answer=string("product code")),
    Header.REQUEST_DATABASE_VERSION: Talk(answer=number("database version")),
    Header.REQUEST_SERIAL_NUMBER: Talk(answer=_serial),
    Header.REQUEST_SOFTWARE_REVISION: Talk(answer=string("software revision")),
    Header.OPERATE_MOTORS: Talk(bits("motors on", {bit: f"motor {bit + 1}" for bit in range(8)})),
    Header.TEST_OUTPUT_LINES: Talk(bits("lines to pulse", _MASK)),
    Header.READ_INPUT_LINES: Talk(answer=rest("inputs", "defined by the product")),
    Header.READ_OPTO_STATES: Talk(
        answer=bits("blocked optos", {bit: f"opto {bit + 1}" for bit in range(8)})
    ),
    Header.LATCH_OUTPUT_LINES: Talk(bits("lines to latch", _MASK)),
    Header.PERFORM_SELF_CHECK: Talk(answer=_self_check, ack="no fault (should be a byte 0)"),
    Header.MODIFY_INHIBIT_STATUS: Talk(mask("inhibit mask", "enabled")),
    Header.REQUEST_INHIBIT_STATUS: Talk(answer=mask("inhibit mask", "enabled")),
    Header.MODIFY_MASTER_INHIBIT: Talk(number("master inhibit", _master)),
    Header.REQUEST_MASTER_INHIBIT: Talk(answer=number("master inhibit", _master)),
    Header.REQUEST_INSERTION_COUNTER: _COUNTER,
    Header.REQUEST_ACCEPT_COUNTER: _COUNTER,
    Header.REQUEST_REJECT_COUNTER: _COUNTER,
    Header.REQUEST_FRAUD_COUNTER: _COUNTER,
    Header.ENTER_NEW_PIN: Talk(_pin),
    Header.ENTER_PIN: Talk(_pin),
    Header.REQUEST_DATA_STORAGE: Talk(
        answer=seq(
            choice("memory type", _STORAGE),
            number("read blocks", _blocks),
            number("bytes per read block", _block),
            number("write blocks", _blocks),
            number("bytes per write block", _block),
        )
    ),
    Header.READ_DATA_BLOCK: Talk(number("block"), rest("data", "stored by the host")),
    Header.WRITE_DATA_BLOCK: Talk(seq(number("block"), rest("data", "to be stored"))),
    Header.REQUEST_OPTION_FLAGS: Talk(answer=_option_flags),
    Header.POWER_MANAGEMENT: Talk(
        choice("power", {0: "normal", 1: "low", 2: "full", 3: "shut down"})
    ),
    Header.TEACH_MODE: Talk(seq(number("position"), optional(number("orientation")))),
    Header.REQUEST_TEACH_STATUS: Talk(
        choice("mode", {0: "default", 1: "abort"}),
        seq(
            number("coins or bills entered"),
            choice(
                "status",
                {252: "aborted", 253: "error", 254: "busy", 255: "done"},
            ),
        ),
    ),
    Header.CONFIGURATION_TO_EEPROM: NO_DATA,
    Header.COUNTERS_TO_EEPROM: NO_DATA,
    Header.CALCULATE_ROM_CHECKSUM: Talk(
        answer=lambda scribe: scribe.blob(4, "ROM checksum", "for the maker to compare")
    ),
    Header.REQUEST_CREATION_DATE: _DATE_ANSWER,
    Header.REQUEST_MODIFICATION_DATE: _DATE_ANSWER,
    Header.REQUEST_BUILD_CODE: Talk(answer=string("build code")),
    Header.MODIFY_BANK_SELECT: Talk(number("bank")),
    Header.REQUEST_BANK_SELECT: Talk(answer=number("bank")),
    Header.REQUEST_ALARM_COUNTER: Talk(answer=number("alarms", "since the last read")),
    Header.REQUEST_THERMISTOR: Talk(answer=_thermistor),
    Header.REQUEST_BASE_YEAR: Talk(answer=fixed(4, "base year")),
    Header.REQUEST_ADDRESS_MODE: Talk(
        answer=bits(
            "address mode",
            {
                0: "in flash or ROM",
                1: "in RAM",
                2: "in EEPROM",
                3: "chosen at the connector",
                4: "by links on the board",
                5: "by a switch",
                6: "changed by command until reset",
                7: "changed by command for good",
            },
        )
    ),
    Header.TEST_LAMPS: Talk(
        seq(
            number("lamp"),
            number(
                "control",
                lambda value: {0: "automatic", 1: "off", 2: "on"}.get(
                    value, f"flash, {10 * value} ms" if value >= 10 else "undefined"
                ),
            ),
        )
    ),
    Header.REQUEST_USB_ID: Talk(
        answer=seq(
            number("vendor", lambda value: f"{value:04X}", size=2),
            number("product", lambda value: f"{value:04X}", size=2),
        )
    ),
    Header.SWITCH_BAUD_RATE: Talk(
        seq(
            choice("operation", {0: "current", 1: "switch", 2: "maximum", 3: "supported?"}),
            optional(choice("speed", _BAUD)),
        ),
        choice("speed", _BAUD),
        ack="done, or supported",
    ),
    Header.READ_ENCRYPTED_EVENTS: Talk(
        rest("challenge", "encrypted"), rest("events", "encrypted with DES")
    ),
    Header.REQUEST_ENCRYPTION_SUPPORT: Talk(
        rest("key", "fixed: AA 55 00 00 55 AA"),
        seq(
            number("protocol level", lambda v: "plain" if v == 0 else f"level {v}"),
            number("command level", lambda v: "plain" if v == 0 else f"level {v}"),
            number("protocol key size"),
            number("command key size"),
            number("command block size"),
            number("trusted mode"),
            rest("keys", "shown in trusted mode only"),
        ),
    ),
    Header.SWITCH_ENCRYPTION_KEY: Talk(rest("keys", "encrypted")),
    Header.REQUEST_ENCRYPTED_MONETARY_ID: Talk(
        rest("position and challenge", "encrypted"), rest("id", "encrypted with DES")
    ),
    Header.REQUEST_SERVICE_STATUS: Talk(
        choice("operation", {0: "report", 1: "clear"}),
        choice("service", {0: "OK", 1: "recommended", 2: "overdue"}),
        ack="cleared",
    ),
    Header.SWITCH_ENCRYPTION_CODE: Talk(rest("code", "three bytes of BCD digits")),
    Header.STORE_ENCRYPTION_CODE: NO_DATA,
    Header.REQUEST_COMMS_REVISION: Talk(answer=_revision),
    Header.CLEAR_COMMS_STATUS: NO_DATA,
    Header.REQUEST_COMMS_STATUS: Talk(
        answer=seq(
            number("receive time-outs"),
            number("receive bytes ignored"),
            number("receive bad checksums"),
        )
    ),
    Header.RESET_DEVICE: NO_DATA,
    Header.FACTORY_SETUP: Talk(rest("data", "proprietary"), rest("data", "proprietary"), "done"),
    Header.READ_DH_PUBLIC_KEY: Talk(
        rest("data", "key mode"), rest("data", "key; until 4.6 the last credit or error"), "done"
    ),
    Header.SEND_DH_PUBLIC_KEY: Talk(rest("data", "key; until 4.6 a guard code")),
    Header.UPLOAD_FIRMWARE: Talk(each(rest("data", "firmware"))),
    Header.BEGIN_FIRMWARE_UPGRADE: Talk(rest("data", "module")),
    Header.FINISH_FIRMWARE_UPGRADE: NO_DATA,
    Header.REQUEST_FIRMWARE_UPGRADE_CAPABILITY: Talk(
        rest("data", "module"), choice("upgrade", {0: "not possible", 1: "possible"})
    ),
    Header.ADDRESS_POLL: NO_DATA,
    Header.ADDRESS_CLASH: NO_DATA,
    **{
        header: Talk(rest("data", words), rest("data", words), ack="done")
        for header, words in (
            (Header.DISPENSE_COINS, "encrypted product id; until 4.6 coins to pay"),
            (Header.DISPENSE_CHANGE, "encrypted registers; until 4.6 a value to pay"),
            (Header.ACMI_ENCRYPTED_DATA, "encrypted"),
            (Header.ACMI_UNENCRYPTED_PRODUCT_ID, "product id"),
            (Header.EMPTY_PAYOUT, "obsolete"),
            (Header.REQUEST_AUDIT_INFORMATION, "obsolete"),
            (Header.REQUEST_PAYOUT_STATUS, "obsolete"),
            (Header.METER_CONTROL, "defined by the meter"),
            (Header.DISPLAY_CONTROL, "defined by the display"),
            (Header.KEYPAD_CONTROL, "defined by the keypad"),
            (Header.DATA_STREAM, "a stream"),
            (Header.EXPANSION_1, "sub-header and data"),
            (Header.EXPANSION_2, "sub-header and data"),
            (Header.EXPANSION_3, "sub-header and data"),
            (Header.EXPANSION_4, "sub-header and data"),
        )
    },
}
