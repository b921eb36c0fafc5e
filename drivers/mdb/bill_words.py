"""The bill validator's and recycler's codes in words.

Pure tables, for people: technicians, logs, the decoder.

Source: MDB/ICP 4.2, section 6.
"""

from typing import Final

VALIDATOR_WORDS: Final[dict[int, str]] = {
    0x01: "defective motor",
    0x02: "sensor problem",
    0x03: "validator busy, cannot answer details now",
    0x04: "ROM checksum error",
    0x05: "validator jammed",
    0x06: "just reset: the validator must be initialised",
    0x07: "bill removed from escrow by unknown means",
    0x08: "cash box out of position",
    0x09: "validator disabled",
    0x0A: "invalid escrow request: there was no bill in escrow",
    0x0B: "bill rejected",
    0x0C: "possible removal of a credited bill (fraud)",
}
"""POLL status codes of the validator; a code not listed is undefined."""

RECYCLER_WORDS: Final[dict[int, str]] = {
    0x21: "escrow request: the return button was pressed",
    0x22: "dispenser payout busy",
    0x23: "dispenser busy, cannot answer details now",
    0x24: "defective dispenser sensor",
    0x26: "dispenser did not start, or its motor is defective",
    0x27: "dispenser jam",
    0x28: "ROM checksum error of the dispenser's processor",
    0x29: "dispenser disabled",
    0x2A: "a bill waits for the customer to take it",
    0x2F: "fill key pressed",
}
"""POLL status codes of the recycler; a code not listed is undefined."""

ROUTE_WORDS: Final = (
    "stacked in the cash box: credit",
    "in escrow: no credit yet, stack or return it",
    "returned to the customer",
    "put into the recycler: credit",
    "rejected because this type is disabled",
    "put into the recycler by manual fill",
    "dispensed by hand",
    "moved from the recycler to the cash box",
)
"""By route 0-7."""

OPTION_WORDS: Final = {0: "file transport layer", 1: "bill recycling"}
"""LEVEL 2 IDENTIFICATION option bits."""

QUALITY_WORDS: Final = (
    "not recycled",
    "recycle high quality only",
    "recycle high and medium quality",
    "recycle all qualities",
)
"""RECYCLER ENABLE, by value 0-3."""


_MET_WORDS: Final = {
    0x14: "undefined code 14, skipped; met with the meaning: bill not accepted or not recognised"
}
"""What some validators mean by codes that the standard leaves undefined."""


def status_words(code: int) -> str:
    """A POLL status code of validator or recycler in words."""
    words = VALIDATOR_WORDS.get(code) or RECYCLER_WORDS.get(code)
    return words or _MET_WORDS.get(code, f"undefined code {code:02X}, skipped")
