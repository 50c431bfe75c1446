"""The measurement behind `python -m compress bench MODEL...`: ONNX files, by batch size and number of threads."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from compress.artifacts import Latencies, Skip
from compress.errors import BadInputError, MachineError, first_line
from compress.latency.bench.peers import Difference, difference, installed, open_peer
from compress.latency.cold_start import ColdStart, cold_starts
from compress.latency.given import NOTHING, Given
from compress.latency.graph_inputs import check_known
from compress.latency.inputs import check_batch, feed_for, fixed_batch, follows, is_swept
from compress.latency.lock import machine_lock
from compress.latency.model_files import first_call, name_and_file, open_model
from compress.latency.timing import Call, interleaved, warm_up
from compress.onnx_tools import providers
from compress.onnx_tools.placement import nodes_by_provider
from compress.onnx_tools.providers import CPU
from compress.plural import counted

SEED = 0  # for the order in which models are timed


@dataclass(frozen=True)
class Settings:
    """What to measure; `seconds` is the time for each pair of threads and batch, all models and peers together.

    With `spinning`, idle threads wait in a busy loop, which is onnxruntime's default. That is faster, but disturbs
    whatever else runs on the same cores.
    """

    batches: tuple[int, ...]
    threads: tuple[int, ...]
    provider: str = CPU
    seconds: float = 5.0
    peers: tuple[str, ...] = ()
    spinning: bool = False
    given: Given = NOTHING


@dataclass(frozen=True)
class Fed:
    """The shapes of the inputs that a model is fed at a batch size."""

    batch: int
    shapes: dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Measured:
    """The measurements of one model.

    `nodes` is how many of its nodes each provider runs. `fed` is what it is measured on: one batch only if its first
    dimension is fixed, is no batch, or was stated by the user. `alone` are its cold starts, at batch 1 with the fewest
    threads. In `latencies`, a peer's name stands as the provider; `differences` is how far each peer's outputs are from
    onnxruntime's.
    """

    name: str
    file: Path
    nodes: dict[str, int]
    fed: tuple[Fed, ...]
    alone: tuple[ColdStart, ...] = ()
    latencies: tuple[Latencies, ...] = ()
    differences: dict[str, Difference] = field(default_factory=dict)

    @property
    def batches(self) -> tuple[int, ...]:
        """The batch sizes that it is measured at."""
        return tuple(fed.batch for fed in self.fed)


def named(models: Sequence[Path]) -> dict[str, Path]:
    """Return `{name: file}` of the models: the name of the file or bundle, or its path if two have the same name.

    Raises `BadInputError` if there is no such file or if a model is given twice.
    """
    found = [name_and_file(model) for model in models]
    names = [name for name, _ in found]
    files = {
        name if names.count(name) == 1 else str(model): file for model, (name, file) in zip(models, found, strict=True)
    }
    if len(files) < len(models):
        twice = next(model for model in models if models.count(model) > 1)
        raise BadInputError(f"{twice}: is given twice; each model should be a different file")
    return files


def sweep(
    models: Mapping[str, Path], settings: Settings, progress: Callable[[str], None]
) -> tuple[list[Measured], list[Skip]]:
    """Measure ONNX files, given by name; return the measurements, and which peers could not run and why.

    On a GPU each model is measured twice: with calls that copy inputs to the device and outputs back, and with data
    that stays on the device. TensorRT builds its engines before anything is timed, and keeps them until the end.

    A batch that a model fails to run on is skipped if it runs on a smaller one.

    Raises `BadInputError` if a file cannot be run or what to feed it is not known, `MachineError` if the provider is
    not installed or cannot run the whole model, all before anything is timed, and `LockedError` if another process on
    this machine is measuring.
    """
    check_known([[file] for file in models.values()], settings.given)
    peers, skipped = installed(settings.peers)
    with machine_lock(), tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        options = {file: providers.options(settings.provider, folder, file) for file in models.values()}
        open_ = partial(_open, settings, options)
        progress("running each model once")
        checked = []
        for name, file in models.items():
            model, failed = _check(name, file, settings, open_, folder)
            checked.append(model)
            skipped += failed
        progress("cold starts, each in a new process")
        starts = cold_starts(options, settings.provider, min(settings.threads), settings.given)
        measured = [replace(model, alone=starts[model.file]) for model in checked]
        batches = sorted({batch for model in checked for batch in model.batches})
        for threads, batch in product(settings.threads, batches):
            progress(f"{counted(threads, 'thread')}, batch {batch}")
            measured, more = _measure(measured, threads, batch, settings, open_, peers)
            skipped += more
    return measured, list(dict.fromkeys(skipped))


def on_device(session: Any, feed: Mapping[str, np.ndarray], device: str) -> partial[None]:
    """Return a function that runs a session on inputs that are already in a device's memory; the outputs stay there.

    It returns once the device is done: onnxruntime waits for it at the end of a run.
    """
    binding = session.io_binding()
    for name, value in feed.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(value, device, 0))
    for output in session.get_outputs():
        binding.bind_output(output.name, device)
    return partial(session.run_with_iobinding, binding)


def _open(settings: Settings, options: Mapping[Path, Mapping[str, str]], file: Path, **more: Any) -> Any:
    return open_model(
        file, provider=settings.provider, provider_options=options[file], spinning=settings.spinning, **more
    )


def _check(
    name: str, file: Path, settings: Settings, open_: Callable[..., Any], folder: Path
) -> tuple[Measured, list[Skip]]:
    """Run a model once at each batch size; return it with what it is fed, and the batches that it fails to run on."""
    session = open_(file, threads=1, profile=folder / "profile")
    check_batch(session, file, settings.given)
    swept = is_swept(session, settings.given)
    fed: list[Fed] = []
    skipped = []
    for batch in settings.batches if swept else (1,):
        try:
            feed = feed_for(session, file, batch, settings.given)
            outputs = first_call(session, file, feed)
        except BadInputError as error:
            if not fed:
                raise
            skipped.append(Skip(f"{name} at batch {batch}", str(error)))
            continue
        shapes = {input_: value.shape for input_, value in feed.items()}
        if swept and not follows(outputs, batch):
            if not fed:
                raise BadInputError(f"{file}: outputs do not follow the batch of {batch}; --shape should state a shape")
            skipped.append(Skip(f"{name} at batch {batch}", "its outputs do not follow the batch"))
        else:
            fed.append(Fed(batch if swept else fixed_batch(feed, outputs), shapes))
    nodes = nodes_by_provider(Path(session.end_profiling()))
    if settings.provider != CPU and nodes.keys() != {settings.provider}:
        raise MachineError(f"{file}: {settings.provider} cannot run all of it: its nodes ran on {nodes}")
    return Measured(name, file, nodes, tuple(fed)), skipped


def _measure(
    models: Sequence[Measured],
    threads: int,
    batch: int,
    settings: Settings,
    open_: Callable[..., Any],
    peers: Sequence[str],
) -> tuple[list[Measured], list[Skip]]:
    """Return the models with their latencies at `threads` and `batch` added, and which peers could not run."""
    calls: dict[tuple[str, str], Call] = {}
    differences = {model.name: dict(model.differences) for model in models}
    skipped = []
    for model in (model for model in models if batch in model.batches):
        session = open_(model.file, threads=threads)
        feed = feed_for(session, model.file, batch, settings.given)
        try:
            outputs = first_call(session, model.file, feed)
        except BadInputError as error:  # it ran before: beside others, memory may not suffice
            if batch == model.batches[0]:
                raise
            skipped.append(Skip(f"{model.name} at batch {batch}", str(error)))
            continue
        calls[model.name, settings.provider] = partial(session.run, None, feed)
        if device := providers.find(settings.provider).device:
            calls[model.name, f"{settings.provider}, data on the device"] = on_device(session, feed, device)
        for peer in peers:
            try:
                run = open_peer(peer, model.file, threads, feed, [output.name for output in session.get_outputs()])
                found = difference(run(), outputs)
            except Exception as error:  # peers raise many types; any means that this one cannot run the model
                skipped.append(Skip(f"{model.name} on {peer}", first_line(error)))
            else:
                calls[model.name, peer] = run
                known = differences[model.name].get(peer, found)
                differences[model.name][peer] = max(found, known, key=lambda difference: difference.largest)
    for call in calls.values():
        warm_up(call)
    samples = interleaved(calls, settings.seconds, random.Random(SEED))
    latencies = [Latencies(name, runtime, threads, batch, tuple(ns)) for (name, runtime), ns in samples.items()]
    return [
        replace(
            model,
            latencies=model.latencies + tuple(row for row in latencies if row.model == model.name),
            differences=differences[model.name],
        )
        for model in models
    ], skipped
