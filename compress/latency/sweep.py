"""What `python -m compress bench MODEL...` measures: files, at several batch sizes and numbers of threads."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from compress.artifacts import Latencies
from compress.errors import MachineError
from compress.latency.alone import Alone, alone
from compress.latency.feeds import feed_for, first_call, open_model, shapes
from compress.latency.gate import machine_lock
from compress.latency.measure import Call, interleaved, warm_up
from compress.onnx_tools.placement import nodes_by_provider
from compress.onnx_tools.sessions import CPU

TENSORRT = "TensorrtExecutionProvider"
DEVICES = {"CUDAExecutionProvider": "cuda", TENSORRT: "cuda"}  # whose memory a session's data can stay in
SEED = 0  # of the order of the models


@dataclass(frozen=True)
class Settings:
    """What to measure; `seconds` is the time for each pair of threads and batch, all models together."""

    batches: tuple[int, ...]
    threads: tuple[int, ...]
    provider: str = CPU
    seconds: float = 5.0


@dataclass(frozen=True)
class Measured:
    """What is known of one model.

    `nodes` says how many of its nodes each provider runs, `batches` at which sizes it was measured: a model whose first
    dimension is fixed has one. `alone` holds its runs in processes of their own, at batch 1 with the fewest threads.
    """

    name: str
    file: Path
    nodes: dict[str, int]
    batches: tuple[int, ...]
    alone: tuple[Alone, ...]
    latencies: tuple[Latencies, ...]


def sweep(models: Mapping[str, Path], settings: Settings, progress: Callable[[str], None]) -> list[Measured]:
    """Measure ONNX files, by name.

    A GPU's time is measured twice: as a call that brings inputs to the device and outputs back, and with data that lies
    on the device and stays there. TensorRT builds its engines before anything is timed, and keeps them meanwhile.

    Raises `BadInputError` where a file does not run, `MachineError` where the provider is absent or does not run all of
    a model, before anything is measured, and `LockedError` where something else on this machine is measuring.
    """
    with machine_lock(), tempfile.TemporaryDirectory() as temporary:
        options = _provider_options(settings.provider, Path(temporary))
        open_ = partial(open_model, provider=settings.provider, provider_options=options)
        progress("looking at the models")
        nodes = {name: _nodes(file, settings.provider, open_, Path(temporary)) for name, file in models.items()}
        batches = {name: _batches(file, settings.batches, open_) for name, file in models.items()}
        progress("each model in processes of its own")
        alone_ = alone(models.values(), settings.provider, min(settings.threads), options)
        latencies: list[Latencies] = []
        for threads in settings.threads:
            for batch in sorted({batch for of in batches.values() for batch in of}):
                progress(f"{threads} thread{'s' * (threads > 1)}, batch {batch}")
                calls: dict[tuple[str, str], Call] = {}
                for name in (name for name in models if batch in batches[name]):
                    session = open_(models[name], threads=threads)
                    feed = feed_for(session, models[name], batch)
                    first_call(session, models[name], feed)
                    calls |= {(name, how): call for how, call in _calls(session, feed, settings.provider).items()}
                for call in calls.values():
                    warm_up(call)
                samples = interleaved(calls, settings.seconds, random.Random(SEED))
                latencies += [Latencies(name, how, threads, batch, tuple(ns)) for (name, how), ns in samples.items()]
    return [
        Measured(
            name, file, nodes[name], batches[name], alone_[file], tuple(row for row in latencies if row.model == name)
        )
        for name, file in models.items()
    ]


def _provider_options(provider: str, folder: Path) -> dict[str, str]:
    if provider != TENSORRT:
        return {}
    return {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(folder)}


def _nodes(file: Path, provider: str, open_: Callable[..., Any], folder: Path) -> dict[str, int]:
    session = open_(file, threads=1, profile=folder / "profile")
    first_call(session, file, feed_for(session, file))
    nodes = nodes_by_provider(Path(session.end_profiling()))
    elsewhere = {other: n for other, n in nodes.items() if other != provider}
    if provider != CPU and elsewhere:  # whatever the session was asked, this is what ran
        raise MachineError(f"{file}: {provider} does not run it whole: {elsewhere} nodes ran elsewhere")
    return nodes


def _batches(file: Path, asked: Sequence[int], open_: Callable[..., Any]) -> tuple[int, ...]:
    """Return the batch sizes to measure a model at; one where the model fixes it."""
    session = open_(file, threads=1)
    if shapes(session, 1) != shapes(session, 2):
        return tuple(asked)
    return tuple(next((shape[:1] for _, shape in shapes(session).values() if shape), (1,)))


def _calls(session: Any, feed: dict[str, np.ndarray], provider: str) -> dict[str, Call]:
    """Return what to time of a session, each with what it is called in the results."""
    calls: dict[str, Call] = {provider: partial(session.run, None, feed)}
    if provider in DEVICES:
        calls[f"{provider}, data on the device"] = on_device(session, feed, DEVICES[provider])
    return calls


def on_device(session: Any, feed: Mapping[str, np.ndarray], device: str) -> Call:
    """Return a call of a session whose inputs lie in a device's memory already and whose outputs stay there.

    It returns when the device is done (onnxruntime waits for it at the end of a run).
    """
    binding = session.io_binding()
    for name, value in feed.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(value, device, 0))
    for output in session.get_outputs():
        binding.bind_output(output.name, device)

    def call() -> Any:
        session.run_with_iobinding(binding)
        return binding

    return call
