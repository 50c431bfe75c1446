from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from compress import machine


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    machine.gpu.cache_clear()
    yield
    machine.gpu.cache_clear()


@pytest.mark.parametrize(("visible", "expected"), [(None, "gpu"), ("0", "gpu"), ("", "cpu"), ("-1", "cpu")])
def test_a_gpu_counts_unless_it_is_hidden(
    visible: str | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvidia_smi("echo 'a card, 580.1'", tmp_path, monkeypatch)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    assert machine.device_class() == expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo 'NVIDIA H200, 580.159.04'", "NVIDIA H200, driver 580.159.04"),
        ("echo 'a, 1'; echo 'b, 1'", "a, driver 1; b, driver 1"),
        ("true", ""),
        ("echo 'No devices were found'; exit 6", ""),
    ],
)
def test_gpus_are_known_by_name_and_driver(
    script: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvidia_smi(script, tmp_path, monkeypatch)

    assert machine.gpu() == expected
    assert machine.host.__wrapped__()["gpu"] == expected


def nvidia_smi(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the machine's tool print something else."""
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
