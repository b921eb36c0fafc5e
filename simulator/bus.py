"""The peripherals on one line, and who owes whom an acknowledgement.

Source: MDB/ICP 4.2, section 2.
"""

from __future__ import annotations

from collections.abc import Iterable

from drivers.mdb.blocks import (
    ACK,
    ADDRESS_MASK,
    RESPONSE_S,
    Control,
    classify_control,
)
from simulator.peripherals.base import Answer, Peripheral


class Bus:
    """The peripherals on one line, and who owes whom an acknowledgement.

    Args:
        peripherals: At most one for each address.
    """

    def __init__(self, peripherals: Iterable[Peripheral]) -> None:
        self.peripherals = {device.address: device for device in peripherals}
        self._faults = [device.common_faults for device in self.peripherals.values()]
        self._unacked: Peripheral | None = None

    def length_of(self, head: bytes) -> int | None:
        """Return the length of the block that begins so; 0 when nobody can tell."""
        device = self.peripherals.get(head[0] & ADDRESS_MASK)
        return 0 if device is None else device.length_of(head)

    def deliver(self, block: bytes, now: float) -> Answer | None:
        """Hand a block to whom it is for; an acknowledgement still owed counts as not given."""
        self.unanswered()
        device = self.peripherals.get(block[0] & ADDRESS_MASK)
        answer: Answer | None = None
        if device is not None:
            size = device.length_of(block)
            if size is None or size > len(block):
                size = -1
            if size >= 0:
                answer = device.receive(block[:size] if size else block, now)
                if answer is not None and answer.wants_ack:
                    self._unacked = device
        if self.would_chatter:
            for other in self.peripherals.values():
                if other.would_chatter and other is not device and other.chatters():
                    answer = answer or Answer(RESPONSE_S / 2, bytes((ACK,)))
                    answer = Answer(answer.delay_s, bytes((ACK, *answer.data)))
        return answer

    def control(self, byte: int) -> Answer | None:
        """Hand the host's lone byte to the device that has just sent data; others ignore it."""
        device, self._unacked = self._unacked, None
        if device is None:
            return None
        match classify_control(byte):
            case Control.ACK:
                device.acked()
                return None
            case Control.RET:
                answer = device.ret()
                if answer is not None and answer.wants_ack:
                    self._unacked = device
                return answer
            case _:
                device.naked()
                return None

    def unanswered(self) -> None:
        """Note that the host gave no acknowledgement in time."""
        device, self._unacked = self._unacked, None
        if device is not None:
            device.naked()

    def break_line(self) -> None:
        """Reset every peripheral."""
        self._unacked = None
        for device in self.peripherals.values():
            device.bus_break()

    def polled_in_vain(self, address: int) -> float | None:
        """Take a POLL off the line, if its answer is a plain ACK.

        Returns:
            How long the device takes to begin its answer, seconds; None: it must be sent.
        """
        device = self.peripherals.get(address)
        if device is None or self._unacked is not None:
            return None
        return None if self.would_chatter else device.polled_in_vain()

    @property
    def would_chatter(self) -> bool:
        """Tell whether some device would wrongly answer a command that is for another."""
        for faults in self._faults:  # noqa: SIM110 - asked at every poll
            if faults.chatter > 0:
                return True
        return False

    @property
    def quiet(self) -> bool:
        """Tell whether every POLL now would bring a plain ACK and change nothing."""
        return all(device.quiet for device in self.peripherals.values())
