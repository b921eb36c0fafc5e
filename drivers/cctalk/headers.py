"""Command numbers, and what a master may do when a command goes unanswered.

Pure. Numbers fall as the specification grew; where 4.7 gave an old number a new meaning the new one
is named. Source: ccTalk Generic Specification 4.7, part 2; retry classes: part 1 ("retries") and
the payout manuals' rule that a dispense is never repeated blindly.
"""

from __future__ import annotations

from enum import Enum, IntEnum, unique
from typing import Final


@unique
class Header(IntEnum):
    """Every header that part 2 defines."""

    FACTORY_SETUP = 255
    SIMPLE_POLL = 254
    ADDRESS_POLL = 253
    ADDRESS_CLASH = 252
    ADDRESS_CHANGE = 251
    ADDRESS_RANDOM = 250
    REQUEST_POLLING_PRIORITY = 249
    REQUEST_STATUS = 248
    REQUEST_VARIABLE_SET = 247
    REQUEST_MANUFACTURER_ID = 246
    REQUEST_EQUIPMENT_CATEGORY_ID = 245
    REQUEST_PRODUCT_CODE = 244
    REQUEST_DATABASE_VERSION = 243
    REQUEST_SERIAL_NUMBER = 242
    REQUEST_SOFTWARE_REVISION = 241
    TEST_SOLENOIDS = 240
    OPERATE_MOTORS = 239
    TEST_OUTPUT_LINES = 238
    READ_INPUT_LINES = 237
    READ_OPTO_STATES = 236
    READ_DH_PUBLIC_KEY = 235
    SEND_DH_PUBLIC_KEY = 234
    LATCH_OUTPUT_LINES = 233
    PERFORM_SELF_CHECK = 232
    MODIFY_INHIBIT_STATUS = 231
    REQUEST_INHIBIT_STATUS = 230
    READ_BUFFERED_CREDIT = 229
    MODIFY_MASTER_INHIBIT = 228
    REQUEST_MASTER_INHIBIT = 227
    REQUEST_INSERTION_COUNTER = 226
    REQUEST_ACCEPT_COUNTER = 225
    DISPENSE_COINS = 224
    DISPENSE_CHANGE = 223
    MODIFY_SORTER_OVERRIDE = 222
    REQUEST_SORTER_OVERRIDE = 221
    ACMI_ENCRYPTED_DATA = 220
    ENTER_NEW_PIN = 219
    ENTER_PIN = 218
    REQUEST_PAYOUT_HIGH_LOW = 217
    REQUEST_DATA_STORAGE = 216
    READ_DATA_BLOCK = 215
    WRITE_DATA_BLOCK = 214
    REQUEST_OPTION_FLAGS = 213
    REQUEST_COIN_POSITION = 212
    POWER_MANAGEMENT = 211
    MODIFY_SORTER_PATHS = 210
    REQUEST_SORTER_PATHS = 209
    MODIFY_ABSOLUTE_COUNT = 208
    REQUEST_ABSOLUTE_COUNT = 207
    EMPTY_PAYOUT = 206
    REQUEST_AUDIT_INFORMATION = 205
    METER_CONTROL = 204
    DISPLAY_CONTROL = 203
    TEACH_MODE = 202
    REQUEST_TEACH_STATUS = 201
    ACMI_UNENCRYPTED_PRODUCT_ID = 200
    CONFIGURATION_TO_EEPROM = 199
    COUNTERS_TO_EEPROM = 198
    CALCULATE_ROM_CHECKSUM = 197
    REQUEST_CREATION_DATE = 196
    REQUEST_MODIFICATION_DATE = 195
    REQUEST_REJECT_COUNTER = 194
    REQUEST_FRAUD_COUNTER = 193
    REQUEST_BUILD_CODE = 192
    KEYPAD_CONTROL = 191
    REQUEST_PAYOUT_STATUS = 190
    MODIFY_DEFAULT_SORTER_PATH = 189
    REQUEST_DEFAULT_SORTER_PATH = 188
    MODIFY_PAYOUT_CAPACITY = 187
    REQUEST_PAYOUT_CAPACITY = 186
    MODIFY_COIN_ID = 185
    REQUEST_COIN_ID = 184
    UPLOAD_WINDOW_DATA = 183
    DOWNLOAD_CALIBRATION = 182
    MODIFY_SECURITY_SETTING = 181
    REQUEST_SECURITY_SETTING = 180
    MODIFY_BANK_SELECT = 179
    REQUEST_BANK_SELECT = 178
    HANDHELD_FUNCTION = 177
    REQUEST_ALARM_COUNTER = 176
    MODIFY_PAYOUT_FLOAT = 175
    REQUEST_PAYOUT_FLOAT = 174
    REQUEST_THERMISTOR = 173
    EMERGENCY_STOP = 172
    REQUEST_HOPPER_COIN = 171
    REQUEST_BASE_YEAR = 170
    REQUEST_ADDRESS_MODE = 169
    REQUEST_DISPENSE_COUNT = 168
    DISPENSE_HOPPER_COINS = 167
    REQUEST_HOPPER_STATUS = 166
    MODIFY_VARIABLE_SET = 165
    ENABLE_HOPPER = 164
    TEST_HOPPER = 163
    MODIFY_INHIBIT_AND_OVERRIDE = 162
    PUMP_RNG = 161
    REQUEST_CIPHER_KEY = 160
    READ_BUFFERED_BILL_EVENTS = 159
    MODIFY_BILL_ID = 158
    REQUEST_BILL_ID = 157
    REQUEST_COUNTRY_SCALING_FACTOR = 156
    REQUEST_BILL_POSITION = 155
    ROUTE_BILL = 154
    MODIFY_BILL_OPERATING_MODE = 153
    REQUEST_BILL_OPERATING_MODE = 152
    TEST_LAMPS = 151
    REQUEST_INDIVIDUAL_ACCEPT_COUNTER = 150
    REQUEST_INDIVIDUAL_ERROR_COUNTER = 149
    READ_OPTO_VOLTAGES = 148
    PERFORM_STACKER_CYCLE = 147
    OPERATE_BIDIRECTIONAL_MOTORS = 146
    REQUEST_CURRENCY_REVISION = 145
    UPLOAD_BILL_TABLES = 144
    BEGIN_BILL_TABLE_UPGRADE = 143
    FINISH_BILL_TABLE_UPGRADE = 142
    REQUEST_FIRMWARE_UPGRADE_CAPABILITY = 141
    UPLOAD_FIRMWARE = 140
    BEGIN_FIRMWARE_UPGRADE = 139
    FINISH_FIRMWARE_UPGRADE = 138
    SWITCH_ENCRYPTION_CODE = 137
    STORE_ENCRYPTION_CODE = 136
    SET_ACCEPT_LIMIT = 135
    DISPENSE_HOPPER_VALUE = 134
    REQUEST_HOPPER_POLLING_VALUE = 133
    EMERGENCY_STOP_VALUE = 132
    REQUEST_HOPPER_COIN_VALUE = 131
    REQUEST_INDEXED_DISPENSE_COUNT = 130
    READ_BARCODE_DATA = 129
    REQUEST_MONEY_IN = 128
    REQUEST_MONEY_OUT = 127
    CLEAR_MONEY_COUNTERS = 126
    PAY_MONEY_OUT = 125
    VERIFY_MONEY_OUT = 124
    REQUEST_ACTIVITY_REGISTER = 123
    REQUEST_ERROR_STATUS = 122
    PURGE_HOPPER = 121
    MODIFY_HOPPER_BALANCE = 120
    REQUEST_HOPPER_BALANCE = 119
    MODIFY_CASHBOX_VALUE = 118
    REQUEST_CASHBOX_VALUE = 117
    MODIFY_REAL_TIME_CLOCK = 116
    REQUEST_REAL_TIME_CLOCK = 115
    REQUEST_USB_ID = 114
    SWITCH_BAUD_RATE = 113
    READ_ENCRYPTED_EVENTS = 112
    REQUEST_ENCRYPTION_SUPPORT = 111
    SWITCH_ENCRYPTION_KEY = 110
    REQUEST_ENCRYPTED_HOPPER_STATUS = 109
    REQUEST_ENCRYPTED_MONETARY_ID = 108
    OPERATE_ESCROW = 107
    REQUEST_ESCROW_STATUS = 106
    DATA_STREAM = 105
    REQUEST_SERVICE_STATUS = 104
    EXPANSION_4 = 103
    EXPANSION_3 = 102
    EXPANSION_2 = 101
    EXPANSION_1 = 100
    REQUEST_COMMS_REVISION = 4
    CLEAR_COMMS_STATUS = 3
    REQUEST_COMMS_STATUS = 2
    RESET_DEVICE = 1


@unique
class Repeat(Enum):
    """What a master may do after silence or garbage."""

    FREE = "free"
    """Reads without side effect and absolute settings: ask again."""
    CHECK_FIRST = "check first"
    """Find out by another command whether it worked."""
    LOSES = "loses"
    """Reading clears: what was in a lost answer is gone."""
    NEVER = "never"
    """It may have paid. Only evidence decides."""


_REPEATS: Final = {
    Header.ADDRESS_CHANGE: Repeat.CHECK_FIRST,
    Header.ADDRESS_RANDOM: Repeat.CHECK_FIRST,
    Header.RESET_DEVICE: Repeat.CHECK_FIRST,
    Header.SWITCH_BAUD_RATE: Repeat.CHECK_FIRST,
    Header.REQUEST_ALARM_COUNTER: Repeat.LOSES,
    Header.DISPENSE_HOPPER_COINS: Repeat.NEVER,
    Header.DISPENSE_HOPPER_VALUE: Repeat.NEVER,
    Header.DISPENSE_COINS: Repeat.NEVER,
    Header.DISPENSE_CHANGE: Repeat.NEVER,
    Header.EMPTY_PAYOUT: Repeat.NEVER,
    Header.PAY_MONEY_OUT: Repeat.NEVER,
    Header.PURGE_HOPPER: Repeat.NEVER,
}

ANSWER_S: Final = 0.250
"""First byte of an answer to an immediate command; most come within 10 ms, the slowest that manuals
admit within 100 ms (reset of a Flow hopper)."""

LATE_ANSWER_S: Final = 3.0
"""First byte of an answer that waits for something to move, to be written or to be added up."""

_LATE: Final = frozenset(
    {
        Header.TEST_SOLENOIDS,
        Header.TEST_OUTPUT_LINES,
        Header.PERFORM_SELF_CHECK,
        Header.WRITE_DATA_BLOCK,
        Header.CONFIGURATION_TO_EEPROM,
        Header.COUNTERS_TO_EEPROM,
        Header.CALCULATE_ROM_CHECKSUM,
        Header.PERFORM_STACKER_CYCLE,
        Header.ENTER_PIN,
        Header.RESET_DEVICE,
    }
)


def repeat_of(header: int) -> Repeat:
    """What may be done when this command goes unanswered; unknown ones are never repeated."""
    if header not in _KNOWN:
        return Repeat.NEVER
    return _REPEATS.get(Header(header), Repeat.FREE)


def answer_time_s(header: int) -> float:
    """How long to wait for the first byte of the answer."""
    return LATE_ANSWER_S if header in _LATE else ANSWER_S


_KNOWN: Final = frozenset(map(int, Header))


def header_name(header: int) -> str:
    """The command in words: `Read buffered credit`."""
    if header in _KNOWN:
        return _NAMES.get(header) or Header(header).name.replace("_", " ").capitalize()
    if 20 <= header <= 99:
        return "Application-specific"
    return "Reserved"


_NAMES: Final[dict[int, str]] = {
    255: "Factory set-up and test",
    246: "Request manufacturer id",
    245: "Request equipment category id",
    235: "Read DH public key (until 4.6: Read last credit or error code)",
    234: "Send DH public key (until 4.6: Issue guard code)",
    229: "Read buffered credit or error codes",
    228: "Modify master inhibit status",
    227: "Request master inhibit status",
    224: "Request encrypted product id (until 4.6: Dispense coins)",
    223: "Modify encrypted inhibit and override registers (until 4.6: Dispense change)",
    220: "ACMI encrypted data",
    219: "Enter new PIN number",
    218: "Enter PIN number",
    217: "Request payout high/low status",
    216: "Request data storage availability",
    208: "Modify payout absolute count",
    207: "Request payout absolute count",
    202: "Teach mode control",
    200: "ACMI unencrypted product id",
    199: "Configuration to EEPROM",
    198: "Counters to EEPROM",
    197: "Calculate ROM checksum",
    195: "Request last modification date",
    185: "Modify coin id",
    184: "Request coin id",
    172: "Emergency stop",
    168: "Request hopper dispense count",
    164: "Enable hopper",
    162: "Modify inhibit and override registers",
    161: "Pump RNG",
    158: "Modify bill id",
    157: "Request bill id",
    153: "Modify bill operating mode",
    152: "Request bill operating mode",
    125: "Pay money out",
    114: "Request USB id",
    103: "Expansion header 4",
    102: "Expansion header 3",
    101: "Expansion header 2",
    100: "Expansion header 1",
    4: "Request comms revision",
    2: "Request comms status variables",
}
