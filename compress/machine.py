"""The machine that this process runs on: processor, cores, memory, system, device."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, Literal

CGROUPS, CGROUPS_OF_PROCESS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
Dtype = Literal["float32", "bfloat16", "float16"]
BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16")  # as named in /proc/cpuinfo


def gpus() -> tuple[str, ...]:
    """Return the NVIDIA GPUs that CUDA lets this process see, each with its driver's version.

    https://docs.nvidia.com/cuda/cuda-c-programming-guide/#cuda-environment-variables
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return tuple(name for _, _, name in _all_gpus())
    seen: list[str] = []
    for word in map(str.strip, visible.split(",")):
        # a MIG device, a part of a GPU, is not listed as such
        names = [name for index, uuid, name in _all_gpus() if _means(word, index, uuid)]
        if not names:
            break  # CUDA sees only those before the first that it does not know
        seen.append(names[0])
    return tuple(seen)


def _means(word: str, index: str, uuid: str) -> bool:
    """Tell whether a word of CUDA_VISIBLE_DEVICES means a GPU: by number, the start of its UUID, or a part."""
    return word == index or word.startswith("MIG-") or (word.startswith("GPU-") and uuid.startswith(word))


def gpu() -> str:
    """Return the NVIDIA GPUs that this process sees, each with its driver's version; empty without one."""
    return "; ".join(gpus())


@cache
def _all_gpus() -> tuple[tuple[str, str, str], ...]:
    """Return index, UUID, and name with the driver's version of every NVIDIA GPU of this machine."""
    if not shutil.which("nvidia-smi"):
        return ()
    query = ["nvidia-smi", "--query-gpu=index,uuid,name,driver_version", "--format=csv,noheader"]
    listing = subprocess.run(query, capture_output=True, text=True, check=False)
    rows = [line.split(", ", 2) for line in listing.stdout.splitlines() if line.strip()]
    if listing.returncode:
        return ()
    return tuple((index, uuid, name.strip().replace(", ", ", driver ")) for index, uuid, name in rows)


def device_class() -> str:
    """Return `gpu` if an NVIDIA driver lists a device and CUDA_VISIBLE_DEVICES does not hide all, otherwise `cpu`."""
    return "gpu" if gpu() else "cpu"


@cache
def host() -> dict[str, Any]:
    """Return what has to be equal for latencies to be comparable: processor, usable cores, memory, system, device."""
    import psutil

    return {
        "processor": _processor_name(),
        "machine": platform.machine(),
        "cores": available_cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.release()}",
        "device_class": device_class(),
        "gpu": gpu(),
    }


def has_bfloat16() -> bool:
    """Return whether the processor multiplies bfloat16 in hardware; False if that cannot be determined."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return False
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return any(flag in flags for flag in BFLOAT16_FLAGS)


def precisions(device: str) -> tuple[Dtype, ...]:
    """Return the precisions that products can be computed in on a class of device, float32 first."""
    if device == "gpu":
        return "float32", "float16"
    return ("float32", "bfloat16") if has_bfloat16() else ("float32",)


def available_cores() -> int:
    """Return how many cores this process may keep busy: those that it may run on, bounded by the cgroup's CPU quota.

    Where more threads run than the quota feeds, all of them are stopped for a part of each period.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, int(quota)))


def cpu_quota() -> float | None:
    """Return the cores' worth of time that the control groups of this process allow, None if they set no limit.

    https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files; version 1 has two files in place of one.
    """
    quotas = [_quota(folder) for folder in _cgroup_folders()]
    return min((quota for quota in quotas if quota is not None), default=None)


def _cgroup_folders() -> list[Path]:
    """Return the folders of this process's control groups and of all groups that these are in."""
    folders = []
    for line in _lines(CGROUPS_OF_PROCESS):
        _, controllers, path = line.split(":", 2)
        if not controllers or "cpu" in controllers.split(","):
            root = CGROUPS / "cpu" if controllers else CGROUPS
            group = root / path.lstrip("/")  # in a container, the path may be the host's: then only the root exists
            folders += [folder for folder in (group, *group.parents) if folder.is_relative_to(root)]
    return folders


def _quota(folder: Path) -> float | None:
    words = " ".join(_lines(folder / "cpu.max")).split()
    if not words:
        words = [*_lines(folder / "cpu.cfs_quota_us"), *_lines(folder / "cpu.cfs_period_us")]
    unlimited = len(words) != 2 or words[0] in ("max", "-1")
    return None if unlimited else int(words[0]) / int(words[1])


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:  # another system, or a container that hides it
        return []


def _processor_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        facts = dict(line.split(":", 1) for line in cpuinfo.read_text().splitlines() if ":" in line)
        names = {key.strip(): value.strip() for key, value in facts.items()}
        parts = [
            names.get("model name", ""),
            *(f"{k} {names[k]}" for k in ("cpu family", "model") if k in names),
        ]
        return ", ".join(part for part in parts if part) or platform.machine()
    return platform.processor() or platform.machine()
