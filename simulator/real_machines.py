"""The machines on which a real vendd is killed at each call, and the scenes of each.

Every way to pay has one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from controller.domain import accounts as acc
from simulator import real_scenes as scenes
from simulator.real_scenes import Scene
from simulator.rig import Rig
from simulator.truth import CASHBOX

HOPPER: Final = 500  # coins, as many as it holds: what is paid out of it is not put back

RECYCLES: Final = {
    "accept = [500, 1_000, 2_000]": "recycle = [500]\naccept = [500, 1_000, 2_000]",
    "[policy]": "[policy]\nbasket = true",
}
TOKENS: Final = {"[policy]": '[tokens]\nproducts = ["water"]\n\n[policy]'}
CCTALK: Final = {
    "[mdb.changer]\nenabled = true": "[mdb.changer]\nenabled = false",
    "[mdb.bill]\nenabled = true": "[mdb.bill]\nenabled = false",
    "[policy]": f"""[cctalk]
port = "cctalk"

[cctalk.acceptor]
accept = [10, 20, 50, 100, 200]

[[cctalk.hoppers]]
address = 3
value = 10
content = {HOPPER}

[cctalk.bill]

[policy]""",
}
# The simulator plays an acceptor's pulses by that device's own clock, but on a busy computer vendd
# may hear of them late: the gap is wide, so that none of a coin's is taken for the next coin's.
PULSED: Final = {
    "[mdb.changer]\nenabled = true": "[mdb.changer]\nenabled = false",
    "[policy]": f"""[pulse]
pin = "^!{scenes.PULSES}"
enable = 25
coins = {{ 1 = 50, 2 = 100, 4 = 200 }}
gap_ms = 1_000

[policy]""",
}


async def books_agree(rig: Rig) -> list[str]:
    """Return where ledger and truth differ."""
    return (await rig.reckoning()).differences


async def rights_agree(rig: Rig) -> list[str]:
    """Return what is wrong where not only money pays: nothing is held, apps owe what was bought."""
    ledger = await rig.api.call("ledger.show")
    balance = {row["account"]: row["debit"] - row["credit"] for row in ledger["accounts"]}
    pieces = {row["account"]: row["pieces"] for row in ledger["tokens"]}
    found = []
    if balance[acc.HELD_APP] or pieces[acc.TOKENS_HELD]:
        found.append(f"held: {balance[acc.HELD_APP]}, {pieces[acc.TOKENS_HELD]} tokens")
    waiting = sum(right["amount"] for right in (await rig.api.call("credit.show"))["rights"])
    if balance[acc.APP_RECEIVABLE] != waiting - balance[acc.REVENUE_APP]:
        found.append(f"an app owes {balance[acc.APP_RECEIVABLE]}, and {waiting} waits")
    reckoning = await rig.reckoning()
    found += [f"{line.name}: {line}" for line in reckoning.lines[:4] if not line.equal]
    found += [
        f"column {name}: {believed} believed, {there} are there"
        for name, (believed, there) in reckoning.stock.items()
        if believed != there
    ]
    return found


async def pulses_agree(rig: Rig) -> list[str]:
    """Return where ledger and truth differ, coins aside that were told to a vendd that died.

    Each of those is missing whole, and no part of it is another coin.
    """
    pulsed = rig.pulsed
    while records := (await rig.api.call("journal.records", after=pulsed.last))["records"]:
        pulsed.read(records)
    lost, problems = pulsed.judge((await rig.sim.truth()).places.get(CASHBOX, {}))
    rig.fell_unheard(lost)
    return problems + (await rig.reckoning()).differences


async def empty_tubes(rig: Rig) -> None:
    """Nobody has filled the tubes yet."""
    before = (await rig.sim.truth()).totals.tubes
    await rig.sim.empty_tubes()
    rig.staff_moved(-before)


@dataclass(frozen=True, slots=True)
class Killed:
    """One machine.

    Args:
        scenes: What is played on it.
        edits: What its file says else than the demo's.
        before: What happens before the first start.
        agree: Tells where books and truth differ, when nothing moves.
        filled: Its tubes are filled up between the scenes.
    """

    scenes: Mapping[str, Scene]
    edits: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[Rig], Awaitable[None]] | None = None
    agree: Callable[[Rig], Awaitable[list[str]]] = books_agree
    filled: bool = True


MACHINES: Final[Mapping[str, Killed]] = {
    "money": Killed(
        {
            "coins, with change": scenes.cash_with_change,
            "bill": scenes.bill,
            "card": scenes.card,
            "coins, motor jams": scenes.jam,
            "card, motor jams": scenes.jammed_card,
            "coins, changed mind": scenes.changed_mind,
            "coins and card": scenes.coins_and_card,
        }
    ),
    "recycler": Killed(
        {"bill out again": scenes.bill_out_again, "basket, one jams": scenes.basket}, RECYCLES
    ),
    "rights": Killed(
        {"token": scenes.token, "app credit": scenes.app_credit}, TOKENS, agree=rights_agree
    ),
    "claims": Killed({"claim keyed in": scenes.claim_keyed_in}, before=empty_tubes, filled=False),
    "pulses": Killed(
        {
            "pulsed coins": scenes.pulsed_coins,
            "pulsed coin, motor jams": scenes.pulsed_jam,
            "a coin pulses while one is spent": scenes.pulsed_meanwhile,
        },
        PULSED,
        agree=pulses_agree,
        filled=False,
    ),
    "line": Killed({"ccTalk, hopper pays": scenes.coin_and_hopper}, CCTALK, filled=False),
}
