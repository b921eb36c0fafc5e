"""Fault codes of the self-check (header 232) in words.

Pure. Any code but 0 is fatal: the device has stopped itself. Hoppers report through header 163.

Source: ccTalk Generic Specification 4.7, part 3 (fault codes).
"""

from __future__ import annotations

from typing import Final

_FAULTS: Final[dict[int, str]] = {
    0: "OK",
    1: "EEPROM checksum",
    2: "inductive coils",
    3: "credit sensor",
    4: "piezo sensor",
    5: "reflective sensor",
    6: "diameter sensor",
    7: "wake-up sensor",
    8: "sorter exit sensors",
    9: "NVRAM checksum",
    10: "coin dispensing",
    11: "low level sensor",
    12: "high level sensor",
    13: "coin counting",
    14: "keypad",
    15: "button",
    16: "display",
    17: "coin auditing memory",
    18: "reject sensor",
    19: "coin return mechanism",
    20: "coin-on-string mechanism",
    21: "rim sensor",
    22: "thermistor",
    23: "payout motor",
    24: "payout timeout",
    25: "payout jammed",
    26: "payout sensor",
    27: "level sensor",
    28: "personality module missing",
    29: "personality checksum",
    30: "firmware checksum",
    31: "slave missing",
    32: "internal communication",
    33: "supply voltage out of range",
    34: "temperature out of range",
    35: "dual coin entry",
    36: "bill validation sensor",
    37: "bill transport motor",
    38: "stacker",
    39: "bill jammed",
    40: "RAM test",
    41: "string sensor",
    42: "accept gate failed open",
    43: "accept gate failed closed",
    44: "stacker missing",
    45: "stacker full",
    46: "flash erase",
    47: "flash write",
    48: "attached device silent",
    49: "opto sensor",
    50: "battery",
    51: "door open",
    52: "microswitch",
    53: "real-time clock",
    54: "firmware error",
    55: "initialisation",
    56: "supply current out of range",
    57: "forced bootloader mode",
    255: "unspecified fault",
}

_INFO: Final = {
    2: "coil",
    8: "sensor",
    14: "key",
    23: "hopper",
    26: "hopper",
    27: "hopper",
    32: "address",
    36: "sensor",
    48: "device",
    49: "opto",
    255: "maker's code",
}
"""What the second byte names."""


def fault_words(code: int) -> str:
    """A fault code in words."""
    return _FAULTS.get(code, f"fault code {code}, unknown")


def info_words(code: int, info: int) -> str:
    """The second byte of a self-check's answer in words."""
    if code == 35:
        return {1: "coin", 2: "token"}.get(info, str(info))
    return f"{_INFO.get(code, 'extra information')} {info}"
