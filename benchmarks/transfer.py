"""Measures transfer learning on a CPU: how fast features are computed, and how fast a head trains on them.

    python benchmarks/transfer.py WEIGHTS [FOLDER] [--images 2000] [--epochs 20]

WEIGHTS is a file of VGG16's weights without top (.h5, .weights.h5 or .npz), or imagenet. If FOLDER (default:
benchmarks/runs/photos) does not exist, it is filled with that many JPEGs of 320x240 in ten classes: cloudy textures
with the grain and hue of their class. Prints images per second, alternately of a bare forward pass at 224x224 on a
batch in memory and of the features as a training computes them; then the seconds of the head's epochs on the stored
features, and the test accuracy. Takes about 10 minutes on 2 cores.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from compress import networks, pretrained
from compress.config import load
from compress.context import Context
from compress.data.balance import Balance
from compress.data.images import images_of
from compress.stages import data
from compress.tensorflow import keras, start_afresh, tf
from compress.training import precision
from compress.training.evaluation import evaluate, forward_of
from compress.training.supervised import label_batches
from compress.training.transfer import features, fit_phase
from teachers import vgg16

CLASSES = 10
BATCH = 27  # images of 224x224 that a training reads at a time


def main() -> None:
    """Print the rates, the seconds and the accuracy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent / "runs" / "photos")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    if not arguments.folder.exists():
        make_photos(arguments.folder, arguments.images)
    config: Any = load(
        preset="photos",
        assignments=[
            f"data.source={arguments.folder}",
            f"teacher.weights={arguments.weights}",
            f"teacher.phases=[{{epochs={arguments.epochs}}}]",
            f"teacher.patience={arguments.epochs}",
        ],
    )
    with tempfile.TemporaryDirectory() as temporary:
        run(config, Path(temporary))


def run(config: Any, folder: Path) -> None:
    """Measure with a run's settings; `folder` is for its files."""
    context = Context("teacher", 0, 0, folder, folder, lambda *_: None, print)
    dataset = data.run(config.data, config.image, folder, context)
    start_afresh(0)
    model = networks.build("teachers", "vgg16", config.teacher.built.options, dataset.image_shape, CLASSES)
    pretrained.load_into(model, vgg16.BLOCKS, pretrained.file_of(config.teacher.weights, vgg16), from_bgr=True)
    trunk = keras.Model(model.input, model.get_layer("pool").output)
    images = images_of(dataset, "train")
    rates: dict[str, list[float]] = {"bare forward pass": [], "features": []}
    dtype = precision.available()[-1]
    with precision.computing_in(dtype):
        forward = tf.function(lambda batch: trunk(tf.cast(batch, tf.float32), training=False))
        batch = tf.constant(images[:BATCH])
        forward(batch)
        for name in ("turn1", "turn2", "phase1"):
            rates["bare forward pass"].append(bare(forward, batch, len(images) // 3))
            start = time.perf_counter()
            features(trunk, images, name, 0, config.teacher.augmentation, context)
            rates["features"].append(len(images) / (time.perf_counter() - start))
            rates["bare forward pass"].append(bare(forward, batch, len(images) // 3))
    for what, values in rates.items():
        print(
            f"{what:<20}{statistics.median(values):>7.1f} images/s, {dtype}  ({', '.join(f'{v:.1f}' for v in values)})"
        )
    medians = [statistics.median(values) for values in rates.values()]
    print(f"features / bare forward pass: {medians[1] / medians[0]:.2f}")
    batches = label_batches(dataset, config.teacher, Balance(), 0)
    phase = config.teacher.phases[0]
    features(trunk, images_of(dataset, "validation"), "phase1-validation", 0, config.teacher.augmentation, context)
    start = time.perf_counter()
    fit_phase(model, vgg16.BLOCKS, phase, 1, batches, dataset, config.teacher, config.train, context)
    print(f"head, {phase.epochs} epochs on {len(images):,} images' features: {time.perf_counter() - start:.1f} s")
    accuracy = evaluate(forward_of(model), images_of(dataset, "test"), dataset.labels("test")).accuracy
    print(f"test accuracy: {accuracy:.4f} on {dataset.sizes['test']} images")


def bare(forward: Any, batch: Any, n: int) -> float:
    """Return the images per second of a compiled forward pass that is repeated on one batch."""
    calls = max(1, n // BATCH)
    start = time.perf_counter()
    for _ in range(calls):
        forward(batch)
    return calls * BATCH / (time.perf_counter() - start)


def make_photos(folder: Path, n: int) -> None:
    """Write `n` JPEGs of 320x240, one folder per class: sums of clouds of several grains, lit from one side, noisy."""
    random = np.random.default_rng(0)
    hues, grains = random.uniform(0.3, 1.0, (CLASSES, 3)), np.geomspace(4, 60, CLASSES)
    for i in range(n):
        label = i % CLASSES
        grain = grains[label] * random.uniform(0.8, 1.25)
        image = sum(cloud(random, max(2, int(size))) / 2**k for k, size in enumerate((3, grain, 2 * grain)))
        light = np.linspace(random.uniform(0.6, 1), random.uniform(0.6, 1), 320)[None, :, None]
        colours = hues[label] * random.uniform(0.8, 1.2, 3)
        pixels = 128 * image[..., None] * light * colours + random.normal(0, 6, (240, 320, 3))
        path = folder / f"class{label}" / f"{i:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, quality=90)


def cloud(random: np.random.Generator, cells: int) -> np.ndarray:
    """Return a smooth random field about `cells` cells wide, `(240, 320) float32`, 0 to 1."""
    field = Image.fromarray(random.random((cells * 3 // 4 + 1, cells + 1)).astype(np.float32))
    return np.asarray(field.resize((320, 240), Image.Resampling.BICUBIC))


if __name__ == "__main__":
    main()
