"""How much accuracy each layer costs that alone is pruned, without any training.

Li et al., "Pruning Filters for Efficient ConvNets" (2017), section 3.2: layers differ, and those that cost much are
better left whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from compress.arrays import save_array
from compress.artifacts import Dataset
from compress.data.balance import Metric
from compress.data.images import Images, images_of
from compress.files import write_file
from compress.graphs.coupling import Coupling, Group
from compress.pruning.effort import REMOVED, SCORED
from compress.pruning.sample import judged, sample_of
from compress.pruning.settings import FilterSettings
from compress.training.evaluation import evaluate, forward_of

FEWEST = 200  # images that accuracy is told on
MACS = 1e14  # of all images together, which decide how many of them there are: minutes

Tell = Callable[[str], None]
Kind = Literal["filters", "weights"]
Layers = tuple[str, ...]


class Validation(NamedTuple):
    """Images `(n, height, width, channels) uint8`, labels `(n,) int64`, and what networks are judged by on them."""

    images: Images
    labels: np.ndarray
    metric: Metric

    def first(self, count: int) -> Validation:
        """Return at most so many of the images: the splits are shuffled."""
        return Validation(self.images[:count], self.labels[:count], self.metric)

    def score(self, forward: Any) -> float:
        """Return the accuracy, or mean recall, of a function from images to logits."""
        return float(getattr(evaluate(forward, self.images, self.labels), self.metric))


class Scores(NamedTuple):
    """What a network scores as it is, and with the fractions `REMOVED` of each layer gone; on how many images."""

    whole: float
    layers: tuple[tuple[float, ...], ...]
    images: int


def validation_of(data: Dataset, metric: Metric) -> Validation:
    """Return the images that are held out for validation."""
    return Validation(images_of(data, "validation"), data.labels("validation"), metric)


def of_network(
    model: Any,
    kinds: Collection[Kind],
    settings: FilterSettings,
    data: Dataset,
    metric: Metric,
    seed: int,
    tell: Tell,
) -> dict[Kind, tuple[tuple[Layers, ...], Scores]]:
    """Return the scores of each kind: of parts of layers, and which layers these are, several if they are coupled.

    Filters go in the order of `settings.importance`. What cannot lose filters has no scores of filters.
    """
    from compress.graphs.costs import CostOf
    from compress.graphs.groups import coupling_of

    coupling = coupling_of(model)
    macs = CostOf(model, coupling)(np.ones(coupling.count, bool)).macs
    validation = validation_of(data, metric)
    found: dict[Kind, tuple[tuple[Layers, ...], Scores]] = {}
    if "weights" in kinds:
        kernels = tuple(layer.name for layer in model.layers if hasattr(layer, "kernel"))
        scores = of_weights(model, kernels, validation, macs, tell)
        found["weights"] = tuple((name,) for name in kernels), scores
    if "filters" in kinds and coupling.groups:
        tell("which filters matter")
        sample = sample_of(data, settings.importance_images, seed)
        importance = judged(model, coupling, settings, sample, "prune")
        scores = of_filters(model, coupling, importance, validation, macs, tell)
        found["filters"] = tuple(group.layers for group in coupling.groups), scores
    return found


def write_sensitive(
    model: Any,
    gone: Mapping[Kind, float],
    points: float,
    settings: FilterSettings,
    data: Dataset,
    metric: Metric,
    seed: int,
    tell: Tell,
    file: Path,
) -> None:
    """Write as JSON the names of the layers that alone lose more than `points` of score.

    `gone` are the fractions of their filters, or weights, that are gone then; the nearest in `REMOVED` are measured.
    """
    names = set[str]()
    for kind, (layers, scores) in of_network(model, gone, settings, data, metric, seed, tell).items():
        at = int(np.argmin(np.abs(np.array(REMOVED) - gone[kind])))
        for of, values in zip(layers, scores.layers, strict=True):
            if round(100 * (scores.whole - values[at]), 6) > points:
                names.update(of)
    write_file(file, json.dumps([layer.name for layer in model.layers if layer.name in names]).encode())


def of_filters(
    model: Any, coupling: Coupling, importance: np.ndarray, validation: Validation, macs: int, tell: Tell
) -> Scores:
    """Return the scores without some of each group's channels, the least important ones.

    `importance` is `(coupling.count,)`, `macs` those of the model for one image. The model is left as it was; `tell`
    takes a few words on what is measured.
    """

    def without(group: Group, share: float) -> Any:
        order = group.channels[np.argsort(importance[group.channels], kind="stable")]
        return _silent(model, coupling, order[: round(share * len(order))])

    tries = {f"filters of {group.name}": partial(without, group) for group in coupling.groups}
    return _scores(model, tries, validation, macs, tell)


def of_weights(model: Any, layers: Sequence[str], validation: Validation, macs: int, tell: Tell) -> Scores:
    """Return the scores with the smallest weights of each layer's kernel zero; arguments as those of `of_filters`."""
    tries = {f"weights of {name}": partial(_sparse, model.get_layer(name).kernel) for name in layers}
    return _scores(model, tries, validation, macs, tell)


def write(
    model: Any, coupling: Coupling, importance: np.ndarray, validation: Validation, macs: int, tell: Tell, file: Path
) -> None:
    """Write the drops in score, fractions, `(groups, len(REMOVED)) float64`; arguments as those of `of_filters`."""
    found = of_filters(model, coupling, importance, validation, macs, tell)
    save_array(file, found.whole - np.array(found.layers))


def _scores(
    model: Any, tries: Mapping[str, Callable[[float], Any]], validation: Validation, macs: int, tell: Tell
) -> Scores:
    affordable = MACS / (macs * (1 + len(tries) * len(REMOVED)))
    few = validation.first(int(min(SCORED, max(FEWEST, affordable))))
    forward, layers = forward_of(model), []
    whole = few.score(forward)
    for what, pruned_by in tries.items():
        tell(what)
        scores = []
        for share in REMOVED:
            with pruned_by(share):
                scores.append(few.score(forward))
        layers.append(tuple(scores))
    return Scores(whole, tuple(layers), len(few.labels))


@contextmanager
def _sparse(kernel: Any, share: float) -> Iterator[None]:
    """Let the smallest weights of a kernel be zero."""
    before = kernel.numpy()
    after = before.copy()
    order = np.argsort(np.abs(before), axis=None, kind="stable")
    after.flat[order[: round(share * before.size)]] = 0
    with _instead([(kernel, after)]):
        yield


@contextmanager
def _silent(model: Any, coupling: Coupling, channels: np.ndarray) -> Iterator[None]:
    """Let channels be without effect, as if they were removed: no weight that gives or takes one is other than zero."""
    changes = []
    for name, all_axes in coupling.axes.items():
        for variable, axes in zip(model.get_layer(name).weights, all_axes, strict=True):
            value = variable.numpy()
            for axis, given in axes.items():
                shape = [-1 if i == axis else 1 for i in range(value.ndim)]
                value = value * ~np.isin(given, channels).reshape(shape)
            changes.append((variable, value))
    with _instead(changes):
        yield


@contextmanager
def _instead(changes: Sequence[tuple[Any, np.ndarray]]) -> Iterator[None]:
    before = [(variable, variable.numpy()) for variable, _ in changes]
    try:
        for variable, value in changes:
            variable.assign(value)
        yield
    finally:
        for variable, value in before:
            variable.assign(value)
