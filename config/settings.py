"""A machine's configuration: one TOML file, read whole and checked whole before anything starts.

``load`` either returns settings that a machine can run with, or raises ``ConfigError`` whose text
has a line for every mistake: file, key, value, what is allowed.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from config.contradictions import contradictions
from config.explain import explain
from config.machine import MachineSettings
from config.models import KernelKeypad
from config.reading import as_json, read_toml
from controller.faults import ConfigError

__all__ = ["MachineSettings", "load"]


def load(path: Path, *, home: Path | None = None) -> MachineSettings:
    """Read and check one machine's file.

    Args:
        path: The TOML file.
        home: Stands for ``machine.home`` of the file, so that a second machine, a demo or a test
            can run from the same file in a folder of its own.

    Returns:
        Settings whose paths are absolute.

    Raises:
        ConfigError: The file can't be read, is no TOML, or says something wrong; every mistake at
            once (those between keys only once each key is right by itself).
    """
    try:
        raw = read_toml(path)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        settings = MachineSettings.model_validate_json(as_json(raw))
    except ValidationError as error:
        raise ConfigError("\n".join(explain(path, raw, error, MachineSettings))) from error
    mistakes = list(contradictions(settings))
    if mistakes:
        raise ConfigError("\n".join(f"{path}: {mistake}" for mistake in mistakes))
    try:
        return _with_paths_below(settings, home or settings.machine.home)
    except RuntimeError as error:  # of Path.expanduser: a ~NAME of nobody
        raise ConfigError(
            f"{path}: a path begins with the home of a user not known here"
        ) from error


def _with_paths_below(settings: MachineSettings, home: Path) -> MachineSettings:
    """Return the same settings with absolute paths."""
    home = home.expanduser().absolute()

    def below(path: Path) -> Path:
        return home / path.expanduser()

    display = settings.display
    if display is not None and display.bus.startswith("socket:"):
        bus = f"socket:{below(Path(display.bus.removeprefix('socket:')))}"
        display = display.model_copy(update={"bus": bus})
    keypad = settings.keypad
    if isinstance(keypad, KernelKeypad):
        keypad = keypad.model_copy(update={"path": below(keypad.path)})
    arguments = {
        name: str(below(Path(value)))
        if isinstance(value, str) and value.startswith("./")
        else value
        for name, value in settings.gpio.factory_arguments.items()
    }
    cctalk = settings.cctalk
    if cctalk is not None:
        cctalk = cctalk.model_copy(update={"port": below(cctalk.port)})
    climate = settings.climate
    if climate is not None:
        read = [t.model_copy(update={"path": below(t.path)}) for t in climate.thermometers]
        climate = climate.model_copy(update={"thermometers": tuple(read)})
    cloud = settings.cloud
    if cloud is not None:
        files = {name: getattr(cloud, name) for name in ("ca", "certificate", "key")}
        cloud = cloud.model_copy(
            update={name: below(path) for name, path in files.items() if path is not None}
        )
    update = settings.update
    if update is not None:
        update = update.model_copy(update={"spool": below(update.spool)})
    return settings.model_copy(
        update={
            "update": update,
            "climate": climate,
            "machine": settings.machine.model_copy(
                update={
                    "home": home,
                    "ntp_marker": below(settings.machine.ntp_marker),
                    "system_boot": below(settings.machine.system_boot),
                }
            ),
            "journal": settings.journal.model_copy(
                update={"folder": below(settings.journal.folder)}
            ),
            "api": settings.api.model_copy(update={"socket": below(settings.api.socket)}),
            "mdb": settings.mdb.model_copy(update={"port": below(settings.mdb.port)}),
            "cctalk": cctalk,
            "cloud": cloud,
            "gpio": settings.gpio.model_copy(update={"factory_arguments": arguments}),
            "display": display,
            "keypad": keypad,
        }
    )
