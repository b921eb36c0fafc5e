"""A guard and a vendd in mid turn, as processes, on pins that write down what is done to them.

Run as a script: ``guard_rig.py guard|vendd|alone|safe WAY FOLDER``. Each line of FOLDER/log is
``seconds word detail`` on the system's monotonic clock.
"""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

MOTOR, LOW = 5, 6  # the second one is active low
# What hangs is found soon; what does not must not be taken for it on a busy machine.
SILENCE_S = {"stop": 0.5, "spin": 0.5, "slow": 2.0}
PATIENT_S = 20.0


def note(folder: Path, word: str, detail: object = "") -> None:
    with (folder / "log").open("a") as log:
        log.write(f"{time.monotonic()} {word} {detail}\n")


def recording_factory(folder: Path) -> Any:
    from gpiozero.pins.mock import MockFactory, MockPin

    class RecordingPin(MockPin):  # type: ignore[misc]  # gpiozero ships no types
        def _set_state(self, value: float) -> None:
            super()._set_state(value)
            note(folder, "pin", f"{self._number} {int(value)}")

    return MockFactory(pin_class=RecordingPin)


def guard(way: str, folder: Path) -> int:
    from controller.faults import ConfigError
    from controller.guard import GuardTimes, guard_main
    from drivers.gpio.pin_shape import Line
    from drivers.gpio.safe import SafeOutputs

    def open_pins() -> Any:
        if way == "no-pins":
            raise ConfigError("these pins cannot be opened")
        return recording_factory(folder)

    safe = SafeOutputs([Line(MOTOR), Line(LOW, active_low=True)], open_pins)
    command = [sys.executable, __file__, "vendd", way, str(folder)]
    status = guard_main(
        command,
        safe.drive,
        prepare=safe.prepare,
        times=GuardTimes(silence_s=SILENCE_S.get(way, PATIENT_S), start_s=30),
    )
    note(folder, "guard-ends", status)
    return status


def vendd(way: str, folder: Path) -> int:
    from controller.clock import SystemClock
    from controller.heartbeat import Heartbeat
    from drivers.gpio.lines import Lines
    from drivers.gpio.on_time import ThreadWatch
    from drivers.gpio.pin_shape import Line

    async def run() -> int:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        clock = SystemClock()
        lines = Lines(recording_factory(folder), ThreadWatch(clock.monotonic_s), at_exit=True)

        def lost() -> None:
            note(folder, "guard-lost")
            lines.all_off()
            stop.set()

        heart = Heartbeat.from_environment(os.environ, clock.monotonic_s, lost)

        def told(number: int) -> None:
            note(folder, "signal", number)
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, told, int(number))

        def beat() -> None:
            heart.beat()
            loop.call_later(0.05, beat)

        beat()
        if way == "slow":
            # opening pins and a journal on a busy, cold machine
            time.sleep(1.5 * SILENCE_S[way])  # noqa: ASYNC251 - it is to hold up the loop
        heart.tell("READY=1")
        motors = (
            lines.output(Line(MOTOR), "motor", max_on_s=30),
            lines.output(Line(LOW, active_low=True), "other motor", max_on_s=30),
        )
        for motor in motors:
            motor.on()
        note(folder, "turning", os.getpid())
        await asyncio.sleep(0.2)
        note(folder, "now")
        if way == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif way == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif way == "exit":
            os._exit(3)
        elif way == "raise":
            raise RuntimeError("a bug")
        elif way == "spin":
            while True:
                pass
        elif way == "leave":
            return 5
        await stop.wait()
        return 4

    return asyncio.run(run())


def main(role: str, way: str, folder: Path) -> int:
    if role == "guard":
        return guard(way, folder)
    return vendd(way, folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
