"""A number drawn for each channel: the control, which every criterion has to beat."""

from __future__ import annotations

from typing import Any

import numpy as np

from compress.graphs.coupling import Coupling
from compress.pruning.sample import Sample, shares


def importance(model: Any, coupling: Coupling, sample: Sample) -> np.ndarray:
    """Return numbers that depend on the sample's seed alone, as shares in their group."""
    drawn = np.random.default_rng(sample.seed).random(coupling.count)
    for group in coupling.groups:
        drawn[group.channels] = shares(drawn[group.channels])
    return drawn
