"""The machine's next certificate, after a third of the present one's life.

A new key is made and kept, then its certificate is asked for over HTTPS, with the present
certificate, ended or not. What comes is kept beside the present one, shown to the fleet once, and
taken when the fleet has let us in with it. Killed in between, it goes on where the files say.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog

from cloud.contract import https
from cloud.contract.messages import MessageError, read
from cloud.contract.topics import Address
from cloud.link import trust
from cloud.link.credentials import Credentials
from cloud.link.transport import LinkLostError, LinkRefusedError
from controller.clock import Clock

if TYPE_CHECKING:
    from cloud.link.transport_https import HttpsTransport

log = structlog.get_logger("link")

EVERY_S: Final = 6 * 3_600.0
AGAIN_S: Final = 900.0  # after an attempt that failed, doubled each time up to the above

Reach = Callable[[Callable[[], ssl.SSLContext]], Awaitable["HttpsTransport"]]


class Renewal:
    """Looks after the certificate.

    Args:
        credentials: The files.
        address: This machine.
        reach: Makes a way to the fleet that shows certain certificates.
        clock: Measures.
        now_ms: The time that is surely reached: confirmed, else the floor.
    """

    def __init__(
        self,
        credentials: Credentials,
        address: Address,
        reach: Reach,
        clock: Clock,
        now_ms: Callable[[], tuple[int, bool]],
    ) -> None:
        self._credentials = credentials
        self._address = address
        self._reach = reach
        self._clock = clock
        self._now_ms = now_ms
        self._time_told = asyncio.Event()

    def time_is_known(self) -> None:
        """Look again: until now the time was perhaps years behind, and nothing was due."""
        self._time_told.set()

    async def run(self) -> None:
        """Look until cancelled."""
        wait_s = AGAIN_S
        while True:
            self._time_told.clear()
            try:
                await self.once()
                wait_s = EVERY_S
                await self._wait(min(EVERY_S, await asyncio.to_thread(self._until_due_s)))
            except (LinkLostError, MessageError, OSError) as error:
                log.warning("certificate.not_renewed", error=str(error))
                wait_s = min(2 * wait_s, EVERY_S) if wait_s < EVERY_S else AGAIN_S
                await self._clock.sleep(wait_s)

    async def _wait(self, seconds: float) -> None:
        """Wait, or until the time is known."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._time_told.wait()

    async def once(self) -> bool:
        """Renew when it is due; tells whether there is a new one.

        Raises:
            LinkLostError: The fleet is not reached, or says no.
            OSError: A file can't be read or written.
            MessageError: The answer is none.
        """
        credentials = self._credentials
        if not await asyncio.to_thread(credentials.has_next):
            if not await asyncio.to_thread(self._due):
                return False
            await self._ask()
        try:
            async with (await self._reach(credentials.next_context)).connect():
                pass  # let in
        except LinkRefusedError:
            # The fleet does not know it (any more): begin again.
            await asyncio.to_thread(credentials.drop_next)
            raise
        await asyncio.to_thread(credentials.use_next)
        log.info("certificate.renewed")
        return True

    def _due(self) -> bool:
        return self._until_due_s() <= 0

    def _until_due_s(self) -> float:
        """Return how long it is until a third of its life is over, s; not below 0."""
        begins, ends = trust.life_of(self._credentials.certificate())
        now, _ = self._now_ms()
        return max(0, begins + (ends - begins) // 3 - now) / 1000

    async def _ask(self) -> None:
        request = await asyncio.to_thread(self._request)
        way = await self._reach(self._credentials.context)
        async with way.asking() as connection:
            raw = await connection.ask(https.RENEW, https.RenewalRequest(request=request))
        certificate = read(https.Renewal, raw).certificate
        await asyncio.to_thread(self._credentials.keep_next, certificate.encode())

    def _request(self) -> str:
        """Return a request for the next key, which is made when there is none yet."""
        from cryptography import x509  # noqa: PLC0415 - once in 133 days, and 5 MiB
        from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415 - as above
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - as above
        from cryptography.x509.oid import NameOID  # noqa: PLC0415 - as above

        kept = self._credentials.next_key()
        if kept is None:
            fresh = ec.generate_private_key(ec.SECP256R1())
            kept = self._credentials.next_key(
                fresh.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
        assert kept is not None, "it was written just now"
        key = serialization.load_pem_private_key(kept, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            self._credentials.drop_next()
            raise OSError("the next key is none of ours: a new one is made")
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(self._address))])
        made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
        return made.public_bytes(serialization.Encoding.PEM).decode()
