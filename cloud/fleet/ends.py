"""What ends some day: certificates and the signing key. An alert comes before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from pydantic import ValidationError
from sqlalchemy import func, select

from cloud.contract.journal import to_ms
from cloud.contract.messages import MessageError, SignedKey, read
from cloud.contract.signing import KeyBody
from cloud.fleet import alerts
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.home import Home

EVERY_S: Final = 3_600.0  # between two looks
_DAY_MS: Final = 24 * 3_600_000
OWN_MS: Final = 30 * _DAY_MS  # somebody has to do something: a month for it
MACHINE_MS: Final = 200 * _DAY_MS  # it should have renewed itself two months ago
SERVER: Final = 0  # whose alerts the server's own are; no machine has this number
_OWN: Final = "ends."
CERTIFICATES: Final = ("ca", "broker", "door", "server")


@dataclass(frozen=True, slots=True)
class End:
    """Something that ends."""

    name: str
    at_ms: int
    remedy: str


def ends(home: Home, keys: Path) -> list[End]:
    """Return when the server's own certificates and keys end; what can't be read has ended.

    Of several keys that may do the same the newest counts.
    """
    found = []
    for name in CERTIFICATES:
        path = home.tls / f"{name}.pem"
        if not path.exists():
            continue  # one without a door needs none
        try:
            at = to_ms(x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc)
        except (OSError, ValueError):
            at = 0
        remedy = "`vendcloud certificates --renew`" if name != "ca" else "a new fleet"
        found.append(End(f"tls/{name}.pem", at, remedy))
    newest: dict[object, End] = {}
    for path in sorted(keys.glob("*.signed")):
        name, remedy = f"keys/{path.name}", "`vendcloud key add`"
        try:
            signed = SignedKey.model_validate_json(path.read_bytes())
            body = read(KeyBody, signed.body)
        except (OSError, ValidationError, MessageError):
            newest[path] = End(name, 0, remedy)
            continue
        may = body.tenant, frozenset(body.roles)
        if may not in newest or newest[may].at_ms < body.not_after:
            newest[may] = End(name, body.not_after, remedy)
    return [*found, *newest.values()]


async def look(database: FleetDatabase, home: Home, keys: Path, now_ms: int) -> None:
    """Raise an alert for what ends soon, and close those that have healed."""
    soon: dict[tuple[int, str], str] = {}
    for end in ends(home, keys):
        if end.at_ms - now_ms < OWN_MS:
            detail = f"{end.name} ends on {_day(end.at_ms)}: {end.remedy}"
            soon[SERVER, f"{_OWN}{end.name}"[:128]] = detail
    newest = func.max(t.certificate.c.not_after_ms)
    async with database.writing() as connection:
        rows = await connection.execute(
            select(t.certificate.c.machine_id, newest.label("at_ms"))
            .where(t.certificate.c.revoked_ms.is_(None))
            .group_by(t.certificate.c.machine_id)
            .having(newest < now_ms + MACHINE_MS)
        )
        for row in rows:
            detail = f"its certificate ends on {_day(row.at_ms)} and was not renewed"
            soon[row.machine_id, alerts.CERTIFICATE] = detail
        told = await connection.execute(
            select(t.alert.c.machine_id, t.alert.c.cause).where(
                t.alert.c.closed_ms.is_(None),
                (t.alert.c.cause == alerts.CERTIFICATE) | (t.alert.c.machine_id == SERVER),
            )
        )
        for row in told.all():
            if (row.machine_id, row.cause) not in soon:
                await alerts.close_alert(connection, row.machine_id, row.cause, now_ms)
        for (machine_id, cause), detail in soon.items():
            await alerts.raise_alert(database, connection, machine_id, cause, detail, now_ms)


def _day(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d}"
