from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _own_lock(own_lock: None) -> None:
    """Whatever measures in these tests waits for nothing else."""
