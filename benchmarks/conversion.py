"""Measures the time and memory that conversion to ONNX and quantization take, for the default teacher and the largest.

    python -m benchmarks.conversion [--images 16]

The largest is VGG16 at 224x224 with its classic head, two dense layers of 4,096 units on flattened features; weights
are random. Prints one row of a Markdown table for each network and step: the peak is that of the whole process,
TensorFlow included, and the last column what it grew by, in bytes a byte of weights. Takes about 2 minutes on 2 cores.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.int8 import int8_of
from compress import networks, plugins
from compress.artifacts import Network
from compress.onnx_tools.convert import to_onnx
from compress.quantization.settings import Calibrator
from compress.tensorflow import start_afresh
from compress.usage import measured

NETWORKS: list[tuple[str, tuple[int, int, int], dict[str, Any]]] = [
    ("default, 32x32", (32, 32, 1), {}),
    ("classic head, 224x224", (224, 224, 3), {"dense": [4096, 4096], "pooling": "flatten"}),
]
CLASSES = 10


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=16, help="of noise, to calibrate on")
    arguments = parser.parse_args()
    print("| VGG16 | step | seconds | peak | bytes a byte |\n|---|---|---|---|---|")
    for name, shape, options in NETWORKS:
        with tempfile.TemporaryDirectory() as temporary:
            measure(name, shape, options, arguments.images, Path(temporary))


def measure(name: str, shape: tuple[int, int, int], options: dict[str, Any], images: int, folder: Path) -> None:
    """Print the rows of one network."""
    weights = folder / "weights.npz"
    start_afresh(0)
    networks.save(networks.build("teachers", "vgg16", options, shape, CLASSES), weights)
    network = Network("teacher", "teacher", "teachers", "vgg16", options, shape, CLASSES, weights)
    noise = np.random.default_rng(0).integers(0, 256, (images, *shape), np.uint8)
    size = weights.stat().st_size
    start_afresh(0)
    converted = row(name, "to_onnx", size, folder, partial(to_onnx, network, folder / "fp32.onnx"))
    for method in plugins.names(Calibrator.package):
        row(name, f"quantize, {method}", size, folder, partial(int8_of, converted, noise, folder / "int8.onnx", method))


def row(name: str, step: str, size: int, folder: Path, run: Callable[[], Any]) -> Any:
    """Print what a step takes; return what it makes."""
    gc.collect()
    usage = folder / "usage.json"
    usage.unlink(missing_ok=True)
    with measured(usage) as before:
        pass
    usage.unlink(missing_ok=True)
    with measured(usage) as taken:
        result = run()
    peak = taken["peak_rss_bytes"]
    print(
        f"| {name}, {size / 1e6:.0f} MB | {step} | {taken['seconds']:.1f} | {peak / 1e9:.2f} GB"
        f" | {(peak - before['peak_rss_bytes']) / size:.1f} |",
        flush=True,
    )
    return result


if __name__ == "__main__":
    main()
