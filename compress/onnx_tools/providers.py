"""ONNX Runtime's execution providers, with what a session needs to know about each."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from compress.files import sha256_file

CPU = "CPUExecutionProvider"  # this and the next as ONNX Runtime names them
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
AZURE = "AzureExecutionProvider"
SUFFIX = "ExecutionProvider"


@dataclass(frozen=True)
class Provider:
    """An execution provider.

    `device` is ONNX Runtime's name for the device memory in which a session's inputs and outputs can stay; None if the
    provider uses the host's memory. `options` are passed to a session; `{cache}` in a value stands for a folder that
    outlives the session. `exact` are the options that make it compute fp32 in fp32; if there are none, its outputs may
    be off by up to `tolerance` of the largest output. A provider that is not `local` sends the images elsewhere.
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
        # Engines take minutes to build: they are cached, so that none has to be built while calls are timed. No option
        # of onnxruntime keeps TensorRT from using TF32
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
    """Return a provider by its full name; those without a row get the defaults."""
    return PROVIDERS.get(name, Provider(name))


def available() -> list[str]:
    """Return the installed onnxruntime's providers that compute on this machine, in onnxruntime's order.

    Whether a provider's libraries and devices are present is not known until a session is opened.
    """
    import onnxruntime

    return [name for name in onnxruntime.get_available_providers() if find(name).local]


def gpus() -> list[str]:
    """Return the providers that can keep data in a device's memory, whether or not they are installed."""
    return [row.name for row in PROVIDERS.values() if row.device]


def options(name: str, cache: Path, model: Path) -> dict[str, str]:
    """Return the options for a session of a model's file on a provider, which may keep files in the folder `cache`.

    Each model gets its own folder there: TensorRT finds an engine by the names in a graph, whatever its weights.
    """
    row = find(name)
    if not row.options:
        return {}
    folder = cache / sha256_file(model)
    folder.mkdir(parents=True, exist_ok=True)
    return {option: value.format(cache=folder) for option, value in row.options.items()}


@cache
def load_libraries(name: str) -> None:
    """Load the libraries that a provider needs from where pip put them: the system's loader does not look there."""
    import onnxruntime

    if find(name).device == "cuda":
        with redirect_stdout(io.StringIO()):  # it prints what cannot be loaded; the session shows if that was needed
            onnxruntime.preload_dlls()


def short(name: str) -> str:
    """Return a provider's name as used in tables and options: `CPU` for `CPUExecutionProvider`, in any case."""
    return name[: -len(SUFFIX)] if name.lower().endswith(SUFFIX.lower()) else name


def by_short_name() -> dict[str, str]:
    """Return `{short name: full name}` of all providers that onnxruntime knows, such as `cuda`, in lower case."""
    import onnxruntime

    return {short(name).lower(): name for name in onnxruntime.get_all_providers()}
