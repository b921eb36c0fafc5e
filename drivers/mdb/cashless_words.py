"""The cashless device's codes in words.

Pure tables, for people: technicians, logs, the decoder.

Source: MDB/ICP 4.2, section 7; option bits above 5 are of version 4.3.
"""

from typing import Final

MALFUNCTION_WORDS: Final = (
    "payment media error",
    "invalid payment media",
    "tamper error",
    "manufacturer defined error",
    "communications error",
    "reader requires service",
    "unassigned error",
    "manufacturer defined error",
    "reader failure",
    "communications error",
    "payment media jammed",
    "manufacturer defined error",
    "refund error: the reader could not give the money back, its credit is lost",
    "unassigned error",
    "unassigned error",
    "unassigned error",
)
"""By the high nibble of the code."""

MALFUNCTION_CLASS_WORDS: Final = {
    1: "transient, reported until acknowledged",
    2: "reported at every poll until cleared, the reader still works",
    3: "reported at every poll, the reader does not work",
    None: "not classed by the standard",
}

STATE_WORDS: Final = {
    0x01: "inactive",
    0x02: "disabled",
    0x03: "enabled",
    0x04: "session idle",
    0x05: "vend",
    0x06: "revalue",
    0x07: "negative vend",
}
"""State byte of COMMAND OUT OF SEQUENCE."""

READER_OPTION_WORDS: Final = {
    0: "can refund",
    1: "multivend",
    2: "has its own display",
    3: "wants cash sales",
}
"""Z8 of READER CONFIG DATA."""

OPTION_WORDS: Final = {
    0: "file transport layer",
    1: "32-bit monetary format",
    2: "multi currency, multi lingual",
    3: "negative vend",
    4: "data entry",
    5: "always idle",
    6: "remote vend (4.3)",
    7: "basket, partial refund (4.3)",
    8: "coupon (4.3)",
    9: "ask begin session (4.3)",
}
"""Option bits of PERIPHERAL ID and ENABLE OPTIONS."""

CARD_OPTION_WORDS: Final = {
    0: "credit not to be shown",
    1: "card can be refunded",
    2: "card can be revalued, negative vend",
}
"""Z17 of BEGIN SESSION in expanded currency mode."""

PAYMENT_KIND_WORDS: Final = {
    0: "normal prices",
    1: "user group and price list",
    2: "user group and discount group",
    3: "discount in per cent",
    4: "surcharge in per cent",
}
"""Low six bits of the payment type."""

AGE_STATUS_WORDS: Final = {
    1: "age known",
    4: "old enough",
    6: "still busy",
    7: "card in",
}
"""Bits of the age verification status."""


def malfunction_words(code: int) -> str:
    """A malfunction code in words, with its class and the manufacturer's sub-code."""
    kind = malfunction_class(code)
    label = f"class {kind}: " if kind else ""
    return (
        f"{MALFUNCTION_WORDS[code >> 4 & 0x0F]} (sub-code {code & 0x0F:X}; "
        f"{label}{MALFUNCTION_CLASS_WORDS[kind]})"
    )


def malfunction_class(code: int) -> int | None:
    """1 transient, 2 the reader still works, 3 it does not; None: not classed (B to F)."""
    nibble = code >> 4 & 0x0F
    if nibble < 4:
        return 1
    if nibble < 8:
        return 2
    return 3 if nibble < 0x0B else None
