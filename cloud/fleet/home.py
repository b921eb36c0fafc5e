"""The server's folder: what is kept where, and who may read it.

fleet.toml              configuration
fleet.db                the database, unless configuration names another
tls/ca.pem ca-key.pem   the fleet's own authority for certificates
tls/broker.pem -key     the broker's certificate
tls/door.pem -key       the HTTPS door's
tls/server.pem -key     this server's, as a client of the broker
tls/machines/<tenant>/<machine>.pem -key
keys/root.key           signs operational keys; belongs on a medium in a safe
keys/<kid>.key .signed  an operational key, and the root key's word for it
broker/mosquitto.conf acl
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from cloud.contract.topics import Address
from cloud.files import write_whole
from config.fleet import ConfigError, FleetSettings


@dataclass(frozen=True, slots=True)
class Home:
    """One server's folder."""

    folder: Path

    @property
    def config(self) -> Path:
        """Return the configuration's file."""
        return self.folder / "fleet.toml"

    @property
    def tls(self) -> Path:
        """Return the folder of certificates."""
        return self.folder / "tls"

    @property
    def keys(self) -> Path:
        """Return the folder of signing keys."""
        return self.folder / "keys"

    @property
    def broker(self) -> Path:
        """Return the folder of the broker's files."""
        return self.folder / "broker"

    def machine_files(self, address: Address) -> tuple[Path, Path]:
        """Return a machine's certificate and private key."""
        folder = self.tls / "machines" / address.tenant
        return folder / f"{address.machine}.pem", folder / f"{address.machine}-key.pem"

    def database_url(self, settings: FleetSettings) -> str:
        """Return the database's address, a password in it too: for the driver alone.

        A relative file lies in this folder.

        Raises:
            ConfigError: It is no address.
        """
        return self._database(settings).render_as_string(hide_password=False)

    def database_words(self, settings: FleetSettings) -> str:
        """Return the database's address as people may read it.

        Raises:
            ConfigError: It is no address.
        """
        url = self._database(settings)
        return url.difference_update_query(["password", "sslpassword"]).render_as_string()

    def database_file(self, settings: FleetSettings) -> Path | None:
        """Return the file of SQLite; None for a server's database."""
        url = self._database(settings)
        if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
            return None
        return Path(str(url.database))

    def _database(self, settings: FleetSettings) -> URL:
        try:
            url = make_url(settings.database.url)
        except (ArgumentError, ValueError):
            # Without its cause, whose words may hold the password.
            raise ConfigError(f"{self.config}: database.url: is no address") from None
        if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
            url = url.set(database=str(self.folder / url.database))
        return url


def write_private(path: Path, content: bytes) -> None:
    """Write a file that its owner alone may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content, 0o600)


def write_public(path: Path, content: bytes) -> None:
    """Write a file that everybody may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content, 0o644)
