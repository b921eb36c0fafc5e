"""Where MDB's scaled money ends: exact conversions to and from the ledger's minor units.

Pure; nothing here ever rounds. A device states amounts as `value` bytes; the amount in main units
is value x scaling factor x 10^-decimals, with the factor and decimals of *that* device. Leaving
the decimals out is wrong by powers of ten between two devices: a bill byte of 02 is the same 40.00
from validators that report 20/0, 200/1 or 2000/2.

Source: MDB/ICP 4.2, sections 5.3, 6.3 and 7.4 (SETUP answers); ISO 4217 numeric codes.
"""

from dataclasses import dataclass
from enum import Enum, unique
from typing import Final

from drivers.mdb.blocks import BlockFault, MdbBlockError
from drivers.mdb.fields import number


class ScaleError(ValueError):
    """An amount has no exact form on the other side.

    Towards a device it is a configuration error to show (a price the device can't express);
    from a device it means an implausible SETUP.
    """


@dataclass(frozen=True, slots=True)
class Scale:
    """Scaling factor and decimal places of one device, as its SETUP answer gave them.

    Raises:
        ScaleError: A factor below one, or negative decimals: such a device can't state money.
    """

    factor: int
    decimals: int

    def __post_init__(self) -> None:
        if self.factor < 1 or self.decimals < 0:
            raise ScaleError(f"scaling factor {self.factor} with {self.decimals} decimals")

    def to_minor(self, value: int, exponent: int) -> int:
        """Minor units of `value`: value x factor x 10^(exponent - decimals).

        Args:
            value: As on the wire, 0 or more.
            exponent: Decimal digits of the currency's minor unit (2 for EUR, 0 for JPY).

        Raises:
            ScaleError: The amount is not a whole number of minor units.
        """
        scaled = value * self.factor
        shift = exponent - self.decimals
        if shift >= 0:
            return int(scaled * 10**shift)
        whole, rest = divmod(scaled, 10**-shift)
        if rest:
            raise ScaleError(
                f"{value} x {self.factor} with {self.decimals} decimals is no whole number of "
                f"minor units (exponent {exponent})"
            )
        return int(whole)

    def from_minor(self, amount_minor: int, exponent: int, *, largest: int) -> int:
        """The device's value for an amount, the way back of `to_minor`.

        Args:
            amount_minor: Minor units, 0 or more.
            exponent: Decimal digits of the currency's minor unit.
            largest: Largest value the field can hold (255, 65534, ...).

        Raises:
            ScaleError: Negative, too large, or no whole number of the device's units.
        """
        if amount_minor < 0:
            raise ScaleError(f"{amount_minor} minor units: MDB has no negative amounts")
        shift = self.decimals - exponent
        numerator = amount_minor * 10 ** max(shift, 0)
        value, rest = divmod(numerator, self.factor * 10 ** max(-shift, 0))
        if rest:
            raise ScaleError(
                f"{amount_minor} minor units (exponent {exponent}) is no whole number of units of "
                f"{self.text(1)}"
            )
        if value > largest:
            raise ScaleError(
                f"{amount_minor} minor units make {value}, the field holds {largest} at most"
            )
        return int(value)

    def text(self, value: int) -> str:
        """`value` in main units, exactly as the device would state it: `1.35`."""
        scaled = value * self.factor
        if not self.decimals:
            return str(scaled)
        whole, part = divmod(scaled, 10**self.decimals)
        return f"{whole}.{part:0{self.decimals}d}"


@unique
class CurrencyKind(Enum):
    """What a two-byte currency code turned out to be."""

    ISO = "ISO 4217"
    TELEPHONE = "telephone code"
    UNKNOWN = "unknown"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class CurrencyCode:
    """A device's currency or country code, as sent.

    Never refuse a device because its code differs from another's: telephone codes come from
    designs before July 2000, and the field is full of oddities.
    """

    raw: int
    """The two bytes as one number: 0x1978 for EUR."""

    @property
    def kind(self) -> CurrencyKind:
        """First digit 1: ISO 4217 numeric; 0: telephone code; FFFF: unknown."""
        if self.raw == UNKNOWN_CURRENCY:
            return CurrencyKind.UNKNOWN
        if not f"{self.raw:04x}".isdecimal():
            return CurrencyKind.INVALID
        match self.raw >> 12:
            case 0:
                return CurrencyKind.TELEPHONE
            case 1:
                return CurrencyKind.ISO
            case _:
                return CurrencyKind.INVALID

    @property
    def numeric(self) -> int | None:
        """The three digits after the first: 978, or telephone code 44. None when not BCD."""
        if self.kind in (CurrencyKind.ISO, CurrencyKind.TELEPHONE):
            return int(f"{self.raw & 0xFFF:x}")
        return None

    @property
    def letters(self) -> str | None:
        """ISO 4217 letters, None for telephone codes and numbers not in the list."""
        if self.kind is not CurrencyKind.ISO or self.numeric is None:
            return None
        return _LETTERS.get(self.numeric)

    def __str__(self) -> str:
        match self.kind:
            case CurrencyKind.ISO:
                return self.letters or f"ISO 4217 number {self.numeric or 0:03d}"
            case CurrencyKind.TELEPHONE:
                return f"telephone code {self.numeric}"
            case CurrencyKind.UNKNOWN:
                return "unknown currency"
            case CurrencyKind.INVALID:
                return f"invalid currency code {self.raw:04X}"


UNKNOWN_CURRENCY: Final = 0xFFFF


def decode_currency(data: bytes) -> CurrencyCode:
    """The code in exactly two bytes.

    Raises:
        MdbBlockError: Not two bytes.
    """
    if len(data) != 2:
        raise MdbBlockError(BlockFault.WRONG_LENGTH, "a currency code has two bytes", data)
    return CurrencyCode(number(data, 0, 2))


def iso_currency(letters: str) -> CurrencyCode:
    """The code of an ISO 4217 currency: EUR becomes 19 78.

    Raises:
        MdbBlockError: Letters that are not in the list.
    """
    numeric = _NUMBERS.get(letters)
    if numeric is None:
        raise MdbBlockError(BlockFault.BAD_VALUE, f"no ISO 4217 number for currency {letters!r}")
    return CurrencyCode(0x1000 | int(str(numeric), 16))


def encode_currency(code: CurrencyCode) -> bytes:
    """The two bytes of a code."""
    return (code.raw & 0xFFFF).to_bytes(2, "big")


# ISO 4217 list one (active) and the codes of list three that devices in the field still report.
_LIST: Final = (
    "AED784 AFN971 ALL008 AMD051 AOA973 ARS032 AUD036 AWG533 AZN944 BAM977 BBD052 BDT050 "
    "BGN975 BHD048 BIF108 BMD060 BND096 BOB068 BRL986 BSD044 BTN064 BWP072 BYN933 BZD084 CAD124 "
    "CDF976 CHE947 CHF756 CHW948 CLF990 CLP152 CNY156 COP170 CRC188 CUP192 CVE132 CZK203 DJF262 "
    "DKK208 DOP214 DZD012 EGP818 ERN232 ETB230 EUR978 FJD242 FKP238 GBP826 GEL981 GHS936 GIP292 "
    "GMD270 GNF324 GTQ320 GYD328 HKD344 HNL340 HTG332 HUF348 IDR360 ILS376 INR356 IQD368 IRR364 "
    "ISK352 JMD388 JOD400 JPY392 KES404 KGS417 KHR116 KMF174 KPW408 KRW410 KWD414 KYD136 KZT398 "
    "LAK418 LBP422 LKR144 LRD430 LSL426 LYD434 MAD504 MDL498 MGA969 MKD807 MMK104 MNT496 MOP446 "
    "MRU929 MUR480 MVR462 MWK454 MXN484 MYR458 MZN943 NAD516 NGN566 NIO558 NOK578 NPR524 NZD554 "
    "OMR512 PAB590 PEN604 PGK598 PHP608 PKR586 PLN985 PYG600 QAR634 RON946 RSD941 RUB643 RWF646 "
    "SAR682 SBD090 SCR690 SDG938 SEK752 SGD702 SHP654 SLE925 SLL694 SOS706 SRD968 SSP728 STN930 "
    "SVC222 SYP760 SZL748 THB764 TJS972 TMT934 TND788 TOP776 TRY949 TTD780 TWD901 TZS834 UAH980 "
    "UGX800 USD840 UYU858 UZS860 VED926 VES928 VND704 VUV548 WST882 XAF950 XCD951 XCG532 XOF952 "
    "XPF953 YER886 ZAR710 ZMW967 ZWL932 "
    "ATS040 BEF056 BYR974 CYP196 DEM276 EEK233 ESP724 FIM246 FRF250 GRD300 HRK191 IEP372 ITL380 "
    "LTL440 LUF442 LVL428 MTL470 NLG528 PTE620 ROL642 SIT705 SKK703 TRL792 RUR810"
)
_NUMBERS: Final = {entry[:3]: int(entry[3:]) for entry in _LIST.split()}
_LETTERS: Final = {numeric: letters for letters, numeric in reversed(_NUMBERS.items())}
