"""The properties and the current state of this machine that latencies depend on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime
import psutil

from compress import machine
from compress.onnx_tools.providers import CPU

CPUINFO = Path("/proc/cpuinfo")
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
CPU_LIMITS = (Path("/sys/fs/cgroup/cpu.max"), Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"))  # cgroup 2 and 1


def conditions() -> dict[str, Any]:
    """Return the host with processor flags, cgroup CPU limit, frequency governor and load; None for what is hidden."""
    lines = [line for line in _text(CPUINFO).splitlines() if line.startswith(("flags", "Features"))]
    limit = next((text for text in map(_text, CPU_LIMITS) if text), None)
    return {
        **machine.host(),
        "flags": lines[0].partition(":")[2].split() if lines else None,
        "cgroup_cpu": limit,
        "governor": _text(GOVERNOR) or None,
        "load": psutil.getloadavg()[0],
        "onnxruntime": onnxruntime.__version__,
    }


def thread_counts(provider: str) -> tuple[int, ...]:
    """Return the numbers of threads to measure sessions with: 1 and all cores on the CPU, only 1 elsewhere."""
    return tuple(sorted({1, machine.available_cores()})) if provider == CPU else (1,)


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:  # another system, or a container that hides it
        return ""
