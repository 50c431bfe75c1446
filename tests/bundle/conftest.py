from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Run


@pytest.fixture
def bundle(tiny_run: Run, tmp_path: Path) -> Path:
    """A bundle of one's own, to damage."""
    return Path(shutil.copytree(tiny_run.bundle, tmp_path / "digits"))
