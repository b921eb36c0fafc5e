"""The pins: who owns each, its safe level, and how long it may stay on."""
