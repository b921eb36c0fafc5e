"""A coin acceptor on the line: what it knows, what it has heard, what it may take.

Part of `changer`; tells it what is new and leaves money to it.

Source: ccTalk Generic Specification 4.7, parts 2 and 3 (coin acceptors).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from controller.faults import FaultCode
from controller.money import exponent
from controller.ports import CoinKind
from drivers.cctalk.addresses import Category
from drivers.cctalk.bus import TRIES, CcTalkBus, Peer
from drivers.cctalk.coin_codec import MASTER_ON, OPTION_CVF, CoinCredit, decode_coin_event
from drivers.cctalk.coin_count import COUNT_STEPS
from drivers.cctalk.coin_words import INHIBITED_FIRST, INHIBITED_LAST
from drivers.cctalk.countries import currency_of
from drivers.cctalk.events import EventBuffer, News, decode_events, news_between
from drivers.cctalk.fields import mask_of
from drivers.cctalk.frames import CcTalkError, Checksum
from drivers.cctalk.headers import Header
from drivers.cctalk.money_ids import MoneyId, coin_minor, decode_coin_id
from drivers.cctalk.unit import Silent, Unit

_PATHS: Final = range(1, 9)
"""Of a sorter."""
POSITIONS: Final = 16
"""Coin positions we use; a larger acceptor's others stay inhibited."""

MASK_BYTES: Final = 2
COUNT_BYTES: Final = 3
HIGH_BYTE_FIRST: Final = "ALB"
"""Makers whose counters begin with the high byte, against the specification (Alberici's manuals of
the AL55 and AL66)."""
RECOUNTS: Final = 3
"""Looks at the accept counter between two reads that tell of no new coin, before giving up."""
POLL_S: Final = 0.2
"""Between two reads of the credit buffer, as advised; after 1 s the acceptor takes no coins."""

REMIND_S: Final = 30.0
"""Between two repetitions of what it may take: a reset between two empty buffers is invisible, and
the device may have lost its inhibits with it."""

_JAMS: Final = frozenset({4, 5, 6, 14, 15, 26, 30, 32})
"""Error codes that speak of a blocked path; a coin that passes clears them."""
_ODD_COINS: Final = frozenset({16, 17, 18, 19, 20, 23, 36, 39, 40})
"""Coins that were tampered with, or swallowed without credit."""
RETURN_LEVER: Final = 254
"""Error code: the customer opened the coin return."""


@dataclass(frozen=True, slots=True)
class AcceptorPlan:
    """What the configuration says of a coin acceptor.

    Args:
        address: Usually 2.
        checksum: Coin acceptors usually use the sum.
        main_unit: The values of its coin ids count the main unit (EU002 is 2.00), not cents.
    """

    address: int = 2
    checksum: Checksum = Checksum.SUM
    main_unit: bool = False


@dataclass(frozen=True, slots=True)
class Coins:
    """What the new events of a read came to, in the order they happened."""

    credits: tuple[CoinCredit, ...] = ()
    levers: int = 0
    errors: tuple[int, ...] = ()


class Acceptor(Unit):
    """Drives one coin acceptor.

    Args:
        bus: Its line.
        plan: What the configuration says.
        currency: The machine's, ISO 4217 letters.
    """

    def __init__(self, bus: CcTalkBus, plan: AcceptorPlan, currency: str) -> None:
        super().__init__(bus, Peer(plan.address, plan.checksum), "acceptor")
        self.plan = plan
        self.alive = False
        self.applied: frozenset[int] | None = None
        """The coin types that it has agreed to take; None when that is not known."""
        self.applied_at = float("-inf")
        self.misses = 0
        """Reads in a row that brought nothing."""
        self.looked_at = float("-inf")
        """When it was last looked for, while it is away."""
        self.unusable: dict[int, str] = {}
        """Positions that can't be used, and why."""
        self._currency = currency
        self._routes: dict[int, int] = {}
        self._knows_master = True
        self.sorted: tuple[Mapping[int, int], frozenset[int]] | None = None
        """How it was told to sort; None when that is not known."""
        self._sorts = True
        self._overrides = True
        self._overridden: frozenset[int] | None = None
        self._default: int | None = None

    async def buffer(self) -> EventBuffer:
        """Read the credit buffer. Raises Silent or LinkError."""
        return await self.read(Header.READ_BUFFERED_CREDIT, decode_events)

    async def accepted_ever(self) -> int | None:
        """Ask how many coins it ever took; None when it does not say. Raises LinkError."""
        reply = await self.try_ask(Header.REQUEST_ACCEPT_COUNTER)
        if reply is None or len(reply.data) != COUNT_BYTES:
            return None
        high_first = self.identity.manufacturer.upper().startswith(HIGH_BYTE_FIRST)
        return int.from_bytes(reply.data, "big" if high_first else "little")

    async def accepted_until(self, buffer: EventBuffer) -> int | None:
        """Ask how many coins it had ever taken when it answered with this buffer.

        Coins that it takes meanwhile are left out. None when it does not say, or coins come so
        fast that nobody can tell. Raises Silent or LinkError.
        """
        seen, since = buffer, 0
        for _ in range(RECOUNTS):
            accepted = await self.accepted_ever()
            if accepted is None:
                return None
            now = await self.buffer()
            news = news_between(seen, now)
            if news.lost or news.reset:
                return None
            came = sum(isinstance(decode_coin_event(pair), CoinCredit) for pair in news.events)
            if not came:
                return (accepted - since) % COUNT_STEPS
            seen, since = now, since + came
        return None

    async def learn(self, taken: frozenset[int]) -> tuple[CoinKind, ...]:
        """Ask what each position is worth; reads only.

        Args:
            taken: Coin types that hoppers have.

        Returns:
            A kind for each usable position; position n is type n - 1.

        Raises:
            Silent: It does not say what it is.
            LinkError: The line is down.
            DeviceFault: It is no coin acceptor.
        """
        await self.identify(Category.COIN_ACCEPTOR)
        flags = await self.lasting(Header.REQUEST_OPTION_FLAGS)
        if flags and flags[0] & OPTION_CVF:
            raise Silent("the acceptor's credit codes are values (CVF), not positions")
        kinds = []
        self.unusable = {}
        for position in range(1, POSITIONS + 1):
            kind = await self._kind(position, taken)
            if kind is not None:
                kinds.append(kind)
        return tuple(kinds)

    async def _kind(self, position: int, taken: frozenset[int]) -> CoinKind | None:
        told = await self.lasting(Header.REQUEST_COIN_ID, bytes((position,)))
        if not told:
            return None  # it has fewer positions
        try:
            coin = decode_coin_id(told)
            if coin.is_empty:
                return None
            value = self._value(coin)
        except CcTalkError as wrong:
            self.unusable[position] = wrong.message
            return None
        if position - 1 in taken:
            self.unusable[position] = "its number is a hopper's"
            return None
        if value is None:
            self.unusable[position] = f"{coin.words}: not {self._currency}"
            return None
        return CoinKind(position - 1, value, in_tube=False, token=coin.is_token)

    def _value(self, coin: MoneyId) -> int | None:
        if coin.is_token:
            return 0
        if coin.value is None or currency_of(coin.country) != self._currency:
            return None
        # a fraction can only count the main unit
        main = self.plan.main_unit or coin.value != coin.value.to_integral_value()
        return coin_minor(coin.value, 10 ** exponent(self._currency) if main else 1)

    async def apply(self, types: frozenset[int], now: float) -> bool:
        """Enable exactly these coin types; whether it was taken. Raises LinkError."""
        mask = mask_of((kind + 1 for kind in types), MASK_BYTES)
        if not await self.tell(Header.MODIFY_INHIBIT_STATUS, mask):
            self.applied = None
            return False
        if self._knows_master or now >= self.applied_at + REMIND_S:
            # some know no master inhibit and stay silent: the mask alone decides there
            tries = TRIES if self._knows_master else 1
            on = bytes((MASTER_ON,))
            self._knows_master = await self.tell(Header.MODIFY_MASTER_INHIBIT, on, tries)
        self.applied, self.applied_at = types, now
        return True

    async def sort(self, routes: Mapping[int, int], full: frozenset[int]) -> None:
        """Send each position's coins to its path, and past it while that is full.

        Raises LinkError.
        """
        self.sorted = routes, full
        await self._route(routes)
        if routes and not await self._override(full):
            past = await self._past()
            await self._route({at: past for at, path in routes.items() if past and path in full})

    async def _route(self, routes: Mapping[int, int]) -> None:
        """One without a sorter is silent, and not asked again: a coin's event tells where it went.

        Raises LinkError.
        """
        for position, path in routes.items():
            if self._routes.get(position) != path and self._sorts:
                order = bytes((position, path))
                self._sorts = await self.try_ask(Header.MODIFY_SORTER_PATHS, order) is not None
                self._routes[position] = path

    async def _override(self, full: frozenset[int]) -> bool:
        """Have what is sorted into these paths go to the default one; whether it knows how."""
        if self._overridden != full and self._overrides and self._sorts:
            mask = mask_of((path for path in _PATHS if path not in full), 1)
            self._overrides = await self.tell(Header.MODIFY_SORTER_OVERRIDE, mask)
            self._overridden = full
        return self._overrides

    async def _past(self) -> int:
        """Ask for the default path; 0 where that is not told."""
        if self._default is None:
            reply = await self.try_ask(Header.REQUEST_DEFAULT_SORTER_PATH)
            self._default = reply.data[0] if reply is not None and reply.data else 0
        return self._default

    def forget(self) -> None:
        """It was reset: what it was told is lost."""
        self.applied = None
        self._routes.clear()
        self.sorted, self._default = None, None
        self._overridden = None
        self._knows_master = self._sorts = self._overrides = True

    def hear(self, news: News) -> Coins:
        """Sort new events; notes what is odd."""
        credits_: list[CoinCredit] = []
        errors: list[int] = []
        levers = 0
        for pair in news.events:
            event = decode_coin_event(pair)
            if isinstance(event, CoinCredit):
                credits_.append(event)
            elif event.code == RETURN_LEVER:
                levers += 1
            elif event.code:
                errors.append(event.code)
                self.oddities.note(event.words)
                if event.code == 2 or INHIBITED_FIRST <= event.code <= INHIBITED_LAST:
                    self.applied = None  # perhaps it lost its inhibits: tell them again
        return Coins(tuple(credits_), levers, tuple(errors))


def fault_of(code: int) -> FaultCode | None:
    """The fault that an error code stands for, if any."""
    if code in _JAMS:
        return FaultCode.CHANGER_COIN_JAM
    return FaultCode.CHANGER_COIN_REMOVED if code in _ODD_COINS else None
