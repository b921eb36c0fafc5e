"""The link of one machine, put together from its configuration."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from cloud.contract import commands as c
from cloud.contract.signing import Verifier
from cloud.contract.topics import Address
from cloud.link import trust
from cloud.link.errands import Errands
from cloud.link.inbox import Inbox
from cloud.link.link import URGENT, Link
from cloud.link.reporting import Reporter
from cloud.link.snapshot import snapshot
from cloud.link.sync import SyncView
from cloud.link.transport import Connection, Transport
from cloud.link.transport_auto import AutoTransport
from cloud.link.transport_mqtt import MqttTransport
from cloud.link.vouched import Vouched
from cloud.mqtt import Broker
from config.models import Cloud
from controller.clock import Clock
from controller.domain import commands as cmd
from controller.faults import ConfigError
from controller.journal.envelope import Record, to_ms
from controller.journal.records_link import CommandStarted
from controller.log_level import set_level
from controller.machine.inputs import CommandRefused
from controller.machine.plan import Plan
from controller.machine.runner import Machine

if TYPE_CHECKING:
    from cloud.link.transport_https import HttpsTransport

log = structlog.get_logger("link")

NONCE_BYTES: Final = 12
EVERY_S: Final = 900.0  # between two words about its state, unless the plan says otherwise
TIME_MOVED_MS: Final = 2_000  # less than this is the network's jitter, and no record


class Fleet:
    """A machine's tie to its fleet: the link, and what its messages do here.

    Args:
        settings: The section ``[cloud]``.
        machine_id: The machine's name.
        machine: The running machine.
        clock: Time.
        entropy: Randomness.
        software: What runs.
        forked: Told that the fleet holds another chain behind a record.

    Raises:
        ConfigError: A certificate or key can't be read.
    """

    def __init__(
        self,
        settings: Cloud,
        machine_id: str,
        machine: Machine,
        clock: Clock,
        entropy: Callable[[int], bytes],
        software: str,
        forked: Callable[[int, bytes], None],
    ) -> None:
        self._machine = machine
        self._clock = clock
        self._journal = machine.desk.journal
        self._known_ms = trust.surely(self._journal.label, clock)
        self._tasks: set[asyncio.Task[None]] = set()
        self._told_time = False
        address = Address(settings.tenant, machine_id)
        verifier = Verifier(bytes.fromhex(settings.root_key), address)
        self._vouched = Vouched(verifier, self._journal, self._act)
        self._inbox = Inbox(
            verifier,
            self._act,
            clock,
            self._now_ms,
            {
                c.JournalUpload.kind: self._upload,
                c.LogLevel.kind: _log_level,
                c.Reboot.kind: self._reboot,
            },
            self._ask_again,
        )
        self.reporter = Reporter(
            clock,
            lambda: snapshot(machine, software, self.link.status.backlog),
            EVERY_S,
        )
        self.errands = Errands(
            self._journal,
            clock,
            lambda: entropy(NONCE_BYTES).hex(),
            lambda: self._now_ms()[0],
        )
        machine.desk.progress = self.errands.progress
        self.link = Link(
            self._journal,
            transport_of(settings, address, clock, trust.dates_checked(self._known_ms)),
            clock,
            lambda: entropy(NONCE_BYTES).hex(),
            software=software,
            public_key=self._journal.public_key,
            on_fork=forked,
            on_time=self._time,
            on_down=self._inbox.put,
            on_word=lambda word: self._begin(self._vouched.take(word)),
            on_ack=self.errands.heard,
            beside=self._beside,
        )
        machine.fleet = SyncView(self.link, self._journal, clock)
        machine.on_commit.append(self._committed)
        machine.on_turn.append(self.reporter.touched)
        machine.on_plan.append(self._planned)
        if machine.desk.plan is not None:
            self._planned(machine.desk.plan)

    async def run(self) -> None:
        """Keep in touch until cancelled, or until a fork ends this journal."""
        inbox = asyncio.get_running_loop().create_task(self._inbox.run())
        try:
            await self.link.run()
        finally:
            inbox.cancel()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(inbox, *self._tasks, return_exceptions=True)

    def _planned(self, plan: Plan) -> None:
        self.reporter.every_s = plan.state_s or self.reporter.every_s

    async def _act(self, command: cmd.Command, by: str) -> dict[str, Any]:
        return await self._machine.act(command, by)

    def _now_ms(self) -> tuple[int, bool]:
        mono_ms = int(self._clock.monotonic_s() * 1000)
        return self._journal.label.stamp(to_ms(self._clock.wall_utc()), mono_ms)

    async def _beside(self, connection: Connection) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.reporter.run(connection))
            group.create_task(self.errands.run(connection))

    def _committed(self, records: list[Record]) -> None:
        for record in records:
            if isinstance(record.data, CommandStarted):
                self._inbox.begun(record.data.id)
        self.link.grown([(r.seq, r.boot, r.body) for r in records if r.type in URGENT])

    def _time(self, true_ms: int, at_s: float) -> None:
        """Take the fleet's word for the time; a record only when it tells something new."""
        at_ms = int(at_s * 1000)
        ours, confirmed = self._journal.label.stamp(to_ms(self._clock.wall_utc()), at_ms)
        if confirmed and self._told_time and abs(true_ms - ours) < TIME_MOVED_MS:
            return
        self._told_time = True
        self._begin(self._confirm(true_ms, at_s))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _confirm(self, true_ms: int, at_s: float) -> None:
        try:
            await self._machine.act(cmd.ConfirmTime(true_ms, at_s), "fleet")
        except CommandRefused as error:
            log.warning("time.refused", error=str(error))
            return
        self._inbox.time_is_known()

    def _ask_again(self) -> None:
        self.link.appear()

    async def _upload(self, id_: str, args: c.Args) -> str:
        assert isinstance(args, c.JournalUpload), "as its kind says"
        return await self.errands.upload(id_, args.first, args.last)

    async def _reboot(self, _id: str, _args: c.Args) -> str:
        """Ask for the end: it comes when what is open has ended."""
        self._machine.stop("the fleet asked for a new start")
        return "vendd starts again"


async def _log_level(_id: str, args: c.Args) -> str:
    assert isinstance(args, c.LogLevel), "as its kind says"
    set_level(args.level)
    return args.level


def transport_of(
    settings: Cloud, address: Address, clock: Clock, trusted: trust.Dates
) -> Transport:
    """Return the way to the fleet that a machine is configured for.

    Raises:
        ConfigError: A certificate or key can't be read.
    """
    tls = _certificates(settings)

    def https() -> HttpsTransport:
        from cloud.link.transport_https import HttpsTransport  # noqa: PLC0415 - 6 MiB, if unused

        assert tls is not None, "checked on loading"
        return HttpsTransport(
            settings.host, settings.https_port, tls, trusted, settings.proxy or None
        )

    if settings.transport == "https":
        return https()
    broker = Broker(
        settings.host,
        settings.port,
        f"{address.tenant}-{address.machine}",
        five=settings.version == 5,
        username=None if settings.tls else str(address),
    )
    mqtt = MqttTransport(broker, address, trusted, tls if settings.tls else None)
    return AutoTransport(mqtt, https, clock) if settings.transport == "auto" else mqtt


def _certificates(settings: Cloud) -> Callable[[], ssl.SSLContext] | None:
    files = settings.ca, settings.certificate, settings.key
    if not settings.tls and settings.transport == "mqtt":
        return None
    ca, certificate, key = (path for path in files if path is not None)  # checked on loading
    made = partial(trust.context, ca, certificate, key)
    try:
        made()
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(
            f"cloud.ca, cloud.certificate, cloud.key: {error} ({settings.certificate})"
        ) from error
    return made
