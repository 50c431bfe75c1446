"""Latencies of several models in one run, in interleaved rounds: what disturbs the machine hurts all alike."""

from __future__ import annotations

import gc
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import numpy as np
import onnxruntime

from compress import machine
from compress.artifacts import Latencies, OnnxModel, Skip, Timings
from compress.errors import first_line
from compress.onnx_tools import providers
from compress.onnx_tools.providers import CPU
from compress.onnx_tools.sessions import open_session
from compress.onnx_tools.signature import INPUT

# One model's turn in a round ends after this time or number of calls: all models are measured over the same minutes
SLICE_SECONDS = 0.02
SLICE_CALLS = 10
WARM_UP_SECONDS = 0.2

Call = Callable[[], object]
Arm = TypeVar("Arm")


def measure(
    models: Sequence[OnnxModel],
    images: np.ndarray,
    batches: Sequence[int],
    seconds: float,
    seed: int,
    progress: Callable[[float, str], None],
) -> Timings:
    """Measure every model on every provider present, with 1 thread and with all, at each batch size.

    `images` is `(n, height, width, channels) uint8`, repeated to fill a batch. `seconds` is the time for each
    combination of provider, threads and batch, over all models. A provider that is absent, and a model that
    a provider cannot run whole, are listed as skipped.
    """
    present = providers.available()
    skipped = [
        Skip(provider, f"onnxruntime {onnxruntime.__version__} as installed has no {provider}")
        for provider in providers.gpus()
        if provider not in present
    ]
    settings = [(CPU, threads) for threads in sorted({1, machine.available_cores()})]
    settings += [(provider, 1) for provider in present if provider != CPU]
    combinations = [(provider, threads, batch) for provider, threads in settings for batch in batches]
    latencies: list[Latencies] = []
    for i, (provider, threads, batch) in enumerate(combinations):
        progress(i / len(combinations), f"{provider}, {threads} thread{'s' * (threads > 1)}, batch {batch}")
        feed = {INPUT: np.resize(images, (batch, *images.shape[1:]))}
        calls: dict[str, Call] = {}
        for model in models:
            try:
                session = open_session(model.file, threads=threads, provider=provider, spinning=False)
                call = partial(session.run, None, feed)
                warm_up(call)
            except Exception as error:  # whatever a provider raises, it cannot run this model
                if provider == CPU:
                    raise
                reason = first_line(error)
                skipped.append(Skip(f"{model.id} on {provider}, batch {batch}", reason))
            else:
                calls[model.id] = call
        samples = interleaved(calls, seconds, random.Random(seed))
        latencies += [Latencies(name, provider, threads, batch, tuple(ns)) for name, ns in samples.items()]
    return Timings(host=machine.host(), latencies=tuple(latencies), skipped=tuple(skipped))


def warm_up(call: Call) -> None:
    """Call for a while; what the first calls do once is not timed."""
    _slice(call, WARM_UP_SECONDS)


def interleaved(calls: Mapping[Arm, Call], seconds: float, order: random.Random) -> dict[Arm, list[int]]:
    """Return the times of each arm's calls in ns. A round gives each arm one slice, in shuffled order."""
    samples: dict[Arm, list[int]] = {arm: [] for arm in calls}
    end = time.perf_counter() + seconds
    with without_garbage_collection():
        while calls and time.perf_counter() < end:
            for arm in order.sample(list(calls), len(calls)):
                calls[arm]()  # not counted: the last model's weights fill the caches
                samples[arm] += _slice(calls[arm], SLICE_SECONDS, SLICE_CALLS)
    return samples


def _slice(call: Call, seconds: float, most_calls: float = math.inf) -> list[int]:
    times: list[int] = []
    end = time.perf_counter_ns() + int(seconds * 1e9)
    while not times or (time.perf_counter_ns() < end and len(times) < most_calls):
        start = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - start)
    return times


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Keep Python from collecting garbage in the middle of a call."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
