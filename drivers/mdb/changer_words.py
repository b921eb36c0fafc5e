"""The coin changer's codes in words.

Pure tables, for people: technicians, logs, the decoder.

Source: MDB/ICP 4.2, section 5 (POLL, EXPANSION 05).
"""

from typing import Final

STATUS_WORDS: Final[dict[int, str]] = {
    0x01: "escrow request: the coin return lever was pressed",
    0x02: "payout busy: coins are being paid out",
    0x03: "no credit: a coin was validated but lost before the credit point",
    0x04: "defective tube sensor",
    0x05: "double arrival: two coins came too close together",
    0x06: "acceptor unplugged",
    0x07: "tube jam during a payout",
    0x08: "ROM checksum error",
    0x09: "coin routing error: a coin did not follow its route",
    0x0A: "changer busy, cannot answer details now",
    0x0B: "just reset: the changer must be initialised",
    0x0C: "coin jam in the acceptance path",
    0x0D: "possible removal of a credited coin (fraud)",
}
"""POLL status codes; a code not listed is undefined."""

OPTION_WORDS: Final = {
    0: "alternative payout",
    1: "extended diagnostics",
    2: "controlled manual fill and payout",
    3: "file transport layer",
}
"""EXPANSION IDENTIFICATION option bits."""

_MAIN_WORDS: Final = {
    0x01: "powering up",
    0x02: "powering down",
    0x03: "OK",
    0x04: "keypad shifted",
    0x05: "manual mode",
    0x06: "inhibited by the VMC",
    0x10: "general changer",
    0x11: "discriminator",
    0x12: "accept gate",
    0x13: "separator",
    0x14: "dispenser",
    0x15: "cassette or tubes",
}

_SUB_WORDS: Final = {
    (0x05, 0x10): "manual fill or payout active",
    (0x05, 0x20): "new inventory information",
    (0x10, 0x00): "unspecified",
    (0x10, 0x01): "configuration checksum 1",
    (0x10, 0x02): "configuration checksum 2",
    (0x10, 0x03): "low voltage",
    (0x11, 0x00): "unspecified",
    (0x11, 0x10): "flight deck open",
    (0x11, 0x11): "escrow return stuck open",
    (0x11, 0x30): "coin jam in the sensor",
    (0x11, 0x41): "discrimination below standard",
    (0x11, 0x50): "sensor A out of range",
    (0x11, 0x51): "sensor B out of range",
    (0x11, 0x52): "sensor C out of range",
    (0x11, 0x53): "temperature out of range",
    (0x11, 0x54): "sizing optics",
    (0x12, 0x00): "unspecified",
    (0x12, 0x30): "a coin entered but did not leave",
    (0x12, 0x31): "alarm",
    (0x12, 0x40): "open without a coin",
    (0x12, 0x50): "post-gate sensor covered",
    (0x13, 0x00): "unspecified",
    (0x13, 0x10): "sort sensor",
    (0x14, 0x00): "unspecified",
    (0x15, 0x00): "unspecified",
    (0x15, 0x02): "cassette removed",
    (0x15, 0x03): "cash box sensor",
    (0x15, 0x04): "sunlight on the tube sensors",
}


def status_words(code: int) -> str:
    """A POLL status code in words."""
    return STATUS_WORDS.get(code, f"undefined status code {code:02X}, skipped")


def diagnostic_words(main: int, sub: int) -> str:
    """A pair of diagnostic codes in words, whatever the pair."""
    if main not in _MAIN_WORDS:
        return f"undefined diagnostic code {main:02X} {sub:02X}"
    detail = _SUB_WORDS.get((main, sub))
    if detail is None:
        return _MAIN_WORDS[main] if sub == 0 else f"{_MAIN_WORDS[main]}: sub-code {sub:02X}"
    return f"{_MAIN_WORDS[main]}: {detail}"
