"""ONNX Runtime's execution providers: what a session has to know of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

CPU = "CPUExecutionProvider"  # ONNX Runtime's names
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
AZURE = "AzureExecutionProvider"
SUFFIX = "ExecutionProvider"


@dataclass(frozen=True)
class Provider:
    """An execution provider.

    `device` is ONNX Runtime's name of the memory in which a session's inputs and outputs can stay, None where there is
    none but the host's. `options` are a session's; `{cache}` in a value stands for a folder that outlives the session.
    A provider that is not `local` sends the images elsewhere.
    """

    name: str
    device: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    local: bool = True


PROVIDERS = {
    row.name: row
    for row in (
        Provider(CPU),
        Provider(CUDA, device="cuda"),
        # Engines take minutes to build: they are kept, so that none is built while calls are timed
        Provider(TENSORRT, device="cuda", options={"trt_engine_cache_enable": "1", "trt_engine_cache_path": "{cache}"}),
        Provider(AZURE, local=False),
    )
}


def find(name: str) -> Provider:
    """Return what is known of a provider; nothing special of one that has no row."""
    return PROVIDERS.get(name, Provider(name))


def available() -> list[str]:
    """Return the providers of onnxruntime as installed that compute on this machine, in onnxruntime's order.

    Whether their libraries and devices are there shows only when a session is opened.
    """
    import onnxruntime

    return [name for name in onnxruntime.get_available_providers() if find(name).local]


def gpus() -> list[str]:
    """Return the providers that keep data in a device's memory, whether or not they are installed."""
    return [row.name for row in PROVIDERS.values() if row.device]


def options(name: str, cache: Path) -> dict[str, str]:
    """Return the options of a session on a provider that may keep files in the folder `cache`."""
    return {option: value.format(cache=cache) for option, value in find(name).options.items()}


def short(name: str) -> str:
    """Return a provider's name, in any case, as tables and options have it: `CPU` for `CPUExecutionProvider`."""
    return name[: -len(SUFFIX)] if name.lower().endswith(SUFFIX.lower()) else name


def by_short_name() -> dict[str, str]:
    """Return the full names of all providers that onnxruntime knows, by their short names in lower case: `cuda`."""
    import onnxruntime

    return {short(name).lower(): name for name in onnxruntime.get_all_providers()}
