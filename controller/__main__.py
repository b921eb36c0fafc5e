"""``python -m controller``: the daemon, as ``vendd``."""

import sys

from controller.vendd import main

sys.exit(main())
