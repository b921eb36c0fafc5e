"""The world around a machine: hardware to the byte and to the pin, customers, faults."""
