"""Compares the speed of our training loop with a bare TensorFlow loop, in float32 and in any faster precision.

    python benchmarks/training.py [--batch 128] [--steps 12] [--width 1.0]

Trains VGG16 with batch normalization on random grey images of 32x32, as the preset fashion_mnist does: our loop reads
images from an array, shuffles, augments, reports and evaluates; the bare one repeats a compiled step on one batch in
memory. Both run alternately. Prints images per second, medians, and ratios. Takes about 5 minutes on 2 cores.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from compress import networks
from compress.config import load
from compress.context import Context
from compress.data.batches import Batches, Epoch
from compress.tensorflow import keras, start_afresh, tf
from compress.training import precision
from compress.training.fit import fit
from compress.training.settings import Engine
from compress.training.supervised import smoothed_one_hot

SHAPE, CLASSES = (32, 32, 1), 10
TURNS = 3


def main() -> None:
    """Print the rates and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--width", type=float, default=1.0)
    arguments = parser.parse_args()
    rates: dict[tuple[precision.Dtype, str], list[float]] = {}
    for _ in range(TURNS):  # interleaved, so that other load on the machine affects both alike
        for dtype in precision.available():
            rates.setdefault((dtype, "bare loop"), []).append(bare(dtype, arguments))
            rates.setdefault((dtype, "our loop"), []).append(ours(dtype, arguments))
    medians = {key: statistics.median(values) for key, values in rates.items()}
    for (dtype, what), values in rates.items():
        print(f"{dtype:<10}{what:<12}{medians[dtype, what]:>8.1f}   {', '.join(f'{value:.1f}' for value in values)}")
    for dtype in {dtype for dtype, _ in medians}:
        print(f"{dtype}: our loop / bare loop: {medians[dtype, 'our loop'] / medians[dtype, 'bare loop']:.2f}")
    for dtype in precision.available()[1:]:
        print(f"{dtype} / float32, our loop: {medians[dtype, 'our loop'] / medians['float32', 'our loop']:.2f}")


def new_model(width: float) -> Any:
    """Return a new teacher."""
    start_afresh(0)
    return networks.build("teachers", "vgg16", {"width": width}, SHAPE, CLASSES)


def bare(dtype: precision.Dtype, arguments: argparse.Namespace) -> float:
    """Return the images per second of a compiled step that is repeated on one batch."""
    model = new_model(arguments.width)
    optimizer = keras.optimizers.SGD(1e-3, momentum=0.9, nesterov=True, weight_decay=5e-3, jit_compile=False)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    random = np.random.default_rng(0)
    images = tf.constant(random.integers(0, 256, (arguments.batch, *SHAPE)), tf.float32)
    targets = tf.one_hot(random.integers(0, CLASSES, arguments.batch), CLASSES)

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            value = loss(targets, model(images, training=True))
        optimizer.apply_gradients(
            zip(tape.gradient(value, model.trainable_variables), model.trainable_variables, strict=True)
        )

    with precision.computing_in(dtype):
        step()
        step()
        start = time.perf_counter()
        for _ in range(arguments.steps):
            step()
        return arguments.batch * arguments.steps / (time.perf_counter() - start)


def ours(dtype: precision.Dtype, arguments: argparse.Namespace) -> float:
    """Return the images per second of our loop in its second epoch, from its log."""
    config: Any = load(preset="fashion_mnist")
    settings = config.teacher.model_copy(update={"epochs": 2, "batch_size": arguments.batch, "learning_rate": 1e-3})
    random = np.random.default_rng(0)
    n = arguments.batch * arguments.steps
    images = random.integers(0, 256, (n, *SHAPE), np.uint8)
    targets = smoothed_one_hot(random.integers(0, CLASSES, n), CLASSES, 0.1)

    def choose(epoch: int) -> Epoch:
        return Epoch(np.arange(n), np.full(n, epoch + 1), np.arange(n))

    with tempfile.TemporaryDirectory() as folder:
        context = Context("teacher", 0, 0, Path(folder), Path(folder), lambda *_: None, print)
        fit(
            new_model(arguments.width),
            keras.losses.CategoricalCrossentropy(from_logits=True),
            Batches(images, lambda i, _: targets[i], choose, arguments.batch, 0, settings.augmentation),
            (images[:32], np.zeros(32, np.int64)),
            settings,
            Engine(precision=dtype),
            context,
        )
        last = (Path(folder) / "training" / "history.csv").read_text().splitlines()[-1]
    return float(last.rpartition(",")[2])


if __name__ == "__main__":
    main()
