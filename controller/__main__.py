"""``python -m controller``: the daemon, as ``vendd``."""

import sys

from controller.app import main

sys.exit(main())
