"""What is asked at the door, and how it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request, Response
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import ClientDisconnect

from cloud.contract import https
from cloud.contract.journal import to_ms
from cloud.contract.messages import MAX_MESSAGE_BYTES, Message, MessageError, read
from cloud.contract.topics import UP, Topic
from cloud.fleet import certificates
from cloud.fleet import schema as t
from cloud.fleet.authority import RequestRefusedError
from cloud.fleet.broker import BrokerLostError
from cloud.fleet.certificates import CertificateNotDueError
from cloud.fleet.database import FleetDatabase
from cloud.fleet.door.broker_https import BusyError, HttpsBroker
from cloud.fleet.door.down import lying_ready
from cloud.fleet.door.peers import Peer, StrangerError, peer_of
from cloud.fleet.home import Home

log = structlog.get_logger("vendcloud.door")

BODY_S: Final = 120.0  # for a body; the largest takes 65 s on 256 kbit/s
_BODY: Final = {Topic.EVENTS: https.MAX_POST_BYTES}


class Refused(Exception):  # noqa: N818 - an answer, raised
    """A request is answered with an error."""

    def __init__(self, status: int, problem: str) -> None:
        """Say what is wrong."""
        super().__init__(problem)
        self.status = status


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of a machine that was let in."""

    request: Request
    peer: Peer
    machine_id: int


class Door:
    """Answers machines.

    Args:
        database: Who may come in, and what lies ready for them.
        home: Where the authority's key is, which signs the next certificates.
        broker: Where their messages go.
        now_ms: UTC in ms since 1970.
        seen: Told which machine (its number) was here.
    """

    def __init__(
        self,
        database: FleetDatabase,
        home: Home,
        broker: HttpsBroker,
        now_ms: Callable[[], int],
        seen: Callable[[int], None] = lambda _machine_id: None,
    ) -> None:
        self._database = database
        self._home = home
        self._broker = broker
        self._now_ms = now_ms
        self._seen = seen

    def app(self) -> FastAPI:
        """Return the application."""
        app = FastAPI(title="vendcloud door", docs_url=None, redoc_url=None, openapi_url=None)

        @app.get(https.HELLO)
        async def hello(request: Request) -> Response:
            return await self._answered(request, _hello)

        for topic in UP:
            app.add_api_route(https.path_of(topic), self._endpoint(topic), methods=["POST"])

        @app.post(https.DOWN)
        async def down(request: Request) -> Response:
            return await self._answered(request, self._down)

        @app.post(https.RENEW)
        async def renew(request: Request) -> Response:
            return await self._answered(request, self._renew, ended=True)

        return app

    def _endpoint(self, topic: Topic) -> Callable[[Request], Awaitable[Response]]:
        async def post(request: Request) -> Response:
            async def work(visit: Visit) -> https.Answer:
                return await self._post(visit, topic)

            return await self._answered(request, work)

        return post

    async def _answered(
        self, request: Request, work: Callable[[Visit], Awaitable[Message]], *, ended: bool = False
    ) -> Response:
        try:
            visit = await self._let_in(request, ended=ended)
            self._seen(visit.machine_id)
            answer = await work(visit)
            self._seen(visit.machine_id)
        except Refused as refused:
            return _problem(refused.status, str(refused))
        except (BrokerLostError, BusyError, SQLAlchemyError, OSError) as error:
            log.warning("door.busy", path=request.url.path, error=str(error))
            return _problem(503, "not now")
        status = 422 if isinstance(answer, https.Answer) and answer.problem else 200
        return Response(answer.to_bytes(), status, media_type="application/json")

    # ------------------------------------------------------------------------ who is there

    async def _let_in(self, request: Request, *, ended: bool = False) -> Visit:
        """Return who asks.

        Args:
            request: What is asked.
            ended: A certificate that has ended will do.

        Raises:
            Refused: Not a machine of this fleet, or its certificate was revoked or has ended.
        """
        certificate = request.scope.get("extensions", {}).get("tls", {}).get("client_cert")
        try:
            peer = peer_of(certificate or b"")
        except (StrangerError, ValueError) as error:
            raise Refused(403, f"certificate: {error}") from error
        query = (
            select(t.certificate.c.revoked_ms, t.machine.c.id)
            .join(t.machine, t.machine.c.id == t.certificate.c.machine_id)
            .where(
                t.certificate.c.serial == peer.serial,
                t.machine.c.tenant == peer.address.tenant,
                t.machine.c.name == peer.address.machine,
            )
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise Refused(403, f"certificate {peer.serial}: not known here")
        if row.revoked_ms is not None:
            raise Refused(403, f"certificate {peer.serial}: revoked")
        now = self._now_ms()
        if now > _ms(peer.ends) and not ended:
            raise Refused(403, f"certificate {peer.serial}: ended on {peer.ends:%Y-%m-%d}")
        if now < _ms(peer.begins):
            raise Refused(403, f"certificate {peer.serial}: begins on {peer.begins:%Y-%m-%d}")
        return Visit(request, peer, int(row.id))

    # ------------------------------------------------------------------------ what is asked

    async def _post(self, visit: Visit, topic: Topic) -> https.Answer:
        body = await _body(visit.request, _BODY.get(topic, MAX_MESSAGE_BYTES))
        lengths = visit.request.headers.get(https.LENGTHS)
        payloads = _apart(body, lengths) if topic in _BODY else [body]
        return await self._broker.take(visit.peer.address, topic, payloads)

    async def _down(self, visit: Visit) -> https.Answer:
        question = _read(https.Question, await _body(visit.request, MAX_MESSAGE_BYTES))
        have = frozenset(question.have)
        with self._broker.bell.waiting(visit.peer.address) as woken:
            found = await lying_ready(self._database, visit.machine_id, have, self._now_ms())
            if not found and question.wait:
                with suppress(TimeoutError):
                    async with asyncio.timeout(question.wait):
                        await woken.wait()
            if not found and woken.is_set():  # else there is nothing: the next question looks again
                await self._let_in(visit.request)  # it may have been revoked meanwhile
                found = await lying_ready(self._database, visit.machine_id, have, self._now_ms())
        return https.Answer(messages=found)

    async def _renew(self, visit: Visit) -> https.Renewal:
        asked = _read(https.RenewalRequest, await _body(visit.request, MAX_MESSAGE_BYTES))
        peer = visit.peer
        now = datetime.fromtimestamp(self._now_ms() / 1000, UTC)
        try:
            pem = await certificates.renew(
                self._database,
                self._home,
                visit.machine_id,
                peer.address,
                (peer.begins, peer.ends),
                asked.request,
                now,
            )
        except CertificateNotDueError as error:
            raise Refused(409, str(error)) from error
        except RequestRefusedError as error:
            raise Refused(422, str(error)) from error
        log.info("door.renewed", machine=str(peer.address))
        return https.Renewal(certificate=pem)


async def _hello(visit: Visit) -> https.Answer:
    del visit
    return https.Answer()


def _problem(status: int, problem: str) -> Response:
    answer = https.Answer(problem=problem)
    return Response(answer.to_bytes(), status, media_type="application/json")


def _ms(at: datetime) -> int:
    return to_ms(at)


def _read(kind: type[Any], body: bytes) -> Any:
    try:
        return read(kind, body)
    except MessageError as error:
        raise Refused(422, str(error)) from error


async def _body(request: Request, limit: int) -> bytes:
    """Return a request's body. Raises Refused when it is too large or too slow."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise Refused(413, f"{declared} bytes are more than {limit}")
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_S):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise Refused(413, f"more than {limit} bytes")
                parts.append(part)
    except TimeoutError as error:
        raise Refused(408, f"the body took more than {BODY_S:.0f} s") from error
    except ClientDisconnect as error:
        raise Refused(400, "the body ended early") from error
    return b"".join(parts)


def _apart(body: bytes, lengths: str | None) -> list[bytes]:
    """Cut several batches apart. Raises Refused when the header does not fit the body."""
    if lengths is None:
        return [body]
    words = lengths.split(",")
    if len(words) > https.MAX_BATCHES or not all(
        word.isdecimal() and len(word) < 9 for word in words
    ):
        raise Refused(400, f"{https.LENGTHS}: up to {https.MAX_BATCHES} whole numbers, with commas")
    sizes = [int(word) for word in words]
    if sum(sizes) != len(body) or 0 in sizes:
        raise Refused(400, f"{https.LENGTHS}: {sum(sizes)} bytes named, {len(body)} came")
    found = []
    at = 0
    for size in sizes:
        found.append(body[at : at + size])
        at += size
    return found
