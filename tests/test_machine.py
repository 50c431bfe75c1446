from __future__ import annotations

from pathlib import Path

import pytest

from compress import machine


@pytest.mark.parametrize(("visible", "expected"), [(None, "gpu"), ("0", "gpu"), ("", "cpu"), ("-1", "cpu")])
def test_a_gpu_counts_unless_it_is_hidden(
    visible: str | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: one'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    assert machine.device_class.__wrapped__() == expected
