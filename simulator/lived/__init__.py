"""A machine's past, lived by the real controller in virtual time: a journal and a world's state."""
