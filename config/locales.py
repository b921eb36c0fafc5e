"""Which places' ways to write amounts there are, without loading any of them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def is_known(locale: str) -> bool:
    """Tell whether both the language and the territory of a locale (e.g. "de_AT") are known.

    Not whether the two go together: the panel's languages each take the territory alone, and
    where CLDR has nothing of a pair ("en" in Peru, say) the language's own way is shown. The data
    are only looked for: babel itself would cost whoever checks a file some MiB, the guard too.
    """
    language, _, territory = locale.partition("_")
    folder = _folder()
    return (folder / f"{language}.dat").is_file() and (
        not territory or any(folder.glob(f"*_{territory}.dat"))
    )


def _folder() -> Path:
    found = find_spec("babel")
    assert found is not None  # vendd is not installed without it
    assert found.submodule_search_locations is not None
    return Path(found.submodule_search_locations[0]) / "locale-data"
