"""The precision in which convolutions and matrix products are computed; weights, losses and sums stay in float32.

TensorFlow's graph optimizer applies it (the idea of Micikevicius et al., "Mixed Precision Training", 2018), so that a
network is the same code in every precision.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from compress import machine
from compress.context import Context
from compress.errors import BadInputError
from compress.tensorflow import tf
from compress.training.settings import Precision

Dtype = machine.Dtype


def available() -> tuple[Dtype, ...]:
    """Return the precisions that this machine has kernels for, float32 first."""
    return machine.precisions("gpu" if tf.config.list_physical_devices("GPU") else "cpu")


def disagreement() -> str:
    """Return a line if TensorFlow and nvidia-smi, by which results are kept, see different GPUs; empty if not."""
    seen, listed = len(tf.config.list_physical_devices("GPU")), machine.gpus()
    if listed and not seen:
        return f"computes on the CPU: TensorFlow as installed finds no GPU, nvidia-smi lists {machine.gpu()}"
    if seen and not listed:
        return "computes on a GPU that nvidia-smi does not list: its results are kept as those of a CPU"
    if seen != len(listed):
        return f"TensorFlow finds {seen} GPUs, nvidia-smi lists {len(listed)}: {machine.gpu()}"
    return ""


def checked(precision: Precision) -> Dtype:
    """Return a precision that this machine has kernels for.

    Raises `BadInputError` if it has none: TensorFlow would silently use float32.
    """
    known = available()
    if precision not in known:
        should = " or ".join(reversed(known))
        raise BadInputError(f"train.precision = {precision!r}: should be {should} on this machine")
    return precision


def of_training(precision: Precision, context: Context) -> Dtype:
    """Return `checked(precision)`, and note which device the training runs on if that is not what one would expect."""
    said = disagreement()
    if said:
        context.note(f"{context.stage}: {said}")
    return checked(precision)


@contextmanager
def computing_in(precision: Dtype) -> Iterator[None]:
    """Make TensorFlow functions that are called inside compute in a precision."""
    option = {"bfloat16": "auto_mixed_precision_onednn_bfloat16", "float16": "auto_mixed_precision"}.get(precision)
    if option is None:
        yield
        return
    tf.config.optimizer.set_experimental_options({option: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({option: False})
