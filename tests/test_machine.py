from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from compress import machine
from tests.conftest import run_main


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    machine._all_gpus.cache_clear()
    yield
    machine._all_gpus.cache_clear()


@pytest.mark.parametrize(("visible", "expected"), [(None, "gpu"), ("0", "gpu"), ("", "cpu"), ("-1", "cpu")])
def test_a_gpu_counts_unless_it_is_hidden(
    visible: str | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvidia_smi("echo '0, GPU-1, a card, 580.1'", tmp_path, monkeypatch)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    assert machine.device_class() == expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo '0, GPU-1, NVIDIA H200, 580.159.04'", "NVIDIA H200, driver 580.159.04"),
        ("echo '0, GPU-1, a, 1'; echo '1, GPU-2, b, 1'", "a, driver 1; b, driver 1"),
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


@pytest.mark.parametrize(
    ("visible", "seen"),
    [
        ("1", ["b, driver 1"]),
        ("2,0", ["c, driver 1", "a, driver 1"]),
        ("GPU-3", ["c, driver 1"]),
        ("0,9,1", ["a, driver 1"]),
        ("MIG-1", ["a, driver 1"]),
        ("NoDevFiles", []),
    ],
)
def test_gpus_that_cuda_hides_do_not_count(
    visible: str, seen: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvidia_smi("echo '0, GPU-1, a, 1'; echo '1, GPU-2, b, 1'; echo '2, GPU-3, c, 1'", tmp_path, monkeypatch)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    assert list(machine.gpus()) == seen


def nvidia_smi(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the machine's tool print something else."""
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize(
    ("groups", "files", "quota"),
    [
        ("0::/", {}, None),
        ("0::/", {"cpu.max": "max 100000"}, None),
        ("0::/", {"cpu.max": "250000 100000"}, 2.5),
        ("0::/", {"cpu.max": "50000 100000"}, 0.5),
        ("0::/a/b", {"cpu.max": "max 100000", "a/cpu.max": "150000 100000", "a/b/cpu.max": "max 100000"}, 1.5),
        ("0::/a/b", {"a/cpu.max": "150000 100000", "a/b/cpu.max": "100000 100000"}, 1.0),
        ("0::/of/the/host", {"cpu.max": "200000 100000"}, 2.0),
        ("1:cpu,cpuacct:/a", {"cpu/a/cpu.cfs_quota_us": "300000", "cpu/a/cpu.cfs_period_us": "100000"}, 3.0),
        ("1:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("2:cpuacct:/\n3:cpuset:/", {"cpu.max": "100000 100000"}, None),
    ],
)
def test_the_quota_of_the_control_groups_bounds_the_cores(
    groups: str, files: dict[str, str], quota: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in {"groups": groups, **files}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    monkeypatch.setattr(machine, "CGROUPS", tmp_path)
    monkeypatch.setattr(machine, "CGROUPS_OF_PROCESS", tmp_path / "groups")
    monkeypatch.setattr("os.sched_getaffinity", lambda process: range(8), raising=False)

    assert machine.cpu_quota() == quota
    assert machine.available_cores() == (8 if quota is None else max(1, int(quota)))


@pytest.mark.parametrize("command", [["bench", "m.onnx"], ["check", "m.onnx", "--baseline", "m.onnx"]])
def test_a_quota_below_a_core_is_named_and_allows_one_thread(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "cpu_quota", lambda: 0.5)

    assert run_main(monkeypatch, tmp_path, *command, "--threads", "2") == 2
    error = capsys.readouterr().err
    assert "the CPU quota of this cgroup is 0.5 of a core" in error
    assert "--threads 2: should be 1 to 1" in error
