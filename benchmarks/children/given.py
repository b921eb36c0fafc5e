"""What a child is given on its command line, and how it hands back what it found."""

from __future__ import annotations

import json
import logging
import sys
from argparse import ArgumentParser, Namespace

import structlog


def given(doc: str | None, **types: type) -> Namespace:
    """Read ``--name value`` of each name; all of them must be there."""
    parser = ArgumentParser(description=doc)
    for name, type_ in types.items():
        parser.add_argument(f"--{name}", type=type_, required=True)
    return parser.parse_args()


def say_as_much_as_a_service() -> None:
    """Say what vendd and vendcloud say where they are installed, and nothing for their makers."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))


def hand_back(found: object) -> None:
    """Print it as JSON."""
    sys.stdout.write(json.dumps(found))
