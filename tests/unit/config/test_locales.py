"""Locales: what is known without loading it is what amounts can be written in."""

from __future__ import annotations

import subprocess
import sys

import pytest
from babel import Locale, localedata

from config.locales import is_known


def test_each_language_and_territory_that_amounts_can_be_written_in_is_known() -> None:
    for name in localedata.locale_identifiers():
        known = Locale.parse(name)
        if len(known.language) == 2:
            assert is_known(known.language)
            if known.territory and known.territory.isalpha():
                assert is_known(f"{known.language}_{known.territory}")


@pytest.mark.parametrize("locale", ["zh_CN", "en_PE", "sr_RS"])
def test_a_language_need_not_be_spoken_in_its_territory(locale: str) -> None:
    assert is_known(locale)


@pytest.mark.parametrize("locale", ["xx", "xx_YY", "xx_DE", "de_YY", "de_ZZ"])
def test_what_nobody_speaks_and_nobody_lives_in_is_not_known(locale: str) -> None:
    assert not is_known(locale)


def test_to_look_loads_nothing_of_it() -> None:
    look = "import sys; from config.locales import is_known; is_known('de_DE')"
    said = subprocess.check_output(
        [sys.executable, "-c", f"{look}; print('babel' in sys.modules)"], text=True
    )
    assert said.strip() == "False"
