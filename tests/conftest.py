"""What every test shares."""

import signal

from hypothesis import settings

# A run in the background of a shell ignores Ctrl-C, and so would every program that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# `machine`, `machines`: simulated machines as processes of their own.
pytest_plugins = ["simulator.pytest_plugin"]

# The same examples on every run, so that a red build is red again; `--hypothesis-profile=explore`
# looks further. No deadline: a slow shared machine must not fail a true property.
settings.register_profile("vendd", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=2_000)
settings.load_profile("vendd")
