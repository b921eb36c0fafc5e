"""MDB peripherals to the byte, on the far side of the wire."""
