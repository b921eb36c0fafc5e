"""Thermometers that the kernel reads, and the relays of compressor, defrost, heater and light."""
