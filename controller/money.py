"""Money: an integer of the currency's minor unit that refuses to mix or to become a float."""

from __future__ import annotations

from dataclasses import dataclass
from functools import total_ordering
from typing import Final

# Minor-unit exponents that differ from two (ISO 4217, list one). Everything else has two.
_EXPONENTS: Final[dict[str, int]] = {
    "BHD": 3, "BIF": 0, "CLF": 4, "CLP": 0, "DJF": 0, "GNF": 0, "IQD": 3, "ISK": 0, "JOD": 3,
    "JPY": 0, "KMF": 0, "KRW": 0, "KWD": 3, "LYD": 3, "OMR": 3, "PYG": 0, "RWF": 0, "TND": 3,
    "UGX": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
}  # fmt: skip
# Currencies that circulate (ISO 4217, list one).
CURRENCIES: Final = frozenset(
    (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP "
        "BYN BZD CAD CDF CHE CHF CHW CLF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB "
        "EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD "
        "JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK "
        "MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN "
        "PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP STN SVC SYP SZL "
        "THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG "
        "XOF XPF YER ZAR ZMW ZWL"
    ).split()
)


class CurrencyMismatchError(ValueError):
    """Two amounts of different currencies met in one operation."""


def exponent(currency: str) -> int:
    """Return how many decimal digits one main unit of ``currency`` has (ISO 4217)."""
    return _EXPONENTS.get(currency, 2)


def minor_units(units: int, *, scaling: int, decimals: int, currency: str) -> int:
    """Return what a device's own units are worth in minor units of ``currency``, rounded down.

    Args:
        units: 0 or more, each of them ``scaling`` at the last of the device's ``decimals`` places.
        scaling: Of the device's SETUP answer, 1 or more.
        decimals: Of the device's SETUP answer, 0 or more.
        currency: ISO 4217 letters, upper case.
    """
    shift = exponent(currency) - decimals
    worth: int = units * scaling * 10 ** max(shift, 0) // 10 ** max(-shift, 0)
    return worth


@total_ordering
@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units of one currency.

    Args:
        amount: Minor units (cents for EUR); may be negative in differences.
        currency: ISO 4217 letters, upper case.

    Raises:
        TypeError: ``amount`` is not an ``int`` (a float never becomes money).
        ValueError: ``currency`` is not three upper-case letters.
    """

    amount: int
    currency: str

    def __post_init__(self) -> None:
        """Refuse floats, booleans and malformed currencies."""
        if type(self.amount) is not int:
            raise TypeError(f"money is whole minor units, not {self.amount!r}")
        code = self.currency
        if not (len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()):
            raise ValueError(f"not an ISO 4217 currency code: {code!r}")

    def _same(self, other: Money) -> int:
        if self.currency != other.currency:
            raise CurrencyMismatchError(f"{self.currency} met {other.currency}")
        return other.amount

    def __add__(self, other: Money) -> Money:
        """Add; both of one currency."""
        return Money(self.amount + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        """Subtract; both of one currency."""
        return Money(self.amount - self._same(other), self.currency)

    def __neg__(self) -> Money:
        """Return the amount with its sign turned."""
        return Money(-self.amount, self.currency)

    def __mul__(self, count: int) -> Money:
        """Multiply by a whole count."""
        if type(count) is not int:
            raise TypeError(f"money is multiplied by whole counts, not {count!r}")
        return Money(self.amount * count, self.currency)

    def __lt__(self, other: Money) -> bool:
        """Order amounts of one currency."""
        return self.amount < self._same(other)

    def __bool__(self) -> bool:
        """Tell whether the amount is not zero."""
        return self.amount != 0

    def __str__(self) -> str:
        """Return a plain form for logs, never for customers (they get the locale's)."""
        digits = exponent(self.currency)
        sign = "-" if self.amount < 0 else ""
        whole, part = divmod(abs(self.amount), 10**digits)
        return (
            f"{sign}{whole}.{part:0{digits}d} {self.currency}"
            if digits
            else (f"{sign}{whole} {self.currency}")
        )
