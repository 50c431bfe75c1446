from __future__ import annotations

from pathlib import Path

import pytest
from onnx import TensorProto

from benchmarks.small_models import write_failing, write_identity, write_model


@pytest.fixture(autouse=True)
def _own_lock(own_lock: None) -> None:
    """Whatever measures in these tests waits for nothing else."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of models, good and bad."""
    write_model(tmp_path / "model.onnx")
    write_failing(tmp_path / "failing.onnx")
    write_identity(tmp_path / "free.onnx", TensorProto.FLOAT, ["batch", 3, "h", "w"])
    (tmp_path / "text.onnx").write_text("hello")
    (tmp_path / "empty").mkdir()
    return tmp_path
