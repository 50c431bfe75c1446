"""What each calibrator, with its default options, makes of the networks of finished runs; and what processors do.

    python -m benchmarks.quantization [--hard | --processors] RUN...

RUN is a folder in which `python -m compress all` has been run once. For each network that was quantized there, and each
calibrator: accuracy on the test images, how many points it is below the float model's, with the paired interval, the
share of answers that change, the mean divergence from the float model's probabilities in nats, on test and on the
validation images by which one of several is taken, and the seconds that ranges and int8 model took. Ranges are those of
256 training images, activations uint8, whatever the settings of the run. On 2 cores, a minute per VGG16 at 32x32.

With --hard, the networks are first made hard to quantize, without a change to their answers in float: channels between
two layers are multiplied by numbers from 1 to 1000, of all sizes ("spread") or one in 16 by 1000 ("outliers"). Then the
points that plain int8 loses, and what `quantize.max_drop = 0.5` makes of it.

With --processors, for each network and `quantize.target`: the layers in which x86 processors without VNNI can clip
sums, accuracy on test images (as many as take a minute) where they are exact and where they are clipped, and
the milliseconds for an image on one thread of this processor, with its fastest kernels and with exact ones: the same if
the fastest are exact. On 2 cores, some minutes per VGG16 at 32x32.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx

from benchmarks.int8 import int8_of
from benchmarks.pruning import made, medians, print_row
from compress import plugins
from compress.artifacts import Dataset, Models, OnnxModel
from compress.data.images import images_of
from compress.metrics.comparison import changed, only_right
from compress.metrics.intervals import paired_difference
from compress.onnx_tools import scoring
from compress.onnx_tools.canonical import write
from compress.onnx_tools.sessions import open_session
from compress.onnx_tools.signature import INPUT, LOGITS
from compress.quantization.budget import search
from compress.quantization.candidates import Candidate, Workbench
from compress.quantization.choice import divergence, logits_of
from compress.quantization.cures.equalization import divide, pairs
from compress.quantization.emulation import accuracies
from compress.quantization.layers import Graph
from compress.quantization.portability import products_of, saturating
from compress.quantization.settings import JUDGED, Calibrator
from compress.quantization.static import observed, quantize_for
from compress.quantization.targets import TARGETS
from compress.stages.quantize import MOST_PIXELS, Config

STAGES = ("quantize", "quantize_student")
MAX_DROP, WIDEST, ONE_IN, WORST = 0.5, 1000.0, 16, 3


def main() -> None:
    """Print a row for each network and calibrator as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--hard", dest="table", action="store_const", const="hard", default="calibrators")
    kind.add_argument("--processors", dest="table", action="store_const", const="processors")
    arguments = parser.parse_args()
    headings, rows_of = TABLES[arguments.table]
    print_row("run", "network", *headings)
    print_row(*["---"] * (2 + len(headings)))
    for run in arguments.runs:
        data = made(run, "data", Dataset)
        for stage in STAGES:
            models = made(run, stage, Models)
            for cells in rows_of(models.of("fp32"), data):
                print_row("/".join(run.resolve().parts[-2:]), models.network, *cells)


def calibrators(fp32: OnnxModel, data: Dataset) -> Iterator[tuple[str, ...]]:
    """Yield the cells of one network, a row for each calibrator."""
    train = images_of(data, "train")[: Config().images]
    test, labels = images_of(data, "test"), data.labels("test")
    validation = images_of(data, "validation")[:JUDGED]
    wanted = {split: logits_of(fp32, images) for split, images in (("test", test), ("validation", validation))}
    answers = wanted["test"].argmax(axis=1)
    with tempfile.TemporaryDirectory() as folder:
        for name in plugins.names(Calibrator.package):
            start = time.perf_counter()
            int8 = int8_of(fp32, train, Path(folder) / "int8.onnx", name)
            seconds = time.perf_counter() - start
            given = scoring.run(open_session(int8.file), test).argmax(axis=1)
            low, high = paired_difference(*only_right(labels, answers, given), len(labels))
            on_test = divergence(wanted["test"], logits_of(int8, test))
            on_validation = divergence(wanted["validation"], logits_of(int8, validation))
            yield (
                name,
                f"{np.mean(given == labels):.4f}",
                f"{100 * np.mean(answers == labels) - 100 * np.mean(given == labels):+.2f}",
                f"{100 * low:+.2f} to {100 * high:+.2f}",
                f"{changed(answers, given):.2%}",
                f"{on_test:.2g}",
                f"{on_validation:.2g}",
                f"{seconds:.1f}",
            )


def hard(fp32: OnnxModel, data: Dataset) -> Iterator[tuple[str, ...]]:
    """Yield the cells of one network, made hard in each way."""
    calibration = images_of(data, "train")[: Config().images]
    test, labels = images_of(data, "test"), data.labels("test")
    random = np.random.default_rng(0)
    scales: dict[str, Callable[[int], np.ndarray]] = {
        "spread": lambda channels: WIDEST ** random.uniform(0, 1, channels),
        "outliers": lambda channels: np.where(random.permutation(channels) % ONE_IN == 0, WIDEST, 1.0),
    }
    for way, of_channels in scales.items():
        with tempfile.TemporaryDirectory() as folder:
            made_so = made_hard(fp32, of_channels, Path(folder) / "hard.onnx")
            validation = images_of(data, "validation"), data.labels("validation")
            bench = Workbench(made_so, calibration, *validation, "accuracy", TARGETS["this"], "uint8", Path(folder))
            start = time.perf_counter()
            found = search(Candidate(made_so, Calibrator()), bench, MAX_DROP, lambda words: None)
            seconds = time.perf_counter() - start
            of_float, of_int8 = (
                np.mean(scoring.run(open_session(model.file), test).argmax(axis=1) == labels)
                for model in (made_so, bench.write(found.candidate, Path(folder) / "int8.onnx"))
            )
            yield (
                way,
                f"{100 * (bench.score(bench.wanted) - found.trials[0].score):+.2f}",
                f"{found.lost:+.2f}",
                f"{100 * (of_float - of_int8):+.2f}",
                found.candidate.told,
                ", ".join(damage.layer for damage in found.damages[:WORST]),
                f"{seconds:.0f}",
            )


def made_hard(fp32: OnnxModel, of_channels: Callable[[int], np.ndarray], file: Path) -> OnnxModel:
    """Write a network that answers as another; `of_channels` gives what its channels are multiplied by."""
    graph = Graph(onnx.load(fp32.file))
    for first, second in pairs(graph):
        channels = graph.values(first.node, 1).shape[first.output_axis]
        divide(graph, first, second, 1 / of_channels(channels))
    write(graph.model, file)
    return replace(fp32, file=file)


def processors(fp32: OnnxModel, data: Dataset) -> Iterator[tuple[str, ...]]:
    """Yield the cells of one network, a row for each target."""
    images = max(1, MOST_PIXELS // (data.image_shape[0] * data.image_shape[1]))
    test, labels = images_of(data, "test")[:images], data.labels("test")[:images]
    with tempfile.TemporaryDirectory() as folder:
        ranges = Calibrator().function(observed(fp32, images_of(data, "train")[: Config().images], Path(folder)))
        for name, target in TARGETS.items():
            file = Path(folder) / f"{name}.onnx"
            int8 = quantize_for(target, fp32, ranges, file, activations=target.activations[0])
            graph = onnx.load(int8.file).graph
            exact, clipped = accuracies(int8, test, labels)
            ways = {
                "fastest": open_session(int8.file, threads=1),
                "exact": open_session(int8.file, threads=1, exact=True),
            }
            times = medians({way: partial(s.run, [LOGITS], {INPUT: test[:1]}) for way, s in ways.items()})
            yield (
                name,
                f"{len(saturating(graph))} of {len(products_of(graph))}",
                f"{exact:.4f}",
                f"{clipped:.4f}",
                *(f"{times[way] / 1e6:.2f}" for way in ways),
            )


TABLES: Mapping[str, tuple[tuple[str, ...], Callable[[OnnxModel, Dataset], Iterator[tuple[str, ...]]]]] = {
    "calibrators": (
        ("calibrator", "test", "drop", "95 %", "changed", "divergence", "on validation", "seconds"),
        calibrators,
    ),
    "hard": (("made hard", "plain loses", "then", "on test", "taken", "worst layers", "seconds"), hard),
    "processors": (("target", "layers that can clip", "exact", "clipped", "ms", "ms exact"), processors),
}


if __name__ == "__main__":
    main()
