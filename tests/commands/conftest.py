from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from onnx import TensorProto

from benchmarks.small_models import write_failing, write_identity, write_model
from tests.conftest import run_main

Refused = Callable[..., str]


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


@pytest.fixture
def refused(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    def line_of(*arguments: str) -> str:
        """Call a command that should end with exit code 2 and say why in one line; return that."""
        code = run_main(monkeypatch, folder, *arguments)

        said = capsys.readouterr().err
        assert (code, len(said.splitlines())) == (2, 1), said
        return said

    return line_of
