"""The sum of a filter's absolute weights (Li et al., "Pruning Filters for Efficient ConvNets", 2017)."""

from __future__ import annotations

from typing import Any

import numpy as np

from compress.graphs.coupling import Coupling
from compress.pruning.sample import Sample, norms


def importance(model: Any, coupling: Coupling, sample: Sample) -> np.ndarray:
    """Return each channel's share in its layer; the sample is not looked at."""
    return norms(model, coupling, lambda filters: np.abs(filters).sum(axis=0))
