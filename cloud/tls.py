"""What both sides of a TLS connection need and Python does not name."""

from __future__ import annotations

from typing import Final

# X509_V_FLAG_NO_CHECK_TIME: the chain is checked by TLS, the dates by us, afterwards. A Pi may wake
# up in any year, and a server lets a certificate that has ended ask for its successor.
NO_CHECK_TIME: Final = 0x200000
