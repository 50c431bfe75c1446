"""What `python -m compress bench MODEL...` measures: files, at several batch sizes and numbers of threads."""

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
from compress.latency.inputs import feed_for, shapes
from compress.latency.lock import machine_lock
from compress.latency.model_files import first_call, name_and_file, open_model
from compress.latency.timing import Call, interleaved, warm_up
from compress.onnx_tools import providers
from compress.onnx_tools.placement import nodes_by_provider
from compress.onnx_tools.providers import CPU

SEED = 0  # of the order of the models


@dataclass(frozen=True)
class Settings:
    """What to measure; `seconds` is the time for each pair of threads and batch, all models and peers together.

    With `spinning` idle threads wait busily, as they do by onnxruntime's default: faster, where nothing else is beside.
    """

    batches: tuple[int, ...]
    threads: tuple[int, ...]
    provider: str = CPU
    seconds: float = 5.0
    peers: tuple[str, ...] = ()
    spinning: bool = False


@dataclass(frozen=True)
class Measured:
    """What is known of one model.

    `nodes` says how many of its nodes each provider runs, `batches` at which sizes it is measured: one whose first
    dimension is fixed has one. `alone` are its runs in processes of their own, at batch 1 with the fewest threads. A
    peer's latencies have its name as provider; `differences` says how far its outputs are from onnxruntime's.
    """

    name: str
    file: Path
    nodes: dict[str, int]
    batches: tuple[int, ...]
    alone: tuple[ColdStart, ...] = ()
    latencies: tuple[Latencies, ...] = ()
    differences: dict[str, Difference] = field(default_factory=dict)


def named(models: Sequence[Path]) -> dict[str, Path]:
    """Return the models' files by name: that of the file or bundle, or its path if two have the same.

    Raises `BadInputError` if there is no such file, and for one that is given twice.
    """
    found = [name_and_file(model) for model in models]
    names = [name for name, _ in found]
    files = {
        name if names.count(name) == 1 else str(model): file for model, (name, file) in zip(models, found, strict=True)
    }
    if len(files) < len(models):
        twice = next(model for model in models if models.count(model) > 1)
        raise BadInputError(f"{twice}: is given twice; each model should be another file")
    return files


def sweep(
    models: Mapping[str, Path], settings: Settings, progress: Callable[[str], None]
) -> tuple[list[Measured], list[Skip]]:
    """Measure ONNX files, by name; return also which peers could not run, and why.

    A GPU's time is measured twice: as a call that brings inputs to the device and outputs back, and with data that lies
    on the device and stays there. TensorRT builds its engines before anything is timed, and keeps them meanwhile.

    Raises `BadInputError` where a file does not run, `MachineError` where the provider is absent or does not run all of
    a model, both before anything is timed, and `LockedError` where something else on this machine is measuring.
    """
    peers, skipped = installed(settings.peers)
    with machine_lock(), tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        options = {file: providers.options(settings.provider, folder, file) for file in models.values()}
        open_ = partial(_open, settings, options)
        progress("looking at the models")
        looked = [_look(name, file, settings, open_, folder) for name, file in models.items()]
        progress("each model in processes of its own")
        starts = cold_starts(options, settings.provider, min(settings.threads))
        measured = [replace(one, alone=starts[one.file]) for one in looked]
        for threads, batch in product(settings.threads, sorted({batch for one in looked for batch in one.batches})):
            progress(f"{threads} thread{'s' * (threads > 1)}, batch {batch}")
            measured, more = _measure(measured, threads, batch, settings, open_, peers)
            skipped += more
    return measured, list(dict.fromkeys(skipped))


def on_device(session: Any, feed: Mapping[str, np.ndarray], device: str) -> partial[None]:
    """Return a call of a session whose inputs lie in a device's memory already and whose outputs stay there.

    It returns when the device is done: onnxruntime waits for it at the end of a run.
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


def _look(name: str, file: Path, settings: Settings, open_: Callable[..., Any], folder: Path) -> Measured:
    """Run a model once at each batch size, and see which nodes ran where."""
    session = open_(file, threads=1, profile=folder / "profile")
    free = shapes(session, 1) != shapes(session, 2)
    fixed = next((shape[:1] for _, shape in shapes(session).values() if shape), (1,))
    batches = settings.batches if free else fixed
    for batch in batches:
        first_call(session, file, feed_for(session, file, batch))
    nodes = nodes_by_provider(Path(session.end_profiling()))
    if settings.provider != CPU and nodes.keys() != {settings.provider}:  # whatever was asked for, this is what ran
        raise MachineError(f"{file}: {settings.provider} does not run it whole: its nodes ran on {nodes}")
    return Measured(name, file, nodes, batches)


def _measure(
    models: Sequence[Measured],
    threads: int,
    batch: int,
    settings: Settings,
    open_: Callable[..., Any],
    peers: Sequence[str],
) -> tuple[list[Measured], list[Skip]]:
    """Return the models with their latencies in this setting added, and which peers could not run."""
    calls: dict[tuple[str, str], Call] = {}
    differences = {one.name: dict(one.differences) for one in models}
    skipped = []
    for one in (one for one in models if batch in one.batches):
        session = open_(one.file, threads=threads)
        feed = feed_for(session, one.file, batch)
        outputs = first_call(session, one.file, feed)
        calls[one.name, settings.provider] = partial(session.run, None, feed)
        if device := providers.find(settings.provider).device:
            calls[one.name, f"{settings.provider}, data on the device"] = on_device(session, feed, device)
        for peer in peers:
            try:
                run = open_peer(peer, one.file, threads, feed)
                found = difference(run(), outputs)
            except Exception as error:  # whatever a peer raises, it cannot run this model
                skipped.append(Skip(f"{one.name} on {peer}", first_line(error)))
            else:
                calls[one.name, peer] = run
                known = differences[one.name].get(peer, found)
                differences[one.name][peer] = max(found, known, key=lambda one: one.largest)
    for call in calls.values():
        warm_up(call)
    samples = interleaved(calls, settings.seconds, random.Random(SEED))
    latencies = [Latencies(name, by, threads, batch, tuple(ns)) for (name, by), ns in samples.items()]
    return [
        replace(
            one,
            latencies=one.latencies + tuple(row for row in latencies if row.model == one.name),
            differences=differences[one.name],
        )
        for one in models
    ], skipped
