"""Who a peripheral says it is, and whether its money is ours. Shared by the drivers.

Source: MDB/ICP 4.2, sections 5 to 7 (SETUP and IDENTIFICATION answers).
"""

from __future__ import annotations

from controller.faults import DeviceFault, FaultCode
from controller.ports import Identity
from drivers.links.mdb_link import Answer, AnswerKind
from drivers.mdb.blocks import MdbBlockError
from drivers.mdb.fields import Identification, decode_identification
from drivers.mdb.money import CurrencyCode, CurrencyKind


def identity_of(answer: Answer) -> tuple[Identity, int]:
    """Identity and option bits in an answer; empty when it was silence or nonsense.

    A device that does not know the question works all the same, so nothing is raised.
    """
    if answer.kind is not AnswerKind.DATA:
        return Identity(), 0
    try:
        found = decode_identification(answer.data)
    except MdbBlockError:
        return Identity(), 0
    return to_identity(found), found.options or 0


def to_identity(found: Identification) -> Identity:
    """The codec's identification in the controller's words."""
    return Identity(found.manufacturer, found.serial, found.model, found.version_text)


def refuse_other_currency(code: CurrencyCode, currency: str) -> None:
    """Refuse a device that surely counts in another currency than the machine.

    Telephone codes, unknown and unlisted codes pass: old devices are full of them, and the
    operator knows which coins the machine takes.

    Raises:
        DeviceFault: DEVICE_UNSUITABLE, naming both.
    """
    if code.kind is CurrencyKind.ISO and code.letters not in (None, currency):
        raise DeviceFault(
            FaultCode.DEVICE_UNSUITABLE, f"it counts in {code}, the machine in {currency}"
        )
