"""On every glass that a configuration may name the customer reads all there is, page by page."""

from __future__ import annotations

import asyncio
import string
from dataclasses import replace

import pytest

from controller.panel.layout import COPY_S, PAGE_S, Block, Glass, Page, laid_out
from controller.panel.pager import Pager
from controller.panel.render import Renderer
from controller.panel.texts import load_texts, shipped_texts
from controller.panel.view import Message, PanelView
from controller.saga.claims import grouped, mint
from simulator.clock import run_virtual

LANGUAGES = ("en", "de", "es")
TEXTS = load_texts(shipped_texts(), LANGUAGES)
GLASSES = [Glass(16, 2), Glass(16, 4), Glass(20, 2), Glass(20, 4), Glass(40, 2)]
CODE = grouped(mint(bytes(32), "m1", 12_345_678, 250))
COPIED = (Message.CLAIM, Message.CLAIM_PRODUCT, Message.CODE_ENTRY)
AMOUNTS = [("EUR", 150), ("EUR", 99_999_999), ("JPY", 99_999), ("CHF", 9_999_999), ("KWD", 99_999)]


def view(message: Message, **other: object) -> PanelView:
    base = PanelView(message, "EUR", selection="A3", product="Mineral water")
    return replace(base, **other)  # type: ignore[arg-type]  # fields by name, as a table gives them


def squeezed(text: str) -> str:
    return "".join(text.split())


def lines_of(pages: tuple[Page, ...]) -> list[str]:
    return [line.strip() for page in pages for line in page.lines]


@pytest.mark.parametrize("glass", GLASSES, ids=lambda glass: f"{glass.cols}x{glass.rows}")
@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_cut_or_left_out_on_any_glass(language: str, glass: Glass) -> None:
    renderer = Renderer(TEXTS, "de_CH", glass)
    for message in Message:
        code = CODE if message in COPIED else "18"  # years, or how many
        for currency, amount in AMOUNTS:
            price, credit = amount // 2, amount // 3
            shown = view(
                message, currency=currency, language=language, amount=amount, price=price,
                credit=credit, code=code, exact_change=True, selection="B12", product="Oat bar",
            )  # fmt: skip
            pages = renderer.pages(shown)
            for page in pages:
                assert [len(line) for line in page.lines] == [glass.cols] * glass.rows
                assert any(line.strip() for line in page.lines) or message is Message.CARD_TEXT
            lines = lines_of(pages)
            for template in TEXTS[language].messages[message]:
                parts = list(string.Formatter().parse(template.replace("|", " ")))
                values = {"amount": amount, "price": price, "credit": credit}
                for words, field, *_ in parts:
                    for word in words.split():
                        assert any(word in line for line in lines), (message, word)
                    if field in values:
                        written = renderer.money(values[field], currency, language)
                        assert any(written in line for line in lines), (message, field, lines)
                    elif field == "code":
                        assert any(
                            squeezed(code) in squeezed("".join(page.lines)) for page in pages
                        ), (message, lines)
                    elif field in ("selection", "product"):
                        wanted = "B12" if field == "selection" else "Oat bar"
                        assert any(wanted in line for line in lines), (message, field, lines)


@pytest.mark.parametrize("glass", GLASSES, ids=lambda glass: f"{glass.cols}x{glass.rows}")
def test_a_code_stands_in_whole_groups_on_one_page_and_long_enough_to_be_copied(
    glass: Glass,
) -> None:
    renderer = Renderer(TEXTS, "en_GB", glass)
    for message in COPIED:
        pages = renderer.pages(view(message, amount=1_250, code=CODE))
        held = [page for page in pages if CODE in " ".join(" ".join(page.lines).split())]
        assert held == [pages[0]], "a key may hide the rest"
        assert pages[0].seconds == COPY_S
        assert all(page.seconds == PAGE_S for page in pages if page is not pages[0])


def test_the_usual_glass_shows_a_claim_at_once() -> None:
    renderer = Renderer(TEXTS, "de_DE", Glass())
    for language in LANGUAGES:
        for message in COPIED:
            shown = view(message, language=language, amount=1_250, code=CODE)
            assert len(renderer.pages(shown)) == 1, (language, message)


@pytest.mark.parametrize("glass", GLASSES, ids=lambda glass: f"{glass.cols}x{glass.rows}")
def test_what_is_keyed_in_is_seen_at_once(glass: Glass) -> None:
    renderer = Renderer(TEXTS, "es_ES", glass)
    for length in range(1, 20):
        entered = grouped(CODE.replace(" ", "")[:length])
        lines = renderer.render(view(Message.CODE_ENTRY, code=entered))
        assert entered in " ".join(" ".join(lines).split())
    for message in (Message.WELCOME, Message.CREDIT, Message.SESSION, Message.VEND_COIN):
        lines = renderer.render(view(message, selection="A", exact_change=True, amount=500))
        assert "A" in [line.strip() for line in lines]


def test_an_operators_long_notice_is_read_whole_on_a_small_glass() -> None:
    renderer = Renderer(TEXTS, "en_GB", Glass(16, 2))
    text = "From Monday on this machine stands in the other hall beside the stairs"
    pages = renderer.pages(view(Message.NOTICE, product=text, exact_change=True))
    assert " ".join(" ".join(lines_of(pages)).split()) == f"{text} Exact change only"


def test_a_block_that_is_taller_than_the_glass_goes_on_on_the_next_page() -> None:
    pages = laid_out([Block(("a", "b", "c"))], Glass(16, 2))
    assert [[line.strip() for line in page.lines] for page in pages] == [["a", "b"], ["c", ""]]
    assert [len(page.lines) for page in laid_out([], Glass(16, 2))] == [2]


def test_pages_are_turned_and_begin_anew() -> None:
    shown: list[tuple[float, str]] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        pager = Pager(lambda lines: shown.append((loop.time() - begun, lines[0])))
        pager.tell((Page(("one",), 2.0), Page(("two",), 6.0)))
        assert pager.unread_s() == pytest.approx(8.0)
        await asyncio.sleep(9.0)
        assert pager.unread_s() == 0.0
        pager.tell((Page(("three",)),))
        assert pager.unread_s() == 0.0
        await asyncio.sleep(20.0)

    run_virtual(run())
    assert [(round(at), text) for at, text in shown] == [
        (0, "one"), (2, "two"), (8, "one"), (9, "three"),
    ]  # fmt: skip
