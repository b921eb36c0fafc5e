"""Typed settings, and the commented files a machine is configured with."""
