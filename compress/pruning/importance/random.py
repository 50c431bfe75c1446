"""A number drawn for each channel: the control, which every criterion has to beat."""

from __future__ import annotations

from typing import Any

import numpy as np

from compress.graphs.groups import Coupling
from compress.pruning.sample import Sample


def importance(model: Any, coupling: Coupling, sample: Sample) -> np.ndarray:
    """Return numbers from 0 to 1 that depend on the sample's seed alone."""
    return np.random.default_rng(sample.seed).random(coupling.count)
