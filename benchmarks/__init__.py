"""Measurements, each beside its peer or its limit: `./run bench`."""
