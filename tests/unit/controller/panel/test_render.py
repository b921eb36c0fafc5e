"""What the customer reads: every message in every language fits the glass, and no amount is cut."""

import string
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.faults import ConfigError
from controller.panel.layout import Glass
from controller.panel.render import Renderer
from controller.panel.texts import PHRASES, load_texts, shipped_texts
from controller.panel.view import Message, PanelView

LANGUAGES = ("en", "de", "es")
TEXTS = load_texts(shipped_texts(), LANGUAGES)
RENDERER = Renderer(TEXTS, "de_DE")

# (currency, an amount that is long for it)
LONG = [("EUR", 999_999), ("USD", 999_999), ("JPY", 99_999), ("CHF", 99_999), ("KWD", 99_999)]


def view(message: Message, **other: object) -> PanelView:
    base = PanelView(message, "EUR", selection="A3", product="Mineral water", price=150)
    return replace(base, **other)  # type: ignore[arg-type]  # fields by name, as a table gives them


def read(lines: tuple[str, ...]) -> list[str]:
    return [" ".join(line.split()) for line in lines]


def test_a_price_is_read_with_its_product() -> None:
    lines = RENDERER.render(view(Message.PRICE, language="en"))
    assert lines == (
        "  A3 Mineral water  ",
        "Price         1,50 €",
        "Insert money or card",
        "                    ",
    )


def test_the_first_language_is_shown_unasked_and_a_foreign_one_falls_back_to_it() -> None:
    for language in (None, "fr"):
        lines = RENDERER.render(view(Message.WELCOME, language=language))
        assert read(lines)[0] == "Welcome!"


def test_amounts_are_written_as_the_language_and_the_place_do() -> None:
    shown = {
        language: read(RENDERER.render(view(Message.CREDIT, language=language, credit=123456)))[0]
        for language in LANGUAGES
    }
    assert shown == {
        "en": "Credit 1.234,56 €",
        "de": "Guthaben 1.234,56 €",
        "es": "Crédito 1.234,56 €",
    }


def test_in_britain_the_same_amounts_look_british() -> None:
    renderer = Renderer(TEXTS, "en_GB")
    assert renderer.money(123456, "GBP", "en") == "£1,234.56"
    assert renderer.money(123456, "EUR", "de") == "1.234,56 €"  # there is no de_GB


def test_a_swiss_amount_has_blanks_and_quotes_that_a_display_knows() -> None:
    renderer = Renderer(TEXTS, "de_CH")
    assert renderer.money(123450, "CHF", "de") == "CHF 1'234.50"
    assert renderer.money(500, "JPY", "de") == "¥ 500"


@pytest.mark.parametrize(
    ("cash", "cards", "line"),
    [
        (True, True, "Insert money or card"),
        (True, False, "Cash only"),
        (False, True, "Cards only"),
        (False, False, "No payment possible"),
    ],
)
def test_the_welcome_says_how_to_pay(cash: bool, cards: bool, line: str) -> None:
    lines = RENDERER.render(view(Message.WELCOME, cash=cash, cards=cards, exact_change=True))
    assert read(lines)[1] == line
    assert read(lines)[2] == ("Exact change only" if cash else "")


def test_a_claim_shows_its_code_whole() -> None:
    lines = RENDERER.render(view(Message.CLAIM, amount=250, code="0000 0012 3456 7890 1234"))
    assert read(lines) == [
        "You get 2,50 €", "0000 0012 3456 7890", "1234", "Please write down.",
    ]  # fmt: skip


def test_a_long_product_gives_way_with_a_full_stop() -> None:
    lines = RENDERER.render(view(Message.VENDING, product="Chocolate bar with hazelnuts"))
    assert lines[0] == "A3 Chocolate bar wi."


def test_the_readers_own_text_is_wrapped() -> None:
    lines = RENDERER.render(view(Message.CARD_TEXT, product="INSERT CARD OR TAP THE SCREEN"))
    assert read(lines) == ["INSERT CARD OR TAP", "THE SCREEN", "", ""]


def test_a_small_glass_leaves_blank_lines_out() -> None:
    renderer = Renderer(TEXTS, "en_GB", Glass(cols=16, rows=2))
    lines = renderer.render(view(Message.OUT_OF_SERVICE))
    assert lines == (" Out of service ", " " * 16)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("message", [m for m in Message if m is not Message.CARD_TEXT])
def test_every_message_fits_and_cuts_no_amount_and_no_word(message: Message, language: str) -> None:
    for currency, amount in LONG:
        shown = view(
            message, currency=currency, language=language, product="Water",
            price=amount, credit=amount, amount=amount, code="ABCD-EFGH-23", exact_change=True,
        )  # fmt: skip
        lines = RENDERER.render(shown)
        assert [len(line) for line in lines] == [20] * 4
        written = RENDERER.money(amount, currency, language)
        for template, line in zip(TEXTS[language].messages[message], lines, strict=False):
            for field, value in (("amount", written), ("price", written), ("credit", written)):
                if f"{{{field}}}" in template:
                    assert value in line
            if "{code}" in template:
                assert "ABCD-EFGH-23" in line
            words = [text for text, *_ in string.Formatter().parse(template.replace("|", " "))]
            if "{product}" not in template:
                for text in words:
                    assert text.strip() in line


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_phrase_fits(language: str) -> None:
    assert all(len(TEXTS[language].phrases[name]) <= 20 for name in PHRASES)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("cash", [True, False])
def test_what_a_card_or_coins_have_to_pay_stands_on_the_usual_glass(
    language: str, cash: bool
) -> None:
    shown = view(Message.CARD_REST, language=language, amount=150, credit=50, cash=cash)
    (page,) = RENDERER.pages(shown)
    text = " ".join(page.lines)
    assert "1,50 €" in text
    assert "0,50 €" in text
    assert (TEXTS[language].phrases["or_coins"].strip() in text) == cash


@given(
    message=st.sampled_from(Message),
    language=st.sampled_from([*LANGUAGES, None, "xx"]),
    amount=st.integers(0, 99_999_999),
    product=st.text(st.characters(blacklist_categories=["Cs"]), max_size=40),
    cols=st.sampled_from([16, 20, 40]),
    rows=st.sampled_from([2, 4]),
)
def test_whatever_is_shown_fits_the_glass(
    message: Message, language: str | None, amount: int, product: str, cols: int, rows: int
) -> None:
    renderer = Renderer(TEXTS, "es_ES", Glass(cols, rows))
    shown = view(
        message, language=language, product=product, price=amount, credit=amount, amount=amount
    )
    lines = renderer.render(shown)
    assert [len(line) for line in lines] == [cols] * rows


# --------------------------------------------------------------------------------- the files


def write(folder: Path, text: str) -> None:
    (folder / "xx.toml").write_text(text, encoding="utf-8")


def whole(**changes: str) -> str:
    phrases = "\n".join(f'{name} = "x"' for name in PHRASES)
    lines = {str(m): '["x"]' for m in Message} | changes
    messages = "\n".join(f"{name} = {value}" for name, value in lines.items())
    return f"[phrases]\n{phrases}\n[messages]\n{messages}\n"


def test_a_language_of_the_owners_own_is_read(tmp_path: Path) -> None:
    write(tmp_path, whole(welcome='["Bonjour", "a|{credit}"]'))
    assert load_texts(tmp_path, ["xx"])["xx"].messages[Message.WELCOME][0] == "Bonjour"


def test_a_language_without_a_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'machine.languages = "fr".*allowed: en, de, es'):
        load_texts(tmp_path, ["fr"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[phrases", "is no TOML"),
        ("", "messages.welcome: is missing"),
        (whole(surprise='["x"]'), "messages.surprise: is unknown"),
        (whole(welcome='"x"'), "messages.welcome: allowed: a list of texts"),
        (whole(welcome='["1", "2", "3", "4", "5"]'), "has 5 lines; allowed: 4"),
        (whole(welcome='["{colour}"]'), "{colour}: is unknown"),
        (whole(welcome='["{"]'), "messages.welcome"),
        (whole(welcome='["a|b|c"]'), "one | at most"),
        (whole().replace('pay_cash = "x"', "pay_cash = 1"), "phrases.pay_cash: allowed: a text"),
    ],
)
def test_a_wrong_file_is_refused_with_its_mistake(tmp_path: Path, text: str, said: str) -> None:
    write(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        load_texts(tmp_path, ["xx"])
    assert said in str(error.value)
