"""What a channel contributes to the logits; no labels are needed.

The diagonal of the Gauss-Newton matrix of a loss that compares logits with those of the whole network, by projections
on random signs (Hutchinson, 1990), as label-free Hessian scores are made (Gordon et al., "EPTQ: Enhanced Post-Training
Quantization via Hessian-guided Network-wise Optimization", 2023).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from compress.graphs.coupling import Coupling
from compress.pruning.sample import Sample, contributions


def importance(model: Any, coupling: Coupling, sample: Sample) -> np.ndarray:
    """Return for each channel the mean square of what the logits change without it, to first order."""
    from compress.tensorflow import tf

    def projection(logits: Any, labels: Any, batch: Any) -> Any:
        draws = tf.random.stateless_uniform(tf.shape(logits), [sample.seed, batch])
        return tf.reduce_sum(logits * tf.sign(draws - 0.5))  # images' shares are independent: their squares add up

    changes = list(contributions(model, coupling, sample, projection))
    return np.sum(np.square(changes), axis=0) / len(sample.images)
