"""The link of one machine, put together from its configuration."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog

from cloud.contract import commands as c
from cloud.contract.signing import Verifier
from cloud.contract.topics import Address
from cloud.link import trust
from cloud.link.credentials import Credentials
from cloud.link.errands import Errands
from cloud.link.inbox import Inbox
from cloud.link.lane import URGENT
from cloud.link.link import Link
from cloud.link.renewal import Renewal
from cloud.link.reporting import Reporter
from cloud.link.samples import Sampler, samples
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
from controller.journal.records import CommandStarted
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
        folder: Where the link keeps what is its own: renewed certificates.
        damaged: Told what can't be read of what the fleet does not have; returns whether the
            machine begins a new journal.

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
        folder: Path,
        damaged: Callable[[str], bool] = lambda _why: False,
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
            lambda: snapshot(machine, software, self.link.status.backlog, self.reporter.every_s),
            EVERY_S,
        )
        self.errands = Errands(
            self._journal,
            clock,
            lambda: entropy(NONCE_BYTES).hex(),
            lambda: self._now_ms()[0],
        )
        machine.desk.progress = self.errands.progress
        self.sampler = Sampler(
            clock,
            lambda: self._now_ms()[0],
            lambda: samples(machine, self.link.status.backlog),
            settings.sample_minutes,
        )
        ways = Ways(settings, address, folder, clock, self._known_ms)
        self._renewal = ways.renewal
        self.link = Link(
            self._journal,
            ways.transport(),
            clock,
            lambda: entropy(NONCE_BYTES).hex(),
            software=software,
            public_key=self._journal.public_key,
            on_fork=forked,
            on_time=self._time,
            on_use=self._inbox.in_use,
            on_down=self._inbox.put,
            on_word=lambda word: self._begin(self._vouched.take(word)),
            on_ack=self.errands.heard,
            on_damage=damaged,
            beside=self._beside,
        )
        self._hears = False
        self.link.watch(self._watched)
        machine.fleet = SyncView(self.link, self._journal, clock)
        machine.on_commit.append(self._committed)
        machine.on_turn.append(self.reporter.touched)
        machine.on_plan.append(self._planned)
        if machine.desk.plan is not None:
            self._planned(machine.desk.plan)

    async def run(self) -> None:
        """Keep in touch until cancelled, or until a fork ends this journal."""
        loop = asyncio.get_running_loop()
        # One that takes commands no more, and nobody knows of it, would look as if it were well.
        parts = {loop.create_task(self.link.run()), loop.create_task(self._inbox.run())}
        self._tasks |= parts
        if self._renewal is not None:
            self._tasks.add(loop.create_task(self._renewal.run()))
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

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
            group.create_task(self.sampler.run(connection))

    def _committed(self, records: list[Record]) -> None:
        for record in records:
            if isinstance(record.data, CommandStarted):
                self._inbox.begun(record.data.id)
        self.link.grown([(r.seq, r.boot, r.body) for r in records if r.type in URGENT])

    def _time(self, true_ms: int, at_s: float, first: bool | None) -> None:
        """Take the fleet's word for the time; a record only when it tells something new."""
        if first is None and self._journal.state.remote.untold:
            return  # with the time commands begin, and some may have run on another disk
        at_ms = int(at_s * 1000)
        ours, confirmed = self._journal.label.stamp(to_ms(self._clock.wall_utc()), at_ms)
        if confirmed and self._told_time and abs(true_ms - ours) < TIME_MOVED_MS:
            return
        self._told_time = True
        self._begin(self._confirm(true_ms, at_s, first=bool(first)))

    def _watched(self) -> None:
        """Have the machine know whether the fleet can be asked."""
        hears = self.link.status.connected
        if hears != self._hears:
            self._hears = hears
            self._begin(self._note(hears=hears))

    async def _note(self, *, hears: bool) -> None:
        with suppress(CommandRefused):  # it stops, or its journal is not whole
            await self._act(cmd.NoteFleet(hears), "fleet")

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _confirm(self, true_ms: int, at_s: float, *, first: bool) -> None:
        try:
            await self._machine.act(cmd.ConfirmTime(true_ms, at_s, first), "fleet")
        except CommandRefused as error:
            log.warning("time.refused", error=str(error))
            return
        self._inbox.time_is_known()
        if self._renewal is not None:
            self._renewal.time_is_known()

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


class Ways:
    """The ways to the fleet that a machine is configured for, and what it shows on them.

    Args:
        settings: The section ``[cloud]``.
        address: This machine.
        folder: Where renewed certificates are kept.
        clock: Measures.
        known_ms: The time that is surely reached, and whether it is confirmed.

    Raises:
        ConfigError: A certificate or key can't be read.
    """

    def __init__(
        self,
        settings: Cloud,
        address: Address,
        folder: Path,
        clock: Clock,
        known_ms: Callable[[], tuple[int, bool]],
    ) -> None:
        self._settings = settings
        self._address = address
        self._clock = clock
        self._trusted = trust.dates_checked(known_ms)
        self._credentials = _credentials(settings, folder)
        self.renewal: Renewal | None = None
        if self._credentials is not None:
            self.renewal = Renewal(self._credentials, address, self._reached, clock, known_ms)

    def transport(self) -> Transport:
        """Return the way that is configured."""
        settings, shown = self._settings, self._credentials
        if settings.transport == "https":
            return self._https(self._shown())
        broker = Broker(
            settings.host,
            settings.port,
            f"{self._address.tenant}-{self._address.machine}",
            five=settings.version == 5,
            username=None if settings.tls else str(self._address),
        )
        tls = shown.context if settings.tls and shown is not None else None
        mqtt = MqttTransport(broker, self._address, self._trusted, tls)
        if settings.transport == "auto":
            return AutoTransport(mqtt, self._second, self._clock)
        return mqtt

    async def _second(self) -> HttpsTransport:
        return await self._reached(self._shown())

    def _shown(self) -> Callable[[], ssl.SSLContext]:
        assert self._credentials is not None, "checked on loading"
        return self._credentials.context

    async def _reached(self, tls: Callable[[], ssl.SSLContext]) -> HttpsTransport:
        # In a thread: its library takes half a second of a small board's loop, which stops motors.
        return await asyncio.to_thread(self._https, tls)

    def _https(self, tls: Callable[[], ssl.SSLContext]) -> HttpsTransport:
        from cloud.link.transport_https import HttpsTransport  # noqa: PLC0415 - memory, if unused

        settings = self._settings
        return HttpsTransport(
            settings.host, settings.https_port, tls, self._trusted, settings.proxy or None
        )


def _credentials(settings: Cloud, folder: Path) -> Credentials | None:
    if not settings.tls and settings.transport == "mqtt":
        return None
    files = settings.ca, settings.certificate, settings.key
    ca, certificate, key = (path for path in files if path is not None)  # checked on loading
    try:
        return Credentials(ca, certificate, key, folder)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(
            f"cloud.ca, cloud.certificate, cloud.key: {error} ({settings.certificate})"
        ) from error
