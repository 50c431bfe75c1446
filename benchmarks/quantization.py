"""What each calibrator, with its default options, makes of the networks of finished runs.

    python -m benchmarks.quantization RUN...

RUN is a folder in which `python -m compress all` has been run once. For each network that was quantized there, and each
calibrator: accuracy on the test images, how many points it is below the float model's, the share of answers that
change, the mean divergence from the float model's probabilities in nats, on test and on the validation images by which
one of several is taken, and the seconds that ranges and int8 model took. The ranges are those of 256 training images,
activations uint8, whatever the run's own settings. On 2 cores, a minute per VGG16 at 32x32.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.int8 import int8_of
from benchmarks.pruning import made, print_row
from compress import plugins
from compress.artifacts import Dataset, Models, OnnxModel
from compress.data.images import images_of
from compress.onnx_tools import scoring
from compress.onnx_tools.sessions import open_session
from compress.quantization.choice import divergence, logits_of
from compress.quantization.settings import Calibrator
from compress.stages.quantize import JUDGED, Config

STAGES = ("quantize", "quantize_student")


def main() -> None:
    """Print a row for each network and calibrator as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    arguments = parser.parse_args()
    print_row("run", "network", "calibrator", "test", "drop", "changed", "divergence", "on validation", "seconds")
    print_row(*["---"] * 9)
    for run in arguments.runs:
        data = made(run, "data", Dataset)
        for stage in STAGES:
            models = made(run, stage, Models)
            for cells in rows(models.of("fp32"), data):
                print_row("/".join(run.resolve().parts[-2:]), models.network, *cells)


def rows(fp32: OnnxModel, data: Dataset) -> Iterator[tuple[str, ...]]:
    """Yield the cells of one network."""
    train = images_of(data, "train")[: Config().images]
    test, labels = images_of(data, "test"), data.labels("test")
    validation = images_of(data, "validation")[:JUDGED]
    wanted = {split: logits_of(fp32, images) for split, images in (("test", test), ("validation", validation))}
    answers = wanted["test"].argmax(axis=1)
    before = np.mean(answers == labels)
    with tempfile.TemporaryDirectory() as folder:
        for name in plugins.names(Calibrator.package):
            start = time.perf_counter()
            int8 = int8_of(fp32, train, Path(folder) / "int8.onnx", name)
            seconds = time.perf_counter() - start
            given = scoring.run(open_session(int8.file), test).argmax(axis=1)
            accuracy, changed = np.mean(given == labels), np.mean(given != answers)
            on_test = divergence(wanted["test"], logits_of(int8, test))
            on_validation = divergence(wanted["validation"], logits_of(int8, validation))
            yield (
                name,
                f"{accuracy:.4f}",
                f"{100 * (before - accuracy):+.2f}",
                f"{changed:.2%}",
                f"{on_test:.2g}",
                f"{on_validation:.2g}",
                f"{seconds:.1f}",
            )


if __name__ == "__main__":
    main()
