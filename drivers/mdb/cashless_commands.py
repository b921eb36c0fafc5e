"""What the VMC says to a cashless device: the commands as values.

Pure; `cashless_requests` turns them into bytes and back, the answers are in `cashless_codec`.
Amounts are scaled and have 16 bits, in expanded currency mode 32 bits.

Source: MDB/ICP 4.2, section 7.
"""

from dataclasses import dataclass
from enum import IntEnum, unique
from typing import Final

from drivers.mdb.blocks import Address
from drivers.mdb.fields import (
    Identification,
)
from drivers.mdb.ftl_codec import (
    FtlMessage,
)
from drivers.mdb.money import CurrencyCode

READERS: Final = (Address.CASHLESS_1, Address.CASHLESS_2)

ITEM_UNDEFINED: Final = 0xFFFF
"""Item number of a selection that has none."""
PRICE_UNKNOWN_MAX: Final = 0xFFFF
PRICE_UNKNOWN_MIN: Final = 0x0000
DATA_ENTRY_KEYS: Final = 8
AGE_TAG: Final = b"DRAVP"
AGE_HEAD: Final = b"\x05\x06"

CASH_SALE_FREE: Final = 1 << 15
CASH_SALE_TEST: Final = 1 << 14
CASH_SALE_NEGATIVE: Final = 1 << 13
CASH_SALE_TOKEN: Final = 1 << 12
CASH_SALE_ITEM_MASK: Final = 0x0FFF


@unique
class Command(IntEnum):
    """Lower three bits of the first byte."""

    RESET = 0
    SETUP = 1
    POLL = 2
    VEND = 3
    READER = 4
    REVALUE = 5
    EXPANSION = 7


@dataclass(frozen=True, slots=True)
class Reset:
    """The reader ends a running transaction, ejects the medium, goes to Inactive.

    An approved vend that got neither success nor failure counts as sold.
    """


@dataclass(frozen=True, slots=True)
class SetupConfig:
    """Our level and display. Owed: `ReaderConfig`."""

    level: int
    columns: int
    """0: no display for the reader."""
    rows: int
    display: int
    """Low three bits: 0 digits, capitals, blank, point; 1 full ASCII."""


@dataclass(frozen=True, slots=True)
class SetupPrices:
    """Highest and lowest price, scaled; unknown is FFFF and 0000. With a currency: long form."""

    maximum: int
    minimum: int
    currency: CurrencyCode | None = None


@dataclass(frozen=True, slots=True)
class Poll:
    """Answer: ACK or messages."""


@dataclass(frozen=True, slots=True)
class VendRequest:
    """Owed: `VendApproved` or `VendDenied`."""

    price: int
    item: int
    expanded: bool = False


@dataclass(frozen=True, slots=True)
class VendCancel:
    """Only before the request was answered. Owed: `VendDenied`."""


@dataclass(frozen=True, slots=True)
class VendSuccess:
    """The product was delivered."""

    item: int


@dataclass(frozen=True, slots=True)
class VendFailure:
    """The product was not delivered; poll for the outcome of the refund."""


@dataclass(frozen=True, slots=True)
class SessionComplete:
    """Owed: `EndSession`."""


@dataclass(frozen=True, slots=True)
class CashSale:
    """Audit of a cash sale. With a currency: long form."""

    price: int
    item: int
    """`ITEM_UNDEFINED`, or 12 bits of number and the CASH_SALE_* flags."""
    currency: CurrencyCode | None = None

    @property
    def item_number(self) -> int | None:
        """The number without flags, None when undefined."""
        return None if self.item == ITEM_UNDEFINED else self.item & CASH_SALE_ITEM_MASK

    @property
    def flags(self) -> int:
        """The CASH_SALE_* flags; none when the item is undefined (FFFF is not four flags)."""
        return 0 if self.item == ITEM_UNDEFINED else self.item & ~CASH_SALE_ITEM_MASK


@dataclass(frozen=True, slots=True)
class NegativeVendRequest:
    """The customer returns an item (level 3, option b3). Owed: as `VendRequest`."""

    value: int
    item: int
    expanded: bool = False


@dataclass(frozen=True, slots=True)
class ReaderDisable:
    """No new session; a running one goes on to its end."""


@dataclass(frozen=True, slots=True)
class ReaderEnable:
    """Cards are welcome."""


@dataclass(frozen=True, slots=True)
class ReaderCancel:
    """Only meaningful in Enabled. Owed: `Cancelled`."""


@dataclass(frozen=True, slots=True)
class DataEntryResponse:
    """Keys the customer pressed, at most eight; None: cancelled (level 3, option b4)."""

    keys: bytes | None


@dataclass(frozen=True, slots=True)
class RevalueRequest:
    """Put money on the medium. Owed: `RevalueApproved` or `RevalueDenied`."""

    amount: int
    expanded: bool = False


@dataclass(frozen=True, slots=True)
class RevalueLimitRequest:
    """Owed: `RevalueLimit` or `RevalueDenied`."""


@dataclass(frozen=True, slots=True)
class RequestId:
    """Who we are. Owed: `PeripheralId`."""

    identification: Identification


@dataclass(frozen=True, slots=True)
class ReadUserFile:
    """Obsolete: don't use."""

    file: int


@dataclass(frozen=True, slots=True)
class WriteUserFile:
    """Obsolete: don't use."""

    data: bytes


@dataclass(frozen=True, slots=True)
class WriteTimeDate:
    """Our clock; None is "not supported"."""

    year: int | None
    """Two digits."""
    month: int | None
    day: int | None
    hour: int | None
    minute: int | None
    second: int | None
    weekday: int | None = None
    """1-7, Monday is 1."""
    week: int | None = None
    """1-53."""
    summertime: int | None = None
    """0 or 1."""
    holiday: int | None = None
    """0 or 1."""


@dataclass(frozen=True, slots=True)
class EnableOptions:
    """Level 3. Only bits the reader offered and we can parse."""

    options: int


@dataclass(frozen=True, slots=True)
class AgeRequest:
    """Age verification inside a reader: the age to ask for (1-99), 0 turns it off."""

    age: int


@dataclass(frozen=True, slots=True)
class ManufacturerDiagnostics:
    """Whatever the manufacturer agreed with itself; of free length."""

    data: bytes


CashlessCommand = (
    Reset
    | SetupConfig
    | SetupPrices
    | Poll
    | VendRequest
    | VendCancel
    | VendSuccess
    | VendFailure
    | SessionComplete
    | CashSale
    | NegativeVendRequest
    | ReaderDisable
    | ReaderEnable
    | ReaderCancel
    | DataEntryResponse
    | RevalueRequest
    | RevalueLimitRequest
    | RequestId
    | ReadUserFile
    | WriteUserFile
    | WriteTimeDate
    | EnableOptions
    | AgeRequest
    | ManufacturerDiagnostics
    | FtlMessage
)
