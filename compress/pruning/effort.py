"""How much pruning measures, and what it costs besides training what is left: for estimates, without TensorFlow."""

from __future__ import annotations

import math
from typing import Any

from compress.pruning.settings import SMALLER

WIDTHS = (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)  # of each layer's channels, at which it is timed
SECONDS = 12.0  # in which networks of all these widths are timed
REMOVED = (0.25, 0.5, 0.75, 0.9)  # of a layer's filters, or of its kernel's weights, without which it is tried alone
SCORED = 1000  # images, at most, on which a network is scored without them
LAYERS = 14  # that are tried alone: VGG16's


def other_passes(config: Any) -> float:
    """Return what the trainings besides the one after the last filters cost, in passes of training the whole network.

    How far a search goes is not known: that it ends at the usual target is taken.
    """
    passes = float(config.cluster_epochs) if config.clusters else 0.0
    if config.method == "magnitude":
        return passes
    if config.max_drop != "none":
        tries = math.ceil(math.log(config.fraction) / math.log(SMALLER))
        zeros = config.fraction if config.method == "both" else 0.0
        return passes + config.epochs * (zeros + sum(SMALLER**number for number in range(1, tries)))
    steps = range(1, config.steps)
    return passes + config.step_epochs * sum(config.fraction ** (step / config.steps) for step in steps)


def tries_of_layers(config: Any) -> int:
    """Return how often the network is scored to find out what its layers lose alone."""
    kinds = int(config.method != "magnitude" and config.rates == "sensitivity")
    if config.whole_above != "none":
        kinds += 2 if config.method == "both" else 1
    return kinds * LAYERS * len(REMOVED)
