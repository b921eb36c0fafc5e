"""A key of a machine's file that nobody reads would be a promise that nobody keeps."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

import cloud.link
import config
import controller
import drivers
from config import climate, machine, models
from config.models import Section
from controller.api import views
from controller.api.service import Live
from controller.state.state import State
from tests.scenarios.stage import SETTINGS

SECTIONS = sorted(
    {
        found
        for module in (models, climate, machine)
        for found in vars(module).values()
        if inspect.isclass(found) and issubclass(found, Section) and found is not Section
    },
    key=lambda section: section.__name__,
)
# What variables that hold a section are called where that is not its own name in small letters,
# nor a key's.
CALLED: dict[str, tuple[str, ...]] = {
    "Cashless": ("reader",),
    "CcTalkAcceptor": ("changer",),
    "Column": ("c",),
    "Display": ("shape",),
    "DropSensor": ("shape",),  # drivers know a section by the fields that they read
    "Health": ("rule",),
    "MatrixKeypad": ("shape",),
    "Product": ("p",),
    "Pulse": ("changer",),
    "Thermometer": ("shape", "t"),
}
# Whoever checks or explains a file reads its keys for their own sake.
ONLY_CHECKS = ("models.py", "contradictions.py", "climate_checks.py", "explain.py", "remote.py")


def sources(*packages: ModuleType) -> str:
    return "\n".join(
        file.read_text(encoding="utf-8")
        for package in packages
        for file in sorted(Path(package.__path__[0]).rglob("*.py"))
        if package is not config or file.name not in ONLY_CHECKS
    )


CODE = sources(controller, drivers, cloud.link, config)
SECTIONS_CODE = sources(config)  # where "self" is a section


def names_of(section: type[Section]) -> set[str]:
    """Return what a variable of this section may be called: its class, its keys, their singular."""
    own = re.sub(r"(?<!^)(?=[A-Z])", "_", section.__name__).lower()
    names = {own, *CALLED.get(section.__name__, ())}
    for other in SECTIONS:
        for key, field in other.model_fields.items():
            if re.search(rf"\b{section.__name__}\b", str(field.annotation)):
                names |= {key, key.removesuffix("s")}
    return names


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_key_is_read_by_somebody(section: type[Section]) -> None:
    names = "|".join(sorted(names_of(section)))
    unread = [
        key
        for key in section.model_fields
        if key != "kind"  # which section it is: read when the file is
        and not re.search(rf"\b(?:{names}|settings)\.{key}\b", CODE)
        and not re.search(rf"\bself\.{key}\b", SECTIONS_CODE)
    ]
    assert unread == []


def test_what_an_owner_calls_a_reader_is_shown() -> None:
    live = Live(
        mode="idle", promise="", software="", up_s=0.0, exact_change_only=False,
        devices={"cashless1": "ready"}, titles=SETTINGS.titles(),
    )  # fmt: skip
    (reader,) = views.devices(State(currency="EUR"), live)
    assert (reader["name"], reader["title"]) == ("cashless1", SETTINGS.mdb.cashless1.name)
