"""Claim codes: what a customer copies from the panel, and how the machine knows its own again.

A code is decimal digits: the claim's seq (8), an HMAC-SHA256 over machine, seq and amount under
this machine's own key, truncated to 33 bits (10), and two check digits (ISO 7064 MOD 97-10) that
catch every single wrong digit and every swap of neighbours before a wrong code is counted.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Final

SEQ_DIGITS: Final = 8
MAC_DIGITS: Final = 10
MAC_BITS: Final = 33  # the most that ten decimal digits hold whole; the promise is at least 30
CODE_DIGITS: Final = SEQ_DIGITS + MAC_DIGITS + 2
KEY_BYTES: Final = 32
_PURPOSE: Final = b"vendd claim codes 1\0"  # whatever else a tenant's key may derive
GROUP: Final = 4  # digits between two blanks on the panel


def machine_key(tenant_key: bytes, machine: str) -> bytes:
    """Return one machine's key, derived from its tenant's key, which no machine ever holds.

    So the card of a stolen machine mints nothing for any other.

    Raises:
        ValueError: The tenant's key is too short to be one.
    """
    if len(tenant_key) < KEY_BYTES:
        raise ValueError(
            f"a tenant's key has at least {KEY_BYTES} bytes, this one {len(tenant_key)}"
        )
    return hmac.new(tenant_key, _PURPOSE + machine.encode(), sha256).digest()


def _mac(key: bytes, machine: str, seq: int, amount: int) -> int:
    message = f"{machine}\0{seq}\0{amount}".encode()
    digest = hmac.new(key, message, sha256).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - MAC_BITS)


def mint(key: bytes, machine: str, seq: int, amount: int) -> str:
    """Return the code of the claim with record ``seq`` over ``amount`` minor units."""
    body = f"{seq % 10**SEQ_DIGITS:0{SEQ_DIGITS}d}{_mac(key, machine, seq, amount):0{MAC_DIGITS}d}"
    check = 98 - int(body + "00") % 97
    return f"{body}{check:02d}"


def well_formed(code: str) -> bool:
    """Tell whether the check digits fit (blanks are ignored)."""
    digits = code.replace(" ", "")
    return len(digits) == CODE_DIGITS and digits.isdecimal() and int(digits) % 97 == 1


def grouped(code: str) -> str:
    """Return the code in groups that a person can copy."""
    return " ".join(code[i : i + GROUP] for i in range(0, len(code), GROUP))
