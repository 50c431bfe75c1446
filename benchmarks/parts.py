"""Measures the memory that a training step takes where its batch is processed in parts.

    python -m benchmarks.parts [--batch 64] [--size 64] [--parts 1 2 8]

Takes two steps of VGG16 with batch normalization on random images, each number of parts in a process of its own. Prints
the peak of the process's memory, how much of it the steps added to a built model, and the seconds of the second step.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

import numpy as np

CLASSES = 10


def main() -> None:
    """Print a line for each number of parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--parts", type=int, nargs="+", default=[1, 2, 8])
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        measure(arguments.batch, arguments.size, arguments.parts[0])
        return
    for parts in arguments.parts:
        options = ("--batch", str(arguments.batch), "--size", str(arguments.size), "--parts", str(parts))
        subprocess.run([sys.executable, "-m", "benchmarks.parts", "--here", *options], check=True)


def measure(batch: int, size: int, parts: int) -> None:
    """Take two steps, and print their memory and time."""
    from compress import networks
    from compress.tensorflow import keras, start_afresh, tf
    from compress.training.schedules import Rate
    from compress.training.settings import TrainingSettings
    from compress.training.step_time import compiled

    start_afresh(0)
    settings = TrainingSettings()
    model = networks.build("teachers", "vgg16", {}, (size, size, 3), CLASSES)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    trained = compiled(model, loss, settings, Rate(1e-3, 1, 100, settings.schedule), "float32")
    trained.parts = parts
    random = np.random.default_rng(0)
    images = tf.constant(random.integers(0, 256, (batch, size, size, 3)), tf.float32)
    data = images, tf.one_hot(random.integers(0, CLASSES, batch), CLASSES), tf.ones(batch)
    before = peak_mb()
    trained.train_on_batch(*data)
    start = time.perf_counter()
    trained.train_on_batch(*data)
    seconds = time.perf_counter() - start
    print(f"{parts} parts: peak {peak_mb():,.0f} MB, {peak_mb() - before:,.0f} MB of it for steps, {seconds:.1f} s")


def peak_mb() -> float:
    """Return the largest memory that this process has held, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage's
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


if __name__ == "__main__":
    main()
