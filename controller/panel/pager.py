"""Turns the pages of what the customer reads, as time goes by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from controller.panel.layout import Page

_NOW_S: Final = 0.01  # less than that is no time to read


class Pager:
    """Shows pages in turn, on the running loop.

    Args:
        show: Puts lines onto the display.
    """

    def __init__(self, show: Callable[[tuple[str, ...]], None]) -> None:
        self._show = show
        self._pages: tuple[Page, ...] = ()
        self._at = 0
        self._read_at_s = 0.0  # of the loop: when each page was there once
        self._timer: asyncio.TimerHandle | None = None

    def tell(self, pages: tuple[Page, ...]) -> None:
        """Show these from now on, the first one first."""
        self.stop()
        self._pages, self._at = pages, 0
        self._show(pages[0].lines)
        if len(pages) > 1:
            loop = asyncio.get_running_loop()
            self._read_at_s = loop.time() + sum(page.seconds for page in pages)
            self._timer = loop.call_later(pages[0].seconds, self._turn)

    def unread_s(self) -> float:
        """Return in how many seconds each page was there once; 0 when each was."""
        if self._timer is None:
            return 0.0
        left = self._read_at_s - asyncio.get_running_loop().time()
        return left if left > _NOW_S else 0.0

    def stop(self) -> None:
        """Leave the page that is shown."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _turn(self) -> None:
        self._at = (self._at + 1) % len(self._pages)
        page = self._pages[self._at]
        self._show(page.lines)
        self._timer = asyncio.get_running_loop().call_later(page.seconds, self._turn)
