"""The precision in which convolutions and matrix products are computed; weights, losses and sums stay in float32.

TensorFlow's graph optimizer applies it (the idea of Micikevicius et al., "Mixed Precision Training", 2018), so that a
network is the same code in every precision.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from compress import machine
from compress.context import Context
from compress.errors import BadInputError
from compress.files import write_file
from compress.tensorflow import tf
from compress.training.settings import Precision

Dtype = machine.Dtype

ROUNDS = 2  # of measurements, alternating, so that other load on the machine affects both
MIN_GAIN = 1.1  # times as fast as float32: a smaller gain is not worth fewer digits, and near 1 chance would decide


def available() -> tuple[Dtype, ...]:
    """Return the precisions that this machine has kernels for, float32 first."""
    return machine.precisions("gpu" if tf.config.list_physical_devices("GPU") else "cpu")


def choose(precision: Precision, seconds_in: Callable[[Dtype], float], name: str, context: Context) -> Dtype:
    """Return the precision of a training: what is set or, for `auto`, the faster one in a short measurement.

    The choice is kept with the checkpoint, so that a training that goes on later, and every process that takes part,
    computes in the precision in which it began.

    Parameters
    ----------
    seconds_in
        Function that measures the seconds that a step takes in a precision.
    name
        Name of the training.

    Raises
    ------
    BadInputError
        If this machine has no kernels for the precision: TensorFlow would silently use float32.
    """
    known = available()
    if precision != "auto":
        if precision not in known:
            should = " or ".join(reversed(known))
            raise BadInputError(f"train.precision = {precision!r}: should be {should} on this machine")
        return precision
    if len(known) == 1:
        return known[0]

    def measure(file: Path) -> None:
        context.progress(0.0, f"measuring in which precision {name} is faster")
        rounds = [{dtype: seconds_in(dtype) for dtype in known} for _ in range(ROUNDS)]
        float32, small = (min(seconds[dtype] for seconds in rounds) for dtype in known)
        chosen = known[1] if float32 >= MIN_GAIN * small else known[0]
        context.note(
            f"{context.stage}: {name} is computed in {chosen}: a step takes {1000 * float32:,.1f} ms in {known[0]}, "
            f"{1000 * small:,.1f} ms in {known[1]}"
        )
        write_file(file, json.dumps(chosen).encode())

    return json.loads(context.made(context.checkpoint / f"{name}-precision.json", measure).read_bytes())


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
