"""Simulated pins: the board, and the pin factory through which gpiozero reaches it."""

from simulator.pins.board import Edge, OnRelease, PinBoard
from simulator.pins.factory import SimulatorFactory

__all__ = ["Edge", "OnRelease", "PinBoard", "SimulatorFactory"]
