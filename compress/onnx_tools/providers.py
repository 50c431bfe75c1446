"""ONNX Runtime's execution providers: what a session has to know of each."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from compress.files import sha256_file

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
    `exact` are those by which it computes fp32 in fp32; one that cannot is off by up to `tolerance` of the largest
    output. A provider that is not `local` sends the images elsewhere.
    """

    name: str
    device: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    exact: Mapping[str, str] = field(default_factory=dict)
    tolerance: float = 0.0
    local: bool = True


PROVIDERS = {
    row.name: row
    for row in (
        Provider(CPU),
        # TF32, its default, rounds factors to 10 bits: logits of an H200 were off by up to 4e-4 of the largest
        Provider(CUDA, device="cuda", exact={"use_tf32": "0"}),
        # Engines take minutes to build: they are kept, so that none is built while calls are timed. No option of
        # onnxruntime keeps it from TF32
        Provider(
            TENSORRT,
            device="cuda",
            options={"trt_engine_cache_enable": "1", "trt_engine_cache_path": "{cache}"},
            tolerance=2e-3,
        ),
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


def options(name: str, cache: Path, model: Path) -> dict[str, str]:
    """Return the options of a session of a model's file on a provider that may keep files in the folder `cache`.

    Each model has a folder of its own there: TensorRT finds an engine by the names in a graph, whatever its weights.
    """
    row = find(name)
    if not row.options:
        return {}
    folder = cache / sha256_file(model)
    folder.mkdir(parents=True, exist_ok=True)
    return {option: value.format(cache=folder) for option, value in row.options.items()}


@cache
def load_libraries(name: str) -> None:
    """Load what a provider needs from where pip has put it: the system's loader does not look there."""
    import onnxruntime

    if find(name).device == "cuda":
        with redirect_stdout(io.StringIO()):  # what cannot be loaded; whether it was needed shows with the session
            onnxruntime.preload_dlls()


def short(name: str) -> str:
    """Return a provider's name, in any case, as tables and options have it: `CPU` for `CPUExecutionProvider`."""
    return name[: -len(SUFFIX)] if name.lower().endswith(SUFFIX.lower()) else name


def by_short_name() -> dict[str, str]:
    """Return the full names of all providers that onnxruntime knows, by their short names in lower case: `cuda`."""
    import onnxruntime

    return {short(name).lower(): name for name in onnxruntime.get_all_providers()}
