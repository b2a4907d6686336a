from __future__ import annotations

import pytest
from bundles import classifier

from ulmfit.inference.bundle import Bundle


@pytest.fixture(scope="session")
def example() -> Bundle:
    """A small untrained classifier of three classes."""
    return classifier()
