"""Where a server's log goes: as vendd's does, to whatever takes it."""

from controller.log_level import Heedless

__all__ = ["Heedless"]
