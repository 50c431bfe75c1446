"""Measures what a square loses of long images: the plain student, trained on labels, at several `image.size`.

    python -m benchmarks.rectangles [--images 1200] [--epochs 25]

Draws images eight times as wide as high, 320x40, of six classes: which two of three shapes are at the two ends. Prints
for each size what preparation takes away, the test accuracy and the seconds of the training, with the default
augmentation. Takes about 5 minutes on 2 cores.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from compress import networks
from compress.config import load
from compress.context import Context
from compress.data.balance import Balance
from compress.data.describe import description_of
from compress.data.images import images_of
from compress.data.proportions import effect
from compress.stages import data
from compress.tensorflow import start_afresh
from compress.training.evaluation import evaluate, forward_of
from compress.training.supervised import fit_to_labels, label_batches

HEIGHT, WIDTH, SIDE = 40, 320, 22  # pixels of an image, and of a shape
PAIRS = tuple(combinations_with_replacement(range(3), 2))
SETTINGS = (("32", "crop"), ("32", "stretch"), ("[32, 256]", "crop"))


def main() -> None:
    """Draw the images, and train on them at each size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=1200)
    parser.add_argument("--epochs", type=int, default=25)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder) / "images", arguments.images)
        for size, fit in SETTINGS:
            out = Path(folder) / f"{size} {fit}"
            out.mkdir()
            print(f"image.size = {size}, image.fit = {fit}: {trained(out, size, fit, arguments.epochs)}", flush=True)


def draw(folder: Path, images: int) -> None:
    """Write the images of each class into a folder of its own."""
    random = np.random.default_rng(0)
    for i in range(images):
        pair = PAIRS[i % len(PAIRS)]
        image = Image.fromarray(random.normal(120, 25, (HEIGHT, WIDTH)).clip(0, 255).astype(np.uint8))
        pen = ImageDraw.Draw(image)
        for shape, left in zip(random.permutation(pair), (0, WIDTH - 47), strict=True):
            x, y = left + int(random.integers(3, 20)), int(random.integers(6, 12))
            grey = int(random.choice([random.integers(0, 50), random.integers(200, 256)]))
            box = (x, y, x + SIDE, y + SIDE)
            if shape == 0:
                pen.rectangle(box, fill=grey)
            elif shape == 1:
                pen.ellipse(box, fill=grey)
            else:
                pen.line(box, grey, 6)
                pen.line((x, y + SIDE, x + SIDE, y), grey, 6)
        place = folder / f"{pair[0]}{pair[1]}"
        place.mkdir(parents=True, exist_ok=True)
        image.save(place / f"{i}.png")


def trained(out: Path, size: str, fit: str, epochs: int) -> str:
    """Train the plain student on the images at a size; return what the size takes away, accuracy and seconds."""
    settings = [f"image.size={size}", f"image.fit={fit}", f"teacher.epochs={epochs}", "teacher.batch_size=64"]
    source = f"data.source={out.parent / 'images'}"
    config = load(assignments=[source, *settings, "teacher.learning_rate=0.1", "train.precision=float32"])
    context = Context("data", 0, 0, out, out, lambda fraction, words: None, lambda line: None)
    dataset = data.run(config.data, config.image, out, context)  # type: ignore[attr-defined]
    start_afresh(0)
    model = networks.build("students", "plain", {}, dataset.image_shape, len(dataset.classes))
    batches = label_batches(dataset, config.teacher, Balance(), 0)  # type: ignore[attr-defined]
    start = time.perf_counter()
    fit_to_labels(model, batches, dataset, config.teacher, config.train, context)  # type: ignore[attr-defined]
    seconds = time.perf_counter() - start
    result = evaluate(forward_of(model), images_of(dataset, "test"), dataset.labels("test"))
    taken = effect(description_of(dataset)["proportions"]) or "takes nothing away"
    return f"{taken}; test accuracy {result.accuracy:.3f} of {dataset.sizes['test']} images, {seconds:.0f} s"


if __name__ == "__main__":
    main()
