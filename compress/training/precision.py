"""The precision in which convolutions and matrix products are computed; weights, losses and sums stay in float32.

TensorFlow's graph optimizer applies it (the idea of Micikevicius et al., "Mixed Precision Training", 2018), so that a
network is the same code in every precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from compress import machine
from compress.context import Context
from compress.errors import BadInputError
from compress.tensorflow import tf
from compress.training.settings import Precision

Dtype = machine.Dtype

ROUNDS = 2  # of measurements, alternating, so that other load on the machine affects both
MIN_GAIN = 1.1  # times as fast as float32: a smaller gain is not worth fewer digits, and near 1 chance would decide


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


def faster(seconds_in: Callable[[Dtype], float]) -> tuple[Dtype, str]:
    """Return the precision in which a step is clearly faster, and the figures in words.

    `seconds_in` measures the seconds that a step takes in a precision.
    """
    known = available()
    if len(known) == 1:
        return known[0], ""
    rounds = [{dtype: seconds_in(dtype) for dtype in known} for _ in range(ROUNDS)]
    float32, small = (min(seconds[dtype] for seconds in rounds) for dtype in known)
    # Both are infinite where a batch fits into memory in neither; the smaller one then needs fewer parts
    chosen = known[1] if float32 >= MIN_GAIN * small else known[0]
    return chosen, f": a step takes {1000 * float32:,.1f} ms in {known[0]}, {1000 * small:,.1f} ms in {known[1]}"


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
