"""The link over HTTPS, where MQTT is blocked: batches are posted, the fleet's word is asked for.

One connection carries what goes up, in its order; another one waits for what comes down. A batch
counts as said when the fleet has committed it, so that batches which come meanwhile go together
with the next request: a long round trip costs little. Whatever fails ends the session; the link
then begins again from the last acknowledgement.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import httpx2
import structlog

from cloud.contract import https
from cloud.contract.messages import Message
from cloud.contract.topics import UP, Topic
from cloud.link.transport import Heard, LinkLostError, LinkRefusedError
from cloud.link.trust import Dates

log = structlog.get_logger("link")

CONNECT_S: Final = 20.0
ANSWER_S: Final = 70.0  # the fleet's own bound is 60
SLACK_S: Final = 20.0  # beyond what a question may wait
KEEP_S: Final = 60.0  # an idle connection; the fleet closes it after 90
CONNECTIONS: Final = 4  # batches, other words, the question, and one that replaces it
# Together in one request: what one takes on 256 kbit/s must stay far below the fleet's patience.
TOGETHER_BYTES: Final = 512 * 1024
WAITING: Final = 64  # messages that the machine has not looked at; then nothing more is asked for
KEPT: Final = https.MAX_HAVE // 2  # names of what came on this connection and was done with
_UP: Final = f"{https.PREFIX}/"
_TOPICS: Final = frozenset(UP)
_REFUSED: Final = frozenset({403, 409, 422})
_UNREADABLE: Final = frozenset({400, 422})  # it came, and was not understood; so on MQTT, too


@dataclass(slots=True)
class _Batch:
    payload: bytes
    said: bool = False


class HttpsConnection:
    """One connection: as long as nothing fails.

    Args:
        client: Set up with the fleet's address and our certificate.
        trusted: Asked after each handshake.
    """

    def __init__(self, client: httpx2.AsyncClient, trusted: Dates) -> None:
        self._client = client
        self._trusted = trusted
        self._turn = asyncio.Lock()
        self._batches: deque[_Batch] = deque()
        self._lost = False
        self._heard: asyncio.Queue[Heard | LinkLostError] = asyncio.Queue(WAITING)
        self._in_hand: set[str] = set()
        self._done: deque[str] = deque(maxlen=KEPT)
        self._again = asyncio.Event()

    # ---------------------------------------------------------------------------- upwards

    async def hello(self) -> None:
        """See whether the fleet lets us in. Raises LinkLostError."""
        await self._ask("GET", https.HELLO, b"")

    async def say(self, topic: Topic, payload: bytes, *, retain: bool = False) -> None:
        """Post something, and return when the fleet is done with it."""
        del retain  # the fleet keeps what it needs
        if topic is Topic.EVENTS:
            await self._say_batch(payload)
            return
        await self._post(https.path_of(topic), payload)
        if topic is Topic.PRESENCE:
            # As on MQTT: who appears is told again what is open.
            self._done.clear()
            self._again.set()

    async def _say_batch(self, payload: bytes) -> None:
        batch = _Batch(payload)
        self._batches.append(batch)
        async with self._turn:
            if batch.said:
                return  # it went together with an earlier one
            if self._lost:
                raise LinkLostError("the connection is lost")
            together = [self._batches.popleft()]
            size = len(together[0].payload)
            while (
                self._batches
                and len(together) < https.MAX_BATCHES
                and size + len(self._batches[0].payload) <= TOGETHER_BYTES
            ):
                together.append(self._batches.popleft())
                size += len(together[-1].payload)
            lengths = ",".join(str(len(one.payload)) for one in together)
            self._lost = True  # until the answer is there
            await self._post(
                https.path_of(Topic.EVENTS),
                b"".join(one.payload for one in together),
                {https.LENGTHS: lengths, "content-type": "application/vnd.vendd.batch"},
            )
            self._lost = False
            for one in together:
                one.said = True

    async def _post(self, path: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        answer = await self._ask("POST", path, body, headers)
        if answer.problem:
            log.warning("link.not_understood", path=path, problem=answer.problem)
        for down in answer.messages:
            await self._heard.put(Heard(down.topic, down.payload, lambda: None))

    async def ask(self, path: str, message: Message) -> bytes:
        """Ask something beside the link, and return the answer's bytes.

        Raises:
            LinkLostError: It was refused, or nobody knows.
        """
        return await self._request("POST", path, message.to_bytes())

    async def _ask(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: dict[str, str] | None = None,
        read_s: float = ANSWER_S,
    ) -> https.Answer:
        raw = await self._request(method, path, body, headers, read_s)
        return _answer(raw)

    async def _request(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: dict[str, str] | None = None,
        read_s: float = ANSWER_S,
    ) -> bytes:
        timeout = httpx2.Timeout(CONNECT_S, read=read_s, pool=ANSWER_S)
        try:
            async with self._client.stream(
                method,
                path,
                content=body or None,
                headers=headers,
                timeout=timeout,
                extensions={"trace": _Handshake(self._trusted).traced},
            ) as response:
                raw = await _bounded(response)
                status = response.status_code
        except httpx2.HTTPError as error:
            raise LinkLostError(f"{path}: {str(error) or type(error).__name__}") from error
        except ssl.SSLError as error:  # pragma: no cover - httpx names most of them itself
            raise LinkLostError(f"{path}: {error}") from error
        if status != 200 and not (status in _UNREADABLE and path.removeprefix(_UP) in _TOPICS):
            said = f"{path}: the fleet answers {status}: {_problem(raw)}"
            if status in _REFUSED:
                raise LinkRefusedError(said)
            raise LinkLostError(said)
        return raw

    # -------------------------------------------------------------------------- downwards

    async def heard(self) -> AsyncIterator[Heard]:
        """Yield what the fleet says."""
        while True:
            heard = await self._heard.get()
            if isinstance(heard, LinkLostError):
                raise heard
            yield heard

    async def listen(self) -> None:
        """Ask again and again what there is, until the connection is lost."""
        try:
            while True:
                answer = await self._next_answer()
                for down in answer.messages if answer is not None else ():
                    if down.id in self._in_hand:
                        continue
                    self._in_hand.add(down.id)
                    done = partial(self._done_with, down.id)
                    await self._heard.put(Heard(down.topic, down.payload, done))
        except LinkLostError as error:
            self.lose(error)

    def lose(self, error: LinkLostError) -> None:
        """End the session with ``error``; what nobody has taken yet comes again in the next."""
        while self._heard.full():
            self._heard.get_nowait()
        self._heard.put_nowait(error)

    async def _next_answer(self) -> https.Answer | None:
        """Return the next answer; None when the question has become another one meanwhile."""
        self._again.clear()
        have = (*self._done, *self._in_hand)[-https.MAX_HAVE :]
        question = https.Question(have=have)
        asking = asyncio.ensure_future(
            self._ask("POST", https.DOWN, question.to_bytes(), read_s=https.WAIT_S + SLACK_S)
        )
        changed = asyncio.ensure_future(self._again.wait())
        try:
            await asyncio.wait({asking, changed}, return_when=asyncio.FIRST_COMPLETED)
            return asking.result() if asking.done() else None
        finally:
            changed.cancel()
            asking.cancel()
            await asyncio.gather(asking, changed, return_exceptions=True)

    def _done_with(self, name: str) -> None:
        self._in_hand.discard(name)
        self._done.append(name)


class _Handshake:
    """Looks at the certificate between the handshake and the first byte of ours.

    It also closes what httpcore leaves open: a connection whose handshake is cancelled or refused.
    """

    def __init__(self, trusted: Dates) -> None:
        self._trusted = trusted
        self._stream: Any = None

    async def traced(self, event: str, info: dict[str, Any]) -> None:
        """Follow one request; httpx's ``trace`` extension."""
        if event.endswith("connect_tcp.complete"):
            self._stream = info["return_value"]
        elif event.endswith("start_tls.failed"):
            await self._stream.aclose()
        elif event.endswith("start_tls.complete"):
            stream = info["return_value"]
            tls = stream.get_extra_info("ssl_object")
            try:
                self._trusted(None if tls is None else tls.getpeercert())
            except LinkLostError:
                await stream.aclose()
                raise


async def _bounded(response: httpx2.Response) -> bytes:
    parts = []
    size = 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > https.MAX_ANSWER_BYTES:
            raise LinkLostError(f"an answer of more than {https.MAX_ANSWER_BYTES} bytes")
        parts.append(part)
    return b"".join(parts)


def _answer(raw: bytes) -> https.Answer:
    try:
        return https.Answer.model_validate_json(raw)
    except ValueError as error:
        raise LinkLostError("the answer is none of a fleet's; is it a gateway's?") from error


def _problem(raw: bytes) -> str:
    try:
        return _answer(raw).problem[:200]
    except LinkLostError as error:
        return str(error)


class HttpsTransport:
    """Makes connections to a fleet's HTTPS door.

    Args:
        host: The fleet's name.
        port: Its port.
        tls: Asked before each session for the certificates of now, which are renewed at times.
        trusted: Asked after each handshake; raises LinkLostError when the fleet's certificate is
            not valid at the time that we know.
        proxy: A way out (``http://host:port``); without one, the environment's ``HTTPS_PROXY``.
    """

    def __init__(
        self,
        host: str,
        port: int,
        tls: Callable[[], ssl.SSLContext],
        trusted: Dates = lambda _certificate: None,
        proxy: str | None = None,
    ) -> None:
        self.name = "https"
        self._base = f"https://{f'[{host}]' if ':' in host else host}:{port}"
        self._tls = tls
        self._trusted = trusted
        self._proxy = proxy
        logging.getLogger("httpx2").setLevel(logging.WARNING)  # each question is no news

    async def client(self) -> httpx2.AsyncClient:
        """Return a client with the certificates of now. Raises LinkLostError."""
        try:
            tls = await asyncio.to_thread(self._tls)  # it reads files
        except OSError as error:
            raise LinkLostError(f"certificate: {error}") from error
        return httpx2.AsyncClient(
            base_url=self._base,
            verify=tls,
            proxy=self._proxy,
            trust_env=self._proxy is None,
            limits=httpx2.Limits(
                max_connections=CONNECTIONS,
                max_keepalive_connections=CONNECTIONS,
                keepalive_expiry=KEEP_S,
            ),
            headers={"accept": "application/json", "accept-encoding": "identity"},
        )

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[HttpsConnection]:
        """Be ready to ask something; nothing is listened to."""
        async with await self.client() as client:
            yield HttpsConnection(client, self._trusted)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[HttpsConnection]:
        """Connect, and listen until the block ends."""
        async with await self.client() as client:
            connection = HttpsConnection(client, self._trusted)
            await connection.hello()
            listening = asyncio.ensure_future(connection.listen())
            try:
                yield connection
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
