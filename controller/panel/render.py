"""From a view to the display's lines: pure, and never wider than the glass.

Amounts and codes are never cut; a product's name gives way.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.numbers import format_currency

from controller.money import exponent
from controller.panel.texts import Texts
from controller.panel.view import Message, PanelView

# Prices, the credit and a refund recur; a machine shows some hundred different amounts.
_FORMATTED_KEPT: Final = 512
_RENDERED_KEPT: Final = 256  # views; the same few come back with every customer

# What a locale puts between digits and signs, on a display that knows one kind of blank.
_BLANKS: Final = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2019": "'", "\u200f": None})


@dataclass(frozen=True, slots=True)
class Glass:
    """The display's size in characters."""

    cols: int = 20
    rows: int = 4


class Renderer:
    """Puts views into words.

    Args:
        texts: The machine's languages; the first is shown unasked.
        locale: Whose way to write amounts, e.g. "de_DE"; another language keeps its territory.
        glass: The display's size.
    """

    def __init__(self, texts: Mapping[str, Texts], locale: str, glass: Glass | None = None) -> None:
        self._texts = texts
        self._first = next(iter(texts))
        self._territory = locale.partition("_")[2]
        self._glass = glass or Glass()
        self._rendered: dict[PanelView, tuple[str, ...]] = {}

    def render(self, view: PanelView) -> tuple[str, ...]:
        """Return the display's lines, each exactly as wide as the glass."""
        lines = self._rendered.get(view)
        if lines is None:
            if len(self._rendered) >= _RENDERED_KEPT:
                self._rendered.clear()
            lines = self._rendered[view] = self._render(view)
        return lines

    def _render(self, view: PanelView) -> tuple[str, ...]:
        texts = self._texts.get(view.language or self._first) or self._texts[self._first]
        if view.message is Message.CARD_TEXT:
            lines = textwrap.wrap(view.product, self._glass.cols)
        elif view.message is Message.NOTICE:
            lines = self._notice(view, texts)
        else:
            fields = self._fields(view, texts)
            lines = [self._line(line, fields) for line in texts.messages[view.message]]
        return self._fit(lines)

    def money(self, amount: int, currency: str, language: str) -> str:
        """Return an amount of minor units as the locale writes it."""
        return _money(amount, currency, language, self._territory)

    def _fields(self, view: PanelView, texts: Texts) -> dict[str, str]:
        def money(amount: int | None) -> str:
            return "" if amount is None else self.money(amount, view.currency, texts.language)

        pay = {
            (True, True): "pay_cash_and_card",
            (True, False): "pay_cash",
            (False, True): "pay_card",
            (False, False): "pay_nothing",
        }[view.cash, view.cards]
        exact = view.exact_change and view.cash
        return {
            "selection": view.selection,
            "product": view.product,
            "price": money(view.price),
            "credit": money(view.credit),
            "amount": money(view.amount),
            "code": view.code,
            "pay": texts.phrases[pay],
            "exact_change": texts.phrases["exact_change"] if exact else "",
        }

    def _line(self, line: str, fields: Mapping[str, str]) -> str:
        cols = self._glass.cols
        left, bar, right = line.partition("|")
        if not bar:
            return self._shortened(left, fields, cols).center(cols)
        end = right.format_map(fields).strip()
        start = self._shortened(left, fields, cols - len(end) - 1)
        return f"{start}{end:>{cols - len(start)}}"

    def _shortened(self, text: str, fields: Mapping[str, str], room: int) -> str:
        whole = text.format_map(fields).strip()
        over = len(whole) - room
        if over <= 0:
            return whole
        product = fields["product"]
        if "{product}" in text and over < len(product):
            cut = product[: len(product) - over - 1].rstrip() + "."
            return text.format_map({**fields, "product": cut}).strip()
        return whole[: max(0, room)].rstrip()

    def _notice(self, view: PanelView, texts: Texts) -> list[str]:
        """Return the operator's text; what a customer must know of change keeps its line."""
        exact = [texts.phrases["exact_change"]] if view.exact_change and view.cash else []
        lines = textwrap.wrap(view.product, self._glass.cols)[: self._glass.rows - len(exact)]
        return [line.center(self._glass.cols) for line in [*lines, *exact]]

    def _fit(self, lines: list[str]) -> tuple[str, ...]:
        cols, rows = self._glass.cols, self._glass.rows
        if len(lines) > rows:
            lines = [line for line in lines if line.strip()]
        shown = [line[:cols].ljust(cols) for line in lines[:rows]]
        return (*shown, *[" " * cols] * (rows - len(shown)))


def first_amount(language: str, locale: str, currency: str) -> str:
    """Write an amount, which reads what all others need; returns the locale it is written in."""
    territory = locale.partition("_")[2]
    _money(0, currency, language, territory)
    return str(_locale(language, territory))


@lru_cache(maxsize=_FORMATTED_KEPT)
def _money(amount: int, currency: str, language: str, territory: str) -> str:
    value = Decimal(amount).scaleb(-exponent(currency))
    text = format_currency(value, currency, locale=_locale(language, territory))
    return text.translate(_BLANKS)


@lru_cache(maxsize=16)  # languages of one machine
def _locale(language: str, territory: str) -> Locale:
    try:
        return Locale.parse(f"{language}_{territory}" if territory else language)
    except UnknownLocaleError:
        return Locale.parse(language)
