"""Whether widths chosen by measured time are better than uniform ones that take as long.

    python -m benchmarks.pruning_rates FOLDER --weights FILE

FOLDER is where the runs are kept: one that is finished is not run again. FILE is the weights.npz of a teacher that was
trained on Fashion-MNIST. It is pruned to three tenths of its measured time, with rates that are uniform, and chosen by
what filters are worth for the time that they take; each learns for a few epochs on 10,000 training images. For three
seeds: accuracy on the 10,000 test images, and the time of one image with one thread in ONNX Runtime,
all in turns, as a fraction of the teacher's, predicted and measured. Then each seed's difference from uniform rates. On
2 cores, half an hour.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.pruning import call_of, medians, print_row, pruned
from benchmarks.recipe_data import cut_fashion_mnist, make_once
from compress import networks
from compress.artifacts import Network
from compress.data.images import images_of
from compress.onnx_tools.convert import to_onnx
from compress.training.evaluation import evaluate, forward_of

SEEDS = (0, 1, 2)
RATES = ("uniform", "global")
TARGET, EPOCHS, VIEWS = 0.3, 6, 2


def main() -> None:
    """Print a row for each network as it is known, then the differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", required=True, type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    make_once(
        arguments.folder / "fashion10000.npz", partial(cut_fashion_mnist, train_per_class=1000, test_per_class=1000)
    )
    data = str((arguments.folder / "fashion10000.npz").resolve())
    given = {"teacher.weights": arguments.weights.resolve(), "teacher.epochs": 0, "data.validation": 0.1}
    given |= {"prune.method": "filters", "prune.target": TARGET, "prune.target_of": "latency", "prune.epochs": EPOCHS}
    given |= {"prune.views": VIEWS}
    print_row("seed", "rates", "test", "predicted", "measured")
    print_row(*["---"] * 5)
    accuracy: dict[tuple[int, str], float] = {}
    for seed in SEEDS:
        runs = {
            rates: pruned(arguments.folder / f"{rates}-{seed}", data, {**given, "seed": seed, "prune.rates": rates})
            for rates in RATES
        }
        shares = measured({rates: network for rates, (network, _, _) in runs.items()}, runs[RATES[0]][1])
        for rates, (network, teacher, dataset) in runs.items():
            test = images_of(dataset, "test"), dataset.labels("test")
            accuracy[seed, rates] = evaluate(forward_of(networks.load(network)), *test).accuracy
            told = network.predicted_ms[network.name] / network.predicted_ms[teacher.name]
            print_row(str(seed), rates, f"{accuracy[seed, rates]:.4f}", f"{told:.3f}", f"{shares[rates]:.3f}")
    for rates in RATES[1:]:
        gains = [100 * (accuracy[seed, rates] - accuracy[seed, RATES[0]]) for seed in SEEDS]
        each = ", ".join(f"{gain:+.2f}" for gain in gains)
        print(f"{rates} against {RATES[0]}: {each} points; {statistics.mean(gains):+.2f} on average")


def measured(pruned_networks: dict[str, Network], teacher: Network) -> dict[str, float]:
    """Return how long each network takes, as a fraction of the teacher's time: medians of one run."""
    calls: dict[str, Callable[[], Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, network in {"": teacher, **pruned_networks}.items():
            model = to_onnx(network, Path(folder) / f"{name or 'teacher'}.onnx")
            calls[name] = call_of(model.file, network.image_shape)
    found = medians(calls)
    return {name: found[name] / found[""] for name in pruned_networks}


if __name__ == "__main__":
    main()
