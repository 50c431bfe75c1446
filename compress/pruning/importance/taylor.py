"""What a channel contributes to the loss on training images, to first order.

Molchanov et al., "Importance Estimation for Neural Network Pruning" (2019): the square of gradient times weight.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from compress.graphs.coupling import Coupling
from compress.pruning.sample import Sample, contributions


def importance(model: Any, coupling: Coupling, sample: Sample) -> np.ndarray:
    """Return for each channel the mean over batches of the squared change of the cross-entropy without it."""
    from compress.tensorflow import tf

    def cross_entropy(logits: Any, labels: Any, batch: Any) -> Any:
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))

    return np.mean([change**2 for change in contributions(model, coupling, sample, cross_entropy)], axis=0)
