"""From a view to the display's pages: pure, and never wider than the glass.

Amounts, codes and words are never cut, on no glass: what is too long for a line goes on in the
next one, and what is too long for the glass on the next page. Only a product's name gives way.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.numbers import format_currency

from controller.money import exponent
from controller.panel.layout import Block, Glass, Page, laid_out, wrapped
from controller.panel.texts import Texts
from controller.panel.view import Message, PanelView

# Prices, the credit and a refund recur; a machine shows some hundred different amounts.
_FORMATTED_KEPT: Final = 512
_RENDERED_KEPT: Final = 256  # views; the same few come back with every customer

# What a locale puts between digits and signs, on a display that knows one kind of blank.
_BLANKS: Final = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2019": "'", "\u200f": None})
_UNBREAKABLE: Final = str.maketrans({" ": "\u00a0"})  # while lines are filled

# A code of these is copied, or keyed, digit by digit.
_COPIED: Final = (Message.CLAIM, Message.CLAIM_PRODUCT, Message.CODE_ENTRY)

_KEYED: Final = ("{selection}", "{selection}{language}")  # what has been keyed so far, alone


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
        self._rendered: dict[PanelView, tuple[Page, ...]] = {}

    def pages(self, view: PanelView) -> tuple[Page, ...]:
        """Return what is shown in turn; most of it is one page."""
        pages = self._rendered.get(view)
        if pages is None:
            if len(self._rendered) >= _RENDERED_KEPT:
                self._rendered.clear()
            pages = self._rendered[view] = laid_out(self._blocks(view), self._glass)
        return pages

    def render(self, view: PanelView) -> tuple[str, ...]:
        """Return the first page's lines, each exactly as wide as the glass."""
        return self.pages(view)[0].lines

    def _blocks(self, view: PanelView) -> list[Block]:
        texts = self._texts.get(view.language or self._first) or self._texts[self._first]
        if view.message is Message.CARD_TEXT:
            return [Block((line,)) for line in wrapped(view.product, self._glass.cols)]
        if view.message is Message.NOTICE:
            return [Block((line.center(self._glass.cols),)) for line in self._notice(view, texts)]
        fields = self._fields(view, texts)
        return [self._block(line, fields, view) for line in texts.messages[view.message]]

    def money(self, amount: int, currency: str, language: str) -> str:
        """Return an amount of minor units as the locale writes it."""
        return _money(amount, currency, language, self._territory)

    def _fields(self, view: PanelView, texts: Texts) -> dict[str, str]:
        def money(amount: int | None) -> str:
            if amount is None:
                return ""
            return self.money(amount, view.currency, texts.language).translate(_UNBREAKABLE)

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
            "key": view.key,
            "pay": texts.phrases[pay],
            "exact_change": texts.phrases["exact_change"] if exact else "",
            "language": self._other(view),
            "or_coins": texts.phrases["or_coins"] if view.cash else "",
        }

    def _other(self, view: PanelView) -> str:
        """Return how another language is come by; what was keyed goes first."""
        texts = self._texts.get(view.other)
        if view.selection or not view.key or texts is None:
            return ""
        return f"{view.key} = {texts.phrases['language']}"

    def _block(self, line: str, fields: Mapping[str, str], view: PanelView) -> Block:
        keyed = "{code}" in line and view.message in _COPIED
        return Block(
            self._lines(line, fields),
            copied=keyed and bool(view.code),
            # What somebody is keying in is seen at once, and so is a code: any key may hide it.
            first=keyed or (bool(view.selection) and line in _KEYED),
        )

    def _lines(self, line: str, fields: Mapping[str, str]) -> tuple[str, ...]:
        cols = self._glass.cols
        left, bar, right = line.partition("|")
        if not bar:
            whole = self._shortened(left, fields, cols)
            return tuple(part.center(cols) for part in wrapped(whole, cols))
        end = right.format_map(fields).strip()
        start = self._shortened(left, fields, cols - len(end) - 1)
        if len(start) + 1 + len(end) <= cols:
            return (f"{start}{end:>{cols - len(start)}}",)
        below = (part.rjust(cols) for part in wrapped(end, cols))
        return (*(part.ljust(cols) for part in wrapped(start, cols)), *below)

    def _shortened(self, text: str, fields: Mapping[str, str], room: int) -> str:
        whole = text.format_map(fields).strip()
        over = len(whole) - room
        product = fields["product"]
        if over > 0 and "{product}" in text and over < len(product):
            cut = product[: len(product) - over - 1].rstrip() + "."
            return text.format_map({**fields, "product": cut}).strip()
        return whole

    def _notice(self, view: PanelView, texts: Texts) -> list[str]:
        """Return the operator's text, and what a customer must know of change."""
        exact = [texts.phrases["exact_change"]] if view.exact_change and view.cash else []
        cols = self._glass.cols
        return [part for text in (view.product, *exact) for part in wrapped(text, cols)]


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
