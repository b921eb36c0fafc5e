"""Links: how bytes get to a device and back."""
