"""How much accuracy each layer costs that alone is pruned, without any training.

Li et al., "Pruning Filters for Efficient ConvNets" (2017), section 3.2: layers differ, and those that cost much are
better left whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from compress.arrays import save_array
from compress.artifacts import Dataset
from compress.context import Context
from compress.data.balance import Metric
from compress.data.images import Images, images_of
from compress.graphs.coupling import Coupling, Group
from compress.training.evaluation import evaluate, forward_of

REMOVED = (0.25, 0.5, 0.75, 0.9)  # of a layer's filters, or of its kernel's weights
IMAGES = 1000  # of those held out for validation, at most


class Judged(NamedTuple):
    """Images held out, `(n, height, width, channels) uint8`, their labels `(n,) int64`, and what they are judged by."""

    images: Images
    labels: np.ndarray
    metric: Metric

    def first(self, count: int) -> Judged:
        """Return at most so many of the images: the splits are shuffled."""
        return Judged(self.images[:count], self.labels[:count], self.metric)

    def score(self, forward: Any) -> float:
        """Return the accuracy, or mean recall, of a function from images to logits."""
        return float(getattr(evaluate(forward, self.images, self.labels), self.metric))


def judged_on(data: Dataset, metric: Metric) -> Judged:
    """Return the images that are held out for validation."""
    return Judged(images_of(data, "validation"), data.labels("validation"), metric)


def write(model: Any, coupling: Coupling, importance: np.ndarray, judged: Judged, context: Context, file: Path) -> None:
    """Write the drop in accuracy, a fraction, of each group at each rate in `REMOVED`: `(groups, rates) float64`."""
    judged = judged.first(IMAGES)
    whole = judged.score(forward_of(model))
    scores = of_filters(model, coupling, importance, judged, context)
    save_array(file, whole - np.array(list(scores)))


def of_filters(
    model: Any, coupling: Coupling, importance: np.ndarray, judged: Judged, context: Context
) -> Iterator[list[float]]:
    """Yield for each group of channels the scores without some of them, the least important ones: those in `REMOVED`.

    `importance` is `(coupling.count,)`. The model is left as it was.
    """
    forward = forward_of(model)
    for number, group in enumerate(coupling.groups):
        context.progress(number / len(coupling.groups), f"filters of {group.name}")
        order = group.channels[np.argsort(importance[group.channels], kind="stable")]
        scores = []
        for share in REMOVED:
            with _silent(model, coupling, group, order[: round(share * len(order))]):
                scores.append(judged.score(forward))
        yield scores


def of_weights(model: Any, layers: Sequence[str], judged: Judged, context: Context) -> Iterator[list[float]]:
    """Yield for each layer the scores with the smallest weights of its kernel zero: the fractions in `REMOVED`.

    The model is left as it was.
    """
    forward = forward_of(model)
    for number, name in enumerate(layers):
        context.progress(number / len(layers), f"weights of {name}")
        kernel = model.get_layer(name).kernel
        before = kernel.numpy()
        order = np.argsort(np.abs(before), axis=None, kind="stable")
        scores = []
        for share in REMOVED:
            sparse = before.copy()
            sparse.flat[order[: round(share * before.size)]] = 0
            kernel.assign(sparse)
            scores.append(judged.score(forward))
        kernel.assign(before)
        yield scores


@contextmanager
def _silent(model: Any, coupling: Coupling, group: Group, channels: np.ndarray) -> Iterator[None]:
    """Let a group's channels be zero for every image, as if they were removed."""
    from compress.graphs.layers import output_axes

    before = []
    for layer in model.layers:
        for variable, axis, given in output_axes(layer, coupling):
            gone = np.isin(given, channels)
            if gone.any():
                before.append((variable, variable.numpy()))
                shape = [-1 if i == axis else 1 for i in range(len(variable.shape))]
                variable.assign(variable.numpy() * ~gone.reshape(shape))
    try:
        yield
    finally:
        for variable, value in before:
            variable.assign(value)
