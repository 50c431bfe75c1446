"""In which numbers convolutions and matrix products count; weights, gradients and sums stay float32.

TensorFlow's graph optimizer does it (the idea of Micikevicius et al., "Mixed Precision Training", 2018), so that a
network is the same code in every precision.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from compress.errors import BadInputError
from compress.machine import has_bfloat16
from compress.tensorflow import tf
from compress.training.settings import Precision

Real = Literal["float32", "bfloat16", "float16"]


def resolve(precision: Precision) -> Real:
    """Return what `auto` means on this machine; raises `BadInputError` for what it has no kernels for."""
    gpu = bool(tf.config.list_physical_devices("GPU"))
    small: Real = "float16" if gpu else "bfloat16" if has_bfloat16() else "float32"
    if precision == "auto":
        return small
    if precision not in (small, "float32"):  # where there are none, TensorFlow would use float32 and not say so
        should = "float32" if small == "float32" else f"{small} or float32"
        raise BadInputError(f"train.precision = {precision!r}: should be {should} on this machine")
    return precision


@contextmanager
def computing_in(precision: Real) -> Iterator[None]:
    """Let functions that are traced inside compute in a precision."""
    option = {"bfloat16": "auto_mixed_precision_onednn_bfloat16", "float16": "auto_mixed_precision"}.get(precision)
    if option is None:
        yield
        return
    tf.config.optimizer.set_experimental_options({option: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({option: False})
