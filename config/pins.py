"""How a pin is written in a configuration file.

A number, or a string with prefixes before the number: ``!`` active low, ``^`` pull-up, ``~``
pull-down; ``"^!22"`` is a switch to ground on GPIO 22. Numbers are the chip's own (BCM on a
Raspberry Pi).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

# The widest chip that we know of has 54 lines (BCM2711); the simulator's board ends here, too.
HIGHEST_PIN: Final = 63

_FORM: Final = re.compile(r"([\^~]?)(!?)(\d{1,2})")
Pull = Literal["none", "up", "down"]
_PULLS: Final[dict[str, Pull]] = {"": "none", "^": "up", "~": "down"}


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of the GPIO chip."""

    number: int  # 0..63, the chip's own number
    active_low: bool = False  # the line is low when what it stands for is on
    pull: Pull = "none"  # inputs only

    def __str__(self) -> str:
        """Return the form of the configuration file."""
        prefix = {"none": "", "up": "^", "down": "~"}[self.pull]
        return f"{prefix}{'!' if self.active_low else ''}{self.number}"

    @classmethod
    def parse(cls, value: object) -> Pin:
        """Read a pin as it stands in a file.

        Raises:
            PydanticCustomError: It is no pin, or its number is above ``HIGHEST_PIN``.
        """
        text = str(value) if type(value) in (int, str) else ""
        form = _FORM.fullmatch(text)
        if form is None or int(form[3]) > HIGHEST_PIN:
            raise PydanticCustomError(
                "pin",
                "is no pin; allowed: 0 to {highest}, as a number or with prefixes "
                '(! active low, ^ pull-up, ~ pull-down), e.g. "^!22"',
                {"highest": HIGHEST_PIN},
            )
        return cls(number=int(form[3]), active_low=bool(form[2]), pull=_PULLS[form[1]])

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Let a model's field be a pin."""
        del source, handler
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, cls) else cls.parse(value),
            serialization=core_schema.to_string_ser_schema(),
        )
