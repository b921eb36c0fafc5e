"""Amounts as technicians read and type them: main units with a point, "1.50"."""

from __future__ import annotations

import re
from typing import Final

from controller.cli.errors import CliError, Exit
from controller.money import exponent

_FORM: Final = re.compile(r"([0-9]{1,9})(?:[.,]([0-9]+))?")


def plain(amount: int, currency: str) -> str:
    """Return an amount without its currency, for columns of figures: "1.50", "-0.05"."""
    digits = exponent(currency)
    sign = "-" if amount < 0 else ""
    whole, part = divmod(abs(amount), 10**digits)
    return f"{sign}{whole}.{part:0{digits}d}" if digits else f"{sign}{whole}"


def full(amount: int, currency: str) -> str:
    """Return an amount with its currency: "1.50 EUR"."""
    return f"{plain(amount, currency)} {currency}"


def parse(text: str, currency: str) -> int:
    """Return the minor units of "1.50", "1,5" or "2".

    Raises:
        CliError: It is no amount, or has more decimals than the currency.
    """
    digits = exponent(currency)
    match = _FORM.fullmatch(text.strip())
    if match is None or len(match[2] or "") > digits:
        example = plain(150 if digits else 2, currency)
        raise CliError(f"{text!r} is no amount in {currency}; like {example}", Exit.USAGE)
    return int(match[1] + (match[2] or "").ljust(digits, "0"))
