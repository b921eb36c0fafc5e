"""How many coins an acceptor ever took: by its own counter, and as far as its events have told.

Its events are lost with its power, and behind five others. Its accept counter (header 225) outlives
both where it keeps one, and then says how many coins nobody has heard of; not what they are worth.

Pure. Source: ccTalk Generic Specification 4.7, part 2.
"""

from __future__ import annotations

from typing import Final

from drivers.cctalk.events import BUFFER_EVENTS, News

COUNT_STEPS: Final = 1 << 24
"""Different values of an accept counter."""
UNREAD: Final = "coins taken before the acceptor's power went, and not read"
"""The flag of coins whose number its accept counter tells, and nothing their value."""
UNPRICED: Final = "coins taken of positions whose value nobody knows"
"""The flag of coins that an acceptor credits though it was never told to take them."""
LOST: Final = "coins that the acceptor took, and has no event of any more"
"""The flag of coins whose events others have pushed out of its buffer, unread."""


class CoinCount:
    """The account of one acceptor.

    Attributes:
        accepted: Coins it ever took up to the buffer last seen; None: not known, or it keeps none.
    """

    def __init__(self) -> None:
        """Nothing is known yet."""
        self.accepted: int | None = None

    def told(self, coins: int) -> None:
        """Its events have told of so many more."""
        if self.accepted is not None:
            self.accepted = (self.accepted + coins) % COUNT_STEPS

    def untold(self, counted: int | None, news: News) -> int:
        """Take what its counter says behind a gap; of how many coins no event tells any more.

        One that says less, or many more, keeps none: then every lost event may be a coin.
        """
        believed, self.accepted = self.accepted, counted
        if believed is None or counted is None:
            return news.lost
        coins = (counted - believed) % COUNT_STEPS
        return coins if coins <= max(BUFFER_EVENTS, news.lost) else news.lost
