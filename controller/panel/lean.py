"""Less of the world's customs in memory: a display writes amounts, and no dates and no countries.

Of a locale babel keeps everything, some 5 MiB, where writing an amount takes a fifth. What is
read early and let go is used again by what is loaded next. Only for a process of its own: the data
are babel's, and shared.
"""

from __future__ import annotations

from typing import Any, Final

from babel import UnknownLocaleError, localedata
from babel.core import get_global

from controller.panel.render import first_amount
from controller.panel.texts import shipped_languages

# What a locale says of dates, of places and of units; all that it says of numbers and currencies
# stays.
_NO_AMOUNTS: Final = (
    "compound_unit_patterns",
    "date_fields",
    "date_formats",
    "datetime_formats",
    "datetime_skeletons",
    "day_period_rules",
    "day_periods",
    "days",
    "eras",
    "interval_formats",
    "languages",
    "list_patterns",
    "measurement_systems",
    "meta_zones",
    "months",
    "quarters",
    "scripts",
    "territories",
    "time_formats",
    "time_zones",
    "unit_display_names",
    "unit_patterns",
    "variants",
    "week_data",
    "zone_formats",
)
# The same of what is known of all countries; the rest tells locales and currencies apart.
_NO_LOCALES: Final = (
    "all_currencies",
    "meta_zones",
    "territory_currencies",
    "territory_languages",
    "territory_zones",
    "windows_zone_mapping",
    "zone_aliases",
    "zone_territories",
)


def amounts_alone(language: str, locale: str, currency: str) -> None:
    """Read what amounts in ``language`` are written with, and let the rest go.

    Args:
        language: The machine's first.
        locale: Its place, e.g. "de_DE".
        currency: Its currency, e.g. "EUR".
    """
    try:
        name = first_amount(language, locale, currency)
    except UnknownLocaleError:
        return  # whoever shows the first amount says so
    for key in _NO_LOCALES:
        _known(key).clear()
    # Which country a language is spoken in, for thousands of languages: the machine's may be
    # changed from afar, but only to one that there are texts of.
    likely, languages = _known("likely_subtags"), shipped_languages()
    for key in [key for key in likely if key.partition("_")[0] not in languages]:
        del likely[key]
    while name:
        data = localedata.load(name)
        for key in _NO_AMOUNTS:
            data.pop(key, None)
        name = _parent(name)


def _known(key: Any) -> dict[str, Any]:
    known = get_global(key)
    assert isinstance(known, dict)  # shown as a Mapping
    return known


def _parent(name: str) -> str:
    """Return the locale that this one inherits from; "" above the root."""
    if name == "root":
        return ""
    exception = get_global("parent_exceptions").get(name)
    return exception or name.rpartition("_")[0] or "root"
