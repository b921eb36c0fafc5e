"""Processes that are measured, or that stand opposite: each prints one JSON object and ends."""
