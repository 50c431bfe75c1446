"""What pruning costs besides training what is left at the end, for estimates; TensorFlow is not needed for these."""

from __future__ import annotations

import math
from typing import Any

from compress.pruning.settings import SMALLER

LAYERS, SHARES, SCORED = 14, 4, 1000  # that are tried alone, VGG16's; how much of each; images that it is scored on


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
    return kinds * LAYERS * SHARES
