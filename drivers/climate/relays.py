"""The relays of compressor, defrost, heater and light, each under the outputs' own watch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from controller.faults import EffectUnknownError
from controller.ports import ClimateOutputs, ClimatePart, DeviceEvent, OutputCut
from drivers.gpio.lines import OutputLine


class Relays:
    """What the climate switches; a part without a line is passed over.

    Args:
        lines: The output of each part.
        notify: Takes ``OutputCut``.
    """

    def __init__(
        self,
        lines: Mapping[ClimatePart, OutputLine],
        notify: Callable[[DeviceEvent], None],
    ) -> None:
        self._lines = lines
        self._notify = notify

    def switch(self, outputs: ClimateOutputs) -> None:
        """Switch what differs: off before on, so that no two heavy loads start at once."""
        wanted = {part: bool(getattr(outputs, part.value)) for part in self._lines}
        for part in sorted(wanted, key=lambda part: wanted[part]):
            line = self._lines[part]
            if line.is_on == wanted[part]:
                continue
            try:
                if wanted[part]:
                    line.on(on_cut=self._cutter(part, line))
                else:
                    line.off()
            except EffectUnknownError as error:
                self._notify(OutputCut(part, str(error)))

    def _cutter(self, part: ClimatePart, line: OutputLine) -> Callable[[], None]:
        return lambda: self._notify(OutputCut(part, line.cut_why or "cut"))
