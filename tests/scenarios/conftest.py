"""What scenarios share."""

from __future__ import annotations

import pytest

from simulator.world import Link


@pytest.fixture(params=["adapter", "native"])
def link(request: pytest.FixtureRequest) -> Link:
    """Each scenario runs over the adapter's text and over the nine bits."""
    found: Link = request.param
    return found
