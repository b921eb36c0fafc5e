"""Amounts are written as before when all else that a locale knows is let go."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[4]
WRITES = """
import json, sys
from controller.panel.render import Renderer
from controller.panel.texts import load_shipped
from controller.panel.lean import amounts_alone
language, locale, lean = sys.argv[1:]
if lean: amounts_alone(language, locale, "EUR")
texts = load_shipped(("en", "de", "es"))
print(json.dumps([
    Renderer(texts, place, None).money(amount, currency, each)
    for place in (locale, "de_CH", "en_GB", "es_MX", "en_IN", "de")
    for each in ("en", "de", "es")
    for currency in ("EUR", "CHF", "GBP", "USD", "JPY", "KWD", "XTS")
    for amount in (0, 5, 150, -120, 123456789)
]))
"""


def written(*words: str) -> Any:
    # In processes of their own: the data that are let go are this one's, too.
    done = subprocess.run(
        [sys.executable, "-c", WRITES, *words],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


@pytest.mark.parametrize(("language", "locale"), [("en", "en_IE"), ("de", "de_DE"), ("es", "es")])
def test_amounts_are_written_as_with_everything(language: str, locale: str) -> None:
    assert written(language, locale, "lean") == written(language, locale, "")


def test_a_language_that_nobody_knows_is_left_to_whoever_shows_it() -> None:
    check = "from controller.panel.lean import amounts_alone; amounts_alone('xx', 'xx_XX', 'EUR')"
    subprocess.run([sys.executable, "-c", check], cwd=ROOT, timeout=60, check=True)
