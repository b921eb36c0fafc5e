"""What a customer reads at the moments that are easily told wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from re import findall

import pytest

import controller
from controller.clock import SystemClock
from controller.journal.sqlite_aio import DirectoryStorage
from controller.panel.view import Message
from simulator.shop import Shop


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    made = await Shop.open(DirectoryStorage(tmp_path), SystemClock())
    yield made
    await made.stop()


def words(shop: Shop) -> list[str]:
    return [" ".join(" ".join(lines).split()) for lines in shop.hardware.panel.shown]


async def test_nobody_is_sorry_about_money_that_was_asked_back(shop: Shop) -> None:
    await shop.coins(100, 20)
    await shop.keys("*")
    said = words(shop)
    assert any("Money back €1.20" in text for text in said)
    assert not any("Sorry" in text for text in said)


def test_every_message_is_told_by_somebody() -> None:
    folder = Path(controller.__path__[0])
    told: set[str] = set()
    for file in folder.rglob("*.py"):
        if file.parent.name != "panel":
            told.update(findall(r"Message\.([A-Z_]+)", file.read_text(encoding="utf-8")))
    assert told == set(Message.__members__)
