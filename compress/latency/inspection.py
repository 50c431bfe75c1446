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
    """Inspect ONNX files, given by name, one after the other.

    Raises `BadInputError` if a file cannot be run or what to feed it is not known, `MachineError` if the provider is
    not installed or cannot run the whole model, and `LockedError` if another process on this machine is measuring.
    """
    check_known([[file] for file in models.values()], given)
    found = []
    with machine_lock(), tempfile.TemporaryDirectory() as folder:
        for name, file in models.items():
            options = providers.options(provider, Path(folder), file)
            open_ = partial(open_model, file, provider=provider, provider_options=options, threads=threads)
            session = open_()
            check_batch(session, file, given)
            feed = feed_for(session, file, given=given)
            first_call(session, file, feed)
            del session  # two at a time would take twice the memory
            shapes = {input_: value.shape for input_, value in feed.items()}
            found.append(Inspected(name, file, shapes, inspect(open_, feed)))
    return found
