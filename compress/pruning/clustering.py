"""Weight clustering: each kernel has few different values, so that its compressed file is smaller.

Han et al., "Deep Compression: Compressing Deep Neural Networks with Pruning, Trained Quantization and Huffman Coding"
(2016), through TensorFlow Model Optimization: training moves the values, and each weight takes the nearest.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from compress.tensorflow import keras, tf

import tensorflow_model_optimization as tfmot  # isort: skip  # after Keras 2 is chosen
from tensorflow_model_optimization.python.core.clustering.keras.experimental import cluster  # isort: skip

CLUSTERED_LAYERS = (keras.layers.Conv2D, keras.layers.Dense)


def with_clusters(model: Any, clusters: int, seed: int, *, keeping_zeros: bool) -> Any:
    """Return a copy of a model in which each kernel has `clusters` values, drawn from its weights (k-means++).

    With `keeping_zeros`, one of them is 0, and what is 0 stays so. Kernels with too few weights to draw from stay as
    they are, and their layers learn nothing then if they have zeros to keep.
    """
    tf.random.set_seed(seed)  # the values that are drawn do not depend on what was computed before

    def clustered(layer: Any) -> Any:
        if not isinstance(layer, CLUSTERED_LAYERS):
            return layer
        kernel = layer.kernel.numpy()
        drawn_from = [kernel < 0, kernel > 0] if keeping_zeros else [np.ones_like(kernel, bool)]
        if min(int(part.sum()) for part in drawn_from) <= clusters:
            layer.trainable = not keeping_zeros  # whose zeros nothing else would keep
            return layer
        return cluster.cluster_weights(
            layer,
            number_of_clusters=clusters,
            cluster_centroids_init=tfmot.clustering.keras.CentroidInitialization.KMEANS_PLUS_PLUS,
            preserve_sparsity=keeping_zeros,
        )

    return keras.models.clone_model(model, clone_function=clustered)


def without_clusters(model: Any) -> Any:
    """Return the model without what clusters its weights, which have the values that they had last."""
    return tfmot.clustering.keras.strip_clustering(model)
