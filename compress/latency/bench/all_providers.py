"""The latency of a run's models, on every provider of this machine."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import onnxruntime

from compress import machine
from compress.artifacts import Latencies, OnnxModel, Skip, Timings
from compress.errors import first_line
from compress.latency.host import thread_counts
from compress.latency.timing import Call, interleaved, warm_up
from compress.onnx_tools import providers
from compress.onnx_tools.inspect import inspect
from compress.onnx_tools.providers import CPU
from compress.onnx_tools.sessions import open_session
from compress.onnx_tools.signature import INPUT
from compress.plural import counted


def measure(
    models: Sequence[OnnxModel],
    images: np.ndarray,
    batches: Sequence[int],
    seconds: float,
    seed: int,
    progress: Callable[[float, str], None],
) -> Timings:
    """Measure the latency of every model on every available provider, with 1 thread and with all, at each batch size.

    `images` is `(n, height, width, channels) uint8`, repeated to fill a batch. `seconds` is the time for each
    combination of provider, threads and batch, all models together. Skipped, and listed with the reason, are GPU
    providers that are not installed and models that a provider cannot run completely. What models run as is told for
    one image on one thread of the CPU.
    """
    installed = providers.available()
    skipped = [
        Skip(provider, f"onnxruntime {onnxruntime.__version__} as installed has no {provider}")
        for provider in providers.gpus()
        if provider not in installed
    ]
    ordered = [CPU, *(provider for provider in installed if provider != CPU)]
    combinations = [
        (provider, threads, batch) for provider in ordered for threads in thread_counts(provider) for batch in batches
    ]
    latencies: list[Latencies] = []
    for i, (provider, threads, batch) in enumerate(combinations):
        progress(i / len(combinations), f"{provider}, {counted(threads, 'thread')}, batch {batch}")
        feed = {INPUT: np.resize(images, (batch, *images.shape[1:]))}
        calls: dict[str, Call] = {}
        for model in models:
            try:
                session = open_session(model.file, threads=threads, provider=provider, spinning=False)
                call = partial(session.run, None, feed)
                warm_up(call)
            except Exception as error:  # providers raise many types; any means that this one cannot run the model
                if provider == CPU:
                    raise
                reason = first_line(error)
                skipped.append(Skip(f"{model.id} on {provider}, batch {batch}", reason))
            else:
                calls[model.id] = call
        samples = interleaved(calls, seconds, random.Random(seed))
        latencies += [Latencies(name, provider, threads, batch, tuple(ns)) for name, ns in samples.items()]
    progress(1.0, "what the models run as")
    image = {INPUT: images[:1]}
    opened = {model.id: partial(open_session, model.file, threads=1, provider=CPU, spinning=False) for model in models}
    inspections = inspect({name: (open_, image) for name, open_ in opened.items()})
    return Timings(machine.host(), tuple(latencies), tuple(skipped), inspections)
