"""What `python -m compress inspect MODEL...` finds: ONNX files on an example input, by the kernels that they run as."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from compress.kernels import Inspection
from compress.latency.given import Given
from compress.latency.graph_inputs import check_known
from compress.latency.inputs import check_batch, feed_for
from compress.latency.lock import machine_lock
from compress.latency.model_files import first_call, open_model
from compress.onnx_tools import providers
from compress.onnx_tools.inspect import inspect


@dataclass(frozen=True)
class Inspected:
    """A model by its name, the shapes that its inputs were fed, and what it runs as on them."""

    name: str
    file: Path
    fed: dict[str, tuple[int, ...]]
    inspection: Inspection


def inspect_files(models: Mapping[str, Path], provider: str, threads: int, given: Given) -> list[Inspected]:
    """Inspect ONNX files, given by name.

    Raises `BadInputError` if a file cannot be run or what to feed it is not known, `MachineError` if the provider is
    not installed or cannot run the whole model, and `LockedError` if another process on this machine is measuring.
    """
    check_known([[file] for file in models.values()], given)
    opened, fed = {}, {}
    with machine_lock(), tempfile.TemporaryDirectory() as folder:
        for name, file in models.items():
            options = providers.options(provider, Path(folder), file)
            opened[name] = partial(open_model, file, provider=provider, provider_options=options, threads=threads)
            session = opened[name]()
            check_batch(session, file, given)
            fed[name] = feed_for(session, file, given=given)
            first_call(session, file, fed[name])
            del session  # before it is opened again
        found = inspect({name: (opened[name], fed[name]) for name in models})
    shapes = {name: {input_: value.shape for input_, value in feed.items()} for name, feed in fed.items()}
    return [Inspected(name, file, shapes[name], found[name]) for name, file in models.items()]
