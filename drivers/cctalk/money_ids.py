"""Coin and bill id strings: what a position of an acceptor is worth.

Pure; nothing here ever rounds. A coin's value counts in the base unit of that country's coin list,
usually the smallest (cent, penny); the id does not say which, so the driver is told. A bill's value
is multiplied by its country's scaling factor (header 156).

Source: ccTalk Generic Specification 4.7, part 3 (coin and bill naming).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from drivers.cctalk.frames import CcTalkError, FrameFault

COIN_ID_CHARS: Final = 6
BILL_ID_CHARS: Final = 7

TOKEN_COUNTRY: Final = "TK"  # noqa: S105 - a country code, no secret
COUPON_COUNTRY: Final = "BC"
"""The virtual country of barcode coupons."""

_MARKS: Final = {
    "m": Decimal("0.001"),
    ".": Decimal(1),
    "K": Decimal(1000),
    "M": Decimal(1_000_000),
    "G": Decimal(1_000_000_000),
}
"""Stand in the place of the decimal point and multiply."""


@dataclass(frozen=True, slots=True)
class MoneyId:
    """One id string.

    ``value`` is None for a token, a coupon and for text that is no id.
    """

    text: str
    country: str = ""
    value: Decimal | None = None
    issue: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether the position is not programmed."""
        return not self.text.strip(" .-\0")

    @property
    def is_token(self) -> bool:
        """Whether it stands for a token instead of money."""
        return self.country == TOKEN_COUNTRY

    @property
    def is_coupon(self) -> bool:
        """Whether it stands for a barcode coupon."""
        return self.country == COUPON_COUNTRY

    @property
    def words(self) -> str:
        """The id in words."""
        if self.is_empty:
            return "empty position"
        if self.is_token:
            return f"token, catalogue number {self.text[2:5]}"
        if self.is_coupon:
            return "barcode coupon"
        if self.value is None:
            return f"no id of the specification: {self.text!r}"
        issue = f", issue {self.issue}" if self.issue else ""
        return f"{self.country}, value {self.value:f}{issue}"


def decode_coin_id(data: bytes) -> MoneyId:
    """The six characters of a coin id: country, value, issue.

    Raises:
        CcTalkError: Not six bytes.
    """
    return _decode(data, COIN_ID_CHARS, "coin id")


def decode_bill_id(data: bytes) -> MoneyId:
    """The seven characters of a bill id: country, value before scaling, issue.

    Raises:
        CcTalkError: Not seven bytes.
    """
    return _decode(data, BILL_ID_CHARS, "bill id")


def encode_money_id(text: str, chars: int) -> bytes:
    """An id string in exactly so many bytes.

    Raises:
        CcTalkError: Another length, or characters that are not ASCII.
    """
    if len(text) != chars or not text.isascii():
        raise CcTalkError(FrameFault.BAD_VALUE, f"an id has {chars} ASCII characters, not {text!r}")
    return text.encode("ascii")


def _decode(data: bytes, chars: int, name: str) -> MoneyId:
    if len(data) != chars:
        reason = FrameFault.TRUNCATED if len(data) < chars else FrameFault.WRONG_LENGTH
        raise CcTalkError(reason, f"a {name} has {chars} bytes", data)
    text = data.decode("latin-1")
    country = text[:2]
    if not (country.isascii() and country.isalpha() and country.isupper()):
        return MoneyId(text)
    issue = text[-1].strip()
    if country in (TOKEN_COUNTRY, COUPON_COUNTRY):
        return MoneyId(text, country, None, issue)
    value = _value(text[2:-1])
    return MoneyId(text) if value is None else MoneyId(text, country, value, issue)


def _value(text: str) -> Decimal | None:
    """`100`, `.50`, `2K5`, `M25`; None for anything else."""
    marks = [character for character in text if character in _MARKS]
    if len(marks) > 1 or not text.isascii():
        return None
    if not marks:
        return Decimal(text) if text.isdecimal() else None
    whole, _, part = text.partition(marks[0])
    if not (whole + part).isdecimal():
        return None
    return Decimal(f"{whole or '0'}.{part or '0'}") * _MARKS[marks[0]]


@dataclass(frozen=True, slots=True)
class CountryScale:
    """Header 156: how the bill ids of a country become money."""

    factor: int
    decimals: int

    @property
    def known(self) -> bool:
        """Whether the validator knows the country at all."""
        return self.factor > 0

    def minor(self, value: Decimal, exponent: int) -> int:
        """Minor units of a bill id's value.

        Args:
            value: Of the id, before scaling.
            exponent: Decimal digits of the currency's minor unit.

        Raises:
            CcTalkError: No whole number of minor units.
        """
        amount = (value * self.factor).scaleb(exponent - self.decimals)
        return _whole(amount, f"bill value {value:f} x {self.factor} with {self.decimals} decimals")


def coin_minor(value: Decimal, unit_minor: int) -> int:
    """Minor units of a coin id's value.

    Args:
        value: Of the id.
        unit_minor: Minor units in the base unit of the country's coin list: 1 where it is the
            smallest unit, 100 where it is the main one.

    Raises:
        CcTalkError: No whole number of minor units.
    """
    return _whole(value * unit_minor, f"coin value {value:f}")


def _whole(amount: Decimal, what: str) -> int:
    if amount != amount.to_integral_value():
        raise CcTalkError(FrameFault.BAD_VALUE, f"{what} is no whole number of minor units")
    return int(amount)


def decode_country_scale(data: bytes) -> CountryScale:
    """The answer of header 156: factor (two bytes, low first) and decimal places.

    Raises:
        CcTalkError: Not three bytes.
    """
    if len(data) != 3:
        raise CcTalkError(FrameFault.WRONG_LENGTH, "a country scaling factor has 3 bytes", data)
    return CountryScale(int.from_bytes(data[:2], "little"), data[2])


def encode_country_scale(scale: CountryScale) -> bytes:
    """The answer of header 156."""
    return scale.factor.to_bytes(2, "little") + bytes((scale.decimals,))
