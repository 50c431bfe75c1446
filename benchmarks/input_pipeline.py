"""Measures how fast image files become batches, compared with the bare decoder, and how long training waits for them.

    python benchmarks/input_pipeline.py [FOLDER] [--images 20000] [--size 32] [--width 0.125]

If FOLDER (default: benchmarks/runs/jpegs) does not exist, it is filled with that many JPEGs of 96x96 in ten classes.
Prints, for images of SIZE with the default augmentation, three turns of each rate and their medians: files only read,
decoded and resized, by one process per core; the same as augmented batches; the same from the cache. Then prints the
fraction of a training's time spent waiting for batches, for the teacher at WIDTH. Takes about 3 minutes on 2 cores.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from compress import networks
from compress.artifacts import Dataset
from compress.config import load
from compress.context import Context
from compress.data.balance import Balance
from compress.data.images import images_of, in_batches
from compress.stages import data
from compress.tensorflow import keras, start_afresh, tf
from compress.training.supervised import label_batches

CLASSES = 10
TURNS = 3
WAITING_STEPS = 200


def main() -> None:
    """Print the rates and the fraction of the time that training waits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent / "runs" / "jpegs")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--width", type=float, default=0.125)
    arguments = parser.parse_args()
    if not arguments.folder.exists():
        make_jpegs(arguments.folder, arguments.images)
    settings = [f"data.source={arguments.folder}", f"image.size={arguments.size}"]
    decoded = dataset(settings, arguments.folder.parent / "decoded", "data.cache=false")
    cached = dataset(settings, arguments.folder.parent / "cached", "data.cache=true")
    for warm_up in (bare, epoch):  # start the processes, compile the augmentation
        warm_up(decoded)
    rates: dict[str, list[float]] = {}
    for _ in range(TURNS):  # interleaved, so that other load on the machine affects all of them alike
        measure(rates, "bare decoder, images per second", decoded.sizes["train"], lambda: bare(decoded))
        measure(rates, "decoded and augmented", decoded.sizes["train"], lambda: epoch(decoded))
        measure(rates, "cached and augmented", cached.sizes["train"], lambda: epoch(cached))
    for what, values in rates.items():
        print(f"{what:<34}{statistics.median(values):>8,.0f}   {', '.join(f'{value:,.0f}' for value in values)}")
    medians = [statistics.median(values) for values in rates.values()]
    print(f"decoded and augmented / bare decoder: {medians[1] / medians[0]:.2f}")
    waited, total = waiting(decoded, arguments.width)
    print(f"training (teacher, width {arguments.width}): waits for input {waited / total:.1%} of its time")


def make_jpegs(folder: Path, n: int) -> None:
    """Write `n` JPEGs of 96x96, one folder per class: smooth coloured fields with noise, in the class's own hue."""
    random = np.random.default_rng(0)
    for label in range(CLASSES):
        (folder / f"class{label}").mkdir(parents=True)
    hues = random.integers(0, 256, (CLASSES, 3))
    for i in range(n):
        field = random.integers(0, 256, (6, 6, 3)) // 2 + hues[i % CLASSES] // 2
        image = Image.fromarray(field.astype(np.uint8)).resize((96, 96), Image.Resampling.BICUBIC)
        noisy = np.asarray(image).astype(int) + random.integers(-12, 13, (96, 96, 3))
        file = folder / f"class{i % CLASSES}" / f"{i:07}.jpg"
        Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(file, quality=88)


def dataset(settings: list[str], out: Path, *more: str) -> Dataset:
    """Run the data stage and return its result."""
    config: Any = load(assignments=[*settings, *more])
    out.mkdir(parents=True, exist_ok=True)
    return data.run(config.data, config.image, out, Context("data", 0, 0, out, out, lambda *_: None, print))


def measure(rates: dict[str, list[float]], what: str, n: int, work: Callable[[], None]) -> None:
    """Run `work` on `n` images and append its images per second to the rates of `what`."""
    start = time.perf_counter()
    work()
    rates.setdefault(what, []).append(n / (time.perf_counter() - start))


def bare(dataset: Dataset) -> None:
    """Read all training images, with one process per core."""
    for _ in in_batches(images_of(dataset, "train")):
        pass


def epoch(dataset: Dataset) -> None:
    """Read an epoch of batches as the teacher's training does."""
    config: Any = load()
    batches = label_batches(dataset, config.teacher, Balance(), 0).epoch(0)
    batches.reduce(0, lambda count, *batch: count + 1)  # within TensorFlow's graph, as in a training


def waiting(dataset: Dataset, width: float) -> tuple[float, float]:
    """Return how many seconds training steps waited for their batch, and the seconds that they took in all."""
    config: Any = load()
    start_afresh(0)
    model = networks.build("teachers", "vgg16", {"width": width}, dataset.image_shape, len(dataset.classes))
    optimizer = keras.optimizers.SGD(0.01)

    @tf.function
    def step(images: Any, targets: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.nn.softmax_cross_entropy_with_logits(targets, model(images, training=True))
        optimizer.apply_gradients(
            zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True)
        )
        return tf.reduce_mean(loss)

    batches = iter(label_batches(dataset, config.teacher, Balance(), 0).epoch(0))
    images, targets, _ = next(batches)
    step(images, targets)
    waited, start = 0.0, time.perf_counter()
    for _ in range(WAITING_STEPS):
        before = time.perf_counter()
        images, targets, _ = next(batches)
        waited += time.perf_counter() - before
        step(images, targets).numpy()
    return waited, time.perf_counter() - start


if __name__ == "__main__":
    main()
