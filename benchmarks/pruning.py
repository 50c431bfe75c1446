"""What pruning costs in accuracy and gains in time, on a data set with a teacher that is trained already.

    python -m benchmarks.pruning FOLDER [ROW...] --data SPEC --weights FILE [--set KEY=VALUE]...

FOLDER is where the runs are kept: one that is finished is not run again. FILE is the weights.npz of an earlier run's
teacher, the settings are those that the data need. First a table of the criteria: accuracy on validation without
tuning, where each layer loses a quarter, half and three quarters of its filters, and with batch normalization's
statistics estimated anew on training images. Then for each ROW (default: all) `python -m compress prune` with its
settings, what is left of weights and MACs, the drop in accuracy on test images, and how much faster the ONNX file is,
in float with one thread, at the size of the images and at 224 pixels, in proportion to the MACs. Last, the times that
the table of latencies predicts for the teacher and for networks of random widths, and the measured ones, each also as a
fraction of the teacher's. On 2 cores and Fashion-MNIST, an hour.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from compress import networks, plugins
from compress.artifacts import Dataset, Network, from_json
from compress.data.augmentation import Augmentation
from compress.data.batches import Batches, Epoch
from compress.data.images import images_of
from compress.errors import BadInputError
from compress.graphs.costs import Cost, CostOf
from compress.graphs.groups import coupling_of
from compress.graphs.surgery import narrowed
from compress.latency.timing import interleaved, warm_up
from compress.onnx_tools.convert import to_onnx
from compress.onnx_tools.sessions import open_session
from compress.onnx_tools.signature import INPUT
from compress.pruning import latency_table
from compress.pruning.sample import Sample
from compress.pruning.widths import chosen, uniform
from compress.tensorflow import start_afresh
from compress.training.evaluation import evaluate, forward_of
from compress.training.normalization import estimator_of

ROWS: Mapping[str, Mapping[str, Any]] = {
    "filters-macs-25": {"prune.method": "filters", "prune.target": 0.25},
    "filters-weights-12": {"prune.method": "filters", "prune.target": 0.12, "prune.target_of": "weights"},
    "masks-80": {"prune.method": "magnitude", "prune.sparsity": 0.8},
    "masks-90": {"prune.method": "magnitude", "prune.sparsity": 0.9},
    "both": {"prune.method": "both"},
}
CRITERIA = plugins.names("compress.pruning.importance")
CONTROL, DRAWS = "random", 5  # the criterion of which the mean of so many draws is told
SHARES = (0.75, 0.5, 0.25)  # of each layer's filters that are left
JUDGED, SHOWN = 1024, 5000  # training images that criteria see; validation images that accuracy is told on
LARGE = 224  # pixels
SECONDS = 20  # in which models are timed
MULTIPLE, DRAWN = 8, 4  # of the table of latencies: widths are multiples, and so many networks of random ones


def main() -> None:
    """Print both tables as their rows are known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--data", required=True)
    parser.add_argument("--weights", required=True, type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    given = {"teacher.weights": arguments.weights.resolve(), "teacher.epochs": 0}
    given |= dict(assignment.split("=", 1) for assignment in arguments.set)
    done = {
        name: pruned(arguments.folder / name, arguments.data, {**given, **ROWS[name]})
        for name in arguments.rows or ROWS
    }
    _, teacher, data = next(iter(done.values()))
    print_row("criterion", *(f"{share:.0%} left{how}" for share in SHARES for how in ("", ", new statistics")))
    print_row(*["---"] * (1 + 2 * len(SHARES)))
    for name in CRITERIA:
        try:
            print_row(name, *untuned(name, teacher, data))
        except BadInputError as error:  # bn_scale does not apply to a network without batch normalization
            print_row(name, str(error))
    print()
    sides = (teacher.image_shape[0], LARGE)
    print_row(
        "row", "MACs", "weights", "zeros", "test", "drop", *(f"faster at {side}, of the MACs' ratio" for side in sides)
    )
    print_row(*["---"] * (6 + len(sides)))
    for name, (network, teacher, data) in done.items():
        print_row(name, *figures(network, teacher, data))
    print()
    print_row("widths", "predicted ms", "measured ms", "predicted fraction", "measured fraction")
    print_row(*["---"] * 5)
    for cells in predicted(teacher):
        print_row(*cells)


def pruned(folder: Path, data: str, settings: Mapping[str, Any]) -> tuple[Network, Network, Dataset]:
    """Return the pruned network, its teacher and their data, after running the stages that make them."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "compress", "prune", "--data", data]
    command += [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=sys.stderr)
    return (made(folder, "prune", Network), made(folder, "teacher", Network), made(folder, "data", Dataset))


def made(folder: Path, stage: str, kind: type) -> Any:
    """Return what a stage has made in the only run in a folder."""
    [manifest] = folder.glob(f".compress/store/{stage}/*/manifest.json")
    return from_json(kind, json.loads(manifest.read_text())["artifact"], manifest.parent)


def untuned(criterion: str, teacher: Network, data: Dataset) -> Iterator[str]:
    """Yield the accuracies of networks that have lost filters by a criterion, and nothing else."""
    start_afresh(0)
    model = networks.load(teacher)
    coupling = coupling_of(model)
    train = images_of(data, "train")
    images, labels = train[:JUDGED], data.labels("train")
    judge = plugins.find("compress.pruning.importance", criterion).importance
    seeds = range(DRAWS if criterion == CONTROL else 1)
    values = [judge(model, coupling, Sample(images, labels[: len(images)], seed)) for seed in seeds]
    shown = images_of(data, "validation")[:SHOWN], data.labels("validation")[:SHOWN]
    everything = Batches(
        train,
        lambda indices, views: np.zeros((len(indices), 1), np.float32),
        lambda epoch: Epoch(np.arange(len(labels)), np.zeros(len(labels), np.int64), np.arange(len(labels))),
        128,
        0,
        Augmentation(),
    )
    for share in SHARES:
        before, after = [], []
        for value in values:
            kept = chosen(coupling, value, uniform(coupling), 1, lambda kept: float(kept.mean()), share).kept
            narrow = narrowed(model, coupling, kept)
            before.append(evaluate(forward_of(narrow), *shown).accuracy)
            estimator_of(narrow)(everything, 0, 1)
            after.append(evaluate(forward_of(narrow), *shown).accuracy)
        yield from (f"{statistics.mean(accuracies):.3f}" for accuracies in (before, after))


def figures(network: Network, teacher: Network, data: Dataset) -> Iterator[str]:
    """Yield what is left of a network, its accuracy on test images, and how much faster it is."""
    models = [networks.load(each) for each in (network, teacher)]
    ours, whole = (cost_of(model) for model in models)
    kernels = [layer.kernel.numpy() for layer in models[0].layers if hasattr(layer, "kernel")]
    zeros = 1 - sum(np.count_nonzero(kernel) for kernel in kernels) / sum(kernel.size for kernel in kernels)
    test = images_of(data, "test"), data.labels("test")
    accuracy, before = (evaluate(forward_of(model), *test).accuracy for model in models)
    yield from (f"{ours.macs / whole.macs:.3f}", f"{ours.weights / whole.weights:.3f}", f"{zeros:.2f}")
    yield from (f"{accuracy:.4f}", f"{100 * (before - accuracy):+.2f}")
    for side in (network.image_shape[0], LARGE):
        times = faster(network, teacher, side)
        yield f"{times:.2f}, {times / (whole.macs / ours.macs):.2f}"


def predicted(teacher: Network) -> Iterator[tuple[str, ...]]:
    """Yield predicted and measured times of the teacher and of networks of random widths, timed in one run."""
    model, draws = networks.load(teacher), np.random.default_rng(0)
    coupling = coupling_of(model)
    costs = CostOf(model, coupling)
    times: dict[str, float] = {}
    calls: dict[str, Callable[[], Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        latency_table.write(teacher, model, coupling, costs, MULTIPLE, Path(folder) / "table.json")
        table = latency_table.load(Path(folder) / "table.json")
        for name in ("all", *(f"random {i}" for i in range(1, DRAWN + 1))):
            kept = np.ones(coupling.count, bool)
            for group in coupling.groups if calls else ():
                left = MULTIPLE * draws.integers(1, len(group.channels) // MULTIPLE + 1)
                kept[group.channels[left:]] = False
            file = latency_table.exported(teacher, model, coupling, kept, Path(folder) / f"{len(calls)}.onnx").file
            times[name] = table.seconds(costs.by_layer(kept))
            calls[name] = call_of(file, teacher.image_shape)
    measured = {name: median / 1e9 for name, median in medians(calls).items()}
    for name in calls:
        fractions = (f"{seconds[name] / seconds['all']:.3f}" for seconds in (times, measured))
        yield (name, f"{1000 * times[name]:.3f}", f"{1000 * measured[name]:.3f}", *fractions)


def cost_of(model: Any) -> Cost:
    """Return what a model costs."""
    coupling = coupling_of(model)
    return CostOf(model, coupling)(np.ones(coupling.count, bool))


def faster(network: Network, teacher: Network, side: int) -> float:
    """Return how many times faster a network is than its teacher on images of this side: medians of one run."""
    calls = {}
    with tempfile.TemporaryDirectory() as folder:
        for each in (network, teacher):
            shape = (side, side, each.image_shape[2])
            sized = to_onnx(dataclasses.replace(each, image_shape=shape), Path(folder) / f"{each.name}.onnx")
            calls[each.name] = call_of(sized.file, shape)
    found = medians(calls)
    return found[teacher.name] / found[network.name]


def call_of(file: Path, shape: tuple[int, int, int]) -> Callable[[], Any]:
    """Return the function that runs a model on an image of this shape, with one thread."""
    session, image = open_session(file, threads=1), np.zeros((1, *shape), np.uint8)
    return lambda: session.run(None, {INPUT: image})


def medians(calls: Mapping[str, Callable[[], Any]]) -> dict[str, float]:
    """Return the median times of calls that take turns, in nanoseconds."""
    for call in calls.values():
        warm_up(call)
    return {name: statistics.median(times) for name, times in interleaved(calls, SECONDS, random.Random(0)).items()}


def print_row(*cells: str) -> None:
    """Print a row of a Markdown table."""
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
