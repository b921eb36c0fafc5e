"""The customer reads another of the machine's languages, until they are done."""

from __future__ import annotations

from typing import Final

from controller.machine.desk import Desk
from controller.machine.effects import Wake
from controller.machine.table import Mode

KEPT_S: Final = 60.0  # behind the last key of somebody who does not buy
LOOK_S: Final = 8.0  # behind a sale, once its last words were read; and between two looks


def another(desk: Desk) -> None:
    """Its key was pressed: show the next one."""
    desk.live.keyed = ""
    desk.live.language = _next(desk)
    desk.do(Wake("language", KEPT_S))


def stays(desk: Desk) -> None:
    """The customer is still there."""
    if desk.live.language:
        desk.do(Wake("language", KEPT_S))


def done(desk: Desk) -> None:
    """A sale has ended: the next customer reads the first language."""
    if desk.live.language:
        desk.do(Wake("language", LOOK_S))


def look(desk: Desk) -> None:
    """Go back to the first language, unless somebody still stands there."""
    live = desk.live
    told = live.notice is not None and live.notice.until_s > desk.now
    busy = desk.mode is not Mode.IDLE or live.keyed or live.code is not None or live.basket.items
    if told or busy:
        desk.do(Wake("language", LOOK_S))
    else:
        live.language = ""


def shown(desk: Desk) -> str:
    """Return what the customer wants, else what their card says; "": the machine's first."""
    return desk.live.language or desk.live.session_language


def offered(desk: Desk) -> tuple[str, str]:
    """Return the key and the language that it leads to; two empty ones where there is none."""
    return (desk.policy.language_key, _next(desk)) if desk.policy.language_key else ("", "")


def _next(desk: Desk) -> str:
    languages = desk.policy.languages
    now = shown(desk)
    at = languages.index(now) if now in languages else 0
    return languages[(at + 1) % len(languages)]
