"""What machines and their fleet say to each other: one source for both sides.

Pure: no sockets, no clock, no disk. Records, money and the hash chain come from ``controller`` and
are handed on here, so that the server imports this package alone.
"""
