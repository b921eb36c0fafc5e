"""How a simulated coin changer is built, and what can go wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from simulator.peripherals.faults import (
    PeripheralFaults,
    amount,
    counter,
    per_type,
    switch,
    whole,
)
from simulator.peripherals.layout import scaled_units

OPTION_ALTERNATIVE_PAYOUT: Final = 1 << 0
OPTION_DIAGNOSTICS: Final = 1 << 1
OPTION_MANUAL_FILL: Final = 1 << 2


class BusyStyle(StrEnum):
    """What a changer says to POLL while it pays."""

    REPORT = "report"  # 02 in each answer
    SILENCE = "silence"  # nothing, for less than the non-response time, then one 02
    NEVER = "never"  # an ACK, as if nothing ran
    LATE = "late"  # an ACK until its motor runs, 02 then


@dataclass(frozen=True, slots=True)
class CoinSpec:
    """One coin type.

    Args:
        value: Minor units; 0 with `token`, or for a type that is not used.
        capacity: Coins that fit into its tube; 0 when it has none.
        coins: Coins in the tube when the world begins.
        token: Worth one vend instead of money.
    """

    value: int = 0
    capacity: int = 0
    coins: int = 0
    token: bool = False


def _euro_coins() -> tuple[CoinSpec, ...]:
    return (
        CoinSpec(5, 80, 40),
        CoinSpec(10, 80, 40),
        CoinSpec(20, 70, 30),
        CoinSpec(50, 60, 20),
        CoinSpec(100, 60, 20),
        CoinSpec(200),
    )


@dataclass(frozen=True, slots=True)
class ChangerSettings:
    """A changer as it leaves the factory. Times are physical seconds unless said otherwise."""

    level: int = 3
    currency: int = 0x1978  # packed BCD, as sent: 1978 is EUR
    exponent: int = 2  # decimal digits of the currency's minor unit
    scaling: int = 5
    decimals: int = 2
    coins: tuple[CoinSpec, ...] = ()  # by type; () stands for the euro coins from 5 cents
    setup_values: int = 16  # coin values sent in SETUP, fewer when the rest are unused
    options: int = OPTION_ALTERNATIVE_PAYOUT | OPTION_DIAGNOSTICS | OPTION_MANUAL_FILL
    manufacturer: str = "XYZ"
    serial: str = "A00000004711"
    model: str = "CHG-4"
    software: int = 0x0123  # packed BCD
    busy: BusyStyle = BusyStyle.REPORT
    transport_s: float = 0.30  # from the slot to the gate
    gap_s: float = 0.25  # at the gate, between coins; it tells no closer ones apart; bus time
    payout_s: float = 0.15  # for each coin
    late_s: float = 0.5  # from the command to the motor, where it tells busy late
    pays_first: tuple[int, ...] = ()  # order of types in a payout; (): the highest first
    detects_empty: bool = True  # sees that no coin left the tube
    full_without_tube: int = 0  # bits of the full mask set for types that have no tube
    reports_slugs: bool = True
    reports_rejects: bool = False
    lever_repeats: bool = False
    response_s: float = 0.0015  # bus time
    boot_s: float = 0.1

    def coin_table(self) -> tuple[CoinSpec, ...]:
        """Return the coin types, 16 at most."""
        return self.coins or _euro_coins()

    def scaled(self, coin: CoinSpec) -> int:
        """Return a coin's value byte.

        Raises:
            ValueError: The value is no whole number of scaling factors.
        """
        if coin.token:
            return 0xFF
        return scaled_units(coin.value, self.scaling, self.decimals - self.exponent, largest=0xFE)


@dataclass(slots=True)
class ChangerFaults(PeripheralFaults):
    """What can go wrong with a changer."""

    jam_after: int = whole("a payout jams after N more coins (07), its tube is defective then")
    reset_after: int = whole("a payout ends in a self-reset after N more coins")
    short_by: int = whole("the next payout stops N coins early", 0)
    extra_coins: int = whole("the next payout drops N coins too many", 0)
    stall: bool = switch("payouts never end, until RESET")
    value_poll_stuck: bool = switch("PAYOUT VALUE POLL answers 02 for ever")
    count_error: dict[int, int] = field(
        default_factory=dict, metadata=per_type("told tube count less true count")
    )
    status_error: dict[int, int] = field(
        default_factory=dict, metadata=per_type("PAYOUT STATUS less coins really paid")
    )
    defective: dict[int, int] = field(
        default_factory=dict, metadata=per_type("tubes whose sensor is defective (1)")
    )
    acceptor_unplugged: bool = switch("the acceptor is unplugged (06)")
    coin_jam: bool = switch("the next coin jams in the acceptance path (0C), until cleared")
    misroutes: int = counter("the next N coins for a tube fall into the cash box (09)")
    lost_credits: int = counter("the next N coins are lost before the credit point (03)")
    double_arrivals: int = counter("the next N coins come too close together (05)")
    busy_s: float = amount("reports 0A for so many seconds after each payout command")
    diagnostic: int = whole("stands in the extended diagnostics: main code × 256 + sub code", 0)
    rom_error: bool = switch("reports a ROM checksum error (08) after each reset")
