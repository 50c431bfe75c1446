"""How many images of a golden set a model still gets right, counted in a new process, which can be ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compress.arrays import read_members
from compress.errors import BadInputError, first_line
from compress.latency.model_files import open_model
from compress.latency.processes import answer
from compress.onnx_tools import scoring


@dataclass(frozen=True)
class Request:
    """A model file, the golden set to run it on, and how."""

    file: str
    golden: str
    provider: str
    threads: int


@dataclass(frozen=True)
class Correct:
    """The number of images for which the model finds the class that the set's logits state, and of all images."""

    images: int
    of: int


def main() -> None:
    """Answer the request on standard input."""
    answer(lambda request: count(Request(**request)))


def count(request: Request) -> Correct:
    """Count in this process; raises `BadInputError` if the set is damaged or does not fit the model."""
    file, golden = Path(request.file), Path(request.golden)
    arrays = read_members(golden, golden.stat().st_size, ("images", "logits"), str(golden))
    images, logits = arrays["images"], arrays["logits"]
    if logits.ndim != 2 or not logits.size or images.shape[:1] != logits.shape[:1]:
        raise BadInputError(f"{golden}: has logits of shape {logits.shape}; should be (images, classes)")
    session = open_model(file, threads=request.threads, provider=request.provider)
    try:
        found = scoring.run(session, images).argmax(axis=1)
    except Exception as error:  # onnxruntime raises many types if images do not fit the model
        raise BadInputError(f"{file}: fails to run on {golden}: {first_line(error)}") from error
    return Correct(int(np.sum(found == logits.argmax(axis=1))), len(images))
