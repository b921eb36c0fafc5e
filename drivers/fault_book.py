"""Which faults of one part are open: each is told once, and its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from controller.faults import FaultCode
from controller.ports import DeviceEvent, FaultCleared, FaultRaised


class FaultBook:
    """Which faults of one part are open; each is told once until it is cleared."""

    def __init__(self, part: str, notify: Callable[[DeviceEvent], None]) -> None:
        self._part = part
        self._notify = notify
        self._open: dict[FaultCode, None] = {}
        self._standing: frozenset[FaultCode] = frozenset()

    def raise_(self, code: FaultCode, detail: str = "") -> None:
        """Tell a fault unless it is open already."""
        if code not in self._open:
            self._open[code] = None
            self._notify(FaultRaised(self._part, code, detail))

    def stand(self, told: Mapping[FaultCode, str]) -> None:
        """Take what the part says to be wrong now, with details; what it said before ends.

        Until it says otherwise nothing else clears these: one cause is one incident.
        """
        for code, detail in told.items():
            self.raise_(code, detail)
        ended, self._standing = self._standing - told.keys(), frozenset(told)
        self.clear(*sorted(ended))

    def clear(self, *codes: FaultCode) -> None:
        """Tell that the cause is gone, for those that are open and do not `stand`."""
        if not self._open:
            return  # as at nearly every poll
        for code in codes:
            if code in self._open and code not in self._standing:
                del self._open[code]
                self._notify(FaultCleared(self._part, code))

    def clear_but(self, *kept: FaultCode) -> None:
        """Clear whatever is open, standing or not, except these: the part begins anew."""
        self._standing = frozenset()
        self.clear(*(code for code in tuple(self._open) if code not in kept))

    def __contains__(self, code: FaultCode) -> bool:
        return code in self._open
